"""Waits of which the pool or executor is told that the waiting thread belongs to.

**Guarantees.** Where all threads of a pool wait so, there is one more, if something waits for its
turn: what they wait for may need it. A thread that belongs to no pool pays for one look.

**Assumes.** What `concurrent.futures.wait` and `as_completed` do with a future: under the
conditions of all their futures they append one waiter to each `_waiters`, and then wait with
`waiter.event.wait(timeout)`, looking `event` up anew each time (`tests/test_assumptions.py`).
"""

import contextlib
import threading
from typing import Any, Final, Self, final, override

from threadpool_mb.arguments import Deadline, shortest
from threadpool_mb.here import here

__all__ = ["Waiters", "parked"]


_STRETCH: Final = 1.0
"""Seconds after which a thread that waits asks once more for another one, which may have been
refused."""


@final
class parked:  # noqa: N801 - used like a function: `with parked(threads)`
    """The time in which this thread waits for what `upon` is to do; see `Serving.blocked`.

    To be entered without a lock: it may start a thread.
    """

    __slots__ = ("_serving", "_upon")

    def __init__(self, upon: object = None) -> None:
        self._serving: Final = here.serving
        self._upon: Final = upon

    def __enter__(self) -> Self:
        if self._serving is not None:
            self._serving.blocked(self._upon)
        return self

    def at_most(self, seconds: float | None) -> float | None:
        """Return how long to wait in one go, of what is left; `None` is for ever."""
        return seconds if self._serving is None else shortest(seconds, _STRETCH)

    def go_on(self) -> None:
        """Ask once more for a thread that may be needed; without a lock."""
        if self._serving is not None:
            self._serving.still_blocked()

    def __exit__(self, *_: object) -> None:
        if self._serving is not None:
            self._serving.unblocked(self._upon)


@final
class _Event(threading.Event):
    """The event of a waiter whose thread belongs to a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.upon: Final[set[object]] = set()

    @override
    def wait(self, timeout: float | None = None) -> bool:
        """Wait, and tell the pool of it, once for each whose futures are waited for."""
        deadline = Deadline(timeout)
        if self.is_set() or deadline.remaining() == 0:
            return self.is_set()
        with contextlib.ExitStack() as stack:
            waits = [stack.enter_context(parked(each)) for each in self.upon]
            while not super().wait(waits[0].at_most(deadline.remaining())):
                if deadline.remaining() == 0:
                    return False
                waits[0].go_on()
        return True


@final
class Waiters(list[Any]):
    """The `_waiters` of a future: has the event of each told of where that matters."""

    def __init__(self, upon: object = None) -> None:
        """Have no waiter yet; `upon` is who runs what is waited for."""
        super().__init__()
        self._upon: Final = upon

    @override
    def append(self, waiter: Any, /) -> None:
        """Add the waiter of a thread that is about to wait for this future, and perhaps others.

        Nobody can have set its event: that takes the condition of one of the futures, and the
        thread holds them all.
        """
        if here.serving is not None:
            if type(waiter.event) is not _Event:
                waiter.event = _Event()
            waiter.event.upon.add(self._upon)
        super().append(waiter)
