"""`python -m threadpool_mb`: its output, its exit statuses, and what it says when it is misused."""

import importlib.metadata
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from threadpool_mb import __main__ as command
from threadpool_mb.demo import report
from threadpool_mb.demo.run import Job

PROGRAM = ["-m", "threadpool_mb"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package of two files, a module, and one that cannot be parsed."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "a.py").write_text("def f():\n    pass\n")
    (tmp_path / "pack" / "b.py").write_text("class C:\n    def m(self):\n        pass\n")
    (tmp_path / "module.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_text("def :\n")
    return tmp_path


def run(
    *arguments: str | Path, program: Sequence[str] = PROGRAM, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the program under test
        [sys.executable, *program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
        env={**os.environ, **environment},
    )


def test_info_prints_version_interpreter_gil_and_cores_one_per_line() -> None:
    done = run("info")

    assert done.stdout.splitlines() == [
        f"threadpool_mb {importlib.metadata.version('threadpool_mb')}",
        report.interpreter(),
        f"GIL {report.gil_state()}",
        f"cores {os.process_cpu_count()}",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_info_knows_of_a_package_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_found(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_found)

    status = command.main(["info"])

    assert status == 0
    assert capsys.readouterr().out.startswith("threadpool_mb (not installed)\n")


def test_the_demo_prints_table_unread_files_and_figures_and_nothing_on_stderr(tree: Path) -> None:
    done = run("demo", "--path", tree)

    assert (done.returncode, done.stderr) == (0, "")
    table, unread, figures = done.stdout.split("\n\n")
    assert [line.split()[:3] for line in table.splitlines()[2:5]] == [
        ["pack", "2", "5"],
        ["module", "1", "1"],
        ["bad", "0", "0"],
    ]
    assert unread.splitlines() == [
        "not read: 1 file",
        f"  {tree / 'bad.py'}: invalid syntax (line 1)",
    ]
    assert figures.splitlines()[0].split() == ["messages", "4"]
    assert [line.split("  ")[0] for line in figures.splitlines()] == [
        "messages",
        "workers",
        "seconds",
        "on one thread",
        "speed-up",
        "GIL",
        "interpreter",
        "cores",
    ]


@pytest.mark.parametrize("filters", [[], ["-W", "always"], ["-W", "error"]], ids=str)
def test_what_the_parser_warns_of_is_neither_shown_nor_an_error(
    tree: Path, filters: list[str]
) -> None:
    (tree / "module.py").write_text("x = '\\d'\ny = 0x1for x\n")

    done = run("demo", "--path", tree, program=[*filters, *PROGRAM])

    assert (done.returncode, done.stderr) == (0, "")
    assert "not read: 1 file\n" in done.stdout


def test_names_that_the_terminal_cannot_show_are_escaped(tree: Path) -> None:
    (tree / "pack" / "a.py").write_text("def grün():\n    1\n    2\n", encoding="utf-8")

    done = run("demo", "--path", tree, PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert "gr\\xfcn (3)" in done.stdout


def test_the_top_rows_can_be_chosen(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = command.main(["demo", "--path", str(tree), "--top", "1"])

    assert status == 0
    rows = capsys.readouterr().out.splitlines()[2:4]
    assert [row.split("  ")[0] for row in rows] == ["pack", "(2 more)"]


def test_a_long_list_of_unread_files_is_shortened_unless_verbose(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        (tree / f"bad{number}.py").write_text("def :\n")

    command.main(["demo", "--path", str(tree)])
    short = capsys.readouterr().out
    command.main(["demo", "--path", str(tree), "--verbose"])
    full = capsys.readouterr().out

    assert "not read: 21 files" in short
    assert short.count("invalid syntax") == 10
    assert "  and 11 more; --verbose lists them\n" in short
    assert full.count("invalid syntax") == 21


@pytest.mark.parametrize(
    ("options", "packages"),
    [([], ["lib"]), (["--with-tests"], ["test", "lib"])],
    ids=["by default", "with tests"],
)
def test_the_standard_librarys_own_tests_are_left_out_by_default(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    packages: list[str],
) -> None:
    (tmp_path / "lib.py").write_text("x\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "big.py").write_text("x\n" * 9)
    monkeypatch.setattr(command, "standard_library", lambda: tmp_path)

    command.main(["demo", *options])

    rows = capsys.readouterr().out.splitlines()[2 : 2 + len(packages)]
    assert [row.split()[0] for row in rows] == packages


def test_another_tree_is_read_with_its_tests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.py").write_text("x\n")

    status = command.main(["demo", "--path", str(tmp_path)])

    assert status == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:3] == ["test", "1", "1"]


BAD_ARGUMENTS = {
    "no command": [],
    "unknown command": ["fly"],
    "unknown option": ["info", "--fast"],
    "top is zero": ["demo", "--top", "0"],
    "top is no number": ["demo", "--top", "2.5"],
    "top is missing": ["demo", "--top"],
    "path is no directory": ["demo", "--path", __file__],
    "path is not there": ["demo", "--path", "no/such/directory"],
    "two lines": ["demo", "--top", "1\n2"],
}


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_end_with_status_2_and_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)

    output = capsys.readouterr()
    assert ended.value.code == 2
    assert output.out == ""
    assert output.err.startswith("python -m threadpool_mb")
    assert output.err.count("\n") == 1
    assert output.err.endswith("\n")


def test_a_tree_without_python_files_ends_with_status_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["demo", "--path", str(tmp_path)])

    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"python -m threadpool_mb demo: no .py file in {str(tmp_path)!r}\n"
    )


def test_the_process_ends_with_status_2_and_one_line_too() -> None:
    done = run("demo", "--top", "none")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "python -m threadpool_mb demo: argument --top:"
        " must be a whole number of at least 1, not 'none'\n"
    )


@pytest.mark.parametrize("arguments", [["info"], ["demo", "--path", "."], ["--help"]], ids=str)
def test_a_closed_pipe_ends_it_without_a_word(arguments: list[str], tree: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(  # noqa: S603 - the program under test
        [sys.executable, *PROGRAM, *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=15,
        cwd=tree,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, b"")


def test_a_missing_stdout_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    status = command.main(["info"])

    assert status == 0
    assert capsys.readouterr().err == ""


# The interrupt comes while the main thread waits in `Thread.join`, where it holds no lock of
# Python's: on 3.14 one that comes as a `with lock:` is entered can leave the lock held (gh-148874).
INTERRUPTED_BY_A_WORKER = """
import os, queue, runpy, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
from threadpool_mb.demo import run

joining = queue.SimpleQueue()
join = threading.Thread.join
def tell_and_join(thread, timeout=None):
    joining.put(None)
    join(thread, timeout)
threading.Thread.join = tell_and_join

run.cores = lambda: 64
tally_file = run.tally_file
def interrupt(path):
    if path.name == "a.py":
        joining.get()
        os.kill(os.getpid(), signal.SIGINT)
    return tally_file(path)
run.tally_file = interrupt
runpy.run_module("threadpool_mb", run_name="__main__")
"""


def test_ctrl_c_while_the_pool_works_ends_it_with_status_130_and_one_line(tree: Path) -> None:
    done = run("demo", "--path", tree, program=["-c", INTERRUPTED_BY_A_WORKER])

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_an_interrupt_anywhere_ends_it_with_status_130(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(job: Job) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_on_one_thread", interrupted)

    status = command.main(["demo", "--path", str(tree)])

    assert status == 128 + signal.SIGINT
    assert capsys.readouterr() == ("", "interrupted\n")


def test_runs_that_differ_are_reported_and_fail(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def count_nothing(job: Job) -> float:
        return 1.0

    monkeypatch.setattr(command, "run_in_pool", count_nothing)

    status = command.main(["demo", "--path", str(tree)])

    assert status == 1
    assert capsys.readouterr().err == "the tallies of the pool and of the one thread differ\n"
