"""The command runs what it is told to, keeps it, and says by its status whether it failed."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import soak
from reliability import __main__ as command
from reliability import page, results
from reliability.passes import Tally, folder_of, suite_parts
from reliability.results import Failure, Run, load

REPORT = (
    '<testsuites><testsuite><testcase classname="tests.test_a" name="test_one[1-2]" time="0.5"/>'
    "</testsuite></testsuites>"
)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is run in a folder of the test."""

    def save(facts: dict[str, str], run: Run) -> Path:
        return results.save(facts, run, tmp_path)

    def kept(facts: dict[str, str]) -> dict[str, Run]:
        return results.kept(facts, tmp_path)

    monkeypatch.delenv("TESTS_STRIDE", raising=False)  # that of the run
    monkeypatch.setattr(command, "save", save)
    monkeypatch.setattr(command, "kept", kept)
    return tmp_path


class Passes:
    """Stands in for runs of pytest."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, failing: int = 0) -> None:
        self.arguments: list[Sequence[str]] = []
        self.options: list[Sequence[str]] = []
        self._report = folder / "report"
        self._report.write_text(REPORT)
        self._failing = failing
        monkeypatch.setattr(command, "run_pytest", self.run)
        self.places: list[Sequence[str]] = []
        monkeypatch.setattr(command, "hammer_functions", self.hammers)

    def hammers(self, places: Sequence[str]) -> list[str]:
        self.places.append(places)
        return ["tests/test_a.py::test_one"]

    def run(
        self, tally: Tally, arguments: Sequence[str], *, options: Sequence[str] = (), seconds: float
    ) -> None:
        self.arguments.append(arguments)
        self.options.append(options)
        tally.add(self._report)
        if len(self.arguments) == self._failing:
            tally.failures.append(Failure("test_one", "assert False"))


def _run_of(folder: Path, what: str) -> Run:
    (build,) = load(folder)
    return build.runs[what]


def test_hammers_run_in_chunks_until_each_ran_so_many_times(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch, kept)

    status = command.main(["hammers", "--count", "25", "--chunk", "10"])

    counts = [word for each in passes.arguments for word in each if word.startswith("--count")]
    assert status == 0
    assert counts == ["--count=10", "--count=10", "--count=5"]
    assert _run_of(kept, "hammers").runs == 3
    assert list(_run_of(kept, "hammers").hammers) == ["tests/test_a.py::test_one"]


def test_hammers_end_when_their_time_is_over_and_what_ran_is_kept(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch, kept)
    minutes = iter([0.0, 0.0, 1.0, 2.0, 3.0, 61.0, 62.0, 63.0])
    monkeypatch.setattr(command.time, "monotonic", lambda: next(minutes))

    command.main(["hammers", "--minutes", "1"])

    assert len(passes.arguments) == 2
    assert _run_of(kept, "hammers").asked == "10,000 times each"


def test_hammers_of_some_files_are_told_as_such(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch, kept)

    command.main(["hammers", "--count", "1", "tests/test_a.py"])

    assert passes.places == [["tests/test_a.py"]]
    assert _run_of(kept, "hammers").asked == "1 times each, of tests/test_a.py"


def test_a_failure_is_kept_and_told_by_the_status(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Passes(monkeypatch, kept, failing=2)

    status = command.main(["hammers", "--count", "30"])

    assert status == 1
    assert _run_of(kept, "hammers").failures == (Failure("test_one", "assert False"),)
    assert "assert False" in capsys.readouterr().out


def test_a_run_may_be_added_to_the_one_before_it(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Passes(monkeypatch, kept, failing=1)
    command.main(["hammers", "--count", "20"])
    begun = _run_of(kept, "hammers")

    status = command.main(["hammers", "--count", "30", "--add"])

    run = _run_of(kept, "hammers")
    assert status == 0  # nothing has failed this time
    assert (begun.runs, run.runs) == (2, 5)
    assert run.tests == 1
    assert run.date == begun.date
    assert run.failures == begun.failures != ()
    assert run.hammers["tests/test_a.py::test_one"].runs == 5
    assert run.commit == begun.commit


@pytest.mark.parametrize(
    ("words", "what", "options"),
    [([], "suite", []), (["--dev"], "suite -X dev", ["-X", "dev"])],
)
def test_the_suite_runs_once_with_or_without_development_mode(
    kept: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], what: str, options: list[str]
) -> None:
    passes = Passes(monkeypatch, kept)

    assert command.main(["suite", *words]) == 0

    parts = suite_parts()
    assert passes.options == [options] * len(parts)
    assert [list(each[1:]) for each in passes.arguments] == parts
    assert list(_run_of(kept, what).folders) == [folder_of(part) for part in parts]
    assert _run_of(kept, what).runs == len(parts)
    assert _run_of(kept, what).hammers == {}


def test_a_suite_whose_time_is_over_says_how_much_of_it_ran(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch, kept)
    minutes = iter([0.0, 0.0, 0.0, 1.0, 61.0])
    monkeypatch.setattr(command.time, "monotonic", lambda: next(minutes))

    command.main(["suite", "--minutes", "1", "tests/pool", "tests/keyed"])

    assert [each[-1] for each in passes.arguments] == ["tests/pool"]
    assert list(_run_of(kept, "suite").folders) == ["tests/pool"]


def test_the_folders_that_have_not_run_are_added(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch, kept, failing=2)
    command.main(["suite", "tests/pool", "tests/keyed/"])

    status = command.main(["suite", "--add"])

    folders = _run_of(kept, "suite").folders
    assert status == 0  # nothing has failed this time
    assert len(passes.arguments) == len(suite_parts()) == len(folders)
    assert list(folders)[:2] == ["tests/pool", "tests/keyed"]
    assert [name for name, ran in folders.items() if ran.failures] == ["tests/keyed"]
    assert len(_run_of(kept, "suite").failures) == 1


def test_a_folder_that_is_named_runs_again_and_the_others_stay(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch, kept, failing=1)
    command.main(["suite", "tests/pool", "tests/keyed"])
    monkeypatch.setenv("TESTS_STRIDE", "5")

    command.main(["suite", "--add", "tests/pool"])

    assert [each[-1] for each in passes.arguments] == ["tests/pool", "tests/keyed", "tests/pool"]
    folders = _run_of(kept, "suite").folders
    assert {name: (ran.failures, ran.stride) for name, ran in folders.items()} == {
        "tests/pool": (0, 5),
        "tests/keyed": (0, 1),
    }


def test_the_soak_counts_messages_and_keeps_what_went_wrong(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = iter([[], ["key 7: message 2 came where 1 was due"]])
    minutes = iter([0.0, 0.0, 1.0, 2.0, 61.0, 62.0])
    monkeypatch.setattr(soak, "soak", lambda messages, _: (messages, 1.0, next(faults)))
    monkeypatch.setattr(command.time, "monotonic", lambda: next(minutes))

    status = command.main(["soak", "--minutes", "1"])

    assert status == 1
    assert _run_of(kept, "soak").messages == 2 * command.MESSAGES
    assert [each.text for each in _run_of(kept, "soak").failures] == [
        "key 7: message 2 came where 1 was due"
    ]


def test_the_page_is_written_anew(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = kept / "page.md"
    written.write_text(
        "<!-- runs: a -->\n<!-- end of runs -->\n<!-- folders: b -->\n<!-- end of folders -->\n"
        "<!-- hammers: c -->\n<!-- end of hammers -->\n"
    )
    monkeypatch.setattr(page, "PAGE", written)

    assert command.main(["page"]) == 0

    assert page.rendered(written.read_text(), load()) == written.read_text()


def test_a_build_is_named_with_what_it_was_configured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"Py_DEBUG": 1, "CONFIG_ARGS": "'--with-thread-sanitizer'"}
    monkeypatch.setattr(command.sysconfig, "get_config_var", said.get)

    assert command.facts()["Build"].endswith(" debug tsan")


def test_without_git_the_commit_is_unknown(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Passes(monkeypatch, kept)
    monkeypatch.setenv("PATH", str(kept))

    command.main(["suite", "tests/pool"])

    assert _run_of(kept, "suite").commit == "unknown"


def test_what_is_kept_names_no_folder_of_a_machine() -> None:
    texts = {path.name: path.read_text("utf-8") for path in results.FOLDER.glob("*.json")}

    assert texts
    assert [
        name for name, text in texts.items() if re.search(r"/(home|root|tmp|Users)/", text)
    ] == []
