"""When tasks of a key may begin, of an executor with a rate.

**Guarantees.** Tasks of a key begin no more often than the rate says, in order. A lane that has to
wait for its time holds no thread. One that is cancelled before its time is left out at once.
"""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Final, final, override

from threadpool_mb.interrupts import after
from threadpool_mb.keyed.standins import Held, RunsTasks, StandIn
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.logs import Logger
from threadpool_mb.rates import MAKES_UP, Rate, Spacing
from threadpool_mb.threads.clock import Clock
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.timers import Timers

__all__ = ["Due", "Pace", "Paced"]

_logger = Logger(__name__)

_STRIPES: Final = 16
_FEW: Final = 64
"""How many keys' times are no reason to look for those that are over."""


@final
class Due(Entry):
    """The time from which on a lane's next task may begin, unless that is cancelled before.

    The thread that cancels the task writes that, then reads `held`; the thread that has it wait
    writes `held`, then reads whether it is cancelled. So at least one of them finds both, and has
    the lane go on; if both do, the second finds the lane taken, and does nothing.
    """

    __slots__ = ("_lane", "_timers")

    quick = True

    def __init__(self, when: float, lane: Task, timers: Timers) -> None:
        """Have a lane go on."""
        super().__init__(when)
        lane.shard.table.delayed[self] = None
        # Has its one entry until a thread has taken it.
        self._lane: Final = [lane]
        self._timers: Final = timers

    @property
    @override
    def cancelled(self) -> bool:
        return not self._lane

    @override
    def fire(self) -> None:
        try:
            lane = self._lane.pop()
        except IndexError:
            return
        table = lane.shard.table
        # Not ahead of others: those that are late would keep others from beginning at all.
        lane.shard.threads.schedule(lane)
        # After that: a lane that is neither delayed nor scheduled would seem to be stuck.
        table.delayed.pop(self, None)

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
        for lane in self._lane[:1]:
            threads, delayed = lane.shard.threads, lane.shard.table.delayed
            try:
                # No interrupt comes between the two, nor before the `try`; see `interrupts`.
                for _ in map(threads.put, after(self._lane.pop)):
                    try:
                        delayed.pop(self, None)
                        threads.grow_if_needed()
                    except BaseException:  # an interrupt
                        delayed.pop(self, None)
                        threads.grow_if_needed()
                        raise
            except IndexError:
                return  # the other one has it
            self._timers.cancelled()


class _NotYet(Held):
    """A task may begin at a time."""

    def __init__(self, when: float, paced: "Paced") -> None:  # pyright: ignore[reportMissingSuperCall] - each task that waits would pay for it
        self._when: Final = when
        self._paced: Final = paced

    @override
    def keep(self, lane: Task, task: Task) -> bool:
        task.context = self._paced
        if task is not lane:
            lane.shard.put_back(lane, task)
        timers = self._paced.pace.clock.timers
        due = Due(self._when, lane, timers)
        future: Any = task.future  # a `FlowFuture`
        if future is not None:
            future.held = due
        # From here on another thread may have the lane.
        timers.add(due)
        if future is not None and future.cancelled():
            due.no_more(future)
        # Written before what waits is dropped, which may have been just before this was added.
        if task.shard.broken:
            due.fire()
        return True


@final
class Paced(StandIn):
    """In the place of a task's context: has it wait until it may begin."""

    __slots__ = ("_context", "next_due", "pace")

    def __init__(self, pace: "Pace", context: RunsTasks | None) -> None:
        """Have a task wait, and then run in a context."""
        self.pace: Final = pace
        self._context: Final = context
        # Once it waits: when the next one is due, if this one begins at its time.
        self.next_due: float | None = None

    @override
    def run(self, function: Callable[[Task], object], task: Task, /) -> object:
        """Run the task in its context, if it may begin."""
        future = task.future
        if future is not None and not future.cancelled() and not task.shard.broken:
            when = self.pace.until(task, self)
            if when is not None:
                raise _NotYet(when, self)
        context = self._context
        # The traceback of the task's error refers back to this frame, which must hold neither the
        # error's future nor the task's context.
        del self, future
        left_out = (copy_context() if context is None else context).run(function, task)
        context = None
        return left_out


@final
class Pace:
    """When the tasks of each key may begin. Threads: internally synchronized."""

    __slots__ = ("_due", "_locks", "_looked", "_may_be_late", "_may_begin", "_now", "clock")

    def __init__(self, rate: Rate, clock: Clock) -> None:
        """Have tasks wait for their times on a clock."""
        self._may_begin: Final = Spacing(rate).may_begin
        # How long after the next one's time one may begin that has waited, and still move nothing.
        self._may_be_late: Final = MAKES_UP - 1 / rate.per_second
        self.clock: Final = clock
        self._now: Final = clock.timers.now
        # By the key's hash. No thread waits under a lock. Reentrant: a key's methods may submit.
        self._locks: Final = tuple(threading.RLock() for _ in range(_STRIPES))
        self._due: Final[tuple[dict[object, float], ...]] = tuple({} for _ in range(_STRIPES))
        self._looked: Final = [_FEW] * _STRIPES

    def until(self, task: Task, paced: Paced) -> float | None:
        """Return the time at which a task may begin; `None` if it begins now."""
        try:
            key = task.key
            stripe = hash(key) % _STRIPES
            due = self._due[stripe]
            then = paced.next_due
            with self._locks[stripe]:
                now = self._now()
                # One that has waited comes once its time has come (or it was cancelled): so what
                # was found then still holds, unless it is too late.
                if then is None or now - then > self._may_be_late:
                    # A lane's first task has its thread, and has waited behind none.
                    fresh = then is None and task.thread != 0
                    # Not `due.get`: on 3.13t that waits for itself, for 20 µs and more, where it
                    # finds what another thread has made.
                    before = due[key] if key in due else None  # noqa: SIM401
                    when, then = self._may_begin(before, now, fresh)
                    if when > now:
                        paced.next_due = then
                        return when
                due[key] = then
                if len(due) > self._looked[stripe]:
                    self._forget_locked(stripe, now - MAKES_UP)
        except Exception:
            # The key's. The task runs all the same.
            _logger.exception("%s: when a task may begin is not known", task.shard.table.name)
        return None

    def _forget_locked(self, stripe: int, before: float) -> None:
        """Forget the times that are over: such a key may begin as one that was never seen."""
        due = self._due[stripe]
        for each in [each for each, its_due in due.items() if its_due < before]:
            with contextlib.suppress(Exception):  # one that raises stays
                due.pop(each, None)
        self._looked[stripe] = max(_FEW, 2 * len(due))
