"""When tasks of a key may begin, of an executor with a rate.

**Guarantees.** Tasks of a key begin no more often than the rate says, in order. A lane that has to
wait for its time holds no thread. One that is cancelled before its time is left out at once.

**How.** While a key has a lane, the lane's thread hands on from task to task when the next one is
due: nothing is looked up. Where none that is paced is behind a task, the time is kept by the key,
for what comes next; before the lane can end. A lane whose next task may not begin yet waits without
taking it (`keyed.delays`); only what finds no time handed on is taken first, and put back.
"""

import contextlib
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Final, final, override

from threadpool_mb.keyed.standins import RunsTasks, StandIn
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.logs import Logger
from threadpool_mb.rates import MAKES_UP, Rate, Spacing

__all__ = ["Pace", "Paced"]

_logger = Logger(__name__)

_STRIPES: Final = 16
_FEW: Final = 64
"""How many keys' times are no reason to look for those that are over."""


@final
class Paced(StandIn):
    """In the place of a task's context: has it wait until it may begin.

    Threads: only that which has the lane.
    """

    __slots__ = ("_context", "_has_run", "_pace", "due")

    def __init__(self, pace: "Pace", context: RunsTasks | None) -> None:
        """Have a task wait, and then run in a context."""
        self._pace: Final = pace
        self._context = context
        self.due: tuple[float, float] | None = None
        """When it may begin, and when the next one is due if it does; once that is known."""
        # Written by `run`, for `keep`: `None` if it has to wait, `False` if it was left out.
        self._has_run: bool | None

    @override
    def run(self, function: Callable[[Task], object], task: Task, /) -> object:
        """Run the task in its context, if it may begin."""
        if _would_run(task) and not self._pace.may_begin(task, self):
            self._has_run = None
            return self
        # The traceback of the task's error refers back to this frame, which must not hold the
        # task's context.
        context, self._context = self._context, None
        try:
            left_out = (copy_context() if context is None else context).run(function, task)
        except BaseException:
            # A callback's. The lane will not ask for what comes next.
            self._pace.note(task, self.due, has_run=True)
            task.forget()
            raise
        context = None
        task.forget()  # it may be the lane, which may be kept
        self._has_run = not left_out
        return self

    @override
    def keep(self, lane: Task, task: Task) -> tuple[bool, bool]:
        """Have the lane wait, if this task may not begin yet, or the one behind it."""
        pace, has_run, due = self._pace, self._has_run, self.due
        if has_run is None:
            assert due is not None  # noqa: S101 - it is known to be later
            task.context = self  # which the turn has taken
            if task is not lane:
                lane.shard.put_back(lane, task)
            pace.wait(due[0], lane, task.future)
            return True, False
        # The thread that has submitted this frees it as it runs on, which may be much later.
        self.due = None
        # No lock: only this thread takes from it.
        behind = lane.behind
        following = behind[0] if behind else None
        paced = None if following is None else following.context
        if following is None or due is None or not isinstance(paced, Paced):
            pace.note(task, due, has_run=has_run)
            return False, has_run
        now = pace.now()
        if has_run:
            due = pace.begins(due[1], now, False)  # noqa: FBT003 - it has waited
        paced.due = due
        if due[0] <= now or not _would_run(following):
            return False, has_run
        pace.wait(due[0], lane, following.future)
        return True, has_run


def _would_run(task: Task) -> bool:
    """Whether a task whose time has come calls its function."""
    future = task.future
    return not (future is None or future.cancelled() or task.shard.broken)


@final
class Pace:
    """When the tasks of each key may begin. Threads: internally synchronized."""

    __slots__ = (
        "_due",
        "_interval",
        "_locks",
        "_looked",
        "_may_be_late",
        "begins",
        "clock",
        "now",
        "wait",
    )

    def __init__(self, rate: Rate, table: Table) -> None:
        """Have tasks of a table wait for their times."""
        self.begins: Final = Spacing(rate).may_begin
        """See `Spacing`."""
        self._interval: Final = 1 / rate.per_second
        # How long after the next one's time one may begin that has waited, and still move nothing.
        self._may_be_late: Final = MAKES_UP - self._interval
        self.clock: Final = table.clock
        self.wait: Final = table.delayed.wait
        """Has a lane wait; see `Delays`."""
        self.now: Final = table.clock.timers.now
        """The clock, in seconds."""
        # By the key's hash. No thread waits under a lock. Reentrant: a key's methods may submit.
        self._locks: Final = tuple(threading.RLock() for _ in range(_STRIPES))
        # Of keys whose next task is handed no time.
        self._due: Final[tuple[dict[object, float], ...]] = tuple({} for _ in range(_STRIPES))
        self._looked: Final = [_FEW] * _STRIPES

    def may_begin(self, task: Task, paced: Paced) -> bool:
        """Return whether a task may begin now; its times are known then, unless its key raises."""
        now = self.now()
        if (due := paced.due) is None:
            due = paced.due = self._look_up(task, now)
            return due is None or due[0] <= now
        when, then = due
        if when > now:
            return False
        if now - then > self._may_be_late:
            paced.due = when, now - self._may_be_late
        return True

    def _look_up(self, task: Task, now: float) -> tuple[float, float] | None:
        try:
            key = task.key
            stripe = hash(key) % _STRIPES
            due = self._due[stripe]
            with self._locks[stripe]:
                # Not `due.get`: on 3.13t that waits for itself, for 20 µs and more, where it
                # finds what another thread has made.
                before = due[key] if key in due else None  # noqa: SIM401
            # A lane's first task has its thread, and has waited behind none.
            return self.begins(before, now, task.thread != 0)
        except Exception:
            # The key's. The task runs all the same.
            _logger.exception("%s: when a task may begin is not known", task.shard.table.name)
            return None

    def note(self, task: Task, due: tuple[float, float] | None, *, has_run: bool) -> None:
        """Keep when the next one of a key is due, for what was not handed a time; before it asks.

        `due`: as a task's, which has begun, or else does not use it.
        """
        # In a child of `os.fork` nothing comes next, and a thread that is gone may hold the lock.
        if due is None or task.shard.in_child:
            return
        then = due[1] if has_run else due[1] - self._interval
        try:
            key = task.key
            stripe = hash(key) % _STRIPES
            with self._locks[stripe]:
                self._due[stripe][key] = then
                if len(self._due[stripe]) > self._looked[stripe]:
                    self._forget_locked(stripe, self.now() - MAKES_UP)
        except Exception:
            # The key's. The next one may begin at once.
            _logger.exception("%s: when a task may begin is not known", task.shard.table.name)

    def _forget_locked(self, stripe: int, before: float) -> None:
        """Forget the times that are over: such a key may begin as one that was never seen."""
        due = self._due[stripe]
        for each in [each for each, its_due in due.items() if its_due < before]:
            with contextlib.suppress(Exception):  # one that raises stays
                due.pop(each, None)
        self._looked[stripe] = max(_FEW, 2 * len(due))
