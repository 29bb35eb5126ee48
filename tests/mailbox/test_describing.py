"""`describe`: users' values in names and log lines, short, and never an exception."""

import pytest

from threadpool_mb.arguments import describe


@pytest.mark.parametrize("value", [None, 3, "text", (1, 2), ...], ids=repr)
def test_a_value_is_described_by_its_repr(value: object) -> None:
    assert describe(value) == repr(value)


def test_a_long_repr_is_cut_to_120_characters() -> None:
    text = describe("x" * 1000)

    assert text == "'" + "x" * 118 + "…"
    assert len(text) == 120


def test_a_repr_of_exactly_120_characters_is_not_cut() -> None:
    assert describe("x" * 118) == repr("x" * 118)


def test_a_value_whose_repr_raises_is_described_by_its_type() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise LookupError

    assert describe(Shy()) == "<Shy whose repr raises LookupError>"


def test_a_value_whose_repr_is_no_string_is_described_by_its_type() -> None:
    class Odd:
        def __repr__(self) -> str:
            return 3  # type: ignore[return-value]

    assert describe(Odd()) == "<Odd whose repr raises TypeError>"
