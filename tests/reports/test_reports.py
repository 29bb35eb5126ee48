"""`python -m reports` makes parts, tells what became of each, and fails if one has failed."""

import concurrent.futures
import json
import re
import signal
import struct
import subprocess
import sys
import threading
import typing
from pathlib import Path
from typing import Final

import pytest

from reports import __main__ as command
from reports import covered
from reports.exclusions import exclusions, patterns
from reports.flame import folded
from reports.imports import PACKAGE, ROOT
from reports.parts import FREE, GIL, NEEDS, PARTS, Part, Step
from tests.helpers import DEADLINE

PROJECT: Final = (ROOT / "pyproject.toml").read_text("utf-8")


def _part(name: str, code: str, *, on: str = FREE) -> Part:
    """Return a part that is made by a line of Python, `out` being its folder."""
    return Part(
        name,
        f"What {name} is",
        "About it.",
        lambda out: [Step(["-c", f"out = {str(out)!r}; {code}"], on)],
        [("its page", "page.html")],
    )


def _good(name: str) -> Part:
    return _part(name, "print('done'); open(f'{out}/page.html', 'w').close()")


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[Part], *words: str) -> int:
    monkeypatch.setattr(command, "PARTS", parts)
    return command.main([*words, "--out", str(tmp_path), "--gil", sys.executable])


def test_the_index_tells_of_a_part_when_how_and_on_what_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(tmp_path, monkeypatch, [_good("one")]) == 0

    index = (tmp_path / "index.html").read_text("utf-8")
    assert '<a href="one/page.html">its page</a>' in index
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", index)
    assert sys.version.split()[0] in index
    assert f"python{FREE} -c" in index
    assert "Failed" not in index
    assert (tmp_path / "one" / "log.txt").read_text("utf-8").endswith("done\n")


def test_a_part_that_fails_is_told_and_does_not_keep_the_others_from_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = _part("broken", "open(f'{out}/page.html', 'w'); raise SystemExit(3)", on=GIL)

    assert _run(tmp_path, monkeypatch, [broken, _good("one")]) == 1

    index = (tmp_path / "index.html").read_text("utf-8")
    assert "Failed: exit status 3 of python3.14 -c" in index
    assert '<a href="one/page.html">its page</a>' in index
    assert "FAILED: exit status 3" in capsys.readouterr().out


def test_each_step_is_told_before_it_runs_and_how_long_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = list[str]()

    def run(step: Step, _pythons: dict[str, str], _log: Path, _name: str) -> str:
        told.append(capsys.readouterr().out)
        return "" if step.words[0] == "long" else "it broke"

    steps = [Step(["long", "x" * 500], on=""), Step(["-m", "short"])]
    part = Part("one", "What one is", "About it.", lambda _: steps, [])
    monkeypatch.setattr(command, "run", run)

    assert _run(tmp_path, monkeypatch, [part]) == 1

    first, second = told
    last = capsys.readouterr().out
    logs = tmp_path / "one" / "log-*.txt"
    assert first.startswith(f"one (1 of 1): What one is; see {logs}\n  1/2 long xxxx")
    assert second == "  1/2 took 0 s\n  2/2 python3.14t -m short\n"
    assert last.startswith("  2/2 took 0 s\n  FAILED: it broke\n  one: made in 0 s, with 0 s")
    assert max(map(len, first.splitlines()[1:])) <= 110


def test_after_an_interrupt_no_step_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled, ending = list[bool](), threading.Event()

    class Executor(concurrent.futures.ThreadPoolExecutor):
        """Tells when it is to end, and whether with what has not begun."""

        @typing.override
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            cancelled.append(cancel_futures)
            ending.set()
            super().shutdown(wait, cancel_futures=cancel_futures)

    def run(_step: Step, _pythons: dict[str, str], log: Path, _name: str) -> str:
        log.touch()
        if not ending.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert ending.wait(15)
        return ""

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(concurrent.futures, "ThreadPoolExecutor", Executor)
    steps = [Step(["first"], on=""), Step(["second"], on="")]

    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, monkeypatch, [Part("one", "What", "About", lambda _: steps, [])])

    assert cancelled == [True]


def test_steps_run_one_after_the_other_or_together_and_there_is_one_log_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = threading.Barrier(2)

    def run(step: Step, _pythons: dict[str, str], log: Path, _name: str) -> str:
        if step.env:
            met.wait(15)  # each waits for the other one
        log.write_text(f"printed by {step.words[0]}\n")
        return ""

    def part(name: str, env: dict[str, str], at_once: int) -> Part:
        steps = [Step([f"{name}{number}"], on="", env=env) for number in (1, 2)]
        return Part(name, "What", "About", lambda _: steps, [], at_once)

    monkeypatch.setattr(command, "run", run)
    parts = [part("both", {"TOGETHER": "1"}, 2), part("each", {}, 1)]

    assert _run(tmp_path, monkeypatch, parts) == 0

    assert (tmp_path / "both" / "log.txt").read_text() == "printed by both1\nprinted by both2\n"
    assert (tmp_path / "each" / "log.txt").read_text() == "printed by each1\nprinted by each2\n"
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["log.txt", "part.json"]


def test_a_part_whose_page_is_not_there_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(tmp_path, monkeypatch, [_part("empty", "pass")]) == 1

    index = (tmp_path / "index.html").read_text("utf-8")
    assert "Failed: page.html is not there" in index
    assert "<a href=" not in index.split("log")[0]


def test_a_command_that_is_not_installed_is_named(tmp_path: Path) -> None:
    step = Step(["no-such-command", "x"], on="")

    assert command.run(step, {}, tmp_path / "log") == "no-such-command: No such file or directory"


def test_a_step_that_runs_long_says_so_with_what_it_has_printed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_SAY_AGAIN", 0.02)
    go_on = tmp_path / "go on"
    loop = f"while not os.path.exists({str(go_on)!r}): pass"
    code = f"import os; print('half of it', flush=True)\n{loop}"
    said = list[str]()

    def say(text: str, **_: object) -> None:
        said.append(text)
        if "half of it" in text:
            go_on.touch()

    monkeypatch.setattr(command, "print", say, raising=False)

    assert command.run(Step(["-c", code]), {FREE: sys.executable}, tmp_path / "log", "2/3") == ""

    assert any(re.fullmatch(r"  2/3 runs for \d+ s: half of it", text) for text in said)


def test_parts_that_are_not_asked_for_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [_good("one"), _good("two"), _good("three")]
    _run(tmp_path, monkeypatch, parts, "one")
    made = (tmp_path / "one" / "part.json").read_bytes()

    _run(tmp_path, monkeypatch, parts, "two")

    index = (tmp_path / "index.html").read_text("utf-8")
    assert (tmp_path / "one" / "part.json").read_bytes() == made
    assert {part for part in ("one", "two", "three") if f'href="{part}/page.html"' in index} == {
        "one",
        "two",
    }
    assert "<code>make reports PARTS=three</code>" in index


def test_what_a_part_needs_is_made_before_it_and_does_not_take_its_data_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "NEEDS", {"late": "early"})
    early = _part("early", "open(f'{out}/page.html', 'w'); open(f'{out}/../late/data', 'w')")
    late = _part("late", "open(f'{out}/data'); open(f'{out}/page.html', 'w')")

    assert _run(tmp_path, monkeypatch, [early, late], "late") == 0


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["coverrage"])

    assert "no such part: coverrage (there are: api, graph, " in capsys.readouterr().err


def test_all_tests_that_cover_a_module_are_among_those_that_are_counted() -> None:
    (tests,) = (part for part in PARTS if part.name == "tests")
    steps = tests.steps(ROOT / "out" / "tests")

    paths = {(step.on, word) for step in steps for word in step.words if word.startswith("tests")}
    pages = [word.rpartition("/")[2] for step in steps for word in step.words if "html" in word]
    assert paths == {
        (on, path) for on in (FREE, GIL) for path in ("tests/observers", "tests", "tests/cluster")
    }
    # Each by itself: pytest leaves out what is inside another argument.
    assert [sum(word.startswith("tests") for word in step.words) for step in steps] == [1] * 6
    assert {page for page in pages if page.endswith(".html")} == {page for _, page in tests.links}


def test_what_a_part_needs_comes_before_it() -> None:
    names = [part.name for part in PARTS]

    assert [part for part, needed in NEEDS.items() if names.index(needed) > names.index(part)] == []


def _counted(lines: int, covered_lines: int, branches: int, covered_branches: int) -> object:
    """Return what coverage.py tells of a file."""
    return {
        "summary": {
            "num_statements": lines,
            "covered_lines": covered_lines,
            "num_branches": branches,
            "covered_branches": covered_branches,
        }
    }


def _covered(tmp_path: Path, least: str, files: dict[str, object]) -> int:
    source = tmp_path / "coverage.json"
    source.write_text(json.dumps({"files": files}), "utf-8")
    return covered.main([str(source), str(tmp_path / "modules.html"), least])


def test_of_each_module_both_figures_are_told_and_most_missed_branches_come_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "src/threadpool_mb/good.py": _counted(10, 10, 0, 0),
        "src/threadpool_mb/pool/poor.py": _counted(90, 89, 10, 8),
        "src/threadpool_mb/cluster/node.py": _counted(10, 5, 4, 3),
    }

    assert _covered(tmp_path, "75", files) == 0

    head, *told = capsys.readouterr().out.splitlines()
    assert " ".join(head.split()) == "lines missed branches missed together % lines % branches %"
    assert [line.split() for line in told] == [
        ["all", "6", "3", "92.7", "94.5", "78.6"],
        ["without", "threadpool_mb.cluster", "1", "2", "97.3", "99.0", "80.0"],
        ["pool/poor.py", "1", "2", "97.0", "98.9", "80.0"],
        ["cluster/node.py", "5", "1", "57.1", "50.0", "75.0"],
        ["good.py", "0", "0", "100.0", "100.0", "100.0"],
    ]
    page = (tmp_path / "modules.html").read_text("utf-8")
    assert "<td>pool/poor.py</td><td>1</td><td>2</td><td>97.0</td><td>98.9</td>" in page


def test_too_few_branches_fail_also_where_lines_make_up_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"src/threadpool_mb/one.py": _counted(960, 960, 40, 30)}

    assert _covered(tmp_path, "97", files) == 1

    assert "less than 97 %: together 99.00 %, branches alone 75.00 %" in capsys.readouterr().out


def test_each_pattern_that_coverage_leaves_out_has_a_reason() -> None:
    reasons = patterns(PROJECT)

    assert len(reasons) >= 4
    assert [pattern for pattern, reason in reasons.items() if not reason] == []


def test_each_place_that_coverage_leaves_out_has_a_reason() -> None:
    found = list(exclusions(sorted(PACKAGE.rglob("*.py")), patterns(PROJECT)))

    assert "if typing.TYPE_CHECKING:" in {each.text for each in found}
    assert [each for each in found if len(each.reason.split()) < 3] == []


def test_each_pragma_says_why() -> None:
    pragmas = [
        (path.name, line.strip())
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if "pragma" in line
    ]

    silent = [each for each in pragmas if not re.search(r"# pragma: no \w+ - \w+ \w+", each[1])]
    assert silent == []


def test_stacks_are_folded_by_thread_and_importing_is_left_out() -> None:
    script = """\
python   71
\t ffff _PyEval_EvalFrameDefault (/x/python3.14t)
\t 85 py::Pool.dispatch:/x/threadpool_mb/pool/pool.py (/tmp/jitted-71-9.so)
\t ffff PyObject_Vectorcall (/x/python3.14t)
\t 85 py::turn:/x/reports/profiled.py (/tmp/jitted-71-8.so)

python   71
\t 85 py::_find_and_load:<frozen importlib._bootstrap> (/tmp/jitted-71-7.so)

pool-1 shared   72
\t ffff _queue_SimpleQueue_get (/x/python3.14t)
\t 85 py::_run:/x/threadpool_mb/threads/launching.py (/tmp/jitted-71-6.so)

python   71
\t ffff _PyEval_EvalFrameDefault (/x/python3.14t)
\t 85 py::Pool.dispatch:/x/threadpool_mb/pool/pool.py (/tmp/jitted-71-9.so)
\t ffff PyObject_Vectorcall (/x/python3.14t)
\t 85 py::turn:/x/reports/profiled.py (/tmp/jitted-71-8.so)

"""

    assert folded(script, "turn").splitlines() == [
        "python;turn (profiled.py);Pool.dispatch (pool/pool.py);_PyEval_EvalFrameDefault 2",
        "pool-1 shared;_run (threads/launching.py);_queue_SimpleQueue_get 1",
    ]


def _names_for_perf(dump: bytes) -> list[str]:
    """Return the functions that CPython has written down for perf (`jitdump-specification.txt`)."""
    names: list[str] = []
    _, _, at = struct.unpack_from("<3I", dump)
    while at < len(dump):
        kind, size = struct.unpack_from("<2I", dump, at)
        if kind == 0:  # a function: its name is behind the head, and two and four numbers
            name, _, _ = dump[at + 16 + 40 : at + size].partition(b"\0")
            names.append(name.decode())
        assert kind in {0, 4}
        at += size
    return names


def test_perf_is_told_of_all_functions_before_two_threads_call_new_ones() -> None:
    words = ["-X", "perf_jit", "-m", "reports.profiled", "dispatch", "0"]
    with subprocess.Popen([sys.executable, *words], cwd=ROOT) as program:  # noqa: S603 - our own
        returned = program.wait(DEADLINE)
    dump = Path(f"/tmp/jit-{program.pid}.dump")  # noqa: S108 - CPython chooses the folder
    names = _names_for_perf(dump.read_bytes())
    dump.unlink()

    assert returned == 0
    # It is in the module, and `dispatch` does not call it.
    assert sum(name.startswith("py::turn:") for name in names) == 1
    assert sum(name.startswith("py::Pool.dispatch:") for name in names) == 1
