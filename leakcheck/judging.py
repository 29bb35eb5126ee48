"""The assertions: objects, blocks, threads, files.

What is given back later is no leak: a few things, such as a thread that has ended, are kept until
the next one comes, and are there after one round and gone after another. So blocks are judged by
their floor, the least that there is after a round or any later one; a leak raises the floor as it
raises them. The price: a last reading that happens to be low hides a leak that is no larger than
that over all rounds.

The floor's slope is the median of the slopes between rounds that lie a quarter of the run apart. A
leak raises all of these; one step, wherever it is, less than half of them. What a line of that
slope rises over all counted rounds has to stay within the band. So the more rounds there are, the
smaller a leak is found: over 100 rounds, one block in four.
"""

import itertools
import statistics
from collections.abc import Sequence
from typing import Final

from leakcheck.results import Check, Growth, Series

BAND: Final = 24
"""Blocks by which the line may rise over all counted rounds."""


def slope(values: Sequence[int]) -> float:
    """Return by how much the floor of the values rises a round; see the module."""
    floor = list(itertools.accumulate(reversed(values), min))[::-1]
    apart = max(1, len(floor) // 4)
    pairs = zip(floor, floor[apart:], strict=False)
    slopes = [(late - early) / apart for early, late in pairs]
    return statistics.median(slopes) if slopes else 0.0


def judge(
    series: Series, warm_up: int, growth: Sequence[Growth], expected: tuple[int, int]
) -> tuple[float, tuple[Check, ...]]:
    """Return the slope of the blocks, and all checks."""
    blocks = series.blocks[warm_up:]
    found = slope(blocks)
    rise = found * max(0, len(blocks) - 1)
    return found, (
        _objects(growth),
        Check(
            "blocks",
            rise <= BAND,
            f"{rise:+.1f} over {len(blocks)} rounds ({found:+.3f} a round), within {BAND}",
        ),
        _back("threads", series.threads, expected[0]),
        _back("files", series.files, expected[1]),
    )


def _objects(growth: Sequence[Growth]) -> Check:
    found = ", ".join(f"{each.name} {each.before} → {each.after}" for each in growth)
    return Check("objects", not growth, found or "none more of any class")


def _back(name: str, values: Sequence[int], expected: int) -> Check:
    most = max(values, default=expected)
    where = f", first after round {_first(values, expected)}" if most > expected else ""
    return Check(name, most <= expected, f"{expected} before, {most} at most after a round{where}")


def _first(values: Sequence[int], expected: int) -> int:
    return next(place for place, value in enumerate(values, 1) if value > expected)
