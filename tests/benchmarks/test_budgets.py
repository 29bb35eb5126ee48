"""The budgets' table has a figure in each row, of pairs; what there is not is refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks import budget_cells, budget_peers, budgets
from benchmarks.peers.installed import PACKAGES
from benchmarks.processes import CHECKOUT

MISSING = [package for package in PACKAGES if package.module is None]


def rows(table: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns of each row, by its name."""
    split = [[word.strip() for word in line.strip("|").split("|")] for line in table[2:]]
    return {name: columns for name, *columns in split}


def test_each_cell_runs_and_is_in_the_table_whose_rows_are_all_of_cells() -> None:
    cells = budget_cells.measure(0.001) | budget_peers.measure_all(0.001, 3)
    found = rows(budgets.table([cells], [cells]))

    assert len(found) == len(budgets.TO_BASE) + len(budgets.ROWS) + len(MISSING)
    assert all(found[f"{name}, in base"][1] == "1.00 (1.00 … 1.00)" for name, *_ in budgets.TO_BASE)
    assert all(found[name][0] == found[name][1] != "–" for name, *_ in budgets.ROWS)
    named = {cell for _, cell, *_ in budgets.TO_BASE}
    named |= {cell for _, divided, by, *_ in budgets.ROWS for cell in (divided, by)}
    assert named == set(cells)


def test_a_peer_that_is_not_installed_has_a_line_that_says_so() -> None:
    lines = budgets.table([], [])[2 + len(budgets.ROWS) :]
    assert len(lines) == len(MISSING)
    for line, package in zip(lines, MISSING, strict=True):
        assert f"{package.name}: left out, as it is not installed here" in line


def test_the_contenders_of_the_budgets_are_those_of_the_original_s_benchmark() -> None:
    named = {name for name, package, *_ in budgets.PEERS if package not in MISSING}
    assert {entry.name for entry in budget_peers.contenders(2, 1)} == {budget_peers.OURS, *named}


def test_a_pair_is_compared_within_itself_and_the_median_is_shown() -> None:
    rounds: list[Mapping[str, tuple[float, float]]] = [
        {"mine": (1.0, 8.0), "theirs": (2.0, 1.0)},
        {"mine": (3.0, 8.0), "theirs": (1.0, 1.0)},
        {"mine": (1.0, 8.0), "theirs": (4.0, 1.0)},
    ]
    assert budgets.ratios(rounds, "mine", "theirs", budgets.WALL) == [0.5, 3.0, 0.25]
    assert budgets.shown([0.5, 3.0, 0.25]) == "0.50 (0.25 … 3.00)"


def test_what_the_library_of_before_has_not_has_no_figure() -> None:
    assert budgets.ratios([{"theirs": (1.0, 1.0)}], "mine", "theirs", budgets.WALL) == []
    assert budgets.shown([]) == "–"


def test_it_runs_both_checkouts(capsys: pytest.CaptureFixture[str]) -> None:
    assert budgets.main(["--base", str(CHECKOUT), "--rounds", "1", "--scale", "0.001"]) == 0
    assert "`call` in place: time, in base" in capsys.readouterr().out


def test_a_base_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        budgets.main(["--base", str(tmp_path)])
    assert "no src/threadpool_mb" in capsys.readouterr().err
