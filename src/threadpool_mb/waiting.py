"""Waits on a thread that takes turns of many workers: it says so, and another one may start.

What such a thread waits for may be done by a worker that needs a thread. So whatever the library
offers to wait with tells the thread's `Serving`: `call` and a reply's `result` do it themselves
(`command.waits`); this is for all else.

**Assumes.** `concurrent.futures.wait` and `as_completed` append what has an `event` to `_waiters`
of each future, with the locks of all of them held, and wait for that event on the same thread
(`tests/command/test_starvation.py`).
"""

import threading
from typing import Any, Final, Self, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.here import Serving, here

__all__ = ["Waiters", "while_blocked"]

_LOOK_AGAIN: Final = 1.0
"""Seconds until a thread that waits asks once more for a thread that another worker may need."""


@final
class while_blocked:  # noqa: N801 - used like a function: `with while_blocked()`
    """The time in which this thread waits for what a worker may do; any number, also overlapping.

    A task of asyncio that waits counts as its loop's thread.
    """

    __slots__ = ("serving",)

    def __init__(self) -> None:
        self.serving: Final[Serving | None] = here.serving
        """What the thread is, if it takes turns."""

    def __enter__(self) -> Self:
        if self.serving is not None:
            self.serving.blocked()
        return self

    def __exit__(self, *_: object) -> None:
        if self.serving is not None:
            self.serving.unblocked()


@final
class _Event(threading.Event):
    """An event that a shared thread waits for."""

    @override
    def wait(self, timeout: float | None = None) -> bool:
        deadline = Deadline(None if timeout is None else max(0.0, timeout))
        with while_blocked() as waiting:
            while not self.is_set():
                left = deadline.remaining()
                stretch = _LOOK_AGAIN if left is None else min(left, _LOOK_AGAIN)
                if not super().wait(stretch):
                    if deadline.remaining() == 0:
                        break
                    if waiting.serving is not None:
                        waiting.serving.still_blocked()
            return self.is_set()


@final
class Waiters(list[Any]):
    """A future's `_waiters`: a shared thread that waits for several futures at once says so."""

    __slots__ = ()

    @override
    def append(self, waiter: Any, /) -> None:
        if here.serving is not None and type(getattr(waiter, "event", None)) is threading.Event:
            waiter.event = _Event()
        super().append(waiter)
