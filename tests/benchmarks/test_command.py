"""`python -m benchmarks` writes one JSON and one page, and merges several."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks import __main__ as command
from benchmarks.machine import build
from benchmarks.peers import installed
from benchmarks.results import Comparison, Run
from tests.benchmarks.samples import comparison, run

ROOT: Final = Path(__file__).parents[2]


def _workload(rounds: int, scale: float) -> Iterator[Comparison]:
    """Does nothing, in rounds."""
    yield comparison(f"{rounds} rounds, scale {scale}")


def _broken(_rounds: int, _scale: float) -> Iterator[Comparison]:
    """Fails after its first comparison."""
    yield comparison()
    raise AssertionError("a message is missing")


@pytest.fixture(autouse=True)
def _workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "WORKLOADS", {"broken": _broken, "one": _workload})


def test_a_run_writes_one_json_and_one_page_and_prints_its_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = command.main(["one", "--rounds", "3", "--scale", "0.5", "--output", str(tmp_path)])

    assert status == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{build()}.json", f"{build()}.html"}
    written = Run.from_json((tmp_path / f"{build()}.json").read_text("utf-8"))
    assert [one.name for one in written.workloads] == ["one"]
    assert written.workloads[0].description == "Does nothing, in rounds."
    assert "3 rounds, scale 0.5" in capsys.readouterr().out
    assert "3 rounds, scale 0.5" in (tmp_path / f"{build()}.html").read_text("utf-8")


def test_a_run_on_one_core_is_held_to_it_and_called_by_it(tmp_path: Path) -> None:
    words = ["-m", "benchmarks", "executor", "--rounds", "1", "--scale", "0.001", "--cores", "1"]

    subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *words, "--output", tmp_path], cwd=ROOT, check=True
    )

    written = Run.from_json((tmp_path / f"{build()}-1core.json").read_text("utf-8"))
    assert written.facts["Cores"] == "1"
    assert [each.name for each in written.workloads] == ["executor"]


def test_more_cores_than_there_are_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["one", "--cores", "100000"])

    assert "--cores: there are " in capsys.readouterr().err


def test_a_run_tells_which_peers_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = installed.find("nowhere", "no_such_package", needs="CPython 4")
    monkeypatch.setattr(installed, "PACKAGES", (missing,))

    command.main(["one", "--output", str(tmp_path)])

    written = Run.from_json((tmp_path / f"{build()}.json").read_text("utf-8"))
    assert f"nowhere: {missing.fact()}\n" in capsys.readouterr().out
    assert written.facts["nowhere"] == missing.fact()


def test_a_workload_that_fails_is_told_and_does_not_cost_the_others_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = command.main(["--output", str(tmp_path)])

    written = Run.from_json((tmp_path / f"{build()}.json").read_text("utf-8"))
    error = capsys.readouterr().err
    assert status == 1
    assert [len(one.comparisons) for one in written.workloads] == [1, 1]
    assert "a message is missing" in error
    assert error.endswith("failed: broken\n")


def test_several_runs_become_one_page(tmp_path: Path) -> None:
    paths = []
    for name in ("3.13.5t", "3.14.4t"):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(run(name).to_json(), encoding="utf-8")

    status = command.main(["page", *map(str, paths), "--output", str(tmp_path / "made")])

    assert status == 0
    assert "3.14.4t, × 3.13.5t" in (tmp_path / "made" / "benchmarks.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["what"], "no such workload: what (there are: broken, one)"),
        (["--rounds", "0"], "there must be a round at least"),
        (["--scale", "0"], "something to do"),
        (["page", "missing.json"], "missing.json"),
        (["page", __file__], f"{__file__}: "),
    ],
)
def test_a_mistake_is_told(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(words)

    assert message in capsys.readouterr().err
