"""Threads that wait: how they tell their pool or executor, and how they give the core away first.

*Parked*: the pool or executor to which the waiting thread belongs is told of the wait.

**Guarantees.** Where all threads of a pool are parked, there is one more, if something waits for
its turn: what they wait for may need that thread. A thread that belongs to no pool pays for one
look.

**Assumes.** What `concurrent.futures.wait` and `as_completed` do with a future: under the
conditions of all their futures they append one waiter to each `_waiters`, and then wait with
`waiter.event.wait(timeout)`, looking `event` up anew each time (`tests/test_assumptions.py`).

*Lingering*: a thread calls `sched_yield` a few times before it parks. A thread that parks has to be
woken: its sender pays some µs for the system call, and is often pre-empted by the thread that it
woke, so that every message costs two switches. A thread that gives its core away first comes back a
little later, mostly to several messages, and no sender had to wake it. A thread that is idle pays
three short system calls before it parks. Without lingering, `submit_keyed` falls from 1.7 times the
best peer to 1.07 (`benchmarks/`, "submitting").

Where other threads want the core too, a thread that lingers comes back much later: it waits a whole
time slice for a message that might have woken it at once. If that has happened, and not even two
messages were there, the threads of this process park at once for a while. They all read one
variable, without a lock. A thread that reads it too early or too late gives its core away once
more, or once less.
"""

import contextlib
import os
import queue
import threading
import time
from typing import Any, Final, Self, final, override

from threadpool_mb.arguments import NEVER, Deadline, shortest
from threadpool_mb.threads.here import Source, here

__all__ = ["Waiters", "get_patiently", "parked", "receive_patiently"]

_LONGEST_PAUSE: Final = 1.0
"""Seconds after which a thread that waits for a future asks again for one more thread: the system
may have refused the first."""


@final
class parked:  # noqa: N801 - used like a function: `with parked(threads)`
    """The time in which this thread waits for what `upon` is to do; see `Serving.blocked`.

    To be entered with no lock held: it may start a thread.
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
        return seconds if self._serving is None else shortest(seconds, _LONGEST_PAUSE)

    def source[T](self, items: Source[T], deadline: Deadline) -> Source[T]:
        """Return what to wait at for `items`; see `Serving.source`."""
        return items if self._serving is None else self._serving.source(items, deadline)

    def go_on(self) -> None:
        """Ask once more for a thread that may be needed; with no lock held."""
        if self._serving is not None:
            self._serving.still_blocked()

    def __exit__(self, *_: object) -> None:
        if self._serving is not None:
            self._serving.unblocked(self._upon)


@final
class _Event(threading.Event):
    """The event of a waiter on a thread that belongs to a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.upon: Final[set[object]] = set()

    @override
    def wait(self, timeout: float | None = None) -> bool:
        """Wait, and tell the thread's pool of it, once for each owner of the awaited futures."""
        deadline = Deadline(timeout, real=True)
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
    """The `_waiters` of a future: gives each waiter on a pool's thread an `_Event`."""

    def __init__(self, upon: object = None) -> None:
        """Have no waiter yet; `upon` is what runs the work that is waited for."""
        super().__init__()
        self._upon: Final = upon

    @override
    def append(self, waiter: Any, /) -> None:
        """Add the waiter of a thread that is about to wait for this future, and perhaps others.

        No thread can have set its event yet: setting it takes the condition of one of the futures,
        and the thread that waits holds all of them.
        """
        if here.serving is not None:
            if type(waiter.event) is not _Event:
                waiter.event = _Event()
            waiter.event.upon.add(self._upon)
        super().append(waiter)


_YIELDS: Final = 3
_TOO_LONG: Final = 0.0005
"""Seconds without the core that are too many for one message."""
_PARK_AT_ONCE_FOR: Final = 0.05
"""Seconds for which no thread gives the core away after that."""

_not_before = 0.0
"""The `perf_counter` before which no thread gives the core away."""


def get_patiently[T](items: Source[T]) -> T:
    """Take what comes next out of a queue that was found empty.

    Blocks: until something is there; may give the core away a few times before it parks.
    """
    global _not_before  # noqa: PLW0603 - of the whole process; see the module
    start = time.perf_counter()
    if start >= _not_before:
        for _ in range(_YIELDS):
            os.sched_yield()
            if items.qsize():
                break
        if items.qsize() < 2:  # noqa: PLR2004 - several are worth it
            end = time.perf_counter()
            if end - start > _TOO_LONG:
                _not_before = end + _PARK_AT_ONCE_FOR
    return items.get()


def receive_patiently[T](messages: "queue.SimpleQueue[T]") -> T:
    """Take the next message of a mailbox that was found empty.

    As `get_patiently`, which is for threads that have nothing else to do. A thread that takes turns
    of many workers receives for one of them here. It tells its pool, so that a different thread may
    take the turns of the others: the worker that is to send may be among those.
    """
    with parked() as wait:
        return get_patiently(wait.source(messages, NEVER))
