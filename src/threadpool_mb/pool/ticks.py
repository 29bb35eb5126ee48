"""Ticks: numbers that say since when a worker is idle.

The end of a worker's last turn writes a *tick*, a number that grows: one of its own, where it has
to be known which of two is idle longer (`max_keys`); otherwise that of the last *sweep*, which all
workers share: an idle one then has no number of its own.

**Guarantees.** A tick that is taken later is greater, or the same one of the same sweep.

**Assumes.** Threads that take numbers from one `itertools.count` get different ones
(`tests/test_assumptions.py`).
"""

import itertools
from collections.abc import Callable
from typing import Final, Protocol, final

__all__ = ["Ticks", "next_tick"]

next_tick: Final[Callable[[], int]] = itertools.count(1).__next__
"""Returns a tick that none has; in C. There is one counter for all pools: each turn behind which a
worker is idle calls it, and to look for its pool's own costs a turn of one message 3 % more, as all
threads share the reference counts of what they look through (`benchmarks.budgets`, 3.14t)."""


class _ShowsTick(Protocol):
    tick: int


@final
class Ticks:
    """The ticks of one pool. Threads: any take ticks; one sweeps."""

    __slots__ = ("_last", "_marks", "_shown", "ordered")

    def __init__(self, *, ordered: bool) -> None:
        """Give each turn a tick of its own, if it is to be known which of two is idle longer."""
        self.ordered: Final = ordered
        # That of the last sweep, and where lanes read it.
        self._last = next_tick()
        self._shown: Final[list[_ShowsTick]] = []
        # When the last sweeps were, and from which ticks on workers had a turn after them.
        self._marks: Final[list[tuple[float, int]]] = []

    def show(self, where: _ShowsTick) -> None:
        """Write the tick of the last sweep there, from now on; before a worker starts."""
        where.tick = self._last
        self._shown.append(where)

    def take(self) -> int:
        """Return the tick of a function worker that begins to wait."""
        return next_tick() if self.ordered else self._last

    def sweep(self, now: float) -> None:
        """Begin a sweep."""
        self._last = tick = next_tick()
        for where in self._shown:
            where.tick = tick
        self._marks.append((now, tick))

    def idle_before(self, when: float) -> int:
        """Return a tick: workers with a smaller one are idle since `when`, at least.

        0 if it is not known of any. The times that are asked for come one after the other.
        """
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= when:
            del marks[0]
        return marks[0][1] if marks and marks[0][0] <= when else 0
