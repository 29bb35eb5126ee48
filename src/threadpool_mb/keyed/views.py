"""An executor as one key sees it."""

import concurrent.futures
import functools
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any, Final, NoReturn, final, override

from threadpool_mb.arguments import NEVER, describe
from threadpool_mb.keyed.flow import Flow
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.standard import StandardExecutor
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Task

__all__ = ["KeyView"]


@final
class KeyView(StandardExecutor):
    """A `KeyedExecutor` as one key sees it; from `for_key`.

    To its users it is a `ThreadPoolExecutor(1)`: its tasks run in order, one at a time.
    """

    def __init__(
        self,
        executor: object,
        table: Table,
        key: object,
        initializer: Callable[..., Any] | None,
        initargs: tuple[Any, ...],
        *,
        flow: Flow | None,
        own_context: bool,
    ) -> None:
        """Submit to `executor`'s table; `own_context`: not in copies of submitters' contexts."""
        # Kept by this: an executor that is dropped takes no more tasks.
        self._executor: Final = executor
        self._key: Final = key
        self._own_context: Final = own_context
        self._flow: Final = flow
        self._shut = False
        # Those that came in here and are not done; each future takes itself out. That is atomic, as
        # are adding one and copying them (`tests/test_assumptions.py`).
        self._unfinished: Final[set[KeyedFuture[Any]]] = set()
        pending = functools.partial(_pending, table, self._unfinished)
        super().__init__(table, pending, 1, initializer, initargs)

    @override
    def submit[**P, R](
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]:
        """Run `fn(*args, **kwargs)` as `KeyedExecutor.submit_keyed` does."""
        key, flow, unfinished = self._key, self._flow, self._unfinished
        shard = self._table.shard(key)
        future: KeyedFuture[R] = (
            KeyedFuture(shard, key) if flow is None else flow.future(shard, key)
        )
        try:
            # Of the set alone: futures outlive views.
            future.add_done_callback(unfinished.discard)
            unfinished.add(future)
            # 1. This thread adds the future to the set, then reads `_shut`.
            # 2. `shutdown` writes `_shut`, then copies the set.
            # If (1) does not see it, its adding came before the copy of (2), which has the future.
            if self._shut:
                self._refuse()
            function = fn if flow is None else flow.observed(key, fn)
            context = None if self._own_context else copy_context()
            task = Task(shard, key, future, function, args, kwargs or None, context)
            if flow is None:
                self._table.submit(task)
            else:
                flow.submit(task)
        except BaseException:
            # No caller gets it; and it takes itself out of the set.
            future.cancel()
            raise
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks here; the executor of all keys, and other views, go on.

        Args:
            wait: whether to wait until the tasks that were submitted here are done.
            cancel_futures: whether to cancel those of them that do not run yet.

        Raises:
            RuntimeError: if it would wait in a task of the key; it is shut down all the same.
        """
        self._shut = True
        if self._table.in_child:
            return  # the tasks are the parent's
        # Copies are atomic.
        if cancel_futures:
            for future in self._unfinished.copy():
                future.cancel()
        if wait:
            for future in self._unfinished.copy():
                future.wait(NEVER)

    @property
    def _shutdown(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._shut or self._table.closed

    def _refuse(self) -> NoReturn:
        raise RuntimeError(f"{self!r}: cannot schedule new futures after shutdown")

    def __repr__(self) -> str:
        """Show the executor and the key."""
        return f"<{self._executor!r} for key {describe(self._key)}>"


def _pending(table: Table, unfinished: set[KeyedFuture[Any]]) -> Iterator[Task]:
    return (task for task in table.pending() if task.future in unfinished)
