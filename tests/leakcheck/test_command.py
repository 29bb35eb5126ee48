"""`python -m leakcheck` runs what it is told, writes what it found, and merges several runs."""

from pathlib import Path

import pytest

from benchmarks.machine import build
from leakcheck import __main__ as command
from leakcheck.catalog import SCENARIOS
from leakcheck.results import Run, ScenarioResult
from leakcheck.supervising import Limits
from tests.leakcheck.samples import CLEAN, DEAD, LEAKY, run


def _answer(monkeypatch: pytest.MonkeyPatch, result: ScenarioResult) -> list[tuple[str, Limits]]:
    asked: list[tuple[str, Limits]] = []

    def run_one(name: str, limits: Limits, *_: object, **__: object) -> tuple[ScenarioResult, str]:
        asked.append((name, limits))
        return result, "a line of stderr"

    monkeypatch.setattr(command, "run", run_one)
    return asked


def test_a_clean_run_writes_a_log_a_json_and_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _answer(monkeypatch, CLEAN)

    status = command.main(["calls", "pools", "--out", str(tmp_path), "--seconds", "24"])

    assert status == 0
    assert [name for name, _ in asked] == ["calls", "pools"]
    assert asked[0][1].seconds == 12
    assert {path.suffix for path in tmp_path.iterdir()} == {".log", ".json", ".html"}
    written = Run.from_json((tmp_path / f"{build()}.json").read_text("utf-8"))
    assert written.scenarios == (CLEAN, CLEAN)
    log = (tmp_path / f"{build()}.log").read_text("utf-8")
    assert "ok   blocks: +0.0" in log
    assert "a line of stderr" in log
    assert "a line of stderr" not in (printed := capsys.readouterr().out)
    assert "2 scenarios clean" in printed
    assert "[2/2] pools" in printed


def test_without_names_all_scenarios_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answer(monkeypatch, CLEAN)

    command.main(["--short", "--out", str(tmp_path)])

    assert [name for name, _ in asked] == list(SCENARIOS)
    assert asked[0][1].scale < 1


@pytest.mark.parametrize("result", [LEAKY, DEAD])
def test_a_failure_is_told_by_status_and_on_the_screen(
    result: ScenarioResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _answer(monkeypatch, result)

    status = command.main(["calls", "--out", str(tmp_path)])

    printed = capsys.readouterr().out
    assert status == 1
    assert result.verdict in printed
    assert "a line of stderr" in printed
    assert all(text.splitlines()[0] in printed for text in result.evidence)


def test_several_runs_become_one_page(tmp_path: Path) -> None:
    paths = []
    for name in ("3.13.5t", "3.14.4t"):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(run(name).to_json(), encoding="utf-8")

    status = command.main(["page", *map(str, paths), "--out", str(tmp_path / "made")])

    text = (tmp_path / "made" / "leakcheck.html").read_text("utf-8")
    assert status == 0
    assert "3.13.5t" in text
    assert "3.14.4t" in text


def test_the_scenarios_are_listed_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(SCENARIOS)
    assert all(len(line.partition(": ")[2]) > 20 for line in lines)


def test_the_seeds_are_not_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])

    assert "seed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["what"], "no such scenario: what (there are: original"),
        (["--seconds", "0"], "there must be some time"),
        (["--cap", "0"], "some memory"),
        (["--seed", "what"], "invalid choice"),
        (["page", "missing.json"], "missing.json"),
    ],
)
def test_a_mistake_is_told(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(words)

    assert message in capsys.readouterr().err
