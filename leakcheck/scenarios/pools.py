"""Pools as the scenarios need them."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import threadpool_mb as mb
from leakcheck.waiting import PATIENCE, StuckError, until

THREADS: Final = 2
"""Shared threads of a pool of generator workers."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Meeting:
    """A key whose worker waits until all threads are there."""

    number: int
    barrier: threading.Barrier


@contextlib.contextmanager
def lasting_pool(
    worker: Callable[[Any], Generator[None, Any, object]],
    **options: Any,  # noqa: ANN401 - of a pool
) -> Iterator[mb.Pool[Any, Any]]:
    """Give a pool of generator workers that lasts over all rounds, with all its threads started.

    All, so that a thread which comes later is one too many.
    """

    def worker_or_meeting(key: object) -> Generator[None, Any, object]:
        if isinstance(key, _Meeting):
            key.barrier.wait(PATIENCE)
            return
        yield from worker(key)

    with mb.Pool(worker_or_meeting, max_threads=THREADS, **options) as pool:
        barrier = threading.Barrier(THREADS)
        for number in range(THREADS):
            pool.initialize(_Meeting(number, barrier))
        until_idle(pool)
        yield pool


def expect_end(report: mb.DrainReport[Any]) -> None:
    """Take note of what `join` or `drain` has reported of a pool, which has to have ended."""
    if not report.finished:
        raise StuckError(f"a pool has not ended: {report}")


def until_idle(pool: mb.Pool[Any, Any]) -> None:
    """Wait until no worker is left in a pool."""
    until(lambda: not list(pool.workers()), "workers to end")
