"""Which workers run on this thread, what they wait for, and whether they could ever go on.

**Guarantees.** A worker that would wait for an answer which, through whatever chain, waits for that
worker gets `CallDeadlock` in its place, or `DispatchDeadlock` where it waits for room in a full
mailbox. Of the workers that close a circle together, one gets it: the last one, if it can see the
others. A thread that does not wait pays nothing, and neither does a thread that runs no worker.

A pinned worker waits for another worker of its thread, too, as long as that one has the turn.

**How.** Each worker that waits points to the reply it waits for, and each reply to the worker that
has the call. Pointers are set and followed under one lock: so the last worker to set its pointer
sees the others. A reply also points to the thread that waits for it. That gives the workers of the
thread, for an error's text: of the workers that call each other there, only the outermost is called
by a different thread. It is also how the thread's pool is told that the thread goes on.

A few pointers are not followed as they are set: that of a wait that goes on after a wait inside it
(a finalizer's), that of a worker that is linked behind its predecessor, that of a wait that seemed
to be over and was not. So a thread that waits looks again now and then: one that waits for an
answer in `calls.answer`, one that waits for room in `waiting_for.pauses`.

Two kinds of call cannot be seen: a call into a mailbox that is no pool's, and a call through a
broker. There it is not known which worker is to answer.
"""

import itertools
import threading
from collections.abc import Iterator
from typing import Final, Self, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.forking import remade_in_children
from threadpool_mb.threads.here import Awaited, Holder, Source, here

__all__ = ["expedite", "waiting_for", "would_wait", "would_wait_for_itself"]

_DOUBTFUL_PAUSE: Final = 0.001
"""Seconds until a worker that waits for room looks again, if one of the waits that it has followed
seemed to be over."""
_FIRST_PAUSE: Final = 1.0
"""The same, if none did. The worker loses its place in the line each time it looks; so each pause
is twice as long as the one before it, without an end."""

_lock: Final = remade_in_children(threading.RLock())
"""Guards setting each `waits_for` and each `waiter`. The thread that set a pointer clears it
without taking the lock; that of a worker on no thread, the thread that ends the wait. No thread
waits under it."""


@final
class waiting_for:  # noqa: N801 - used like a function: `with waiting_for(reply)`
    """The time in which the workers of this thread wait for a reply, or for room in a mailbox.

    Raises:
        CallDeadlock, DispatchDeadlock: on entering, if the workers would wait for ever.
    """

    __slots__ = ("_before", "_doubtful", "_reply", "_serving", "_wait", "workers")

    def __init__(self, reply: Awaited) -> None:
        self._reply: Final = reply
        self.workers: Final = here.workers()
        """The workers of this thread, each called by the one before it."""
        self._serving: Final = here.serving
        self._wait = 0
        # A finalizer that runs in the midst of a wait waits inside that one.
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
            # Before one more thread is asked for: it would begin with the turn that is first now.
            expedite(self._reply.holder)
            self._serving.blocked()
            self._wait = self._serving.wait
        return self

    def look_again(self) -> None:
        """Look whether the workers would wait for ever by now.

        Raises:
            CallDeadlock, DispatchDeadlock: if so.
        """
        if self.workers:
            with _lock:
                try:
                    _check(self.workers, self._reply)
                except Exception:
                    # Under the lock: so no other worker of the circle gets the error too.
                    self._point_back()
                    raise

    def pauses(self, deadline: Deadline) -> Iterator[Deadline]:
        """Yield until when to wait in one go, and look again after each pause but the last.

        Raises:
            CallDeadlock, DispatchDeadlock: see `look_again`.
        """
        pause = _DOUBTFUL_PAUSE if self._doubtful else _FIRST_PAUSE
        waits_here = self.workers or self._serving is not None
        while waits_here and (left := deadline.remaining()) != 0:
            if left is not None and left <= pause:
                break
            yield Deadline(pause)
            self.look_again()
            self.go_on()
            pause *= 2
        yield deadline

    def source[T](self, items: Source[T], deadline: Deadline) -> Source[T]:
        """Return what to wait at for `items`; see `Serving.source`."""
        return items if self._serving is None else self._serving.source(items, deadline)

    def go_on(self) -> None:
        """Ask once more for a thread that another worker may need: the first may be refused."""
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
        # Not the pointer to a different thread that has begun to wait since.
        if self._reply.waiter is self:
            self._reply.waiter = None


def expedite(holder: Holder | None) -> None:
    """Let a worker for which this thread is about to wait have its turn before others.

    Only where this thread is the last one of its kind that does not wait. The turns before that
    worker's may have to wait for the same, and each would cost one more thread. Blocks: never.
    """
    serving = here.serving
    if holder is not None and serving is not None and serving.starved:
        holder.expedite()


def would_wait_for_itself(reply: Awaited) -> Exception | None:
    """Return the error to answer a call with, if the call's worker waits for that very answer.

    For a worker that was handed the call just now. It may wait through whatever chain.
    """
    with _lock:
        chain: list[Holder] = []
        holder = reply.holder
        while True:  # not of a condition; see `interrupts`
            if holder is None or holder in chain:
                break
            chain.append(holder)
            if holder.waits_for is reply:
                return _deadlock([*_with_inline([*chain, chain[0]])], reply, chain[0].key)
            holder = _next(holder)
    return None


def would_wait(worker: Holder, reply: Awaited) -> Exception | None:
    """Have a worker be seen to wait for a reply, on no thread; return the error if it never ends.

    For a worker that is suspended. It clears `waits_for` when the wait is over.
    """
    with _lock:
        try:
            _check((worker,), reply)
        except Exception as error:  # noqa: BLE001 - `CallDeadlock`; raised in the worker
            return error.with_traceback(None)
        worker.waits_for = reply
    return None


def _check(workers: tuple[Holder, ...], reply: Awaited) -> bool:
    """Return whether a wait was left out of account because it seemed to be over.

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
                return True  # by a worker that has gone on to wait since
            circle = [*_from_on(holder, workers), *_with_inline(chain)]
            raise _deadlock(circle, reply, chain[0].key)
        waits_for = holder.waits_for
        doubtful = doubtful or (waits_for is not None and _seems_over(waits_for))
        holder = _next(holder)
    return doubtful


def _next(holder: Holder) -> Holder | None:
    """Return the worker that a worker waits for: the one that has its call, or its predecessor.

    A worker may start once its predecessor has ended. A pinned one that messages wait for also
    waits until its thread's turn is over.
    """
    waits_for = holder.waits_for
    if waits_for is None or _seems_over(waits_for):
        return holder.predecessor or _occupant(holder)
    return waits_for.holder


def _occupant(holder: Holder) -> Holder | None:
    """Return the other worker that has the turn of the thread to which a worker is pinned.

    Not if no message waits for it: then it has taken the call, and may have left the answer to any
    thread.
    """
    home = holder.home
    occupant = None if home is None else home.occupant
    if occupant is None or occupant is holder or not holder.backlog:
        return None
    return occupant


def _seems_over(waits_for: Awaited) -> bool:
    """Return whether a wait is over, or may be for a different worker's answer in a moment."""
    return waits_for.answered or waits_for.in_transit


def _with_inline(chain: list[Holder]) -> Iterator[Holder]:
    """Yield the chain; behind each worker but the last, the workers called on its thread."""
    for holder in chain[:-1]:
        waits_for = holder.waits_for
        waiter = None if waits_for is None else waits_for.waiter
        yield from _from_on(holder, () if waiter is None else waiter.workers)
    yield chain[-1]


def _from_on(holder: Holder, workers: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """Return the workers that run on the holder's thread, from the holder on."""
    return workers[workers.index(holder) :] if holder in workers else (holder,)


def _deadlock(chain: list[Holder], reply: Awaited, key: object) -> Exception:
    names = [
        f"{worker.title} (on the same thread)"
        if worker.waits_for is None and _occupant(worker) is after
        else worker.title
        for worker, after in itertools.pairwise(chain)
    ]
    return reply.deadlock(" → ".join([*names, chain[-1].title]), key)
