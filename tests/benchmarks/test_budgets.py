"""The budgets' table has a figure in each row, of pairs; what there is not is refused."""

from pathlib import Path

import pytest

from benchmarks import budget_cells, budgets
from benchmarks.processes import CHECKOUT


def test_each_cell_runs_and_is_in_the_table_whose_rows_are_all_of_cells() -> None:
    cells = budget_cells.measure(0.001)
    table = budgets.table([cells], [cells])

    assert len(table) == 2 + len(budgets.TO_BASE) + len(budgets.TO_OTHERS)
    assert all("1.00 (1.00 … 1.00)" in row for row in table[2 : 2 + len(budgets.TO_BASE)])
    named = {cell for _, cell, *_ in budgets.TO_BASE}
    named |= {cell for _, divided, by, *_ in budgets.TO_OTHERS for cell in (divided, by)}
    assert named == set(cells)


def test_a_pair_is_compared_within_itself_and_the_median_is_shown() -> None:
    assert budgets.row("a row", [0.5, 3.0, 0.25], "≤ 1") == "| a row | 0.50 (0.25 … 3.00) | ≤ 1 |"


def test_it_runs_both_checkouts(capsys: pytest.CaptureFixture[str]) -> None:
    assert budgets.main(["--base", str(CHECKOUT), "--rounds", "1", "--scale", "0.001"]) == 0
    assert "`call` in place: time, in base" in capsys.readouterr().out


def test_a_base_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        budgets.main(["--base", str(tmp_path)])
    assert "no src/threadpool_mb" in capsys.readouterr().err
