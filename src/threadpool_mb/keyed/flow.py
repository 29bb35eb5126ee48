"""How many tasks wait, how often they begin, and what an error does to those behind it.

**Guarantees.** A task takes room before it is submitted, and frees it once: when it begins, or is
left out because it was cancelled. Tasks of a key begin no more often than the rate says, in order;
a lane that has to wait for that holds no thread.

What costs something here, only executors with a limit, a rate or `after_error` pay.
"""

import functools
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Final, final, override

from threadpool_mb.arguments import describe
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.interrupts import after
from threadpool_mb.keyed.futures import PENDING, RUNNING, KeyedFuture, NoKey
from threadpool_mb.keyed.observed import ObservedCall
from threadpool_mb.keyed.room import Room
from threadpool_mb.keyed.several import Several
from threadpool_mb.keyed.standins import Held, RunsTasks, StandIn
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Shard, Task
from threadpool_mb.line.striped import NOT_TO_WAIT, SLOT, Stripe
from threadpool_mb.logs import Logger
from threadpool_mb.observing import Observers
from threadpool_mb.rates import MAKES_UP, Limits, Rate, Spacing
from threadpool_mb.threads.clock import Clock
from threadpool_mb.threads.timers import Entry, Timers

__all__ = ["Due", "Flow", "FlowFuture", "SeveralFuture", "WatchedFuture"]


_logger = Logger(__name__)

_STRIPES: Final = 16
_FEW: Final = 64
"""How many keys' times are no reason to look for those that are over."""


class FlowFuture[R](KeyedFuture[R]):
    """A future that frees its task's room."""

    in_room: bool | None = False
    """Whether its task has a slot, which is freed when the task begins, or is left out."""
    stripe: Stripe | None = None
    """Where it is freed."""
    held: "Due | None" = None
    """What its task waits for, where that has to wait for its time."""

    def leave(self) -> None:
        """Free the room, if that was not done."""
        stripe = self.stripe
        if stripe is None:
            return
        with self._mutex:
            if self.in_room:
                # No interrupt comes between the two; see `interrupts`. The queue returns `None`.
                for self.in_room in map(stripe.put, SLOT):
                    pass
        if stripe.wanted:
            stripe.slots.move(stripe)

    @override
    def cancel(self) -> bool:
        """Cancel it if its task does not run yet; return whether it is cancelled."""
        try:
            return super().cancel()
        finally:
            # Not a callback, which each task that waits would pay for. See `Due`.
            if self.held is not None:
                self.held.no_more(self)

    @override
    def set_running_or_notify_cancel(self) -> bool:
        """Return whether the task is to be run: for the thread that runs it."""
        # `leave`, and what the base does, written out.
        runs = False
        stripe = self.stripe
        with self._mutex:
            if self.in_room and stripe is not None:
                for self.in_room in map(stripe.put, SLOT):
                    pass
            if self._state == PENDING:
                self._state = RUNNING
                runs = True
        if stripe is not None and stripe.wanted:
            stripe.slots.move(stripe)
        return runs or super().set_running_or_notify_cancel()


class WatchedFuture[R](FlowFuture[R]):
    """A future that cancels what is behind a task that fails."""

    failed: Callable[[], object] | None = None
    """Called if the task raises, before anybody can know of that."""

    @override
    def set_exception(self, exception: BaseException | None) -> None:
        failed, self.failed = self.failed, None
        try:
            if failed is not None:
                failed()
        finally:
            # Whatever the callbacks of the others have raised, or a key.
            super().set_exception(exception)

    @override
    def set_result(self, result: R) -> None:
        self.failed = None
        super().set_result(result)


@final
class SeveralFuture[R](WatchedFuture[R]):
    """The future of a task of several keys."""

    of_all: bool  # said again for `pyright --verifytypes`, as it is set here

    def __init__(self, several: Several, keys: list[object] | None) -> None:
        """Make a pending one, of all keys if there are `None`."""
        super().__init__(several, keys)
        self._several: Final = several
        self.of_all = keys is None

    @property
    @override
    def _why_not(self) -> str:
        which = "all keys" if self.of_all else f"the keys {describe(self._key)}"
        return f"a task cannot wait for one of {which} that waits for it"

    @override
    def cancel(self) -> bool:
        """Cancel it if its task does not run yet; return whether it is cancelled."""
        cancelled = super().cancel()
        if cancelled:
            self._several.cancelled(self)
        return cancelled


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
        # Has its one entry until somebody has taken it.
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

    def __init__(self, when: float, paced: "_Paced") -> None:  # pyright: ignore[reportMissingSuperCall] - each task that waits would pay for it
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
class _Paced(StandIn):
    """In the place of a task's context: has it wait until it may begin."""

    __slots__ = ("_context", "next_due", "pace")

    def __init__(self, pace: "_Pace", context: RunsTasks | None) -> None:
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
        return (copy_context() if context is None else context).run(function, task)


@final
class _Pace:
    """When the tasks of each key may begin. Threads: internally synchronized."""

    __slots__ = ("_due", "_locks", "_looked", "_may_be_late", "_may_begin", "_now", "clock")

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._may_begin: Final = Spacing(rate).may_begin
        # How long after the next one's time one may begin that has waited, and still move nothing.
        self._may_be_late: Final = MAKES_UP - 1 / rate.per_second
        self.clock: Final = clock
        self._now: Final = clock.timers.now
        # By the key's hash. Nobody waits under a lock. Reentrant: a key's methods may submit.
        self._locks: Final = tuple(threading.RLock() for _ in range(_STRIPES))
        self._due: Final[tuple[dict[object, float], ...]] = tuple({} for _ in range(_STRIPES))
        self._looked: Final = [_FEW] * _STRIPES

    def until(self, task: Task, paced: _Paced) -> float | None:
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
                    when, then = self._may_begin(due.get(key), now, fresh)
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
            del due[each]
        self._looked[stripe] = max(_FEW, 2 * len(due))


@final
class Flow:
    """What an executor does to tasks before they are submitted."""

    __slots__ = ("_cancels", "_pace", "_table", "observers", "room")

    def __init__(self, table: Table, limits: Limits, observers: Observers | None = None) -> None:
        """Do what the limits say; tell observers, if there are any."""
        self._table: Final = table
        self.observers: Final = observers if observers is not None and observers.messages else None
        """What is told of tasks."""
        waits = limits.when_full == "wait"
        self.room: Final = (
            None if limits.max_waiting is None else Room(table, limits.max_waiting, waits=waits)
        )
        """The room for tasks that wait, if there is a limit."""
        self._cancels: Final = limits.after_error == "cancel_key"
        self._pace: Final = None if limits.rate is None else _Pace(limits.rate, table.clock)

    @property
    def clock(self) -> Clock:
        """What fires the tasks that wait for a time."""
        return self._table.clock

    @property
    def closed(self) -> bool:
        """Whether the executor was shut down."""
        return self._table.closed and not self._table.broken

    @property
    def plain(self) -> bool:
        """Whether there is nothing to do."""
        nothing = self.room is None and self._pace is None and not self._cancels
        return nothing and self.observers is None

    def observed(self, key: object, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return what a task calls in the place of a function, about to be submitted."""
        observers = self.observers
        return function if observers is None else ObservedCall(observers, key, function)

    def future(self, shard: Shard, key: object) -> FlowFuture[Any]:
        """Return the future of a task of a key."""
        if not self._cancels:
            return FlowFuture(shard, key)
        future: WatchedFuture[Any] = WatchedFuture(shard, key)
        self.watch(future, ((shard, key),))
        return future

    def watch(self, future: WatchedFuture[Any], keys: Iterable[tuple[Shard, object]]) -> None:
        """Have what waits for these keys cancelled, if the future's task raises."""
        if self._cancels:
            future.failed = functools.partial(_cancel_waiting, tuple(keys), future)

    def submit(self, task: Task, *, at_once: bool = False) -> None:
        """Submit a task, of a future that was made here; `at_once`: it does not wait for room.

        Blocks: until there is room.
        """
        future: Any = task.future  # a `FlowFuture`
        pace = self._pace
        if pace is not None and not isinstance(task.key, NoKey):
            pace.clock.start()
            task.context = _Paced(pace, task.context)
        stripe = task.shard.stripe
        if stripe is not None:
            future.stripe = stripe
            empty = at_once
            if not empty:
                try:
                    # No interrupt comes between the two; see `interrupts`.
                    for future.in_room in map(stripe.get, NOT_TO_WAIT):
                        pass
                except queue.Empty:
                    empty = True
            if empty:
                self._enter(future, stripe, at_once=at_once)
        try:
            self._table.submit(task)
        except BaseException:
            if not task.shard.has(task):
                future.leave()
            raise

    def enter(self, future: FlowFuture[Any], number: int) -> None:
        """Take room for the task of a future that has a number, or a hash.

        Blocks: until there is some.

        Raises:
            Full: see `Room.take`.
            RuntimeError: if the executor was shut down.
        """
        if self.room is not None:
            future.stripe = self.room.slots.stripe(number)
            self._enter(future, future.stripe, at_once=False)

    def _enter(self, future: FlowFuture[Any], stripe: Stripe, *, at_once: bool) -> None:
        room = self.room
        assert room is not None  # noqa: S101 - there are stripes
        if at_once:
            room.take_at_once(future)
            return
        try:
            room.take(future, stripe)
        except MailboxClosed:
            self._table.refuse()


def _cancel_waiting(keys: tuple[tuple[Shard, object], ...], failed: FlowFuture[Any]) -> None:
    for shard, key in keys:
        if not shard.broken:  # then they are told so
            shard.cancel_waiting(key, but=failed)
