"""Lanes: messages that are handled in order, one at a time, by whichever shared thread has a turn.

A lane is an inlet (`line.inlet`), a function that handles what comes out of it, and one try-lock
that means "this lane is scheduled, or runs".

**Guarantees.** A lane is run by one thread at a time. Messages are handled in the order in which
they came. A lane that holds messages is scheduled or runs, once it has begun. It has at most
`throughput` messages handled in a turn, and then goes to the end of the line.

**Assumes.** Of `SimpleQueue`, what `line.inlet` assumes.

The words: a lane is *busy* while its lock is held. A sender wakes an idle lane by scheduling it.
Only the thread that holds the lock writes `unattended`. A lane is born busy: it begins when its
owner schedules it first. The lock is made at the first (a), unlocked, which is (b): no thread has
read `IDLE` before, and only then does it look for the lock. So a lane that never idles needs none.

The interleaving that must not lose a wake-up is that of an inlet, with the lock added. The sender
is (1) to (3), the thread at the end of a turn is (a) to (d):

1. The sender, which has found `closed` unset, puts a message.
2. It reads `unattended`, which is `IDLE`.
3. It tries the lock. If it gets the lock, it writes 0 and schedules the lane.
a. The thread finds the queue empty and writes `IDLE`.
b. It releases the lock.
c. It looks into the queue once more.
d. If something is there, it does what a sender does: it tries the lock, as in (3), or sweeps, if
   the lane has ended meanwhile.

(1) and (c) are operations on one queue: one of them comes first. If (1) does, (c) finds the
message. If (c) does, (2) comes after (a), and (3) after (b). Either way a thread tries the lock
after (b). If the lock is held then, its holder got it after (b) and schedules the lane after that,
and the turn that follows finds the message. Without (c), a message that is put between the thread's
look in (a) and its writing waits until the next one comes.

Closing is a message too, the marker: so a lane that is idle wakes for it. The end of a lane is that
of each inlet; the lock is never released after it.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, override

from threadpool_mb.line.flushing import open_next, waiting_at
from threadpool_mb.line.inlet import DONE, IDLE, PUT, TAKEN, Inlet, Marker, ending
from threadpool_mb.line.slots import Slots
from threadpool_mb.protocols import MailboxStats
from threadpool_mb.threads.shared import SharedThreads

__all__ = ["INIT_MAKES_QUEUE", "HasThreads", "Lane"]


INIT_MAKES_QUEUE: Final = queue.SimpleQueue.__init__ is not object.__init__  # pyright: ignore[reportUnknownMemberType]
"""Whether `SimpleQueue` is what gevent or eventlet has put in the place of the one of C. The one of
C is made by `__new__` alone: calling `__init__` as well costs a lane 50 to 300 ns, of 0.5 to 0.8
µs."""

_get: Final[Callable[[Any, bool], Any]] = queue.SimpleQueue[Any].get


class HasThreads(Protocol):
    """What all lanes of an owner have in common."""

    @property
    def threads(self) -> SharedThreads:
        """What the lanes run on."""
        ...


class Lane[M](queue.SimpleQueue[M], Inlet[M]):
    """Takes messages like an `Input`, and is told of its end like a mailbox.

    Subclasses say what is done with the messages.

    Threads: internally synchronized, but for `turn` and what it calls.
    """

    __slots__ = (
        "_busy",
        "cancelled",
        "closed",
        "common",
        "dormant",
        "marked",
        "slots",
        "unattended",
    )

    common: Any
    """A `HasThreads`; each kind of lane has its own."""

    # Said again for `pyright --verifytypes`: what a subclass sets, it is to give a type.
    cancelled: bool
    closed: bool
    dormant: bool
    """Whether it is idle, and counts as that without a look; see `pool.census`."""
    marked: int
    slots: Slots | None
    unattended: int

    def __init__(self, common: HasThreads, slots: Slots | None) -> None:
        """Make an empty lane that is busy until it was scheduled and has had a turn."""
        if INIT_MAKES_QUEUE:  # pragma: no branch - with gevent or eventlet alone
            queue.SimpleQueue.__init__(self)  # pyright: ignore[reportUnknownMemberType]
        # `_open`, written out: a lane is born with each worker.
        self.slots = slots
        self.closed = self.cancelled = self.dormant = False
        self.marked = self.unattended = 0
        self.common = common
        # Made by the thread that lets go of the lane first: until then only that thread has it.
        self._busy: threading.Lock | None = None

    if INIT_MAKES_QUEUE:  # pragma: no cover - with gevent or eventlet alone

        @override
        def get_nowait(self) -> M:
            """Take what comes next; theirs calls `get`, and that of some lanes calls this."""
            item: M = _get(self, False)  # noqa: FBT003 - not to wait
            return item

    @override
    def attend(self) -> None:
        """Schedule the lane, if it is idle; sweep, if it has ended."""
        if self.unattended == DONE:
            self.sweep()
            return
        threads = self.common.threads
        put = threads.put
        busy: Any = self._busy  # an idle lane has one
        if busy is None:
            return  # it has a new life, which begins with a look into the queue
        # `interrupts.trying`, written out: calling it would take a tenth of the time that it takes
        # to wake a lane (70 of 660 ns on 3.14t). An interrupt comes before the lock is tried, or
        # after `put`: the lane is scheduled.
        for got in map(busy.acquire, (False,)):
            if got:
                try:
                    self.unattended = 0
                    put(self)
                    if self.dormant:
                        self._wake_up()
                    if threads.growing:
                        threads.grow_if_needed()
                except BaseException:  # an interrupt, after `put`
                    threads.grow_if_needed()
                    raise

    def _wake_up(self) -> None:
        """Count as what is not dormant."""
        raise NotImplementedError

    def expedite(self) -> None:
        """Have the lane's turn come before those of others, if it waits for one. Blocks: never."""
        self.common.threads.expedite(self)

    def nudge(self) -> None:
        """Have the idle shared threads run for a moment. Blocks: never."""
        self.common.threads.nudge()

    def close(self) -> None:
        """Take no more messages; end when those that were taken are handled. Blocks: never."""
        self.shut()

    def cancel(self) -> None:
        """Take no more messages; end before the next one is handled. Blocks: never."""
        self.cancelled = True
        self.close()

    def forked(self) -> None:
        """Take nothing any more, and have nothing more handled; in a child of `os.fork`."""
        self.closed = self.cancelled = True
        # No thread of the child receives from the lane, and none has to wake it or sweep it.
        self.unattended = 0
        if self.slots is not None:
            self.slots.forked()

    def abandon(self) -> None:
        """Make dead letters of what is left, once nothing more is to be handled.

        For the thread that holds the lock. Blocks: as long as the dead-letter function does.
        """
        self.shut()
        self.finish()
        self.sweep()

    def stats(self) -> MailboxStats:
        """Return a snapshot of the lane."""
        # Before the queue's size: what is put meanwhile makes it greater, and hides no message.
        markers = (self.marked == PUT) + waiting_at(self)
        return MailboxStats(
            messages=max(0, self.qsize() - markers),
            senders_waiting=0 if self.slots is None else self.slots.waiting,
            closed=self.closed,
            cancelled=self.cancelled,
        )

    @property
    @override
    def marker_goes(self) -> tuple[queue.SimpleQueue[Any], object]:
        return self, Marker

    def turn(self) -> int:
        """Handle some messages; on a shared thread, for a lane that is busy. See `Turn`."""
        goes_on = self._work()
        if goes_on > 0:
            self._let_go()
            return goes_on - 1
        if goes_on:
            return ~goes_on
        self._suspend()
        return 0

    def _let_go(self) -> None:
        """Let the lane wait for its next turn, or for the next message."""
        if self.cancelled and self.common.threads.in_child:
            return  # its own worker has forked; see `forking`
        if self.qsize():
            self.common.threads.schedule(self)
            return
        busy = self._busy
        if busy is None:
            self._busy = threading.Lock()
            self.unattended = IDLE
        else:
            self.unattended = IDLE
            busy.release()
        if self.qsize():
            self.attend()

    def _work(self) -> int:
        """Handle at most as many messages as a turn may.

        Returns:
            One more than the messages that it has handled, and that are to be counted; the same
            below 0, if the lane has ended; 0 if it stays busy, and waits for something else.
        """
        raise NotImplementedError

    def _suspend(self) -> None:
        """Have the lane scheduled again by what it waits for; on this thread nothing follows."""
        raise NotImplementedError

    def _marker_was_taken(self) -> None:
        # Where `closed` is not set it is not the end's: that is written before this is put.
        if not self.closed:
            open_next(self)
            return
        with ending:
            if self.marked == PUT:
                self.marked = TAKEN
                return
        open_next(self)
