"""How many tasks wait, how often they begin, and what an error does to those behind it.

**Guarantees.** A task takes room before it is submitted, and frees it once: when it begins, or is
left out because it was cancelled. Tasks of a key begin no more often than the rate says, in order;
a lane that has to wait for that holds no thread.

What costs something here, only executors with a limit, a rate or `after_error` pay.
"""

import functools
import queue
from collections.abc import Callable, Iterable
from typing import Any, Final, final, override

from threadpool_mb.errors import MailboxClosed
from threadpool_mb.keyed.delays import Due
from threadpool_mb.keyed.futures import (
    PENDING,
    RUNNING,
    KeyedFuture,
    NoKey,
    declare_attributes,
)
from threadpool_mb.keyed.observed import ObservedCall
from threadpool_mb.keyed.pacing import Pace, Paced
from threadpool_mb.keyed.room import Room
from threadpool_mb.keyed.several_future import SeveralFuture
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Shard, Task
from threadpool_mb.line.striped import NOT_TO_WAIT, SLOT, Stripe
from threadpool_mb.observing import Observers
from threadpool_mb.rates import Limits
from threadpool_mb.threads.clock import Clock

__all__ = ["Flow", "FlowFuture", "FlowSeveralFuture", "WatchedFuture"]


class FlowFuture[R](KeyedFuture[R]):
    """A future that frees its task's room."""

    in_room: bool | None = False
    """Whether its task has a slot, which is freed when the task begins, or is left out.

    `None`, as the queue's `put` returns, once it was freed.
    """
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
                # No interrupt comes between the two; see `interrupts`.
                for self.in_room in map(stripe.free, SLOT):
                    pass
        if stripe.wanted:
            stripe.tell()

    @override
    def cancel(self) -> bool:
        """Cancel it if its task does not run yet; return whether it is cancelled."""
        try:
            return super().cancel()
        finally:
            # Not a callback, which each task that waits would pay for. See `Due`. In a child of
            # `os.fork` no lane goes on, and a thread that is gone may hold what this would look at.
            if self.held is not None and not self._lanes.in_child:
                self.held.no_more(self)

    @override
    def set_running_or_notify_cancel(self) -> bool:
        """Return whether the task is to be run: for the thread that runs it."""
        # `leave`, and what the base does, written out.
        runs = False
        stripe = self.stripe
        with self._mutex:
            if self.in_room and stripe is not None:
                for self.in_room in map(stripe.free, SLOT):
                    pass
            if self._state == PENDING:
                self._state = RUNNING
                runs = True
        if stripe is not None and stripe.wanted:
            stripe.tell()
        return runs or super().set_running_or_notify_cancel()


class WatchedFuture[R](FlowFuture[R]):
    """A future that cancels what is behind a task that fails."""

    failed: Callable[[], object] | None = None
    """Called if the task raises, before any thread can know of that."""

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
class FlowSeveralFuture[R](SeveralFuture[R], WatchedFuture[R]):
    """The future of a task of several keys, or of all, of an executor that has a flow."""


_LATER: Final = ("in_room", "stripe", "held")
declare_attributes(FlowFuture, *_LATER)
declare_attributes(WatchedFuture, *_LATER, "failed")
declare_attributes(FlowSeveralFuture, *_LATER, "failed", "of_all")


@final
class Flow:
    """What an executor does to tasks before they are submitted."""

    __slots__ = ("_cancels", "_pace", "_table", "observers", "plain", "room")

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
        self._pace: Final = None if limits.rate is None else Pace(limits.rate, table)
        nothing = self.room is None and self._pace is None and not self._cancels
        self.plain: Final = nothing and self.observers is None
        """Whether there is nothing to do."""

    @property
    def clock(self) -> Clock:
        """What fires the tasks that wait for a time."""
        return self._table.clock

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
            task.context = Paced(pace, task.context)
        stripe = task.shard.stripe
        try:
            if stripe is not None:
                future.stripe = stripe
                empty = at_once
                if not empty:
                    try:
                        # No interrupt comes between the two, but one may where the loop ends; see
                        # `interrupts`.
                        for future.in_room in map(stripe.get, NOT_TO_WAIT):
                            pass
                    except queue.Empty:
                        empty = True
                if empty:
                    self._enter(future, stripe, at_once=at_once)
            self._table.submit(task)
        except BaseException:
            # Once more, if an interrupt comes as what was refused gives its room back.
            try:
                _leave_unless_there(future, task)
            except BaseException:
                _leave_unless_there(future, task)
                raise
            raise

    def enter(self, future: FlowFuture[Any], shard: Shard) -> None:
        """Take room, in a shard, for a future whose task is not submitted here.

        Blocks: until there is some.

        Raises:
            Full: see `Room.take`.
            RuntimeError: if the executor was shut down.
        """
        stripe = future.stripe = shard.stripe
        if stripe is None:
            return
        # As in `submit`: where the stripe has a slot, there is nothing else to look at.
        empty = False
        try:
            for future.in_room in map(stripe.get, NOT_TO_WAIT):
                pass
        except queue.Empty:
            empty = True
        if empty:
            self._enter(future, stripe, at_once=False)

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


def _leave_unless_there(future: FlowFuture[Any], task: Task) -> None:
    # A second time, `leave` has those told that wait, though the room is free by then.
    if future.in_room is not False and not task.shard.has(task):
        future.leave()


def _cancel_waiting(keys: tuple[tuple[Shard, object], ...], failed: FlowFuture[Any]) -> None:
    for shard, key in keys:
        if not shard.broken:  # then they are told so
            shard.cancel_waiting(key, but=failed)
