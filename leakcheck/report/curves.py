"""Thousands of readings as a few points."""

from collections.abc import Sequence
from typing import Final

from benchmarks.results import Spread
from leakcheck.results import ScenarioResult

POINTS: Final = 48
"""Of a line, at most."""
MIB: Final = 2**20


def curve(
    seconds: Sequence[float], values: Sequence[float], most: int = POINTS
) -> tuple[tuple[float, Spread], ...]:
    """Return readings as points: the median of some that follow each other, and the extremes."""
    width = -(-len(values) // most) or 1
    return tuple(
        (seconds[first], Spread.of(values[first : first + width]))
        for first in range(0, len(values), width)
    )


def counted_blocks(one: ScenarioResult) -> tuple[Sequence[float], list[float]]:
    """Return seconds and blocks of the counted rounds, the first of which is at 0.

    Not of the warm-up: its rise would hide what comes after it.
    """
    values = one.series.blocks[one.warm_up :]
    return one.series.seconds[one.warm_up :], [value - values[0] for value in values]
