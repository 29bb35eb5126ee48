"""`KeyedExecutor`: a `ThreadPoolExecutor` that keeps the order of each key."""

import concurrent.futures
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, final, override

from threadpool_mb.arguments import Deadline, check_key, check_limit
from threadpool_mb.describing import describe
from threadpool_mb.executor.futures import KeyedFuture, NoKey
from threadpool_mb.executor.tasks import Table, Task
from threadpool_mb.scheduling.exit_hook import close_at_exit

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

    A key leaves no trace: as soon as none of its tasks waits or runs, it is forgotten.

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
            max_workers = min(32, (os.process_cpu_count() or 1) + 4)
        elif isinstance(max_workers, bool) or max_workers <= 0:
            raise ValueError(f"max_workers must be greater than 0, not {describe(max_workers)}")
        if initializer is not None and not callable(initializer):  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError(f"initializer must be a callable, not {describe(initializer)}")

        def initialize() -> None:
            if initializer is not None:
                initializer(*initargs)

        name = thread_name_prefix or f"KeyedExecutor-{next(_numbers)}"
        self._table: Final = Table(name, max_workers, initialize)
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
        """
        lone = NoKey()
        future = KeyedFuture[R](self._table, lone)
        self._table.submit(Task(self._table, lone, future, fn, args, kwargs))
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
        """
        check_key(key)
        future = KeyedFuture[R](self._table, key)
        self._table.submit(Task(self._table, key, future, fn, args, kwargs))
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
            key: returns an item's key.
            buffersize: the most items that were submitted, and whose result was not taken; `None`:
                all items are submitted by this call.

        Blocks: taking a result blocks until it is there. What `fn`, `key` or the items raise leaves
        the iterator there; tasks that wait are cancelled then, and when the iterator is closed.

        Raises:
            ValueError: if `buffersize` is no `int` of at least 1.
        """
        if buffersize is not None:
            check_limit(buffersize, "buffersize")
        futures = (self.submit_keyed(key(item), fn, item) for item in items)
        ahead = deque(itertools.islice(futures, buffersize))
        return _results(ahead, futures)

    def for_key(self, key: object) -> concurrent.futures.Executor:
        """Return the executor as one key sees it: all that is submitted there has this key.

        For whatever takes an executor, such as `loop.run_in_executor`. To shut it down does nothing
        to this executor.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return _OfKey(self, key)

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the threads end when those that were taken are done.

        Args:
            wait: whether to wait for that. Not in a task.
            cancel_futures: whether to cancel those that do not run yet.

        Blocks: if it waits, until all are done.
        """
        self._table.close()
        if cancel_futures:
            self._table.cancel_pending()
        if wait:
            self._table.threads.join(Deadline(None))

    def __del__(self) -> None:
        """Let the threads end once all is done."""
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
    ahead: deque[concurrent.futures.Future[R]],
    more: Iterator[concurrent.futures.Future[R]],
) -> Iterator[R]:
    try:
        while ahead:
            result = ahead.popleft().result()
            ahead.extend(itertools.islice(more, 1))
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
