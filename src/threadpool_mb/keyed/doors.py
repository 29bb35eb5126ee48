"""Ways to submit besides a key at once: several keys, all of them, a key at a time."""

import concurrent.futures
import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any, Final, final, override

from threadpool_mb.arguments import check_key, check_seconds, describe
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.keyed.delays import Due
from threadpool_mb.keyed.exclusive import Exclusive
from threadpool_mb.keyed.flow import Flow, FlowFuture, FlowSeveralFuture
from threadpool_mb.keyed.looking import LookedAt
from threadpool_mb.keyed.placing import Placing
from threadpool_mb.keyed.several import Several
from threadpool_mb.keyed.several_future import SeveralFuture
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Shard, Task
from threadpool_mb.threads.entries import Entry
from threadpool_mb.values import MISSING

__all__ = ["MoreDoors", "at_close"]


@final
class _Later(Entry):
    """A task that is to be submitted at a time."""

    __slots__ = ("_flow", "_task")

    def __init__(self, when: float, task: Task, future: FlowFuture[Any], flow: Flow) -> None:
        super().__init__(when)
        # Has its one entry until it is submitted, or left out.
        self._task: Final = [(task, future)]
        self._flow: Final = flow

    @property
    @override
    def cancelled(self) -> bool:
        return not self._task

    @override
    def fire(self) -> None:
        try:
            task, future = self._task.pop()
        except IndexError:
            return
        try:
            self._flow.submit(task, at_once=True)
        except ThreadRefused:
            pass  # it was cancelled, and stands in its line
        except Exception as error:  # noqa: BLE001 - a key's own methods
            shard = task.shard
            # Not the table, which is closed when all shards are.
            if shard.closed and not shard.broken:
                _drop(future)
            elif future.set_running_or_notify_cancel():
                future.set_exception(error)

    @override
    def drop(self) -> None:
        with contextlib.suppress(IndexError):
            _drop(self._task.pop()[1])

    def let_go(self, future: concurrent.futures.Future[Any]) -> None:
        """Keep nothing, if the future was cancelled before its time."""
        if not future.cancelled():
            return
        with contextlib.suppress(IndexError):
            task, cancelled = self._task.pop()
            cancelled.tell_cancelled()
            if not task.shard.in_child:  # else the clock is the parent's
                self._flow.clock.timers.cancelled()


def _drop(future: FlowFuture[Any]) -> None:
    if future.cancel():
        future.tell_cancelled()


class MoreDoors(LookedAt):
    """An executor with more ways in; the first is `KeyedExecutor.submit_keyed`."""

    def __init__(
        self,
        table: Table,
        pending: Callable[[], Iterator[Task]],
        max_workers: int,
        initializer: Callable[..., Any] | None,
        initargs: tuple[Any, ...],
        *,
        flow: Flow,
        own_context: bool,
    ) -> None:
        """See `StandardExecutor`; `own_context`: not in copies of submitters' contexts."""
        super().__init__(table, pending, max_workers, initializer, initargs)
        self._own_context: Final = own_context
        self._flow: Final = flow
        self._placing: Final = Placing(table)

    def submit_multi[**P, R](
        self, keys: Iterable[object], fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` in order with the tasks of each of these keys.

        It runs after all tasks of the keys that were submitted before, and none that was submitted
        after it runs until it has ended. So it may read and write what belongs to all of them: a
        transfer between two accounts. The keys that wait for it hold no thread.

        It cannot deadlock, in whatever order tasks name their keys: in each key's line, the one
        that was submitted first comes first. Of a pinned executor, it runs on the first key's
        thread. A rate does not count it. No keys: as `submit`.

        Blocks: some µs a key; and, with `max_waiting`, until there is room, for one.

        Returns:
            The future of its result. A task that is cancelled before it runs is left out, and
            nothing waits for it any more.

        Raises:
            TypeError: if the keys are no iterable of keys that can be hashed, or are a string; or
                if `fn` cannot be called.
            RuntimeError: if the executor was shut down; nothing runs then.
            BrokenThreadPool: if an initializer has raised.
            ThreadRefused: if there is no thread, and the system starts none; nothing runs then.
            Full: see `max_waiting`.
        """
        if not callable(fn):
            _check_fn(fn)
        distinct = _check_keys(keys)
        if not distinct:
            return self.submit(fn, *args, **kwargs)
        return self._submit_several(distinct, fn, args, kwargs)

    def submit_exclusive[**P, R](
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` alone: after all before it, and before all that come after it.

        For what concerns every key: a snapshot, a change of the schema. Tasks without a key wait,
        too. An error in it cancels nothing. The rest is as for `submit_multi`.

        Blocks: some µs for each key that has tasks; with `max_waiting`, until there is room.
        """
        _check_fn(fn)
        return self._submit_several(None, fn, args, kwargs)

    def submit_later[**P, R](
        self, delay: float, key: object, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Submit `fn(*args, **kwargs)` for the key in `delay` seconds, as `submit_keyed` does then.

        Tasks whose time is the same are submitted in the order of these calls. One whose time has
        not come when the executor is shut down, or dropped, is cancelled. `max_waiting` does not
        count it until its time, and does not hold it up then: it is submitted also where there is
        no room.

        Blocks: never, but the first time, until a thread is started that waits for the times.

        Returns:
            The future of its result; to cancel it before its time, cancel that.

        Raises:
            TypeError: if the key cannot be hashed, or `fn` not called.
            ValueError: if the delay is no number of seconds of at least 0.
            RuntimeError: if the executor was shut down; nothing runs then.
            BrokenThreadPool: if an initializer has raised.
            ThreadRefused: if the system starts no thread; nothing runs then.
        """
        seconds = check_seconds(delay, "delay")
        check_key(key)
        _check_fn(fn)
        table, flow = self._table, self._flow
        if table.closed:
            table.refuse()
        shard = table.shard(key)
        future: FlowFuture[R] = flow.future(shard, key)
        context = None if self._own_context else copy_context()
        fn = flow.observed(key, fn)
        task = Task(shard, key, future, fn, args, kwargs or None, context)
        table.clock.start()
        entry = _Later(time.monotonic() + seconds, task, future, flow)
        future.add_done_callback(entry.let_go)
        table.clock.add(entry)
        return future

    def cancel_key(self, key: object, /) -> int:
        """Cancel the tasks of a key that wait, also those of several keys; not the one that runs.

        Not those of all keys, nor those whose time has not come. Tasks that are submitted after
        that run as usual. What was cancelled counts for `max_waiting` until its turn comes. With a
        rate, the first one may be in a thread's hand just then, and is left to wait for its time.

        Blocks: as long as the callbacks of the futures do.

        Returns:
            How many were cancelled.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return self._table.shard(key).cancel_waiting(key)

    def _submit(
        self,
        shard: Shard,
        key: object,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> concurrent.futures.Future[Any]:
        """Submit a task as the flow has it."""
        flow = self._flow
        future = flow.future(shard, key)
        if flow.observers is not None:
            fn = flow.observed(key, fn)
        context = None if self._own_context else copy_context()
        flow.submit(Task(shard, key, future, fn, args, kwargs or None, context))
        return future

    def _submit_several(
        self,
        keys: tuple[object, ...] | None,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> concurrent.futures.Future[Any]:
        table = self._table
        if table.closed:
            table.refuse()
        table.gated = True
        context = None if self._own_context else copy_context()
        several: Several
        if keys is None:
            shard, key = table.shards[0], table.of_all
            several = Exclusive(table, context)
        else:
            key = keys[0]
            shard = table.shard(key)
            several = Several(shard, keys, context)
        flow = self._flow
        future: SeveralFuture[Any]
        flowing: FlowSeveralFuture[Any] | None = None
        if flow.plain:
            future = SeveralFuture(several, keys)
        else:
            future = flowing = FlowSeveralFuture(several, keys)
            flow.watch(future, ((table.shard(key), key) for key in keys or ()))
            fn = flow.observed(MISSING if keys is None else keys, fn)
        if keys is None:
            future.of_all = True
        several.call = Task(shard, key, future, fn, args, kwargs or None, several)
        has_room = False
        try:
            if flowing is not None:
                flow.enter(flowing, shard)
            has_room = True
            self._placing.place(several)
        except BaseException:
            # Once more, if an interrupt comes as what was refused gives its room back.
            try:
                _withdraw(future, flowing, has_room=has_room)
            except BaseException:
                _withdraw(future, flowing, has_room=has_room)
                raise
            raise
        return future


def _withdraw(
    future: SeveralFuture[Any], flowing: FlowSeveralFuture[Any] | None, *, has_room: bool
) -> None:
    """Cancel a task that was not taken, and free its room."""
    try:
        if has_room and not future.cancelled():  # else it was not taken
            future.cancel()
    finally:
        if flowing is not None:
            flowing.leave()


def _check_keys(keys: object) -> tuple[object, ...]:
    """Return different keys, in their order.

    Raises:
        TypeError: if they are no iterable of keys that can be hashed.
    """
    # What is used most is told without more calls, and taken as it is.
    if type(keys) is not tuple:
        if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
            raise TypeError(
                f"keys must be an iterable of keys, not {describe(keys)};"
                " for one key there is submit_keyed"
            )
        keys = tuple(keys)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    each: tuple[object, ...] = keys  # pyright: ignore[reportUnknownVariableType]
    try:
        different = dict.fromkeys(each)
    except TypeError as error:
        raise TypeError(f"each of the keys must be hashable: {error}") from None
    return each if len(different) == len(each) else tuple(different)


def _check_fn(fn: object) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be a function, not {describe(fn)}")


def at_close(table: Table, flow: Flow) -> Callable[[], object]:
    """Return what is to be called once the table is closed, or is a forked process's."""
    return functools.partial(_closed, table, flow)


def _closed(table: Table, flow: Flow) -> None:
    if flow.room is not None:
        (flow.room.forked if table.in_child else flow.room.shut)()
    if table.clock.started and not table.in_child:
        table.clock.drop(_Later)
        if table.broken:
            table.clock.drop(Due)
