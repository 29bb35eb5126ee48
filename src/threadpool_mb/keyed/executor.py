"""`KeyedExecutor`: a `ThreadPoolExecutor` that keeps the order of each key."""

import concurrent.futures
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any, Final, Literal, Self, final, override

from threadpool_mb.aio.life import await_end
from threadpool_mb.aio.loops import running_loop
from threadpool_mb.arguments import (
    check_callable,
    check_flag,
    check_key,
    check_limit,
    counted,
    describe,
)
from threadpool_mb.keyed.doors import MoreDoors, at_close
from threadpool_mb.keyed.flow import Flow
from threadpool_mb.keyed.futures import KeyedFuture, NoKey
from threadpool_mb.keyed.looking import stats
from threadpool_mb.keyed.standard import submitted_results_of
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.keyed.views import KeyView
from threadpool_mb.observer import Observer
from threadpool_mb.observing import attach, observers_of
from threadpool_mb.rates import AfterError, Limits, Rate, WhenFull
from threadpool_mb.threads.counting import default_max_threads
from threadpool_mb.threads.exit_hook import close_at_exit
from threadpool_mb.threads.watchers import with_watcher

__all__ = ["KeyedExecutor"]

_numbers: Final = itertools.count(1)


@final
class KeyedExecutor(MoreDoors):
    """Runs calls on threads: in order per key, parallel across keys.

    ```python
    with KeyedExecutor() as executor:
        future = executor.submit_keyed(order.account, apply, order)
    ```

    Tasks of one key run one at a time, in the order in which a thread submitted them. Everything
    else is as in `concurrent.futures.ThreadPoolExecutor`: `submit` (without a key), `map`,
    `shutdown`, the context manager, initializers, what happens at interpreter exit and when an
    executor is dropped that was never shut down (what was submitted is done, then its threads end).

    A key leaves no trace: as soon as none of its tasks waits or runs, it is forgotten (with a rate,
    as soon as others come after its next task would have been due). After 64
    tasks in a row a busy key goes to the end of the line.

    **Context.** A task, and its future's callbacks where its thread calls them, run in a copy of
    the `contextvars` context in which it was submitted, as with `asyncio.to_thread`: tracing and
    logging contexts arrive, and what a task sets is no other task's. So what an initializer sets in
    its context no task sees, unless `context="empty"` (`threading.local` works with both).

    **Where a `ThreadPoolExecutor` is expected** it is one, as `loop.set_default_executor` wants it,
    and what libraries read of its private attributes is true. It cannot be copied or pickled.

    Blocks: a task that waits with `result` or `exception` for a later one of its own key would wait
    for ever, and gets a `RuntimeError`. `concurrent.futures.wait` and `as_completed` do wait. A
    task that waits so for one of another key holds nothing up: where all threads of the executor
    do, there is one more, which ends when there is nothing to do. `max_workers` is the most threads
    that do not wait so.

    Threads: internally synchronized. A key's `__hash__` and `__eq__` run under a lock and must not
    wait for another thread that uses the executor.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        context: Literal["submitter", "empty"] = "submitter",
        pinned: bool = False,
        max_waiting: int | None = None,
        when_full: WhenFull = "wait",
        rate: Rate | None = None,
        after_error: AfterError = "go_on",
        observe: Observer | Iterable[Observer] | None = None,
        stuck_after: float | None = None,
    ) -> None:
        """Start no thread yet; they are started when they are needed, and then kept.

        Args:
            max_workers: the most threads; `min(32, cores + 4)` if it is not given.
            thread_name_prefix: the threads are called `{prefix}_0` and so on; if it is not given,
                `KeyedExecutor-1_0`, of the first such executor.
            initializer: called by each thread before its first task. If it raises, all tasks that
                wait fail with `BrokenThreadPool`, and so does `submit` from then on.
            initargs: its arguments.
            context: what a task's `contextvars` context is a copy of: `"submitter"`, that of
                its submitter; `"empty"`, an empty one, but for what the initializer has set.
            pinned: whether all tasks of a key run on one thread, the same as long as the executor
                lives: what is kept in a `threading.local` is found again. The key's hash says which
                of the threads, of at most 64; a task without a key runs on any. A task that waits
                holds up the keys of its thread: there is no thread more where all wait.
            max_waiting: how many tasks may wait, of all keys together; `None`: any number. One that
                was cancelled counts until its turn comes.
            when_full: what a sender does that finds so many: `"wait"` for room, or `"raise"`
                `Full`. A task of the executor itself that would wait for ever gets `Full`: where
                no thread goes on and no task can begin; and at once, if they are pinned. On the
                thread of an event loop, waiting blocks the loop.
            rate: how often tasks may begin, for each key. One that has to wait holds no thread.
            after_error: `"cancel_key"`: a task that raises has those cancelled that wait for its
                key by then; one of several keys, for each of them. Tasks of all keys stay, and
                those whose time has not come.
            observe: what is told of tasks: an `Observer`, or several.
            stuck_after: seconds after which a task that still runs is told of, once: in the log,
                with its stack; in `stats()`; to `observe`. Each task costs some µs more then.

        Raises:
            ValueError: if `max_workers` or `max_waiting` is no int of at least 1, `stuck_after` no
                number of seconds, or `context`, `when_full` or `after_error` another word.
            TypeError: if the initializer cannot be called, `pinned` is no `bool`, or `rate` no
                `Rate`.
        """
        if max_workers is None:
            max_workers = default_max_threads()
        elif not _is_positive_int(max_workers):
            raise ValueError(
                f"max_workers must be greater than 0, and an int, not {describe(max_workers)}"
            )
        if initializer is not None and not callable(initializer):  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError(f"initializer must be a callable, not {describe(initializer)}")

        check_flag(pinned, "pinned")
        limits = Limits(max_waiting, when_full, rate, after_error)
        if context not in {"submitter", "empty"}:
            raise ValueError(f"context must be 'submitter' or 'empty', not {describe(context)}")

        def initialize() -> None:
            if initializer is not None:
                initializer(*initargs)

        name = thread_name_prefix or f"KeyedExecutor-{next(_numbers)}"
        all_observers, watcher = with_watcher(observe, "the task", stuck_after)
        observers = observers_of(all_observers, name, "executor")
        table = Table(
            name,
            max_workers,
            initialize,
            named=lambda count: f"{name}_{count}",
            own_waits_only=True,
            pinned=pinned,
        )
        flow = Flow(table, limits, observers)
        table.at_close = at_close(table, flow)
        # `None` where there is nothing to do: looking at that is all that it costs then.
        self._flowing: Final = None if flow.plain else flow
        super().__init__(
            table,
            table.pending,
            max_workers,
            initializer,
            initargs,
            flow=flow,
            own_context=context == "empty",
        )
        close_at_exit(table)
        if watcher is not None and observers is not None:
            table.watcher, watcher.tell = watcher, observers.stuck
        attach(observers, functools.partial(stats, table), table.ending.when_reached)

    @override
    def submit[**P, R](
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` on a thread, in no order with anything else.

        Blocks: never, but where a thread is started, some tenths of a millisecond; with
        `max_waiting`, until there is room.

        Returns:
            The future of its result.

        Raises:
            RuntimeError: if the executor was shut down; nothing runs then.
            BrokenThreadPool: if an initializer has raised.
            ThreadRefused: if there is no thread, and the system starts none; nothing runs then.
            Full: see `max_waiting`; nothing runs then.
        """
        lone = NoKey()
        table = self._table
        shard = table.shard(lone)
        if self._flowing is not None:
            return self._submit(shard, lone, fn, args, kwargs)
        # Not `KeyedFuture[R]`: the subscript alone costs 0.3 us (`benchmarks/`, "executor").
        future: KeyedFuture[R] = KeyedFuture(shard, lone)
        context = None if self._own_context else copy_context()
        table.submit(Task(shard, lone, future, fn, args, kwargs or None, context))
        return future

    def submit_keyed[**P, R](
        self, key: object, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` after all tasks of the key that were submitted before.

        In a task it may be called for the same key; that one runs later. To wait for it there, with
        `result` or `exception`, raises `RuntimeError`.

        Blocks: never, but where a thread is started, some tenths of a millisecond; with
        `max_waiting`, until there is room.

        Returns:
            The future of its result. A task that is cancelled before it runs is left out.

        Raises:
            TypeError: if the key cannot be hashed.
            RuntimeError: if the executor was shut down; nothing runs then.
            BrokenThreadPool: if an initializer has raised.
            ThreadRefused: if there is no thread, and the system starts none; nothing runs then.
            Full: see `max_waiting`; nothing runs then.
        """
        table = self._table
        try:
            shard = table.shard(key)
        except TypeError:
            check_key(key)
            raise
        if self._flowing is not None:
            return self._submit(shard, key, fn, args, kwargs)
        future: KeyedFuture[R] = KeyedFuture(shard, key)
        # An empty dict would be freed by another thread than the one that made it: `kwargs` as they
        # are cost a fifth of a submit on 3.14t, a sixth on 3.13t (`benchmarks/`, "executor").
        context = None if self._own_context else copy_context()
        table.submit(Task(shard, key, future, fn, args, kwargs or None, context))
        return future

    def map_keyed[T, R](
        self,
        fn: Callable[[T], R],
        items: Iterable[T],
        *,
        key: Callable[[T], object],
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """Return the results of `fn(item)` in the items' order, run in order for each `key(item)`.

        All run in copies of the context in which this was called.

        Args:
            fn: what is run.
            items: consumed on the thread that iterates, at most `buffersize` ahead of the results.
            key: a function that returns an item's key; called there too.
            buffersize: how many items are submitted ahead of the result that is taken; `None`: all
                items are submitted by this call.

        What `fn`, `key` or the items raise comes out where it is met: out of this call, or in the
        place of a result, after which there is none. Then, and when the iterator is closed or
        dropped, what was submitted and does not run yet is cancelled.

        Blocks: taking a result blocks until it is there.
        Threads: one thread at a time may iterate.

        Raises:
            ValueError: if `buffersize` is no `int` of at least 1.
            TypeError: if `fn` cannot be called, or `key` not with an item.
        """
        if not callable(key):  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError(
                f"key must be a function of an item, not {describe(key)};"
                " where all items have one key: for_key(key).map(fn, items)"
            )
        check_callable(key, "key", "item")
        if not callable(fn):  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError(f"fn must be a function of an item, not {describe(fn)}")
        if buffersize is not None:
            check_limit(buffersize, "buffersize")
        context = copy_context()
        return submitted_results_of(
            (context.run(self.submit_keyed, key(item), fn, item) for item in items), buffersize
        )

    def for_key(self, key: object) -> concurrent.futures.ThreadPoolExecutor:
        """Return the executor as one key sees it: all that is submitted there has this key.

        For whatever takes an executor, such as `loop.run_in_executor`; a `ThreadPoolExecutor(1)` to
        its users. To shut it down does nothing to this executor, nor to what came in another way,
        even for the same key: the view takes no more tasks, cancels those that were submitted to
        it, if it is to, and waits for them. So does leaving it as a context manager.

        Blocks: never.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return KeyView(
            self,
            self._table,
            key,
            self._initializer,
            self._initargs,
            flow=self._flowing,
            own_context=self._own_context,
        )

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the threads end when those that were taken are done.

        Args:
            wait: whether to wait for that.
            cancel_futures: whether to cancel those that do not run yet.

        Tasks whose time has not come (`submit_later`) are cancelled in any case. Senders that wait
        for room get `RuntimeError`. Tasks that a rate holds up are waited for.

        Blocks: if it waits, until all are done.

        Raises:
            RuntimeError: if it would wait in a task of this executor; it is shut down all the same.
        """
        self._table.close()
        if cancel_futures:
            self._table.cancel_pending()
        if wait:
            self._table.join()

    async def __aenter__(self) -> Self:
        """Return the executor.

        Raises:
            RuntimeError: outside of a task of asyncio.
        """
        running_loop("async with")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Shut it down, as leaving a `with` block does; only this task waits, not its loop.

        Raises:
            CancelledError: if the task was cancelled meanwhile; it is shut down all the same.
            RuntimeError: outside of a task of asyncio, or in a task of this executor.
        """
        table = self._table
        await await_end("async with", table, table.close, table.close)

    def __del__(self) -> None:
        """Let the threads end once all is done; see `Table.close`."""
        table: Table | None = getattr(self, "_table", None)
        if table is not None and not table.closed:
            table.close()

    def __repr__(self) -> str:
        """Show name, counts and state."""
        table = self._table
        # Not how many tasks: that would go through them.
        threads, keys = len(table.threads), table.keys
        state = "broken" if table.broken else "shut down" if table.closed else "running"
        return (
            f"<KeyedExecutor {table.name!r} [{counted(threads, 'thread')}"
            f" | {counted(keys, 'key')} busy | {state}]>"
        )


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
