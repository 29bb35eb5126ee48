"""`python -m threadpool_mb demo --dashboard`."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dashboard.doubles import get, pool
from tests.helpers import until
from threadpool_mb import __main__ as command


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two packages of 3 files each."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"m{number}.py").write_text("x = 1\n")
    return tmp_path


def test_the_page_shows_the_work_until_ctrl_c(tree: Path) -> None:
    program = [sys.executable, "-W", "error", "-m", "threadpool_mb"]
    with subprocess.Popen(  # noqa: S603 - the program under test
        [*program, "demo", "--path", str(tree), "--dashboard"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        match = re.fullmatch(r"dashboard: (http://127\.0\.0\.1:\d+/)\n", running.stdout.readline())
        assert match is not None
        until(lambda: pool(match[1])["figures"].get("handled", 0) >= 6)
        told = pool(match[1])
        found = get(match[1], "/api/key?pool=0&text=one").json()
        lines = [running.stdout.readline() for _ in range(2)]
        running.send_signal(signal.SIGINT)
        errors = running.stderr.read()

    assert (told["name"], told["kind"], told["figures"]["keys"]) == ("demo", "Pool", 2)
    assert found["worker"]["running"] is True
    assert "Ctrl-C ends it" in lines[0]
    assert re.fullmatch(r"round 1: 6 files of 2 packages, \d+\.\d\d s\n", lines[1])
    assert (running.returncode, errors) == (0, "")


def test_a_port_that_is_taken_is_told_in_one_line(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        with pytest.raises(SystemExit) as ended:
            command.main(["demo", "--path", str(tree), "--dashboard", port])

    assert ended.value.code == 2
    assert "the dashboard cannot be served: " in capsys.readouterr().err


@pytest.mark.parametrize("port", ["70000", "-1", "x", "²"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["demo", f"--dashboard={port}"])

    assert ended.value.code == 2
    assert f"must be a port, 0 to 65535, not {port!r}" in capsys.readouterr().err
