"""Fresh numbers for any number of threads; the numbers of calls, before and after a fork."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.forking import in_children

__all__ = ["CallId", "Counter", "made_by_parent", "next_number"]


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class CallId:
    """The id of a call: unique in the process; later calls have greater ids.

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


next_number: Final = Counter().increment_and_get

_last_of_parent: int = 0


def made_by_parent(number: int) -> bool:
    """Return whether the call was made by the process that has forked this one.

    The receiver that had the call then is not in this process.
    """
    return number <= _last_of_parent


@in_children
def _begin_here() -> None:
    global _last_of_parent  # noqa: PLW0603 - one for the process
    _last_of_parent = next_number()
