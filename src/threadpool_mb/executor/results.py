"""Results in the order in which their tasks were submitted, and what becomes of the rest."""

import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, cast

from threadpool_mb.arguments import NEVER, Deadline

__all__ = ["results_of", "submitted_results_of"]


def results_of[R](
    ahead: deque[Future[R]], futures: Iterator[Future[R]], deadline: Deadline
) -> Iterator[R]:
    """Yield the results of the futures that are `ahead`, and take another future for each.

    Where that is stopped, by an error or by closing the iterator, the futures that are ahead are
    cancelled; not those of an iterator that has not begun.
    """
    try:
        while ahead:
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
