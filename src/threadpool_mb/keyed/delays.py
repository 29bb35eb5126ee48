"""Lanes that wait for a time: those of about the same time wait together.

Where very many lanes wait for their times, a timer for each costs more than what they do then. So
the times are those of a grid, a lane waits until the next one of these, and all that wait for one
have a single timer.

**Guarantees.** A lane that waits is scheduled once: at a time of the grid that is not before its
own, or when what it waits with was cancelled, or is broken. It may be scheduled early, where others
that waited for the same time were cancelled, and is to look whether its time has come.

**How.** The lanes of a time are a dict, and the thread that pops one has it. The race of a lane
that begins to wait, and the end of the wait. The thread that has the lane is (1) to (3), the thread
that cancels the future is (a) and (b), the one that has all of a time go on (i) to (iii):

1. It looks the time up, and writes it to the future.
2. It adds the lane to those of the time.
3. It reads whether the time is over, the future cancelled, or the shard broken. If so, it pops the
   lane, and schedules it if it got it.
a. The thread writes that the future is cancelled.
b. It reads the future's time, and pops the lane there, if it has one.
i. The thread takes the time away, so that no other lane finds it.
ii. It writes that the time is over.
iii. It pops all lanes.

(2) and (b), and (2) and (iii), are operations on one dict. If (2) comes first, the other one finds
the lane, unless (3) has it. If (b) comes first, or has found no time, (a) was before (3); if (iii)
was there first, (ii) was before (3). Either way (3) finds that the lane is not to wait. The shard
is broken before all times are made to go on, which is as (ii) and (iii).

A time that has no lane left, as they were cancelled, is not kept until then: the thread that has
popped the last one does (i) to (iii), with the lanes that were added meanwhile. The timer is let go
of once it sees both that it is over and that there is no lane. A lane that is added later finds
that the time is over, and is scheduled early. So no lane waits for a time that was taken away, but
for those in a thread's hand: these are counted (`moving`), or the lane's own thread runs still.
`tests/model/test_delays_model.py` runs through the interleavings.
"""

import threading
from concurrent.futures import Future
from typing import Any, Final, Protocol, final, override

from threadpool_mb.interrupts import after
from threadpool_mb.threads.entries import Entry, log_raised
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.timers import Timers

__all__ = ["Delays", "Due"]

_GRID: Final = 1 / 1024
"""Seconds between two times; a power of two, so that no time is rounded."""


class _Shard(Protocol):
    @property
    def threads(self) -> SharedThreads: ...
    @property
    def broken(self) -> bool: ...


class _Lane(Protocol):
    @property
    def shard(self) -> _Shard: ...
    def turn(self) -> int: ...


@final
class Due(Entry):
    """A time from which on some lanes may go on. Threads: internally synchronized."""

    __slots__ = ("_delays", "lanes", "over", "tick")

    quick = True

    def __init__(self, tick: float, delays: "Delays") -> None:
        """Have no lane wait yet."""
        super().__init__(tick * _GRID)
        self.tick: Final = tick
        """Its number in the grid."""
        self._delays: Final = delays
        self.lanes: Final[dict[Future[Any], _Lane]] = {}
        """Those that wait, by the futures of their next tasks."""
        self.over: bool = False
        """Whether no lane is to wait for it any more."""

    @property
    @override
    def cancelled(self) -> bool:
        return self.over and not self.lanes

    @override
    def fire(self) -> None:
        delays = self._delays
        # A lane that is neither delayed nor scheduled would seem to be stuck.
        delays.moving[self] = None
        delays.take_away(self)  # (i)
        self.over = True  # (ii)
        pop = self.lanes.pop
        for future in [*self.lanes]:
            try:
                lane = pop(future, None)  # (iii)
                if lane is not None:
                    # Not ahead of others: those that are late would keep others from beginning.
                    lane.shard.threads.schedule(lane)
            except BaseException:  # noqa: BLE001 - logged: no thread, or no memory; the others go on
                log_raised()
        delays.moving.pop(self, None)

    @override
    def drop(self) -> None:
        self.fire()  # the executor is broken: what waits is to be told

    def no_more(self, future: Future[Any]) -> None:
        """Have the lane go on at once, if the task was cancelled before its time.

        Unlike `fire`, on any thread: an interrupt leaves the lane waiting for its time, or it goes
        on.
        """
        if not future.cancelled():
            return
        delays, lanes = self._delays, self.lanes
        if future not in lanes:
            return  # a different thread has it, or is about to look
        delays.moving[future] = None
        try:
            # No interrupt comes before the `try`; see `interrupts`.
            if self._schedule(future) and not lanes:  # (b)
                delays.take_away(self)  # (i)
                self.over = True  # (ii)
                for other in [*lanes]:
                    self._schedule(other)  # (iii)
                delays.timers.cancelled()
        finally:
            delays.moving.pop(future, None)

    def _schedule(self, future: Future[Any]) -> bool:
        """Have a lane go on at once; return whether this thread had it."""
        lane = self.lanes.get(future)
        if lane is None:
            return False
        threads = lane.shard.threads
        try:
            # No interrupt comes between the two; see `interrupts`.
            for _ in map(threads.put, after(self.lanes.pop, future)):
                try:
                    threads.grow_if_needed()
                except BaseException:  # an interrupt
                    threads.grow_if_needed()
                    raise
        except KeyError:
            return False  # a different thread has it
        return True


@final
class Delays:
    """The lanes whose next task may not begin yet. Threads: internally synchronized."""

    __slots__ = ("_lock", "_times", "moving", "timers")

    def __init__(self, timers: Timers) -> None:
        """Have no lane wait."""
        self.timers: Final = timers
        # Guards the writing of the times. No thread waits under it. Reentrant: a signal handler, or
        # a finalizer, may cancel.
        self._lock: Final = threading.RLock()
        # By their ticks.
        self._times: Final[dict[float, Due]] = {}
        self.moving: Final[dict[object, None]] = {}
        """What is just having lanes scheduled that have waited."""

    def __len__(self) -> int:
        """Return how many lanes wait, or are just being scheduled."""
        with self._lock:
            waiting = sum(len(due.lanes) for due in self._times.values())
        # After that: what has taken a lane away by now has said so before, until it is scheduled.
        return waiting + len(self.moving)

    def wait(self, when: float, lane: _Lane, future: Any) -> None:  # noqa: ANN401 - a `FlowFuture`
        """Have a lane wait until a time, or until the future of its next task is cancelled.

        Nothing may touch the lane on this thread after that.
        """
        tick = -(-when // _GRID)
        shard = lane.shard
        due = self._times.get(tick)
        if due is None:
            due = self._new(tick)
        future.held = due  # (1)
        # From here on another thread may have the lane.
        due.lanes[future] = lane  # (2)
        if (due.over or future.cancelled() or shard.broken) and (  # (3)
            due.lanes.pop(future, None) is not None
        ):
            shard.threads.schedule(lane)

    def _new(self, tick: float) -> Due:
        with self._lock:
            due = self._times.get(tick)
            if due is None:
                due = self._times[tick] = Due(tick, self)
                self.timers.add(due)
            return due

    def take_away(self, due: Due) -> None:
        """Have no other lane wait for a time."""
        with self._lock:
            if self._times.get(due.tick) is due:
                # A signal handler that has cancelled the last one of others has taken it away.
                self._times.pop(due.tick, None)
