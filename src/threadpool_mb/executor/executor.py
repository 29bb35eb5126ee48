"""`KeyedExecutor`: a `ThreadPoolExecutor` that keeps the order of each key."""

import concurrent.futures
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast, final, override

from threadpool_mb.arguments import check_key, check_limit
from threadpool_mb.describing import describe
from threadpool_mb.executor.futures import KeyedFuture, NoKey
from threadpool_mb.executor.table import Table
from threadpool_mb.executor.tasks import Task
from threadpool_mb.scheduling.exit_hook import close_at_exit
from threadpool_mb.scheduling.shared_threads import default_max_threads

__all__ = ["KeyedExecutor"]

_numbers: Final = itertools.count(1)


@final
class KeyedExecutor(concurrent.futures.Executor):
    """Runs calls on threads: in order per key, parallel across keys.

    ```python
    with KeyedExecutor() as executor:
        future = executor.submit_keyed(order.account, apply, order)
    ```

    Tasks of one key run one at a time, in the order in which a thread submitted them. Everything
    else is as in `concurrent.futures.ThreadPoolExecutor`: `submit` (without a key), `map`,
    `shutdown`, the context manager, initializers, what happens at interpreter exit and when an
    executor is dropped that was never shut down (what was submitted is done, then its threads end).

    A key leaves no trace: as soon as none of its tasks waits or runs, it is forgotten. After 64
    tasks in a row a busy key goes to the end of the line.

    Each thread has one `contextvars` context of its own, empty before its initializer; as in
    `ThreadPoolExecutor` its tasks share it. It is empty on 3.14t too, where `ThreadPoolExecutor`'s
    threads begin with a copy of the context of whoever happened to have them started.

    Blocks: a task that waits with `result` or `exception` for a later one of its own key would wait
    for ever, and gets a `RuntimeError`. `concurrent.futures.wait` and `as_completed` do wait.

    Threads: internally synchronized. A key's `__hash__` and `__eq__` run under a lock and must not
    wait for another thread that uses the executor.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        """Start no thread yet; they are started when they are needed, and then kept.

        Args:
            max_workers: the most threads; `min(32, cores + 4)` if it is not given.
            thread_name_prefix: the threads are called `{prefix}_0` and so on; if it is not given,
                `KeyedExecutor-1_0`, of the first such executor.
            initializer: called by each thread before its first task. If it raises, all tasks that
                wait fail with `BrokenThreadPool`, and so does `submit` from then on.
            initargs: its arguments.

        Raises:
            ValueError: if `max_workers` is not at least 1.
            TypeError: if the initializer cannot be called.
        """
        if max_workers is None:
            max_workers = default_max_threads()
        elif isinstance(max_workers, bool) or max_workers <= 0:
            raise ValueError(f"max_workers must be greater than 0, not {describe(max_workers)}")
        if initializer is not None and not callable(initializer):  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError(f"initializer must be a callable, not {describe(initializer)}")

        def initialize() -> None:
            if initializer is not None:
                initializer(*initargs)

        name = thread_name_prefix or f"KeyedExecutor-{next(_numbers)}"
        self._table: Final = Table(
            name, max_workers, initialize, named=lambda count: f"{name}_{count}"
        )
        close_at_exit(self._table)

    @override
    def submit[**P, R](
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` on a thread, in no order with anything else.

        Blocks: never, but where a thread is started, some tenths of a millisecond.

        Returns:
            The future of its result.

        Raises:
            RuntimeError: if the executor was shut down; nothing runs then.
            BrokenThreadPool: if an initializer has raised.
            ThreadRefused: if there is no thread, and the system starts none; nothing runs then.
        """
        lone = NoKey()
        table = self._table
        shard = table.shard(lone)
        # Not `KeyedFuture[R]`: the subscript alone costs 0.3 us (`benchmarks/`, "executor").
        future: KeyedFuture[R] = KeyedFuture(shard, lone)
        table.submit(Task(shard, lone, future, fn, args, kwargs or None))
        return future

    def submit_keyed[**P, R](
        self, key: object, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` after all tasks of the key that were submitted before.

        In a task it may be called for the same key; that one runs later. To wait for it there, with
        `result` or `exception`, raises `RuntimeError`.

        Blocks: never, but where a thread is started, some tenths of a millisecond.

        Returns:
            The future of its result. A task that is cancelled before it runs is left out.

        Raises:
            TypeError: if the key cannot be hashed.
            RuntimeError: if the executor was shut down; nothing runs then.
            BrokenThreadPool: if an initializer has raised.
            ThreadRefused: if there is no thread, and the system starts none; nothing runs then.
        """
        table = self._table
        try:
            shard = table.shard(key)
        except TypeError:
            check_key(key)
            raise
        future: KeyedFuture[R] = KeyedFuture(shard, key)
        # An empty dict would be freed by another thread than the one that made it: `kwargs` as they
        # are cost a fifth of a submit on 3.14t, a sixth on 3.13t (`benchmarks/`, "executor").
        table.submit(Task(shard, key, future, fn, args, kwargs or None))
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

        Args:
            fn: what is run.
            items: consumed on the thread that iterates, at most `buffersize` ahead of the results.
            key: returns an item's key; called there too.
            buffersize: how many items are submitted ahead of the result that is taken; `None`: all
                items are submitted by this call.

        What `fn`, `key` or the items raise comes out where it is met: out of this call, or in the
        place of a result, after which there is none. Then, and when the iterator is closed or
        dropped, what was submitted and does not run yet is cancelled.

        Blocks: taking a result blocks until it is there.
        Threads: one thread at a time may iterate.

        Raises:
            ValueError: if `buffersize` is no `int` of at least 1.
        """
        if buffersize is not None:
            check_limit(buffersize, "buffersize")
        futures = (self.submit_keyed(key(item), fn, item) for item in items)
        results = _results(futures, buffersize)
        # To its first `yield`: to close a generator that has not begun would cancel nothing.
        next(results)
        return results

    def for_key(self, key: object) -> concurrent.futures.Executor:
        """Return the executor as one key sees it: all that is submitted there has this key.

        For whatever takes an executor, such as `loop.run_in_executor`. To shut it down, or to leave
        it as a context manager, waits for nothing and does nothing to this executor: it only takes
        no more tasks itself.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return _OfKey(self, key)

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the threads end when those that were taken are done.

        Args:
            wait: whether to wait for that.
            cancel_futures: whether to cancel those that do not run yet.

        Blocks: if it waits, until all are done.

        Raises:
            RuntimeError: if it would wait in a task of this executor; it is shut down all the same.
        """
        self._table.close()
        if cancel_futures:
            self._table.cancel_pending()
        if wait:
            self._table.join()

    def __del__(self) -> None:
        """Let the threads end once all is done; see `Table.close`."""
        table: Table | None = getattr(self, "_table", None)
        if table is not None:
            table.close()

    def __repr__(self) -> str:
        """Show name, counts and state."""
        table = self._table
        threads = len(table.threads)
        state = "broken" if table.broken else "shut down" if table.closed else "running"
        return (
            f"<KeyedExecutor {table.name!r} [{threads} thread{'' if threads == 1 else 's'}"
            f" | {table.tasks} unfinished | {state}]>"
        )


def _results[R](
    futures: Iterator[concurrent.futures.Future[R]], buffersize: int | None
) -> Iterator[R]:
    """Yield once when as many are submitted as should be; then the results."""
    ahead: deque[concurrent.futures.Future[R]] = deque()
    try:
        ahead.extend(itertools.islice(futures, buffersize))
        yield cast("R", None)
        while ahead:
            # Still in there while it is waited for: an interrupt cancels it too.
            result = ahead[0].result()
            ahead.popleft()
            ahead.extend(itertools.islice(futures, 1))
            yield result
            del result
    finally:
        for future in ahead:
            future.cancel()


@final
class _OfKey(concurrent.futures.Executor):
    """A `KeyedExecutor` as one key sees it."""

    def __init__(self, executor: KeyedExecutor, key: object) -> None:
        self._executor: Final = executor
        self._key: Final = key
        self._shut = False

    @override
    def submit[**P, R](
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` as `KeyedExecutor.submit_keyed` does."""
        if self._shut:
            raise RuntimeError(f"{self!r}: cannot schedule new futures after shutdown")
        return self._executor.submit_keyed(self._key, fn, *args, **kwargs)

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks here; the executor of all keys goes on."""
        del wait, cancel_futures
        self._shut = True

    def __repr__(self) -> str:
        return f"<{self._executor!r} for key {describe(self._key)}>"
