"""Counting instructions: what callgrind says, and what has grown."""

import json
from pathlib import Path

import pytest

from benchmarks import instruction_cells, instructions


@pytest.mark.parametrize("cell", instruction_cells.CELLS)
def test_each_cell_runs_to_its_end(cell: str) -> None:
    instruction_cells.CELLS[cell](3)


def test_the_number_is_read_that_callgrind_has_counted() -> None:
    output = "==7== Events    : Ir\n==7== Collected : 958314549\n==7==\n"

    assert instructions.collected(output) == 958_314_549
    with pytest.raises(ValueError, match="callgrind has counted nothing: no such program"):
        instructions.collected("no such program")


def test_what_has_grown_by_more_than_the_tolerance_is_named() -> None:
    before = {"life": 1000, "call": 1000, "message": 1000}

    assert instructions.grown(before, {"life": 1051, "call": 1050, "new": 7}) == [
        "life: 1,000 → 1,051 (+5.1%)"
    ]


def _figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, life: int) -> Path:
    file = tmp_path / "instructions.json"
    file.write_text(json.dumps({instructions.build(): {"life": 1000}}), encoding="utf-8")
    monkeypatch.setattr(instructions, "FILE", file)
    monkeypatch.setattr(instructions, "measure", lambda _cells: {"life": life})
    monkeypatch.setattr(instructions.shutil, "which", lambda _name: "valgrind")
    return file


def test_a_figure_that_has_grown_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _figures(monkeypatch, tmp_path, life=1100)

    assert instructions.main(["life"]) == 1
    assert "life: 1,000 → 1,100 (+10.0%)" in capsys.readouterr().err


def test_a_figure_is_kept_that_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = _figures(monkeypatch, tmp_path, life=1100)

    assert instructions.main(["--write"]) == 0
    assert json.loads(file.read_text(encoding="utf-8")) == {instructions.build(): {"life": 1100}}
    assert instructions.main([]) == 0


def test_a_cell_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        instructions.main(["lives"])

    assert "no such cell: lives (there are: bare, life," in capsys.readouterr().err
