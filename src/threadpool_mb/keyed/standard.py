"""What an executor has of `ThreadPoolExecutor` besides tasks: `map`, and what libraries look at.

asyncio wants a `ThreadPoolExecutor` as its default executor; dask, metrics exporters and pub/sub
clients read what is private there. So ours is one, with the same private names and true values
under them; but none of its insides: `__init__` is not called, and no method of it runs but `with`.
"""

import concurrent.futures
import functools
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Final, cast, final, override

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.keyed.withdrawn import Withdrawn
from threadpool_mb.values import Uncopied

__all__ = ["StandardExecutor", "WaitingTasks", "results_of", "submitted_results_of"]


@final
class WaitingTasks:
    """The tasks that wait, as the queue that a `ThreadPoolExecutor` has of them.

    Threads: internally synchronized.
    """

    def __init__(self, pending: Callable[[], Iterator[Task]]) -> None:
        """Look at what `pending()` yields, which does not refer to the executor: it has this."""
        self._pending: Final = pending
        # What `get` has found and not taken yet, by number, so that to take n tasks is to look at
        # each once; and these numbers, in order. What is done takes itself out: a task has what it
        # was called with, and its result.
        self._found: Final[dict[int, Task]] = {}
        self._numbers: Final[deque[int]] = deque()
        self._next_number: Final = itertools.count()

    def qsize(self) -> int:
        """Return how many wait."""
        return len({task.future for task in self._pending()})

    def empty(self) -> bool:
        """Return whether none waits."""
        return next(self._pending(), None) is None

    def get(self, *_: object, **__: object) -> Withdrawn:
        """Take a task back: it will not run, and its future is cancelled.

        Blocks: never, whatever `block` and `timeout` are: only the executor's threads wait here.

        Raises:
            queue.Empty: if none waits.
        """
        while True:
            try:
                number = self._numbers.popleft()
            except IndexError:
                if not self._look():
                    raise queue.Empty from None
                continue
            task = self._found.pop(number, None)
            if task is not None and (withdrawn := task.withdraw()) is not None:
                return withdrawn

    def _look(self) -> bool:
        """Find what waits; return whether there is something."""
        found = False
        for task, future in [(task, task.future) for task in self._pending()]:
            if future is None:
                continue  # it has run meanwhile
            found = True
            number = next(self._next_number)
            self._numbers.append(number)
            self._found[number] = task
            # Of the dict alone: futures outlive executors. What is called has the future for what
            # `pop` returns if the task was taken. If it is done already, it is called at once.
            future.add_done_callback(functools.partial(self._found.pop, number))
        return found

    def get_nowait(self) -> Withdrawn:
        """Take a task back; see `get`."""
        return self.get()


class StandardExecutor(Uncopied, concurrent.futures.ThreadPoolExecutor):
    """An executor over a table of tasks; subclasses say how tasks come in, and how it ends."""

    def __init__(  # pyright: ignore[reportMissingSuperCall] - see above
        self,
        table: Table,
        pending: Callable[[], Iterator[Task]],
        max_workers: int,
        initializer: Callable[..., Any] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        """Show what is given and what `table` knows; `pending` is for `WaitingTasks`."""
        self._table: Final = table
        # For libraries that look; nothing here reads them.
        self._work_queue = WaitingTasks(pending)  # type: ignore[assignment]
        self._max_workers = max_workers
        self._thread_name_prefix = table.name
        self._initializer = initializer
        self._initargs = initargs

    @override
    def map[R](
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """Return the results of `fn(*args)` in the order of `zip(*iterables)`.

        As on 3.14, and the same on 3.13; but what it returns keeps the executor until all is
        submitted, so that no item is left out where it is the last one to have it. All run in
        copies of the context in which this was called.

        Args:
            fn: what is run.
            iterables: consumed at once; with a `buffersize` on the thread that takes the results.
            timeout: seconds from this call on; `None` for ever.
            chunksize: is for processes.
            buffersize: how many items are submitted ahead of the result that is taken; `None`: all.

        Blocks: taking a result blocks until it is there.

        Raises:
            TimeoutError: in the place of a result, if the timeout ran out; what does not run yet is
                cancelled.
            TypeError: if `buffersize` is no `int`.
            ValueError: if it is less than 1, or the timeout is no number of seconds.
        """
        del chunksize
        if buffersize is not None and not isinstance(buffersize, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        deadline = Deadline(timeout, real=True)
        context = copy_context()
        futures = (context.run(self.submit, fn, *args) for args in zip(*iterables, strict=False))
        ahead = deque(itertools.islice(futures, buffersize))
        return results_of(ahead, futures, deadline)

    @property
    def _threads(self) -> set[threading.Thread]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._table.threads.all()

    @property
    def _idle_semaphore(self) -> threading.Semaphore:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        # For its value.
        return threading.Semaphore(self._table.threads.idle)

    @property
    def _shutdown(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._table.closed

    @property
    def _broken(self) -> bool | str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._table.why_broken if self._table.broken else False

    @override
    def _adjust_thread_count(self) -> None:
        self._table.threads.grow_if_needed()

    @override
    def _initializer_failed(self) -> None:
        self._table.break_down()


def results_of[R](
    ahead: deque[Future[R]], futures: Iterator[Future[R]], deadline: Deadline
) -> Iterator[R]:
    """Yield the results of the futures that are `ahead`, and take another future for each.

    Where that is stopped, by an error or by closing the iterator, the futures that are ahead are
    cancelled; not those of an iterator that has not begun.
    """
    try:
        while True:  # not of a condition; see `interrupts`
            if not ahead:
                break
            # In a list, which is empty while this waits to go on: it keeps no result.
            result = [_first_of(ahead, deadline)]
            ahead.extend(itertools.islice(futures, 1))
            yield result.pop()
    finally:
        _cancel(ahead)


def submitted_results_of[R](futures: Iterator[Future[R]], buffersize: int | None) -> Iterator[R]:
    """Take as many futures as should be ahead; then yield results as `results_of` does.

    What is returned has begun: to close it cancels.
    """
    results = _from_the_beginning(futures, buffersize)
    next(results)
    return results


def _from_the_beginning[R](futures: Iterator[Future[R]], buffersize: int | None) -> Iterator[R]:
    ahead: deque[Future[R]] = deque()
    try:
        ahead.extend(itertools.islice(futures, buffersize))
        yield cast("R", None)
        yield from results_of(ahead, futures, NEVER)
    finally:
        _cancel(ahead)


def _first_of[R](ahead: deque[Future[R]], deadline: Deadline) -> R:
    # Still in there while it is waited for: an interrupt cancels it too.
    result = ahead[0].result(deadline.remaining())
    ahead.popleft()
    return result


def _cancel(futures: deque[Future[Any]]) -> None:
    # The last one first, so that none begins as the one before it is cancelled. None is left for
    # the frames that an error's traceback holds: a future has the error.
    while futures:
        futures.pop().cancel()
