"""Which workers run on this thread, for whom they wait, and whether anyone could ever go on.

**Guarantees.** A worker that would wait for an answer which, through whatever chain, waits for that
worker gets `CallDeadlock` in its place, or `DispatchDeadlock` where it waits for room in a full
mailbox: one of those that close a circle together, the last one if it can see the others. A thread
that does not wait pays nothing, and neither does one that runs no worker.

**How.** Each worker that waits points to the reply it waits for, and each reply to the worker that
has the call. Pointing, and following the pointers, is done under one lock: so the last one to point
sees the others. A reply also points to who waits for it: for an error's text, to all workers of
that thread, since only the outermost of those that call each other there is called by another
thread; and to say that it goes on.

A few pointers are not followed as they are set: of a wait that goes on after another one inside it
(a finalizer's), of a worker that is linked behind the one before it, of a wait that seemed to be
over and was not. So who waits looks again now and then.

What it cannot see: calls into a mailbox that is no pool's, and through a broker; there nobody knows
who is to answer.
"""

import threading
from collections.abc import Iterator
from typing import Final, Self, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.forking import remade_in_children
from threadpool_mb.here import Awaited, Holder, here

__all__ = ["expedite", "waiting_for", "would_wait_for_itself"]

_FIRST_STRETCH: Final = 0.001
_LONG_STRETCH: Final = 1.0
"""Seconds until one who waits for room looks again: where a wait seemed to be over, and elsewhere.
It loses its place in the line each time, so the next time is twice as long."""

_lock: Final = remade_in_children(threading.RLock())
"""Guards setting `waits_for` and `waiter`, of all; who has set one clears it without it.
Nobody waits under it."""


@final
class waiting_for:  # noqa: N801 - used like a function: `with waiting_for(reply)`
    """The time in which the workers of this thread wait for a reply, or for room in a mailbox.

    Raises:
        CallDeadlock, DispatchDeadlock: on entering, if they would wait for ever.
    """

    __slots__ = ("_before", "_doubtful", "_reply", "_serving", "_wait", "workers")

    def __init__(self, reply: Awaited) -> None:
        self._reply: Final = reply
        self.workers: Final = here.workers()
        """Those of this thread, each called by the one before it."""
        self._serving: Final = here.serving
        self._wait = 0
        # What runs in the midst of another wait, a finalizer, waits inside it.
        self._before: Final = [worker.waits_for for worker in self.workers]
        # Whether a wait was left out of account that seemed to be over.
        self._doubtful = False

    def __enter__(self) -> Self:
        if self.workers or self._serving is not None:
            with _lock:
                if self.workers:
                    self._doubtful = _check(self.workers, self._reply)
                for worker in self.workers:
                    worker.waits_for = self._reply
                self._reply.waiter = self
        if self._serving is not None:
            # Before another thread is asked for, which would begin with what comes first now.
            expedite(self._reply.holder)
            self._serving.blocked()
            self._wait = self._serving.wait
        return self

    def look_again(self) -> None:
        """Look whether they would wait for ever by now.

        Raises:
            CallDeadlock, DispatchDeadlock: if so.
        """
        if self.workers:
            with _lock:
                try:
                    _check(self.workers, self._reply)
                except Exception:
                    # Under the lock: nobody else of the circle is told too.
                    self._point_back()
                    raise

    def stretches(self, deadline: Deadline) -> Iterator[Deadline]:
        """Yield until when to wait in one go, and look again after each but the last.

        Raises:
            CallDeadlock, DispatchDeadlock: see `look_again`.
        """
        stretch = _FIRST_STRETCH if self._doubtful else _LONG_STRETCH
        waits_here = self.workers or self._serving is not None
        while waits_here and (left := deadline.remaining()) != 0:
            if left is not None and left <= stretch:
                break
            yield Deadline(stretch)
            self.look_again()
            self.go_on()
            stretch *= 2
        yield deadline

    def go_on(self) -> None:
        """Ask once more for a thread that another worker may need: one may have been refused."""
        if self._serving is not None:
            self._serving.still_blocked()

    def goes_on(self) -> None:
        """Take note, on any thread, that the reply is there; see `Serving.goes_on`."""
        if self._serving is not None:
            self._serving.goes_on(self._wait)

    def __exit__(self, *_: object) -> None:
        self._point_back()
        if self._serving is not None:
            self._serving.unblocked()

    def _point_back(self) -> None:
        for worker, before in zip(self.workers, self._before, strict=True):
            worker.waits_for = before
        # Not another thread's that has begun to wait since.
        if self._reply.waiter is self:
            self._reply.waiter = None


def expedite(holder: Holder | None) -> None:
    """Let a worker for which this thread is about to wait have its turn before others.

    Where this thread is the last one of its kind that does not wait: what is before that worker may
    have to wait for the same, and would cost one more thread each time. Blocks: never.
    """
    serving = here.serving
    if holder is not None and serving is not None and serving.starved:
        holder.expedite()


def would_wait_for_itself(reply: Awaited) -> Exception | None:
    """Return what to answer, if whoever was just handed a call waits for the answer to it."""
    with _lock:
        chain: list[Holder] = []
        holder = reply.holder
        while holder is not None and holder not in chain:
            chain.append(holder)
            if holder.waits_for is reply:
                return _deadlock([*_with_inline([*chain, chain[0]])], reply)
            holder = _next(holder)
    return None


def _check(workers: tuple[Holder, ...], reply: Awaited) -> bool:
    """Return whether a wait was left out of account that seemed to be over.

    Raises:
        CallDeadlock, DispatchDeadlock: if the workers would wait for themselves.
    """
    if reply.in_transit:
        return True
    doubtful = False
    chain: list[Holder] = []
    holder = reply.holder
    while holder is not None and holder not in chain:
        chain.append(holder)
        if holder in workers:
            if reply.answered:
                return True  # by one who has gone on to wait since
            raise _deadlock([*_from_on(holder, workers), *_with_inline(chain)], reply)
        waits_for = holder.waits_for
        doubtful = doubtful or (waits_for is not None and _seems_over(waits_for))
        holder = _next(holder)
    return doubtful


def _next(holder: Holder) -> Holder | None:
    """Return for whom a worker waits: who has its call, or who has to end before it may start."""
    waits_for = holder.waits_for
    if waits_for is None or _seems_over(waits_for):
        return holder.predecessor
    return waits_for.holder


def _seems_over(waits_for: Awaited) -> bool:
    """Return whether a wait is over, or may be for another one's answer in a moment."""
    return waits_for.answered or waits_for.in_transit


def _with_inline(chain: list[Holder]) -> Iterator[Holder]:
    """Yield the chain; behind each worker but the last, those that it has called on its thread."""
    for holder in chain[:-1]:
        waits_for = holder.waits_for
        waiter = None if waits_for is None else waits_for.waiter
        yield from _from_on(holder, () if waiter is None else waiter.workers)
    yield chain[-1]


def _from_on(holder: Holder, workers: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """Return those who run on the holder's thread, from it on."""
    return workers[workers.index(holder) :] if holder in workers else (holder,)


def _deadlock(chain: list[Holder], reply: Awaited) -> Exception:
    return reply.deadlock(" → ".join(worker.title for worker in chain), chain[-1].key)
