"""Fresh numbers for any number of threads, and the ids of calls."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Final, final

__all__ = ["CallId", "Counter"]


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class CallId:
    """The id of a call: unique in the process; later calls have greater ones.

    From the original's `CallId`.
    """

    number: int
    """1 for the first call."""

    def __str__(self) -> str:
        """Show it as the original does: `<3>`."""
        return f"<{self.number}>"


@final
class Counter:
    """A source of fresh numbers: 1, 2, 3, …; no two threads get the same one.

    Threads: internally synchronized.

    From the original's `CounterVar` and `newCallIdCounter`.
    """

    __slots__ = ("increment_and_get",)

    def __init__(self) -> None:
        """Begin before 1."""
        # `next` of a `count` is atomic (`tests/test_assumptions.py`).
        self.increment_and_get: Final[Callable[[], int]] = itertools.count(1).__next__
        """Return the next number; from the original's `incrementAndGet`. Blocks: never."""

    def take_next(self) -> CallId:
        """Return the next number as the id of a call; from the original's `takeNext`.

        Blocks: never.
        """
        return CallId(self.increment_and_get())
