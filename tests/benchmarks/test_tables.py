"""The figures as text."""

import pytest

from benchmarks.tables import cells, columns, number, table
from tests.benchmarks.samples import OURS, PEER, comparison, nothing


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00123, "0.0012"),
        (0.04, "0.040"),
        (0.5, "0.500"),
        (1.0, "1.00"),
        (12.345, "12.3"),
        (123.4, "123"),
        (1234567.8, "1,234,568"),
    ],
)
def test_a_number_has_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_row_has_the_figure_and_the_ratios_to_the_best_peer_the_ideal_and_what_is_published() -> (
    None
):
    one = comparison(published=8.0, published_name="Haskell original")

    assert columns(one) == ["ms", "× best peer", "× ideal", "× Haskell original (8.00)"]
    assert cells(one, OURS) == [
        "2.00 (1.00 … 4.00)",
        "5.00 (2.50 … 10.0)",
        "0.500 (0.250 … 1.00)",
        "4.00 (2.00 … 8.00)",
    ]
    assert cells(one, PEER)[1] == "1"


def test_a_ratio_that_there_is_not_is_a_dash() -> None:
    one = nothing()

    assert [cells(one, figures)[1] for figures in one.figures] == ["–", "–"]


def test_a_table_has_a_line_for_each_contender() -> None:
    lines = table(comparison()).splitlines()

    assert lines[:2] == ["", "10 × 5"]
    assert len(lines) == 3 + 5
    assert len({len(line) for line in lines[2:]}) == 1
