"""What reusing a thread saves: a job on a new thread against a job for an idle one."""

import functools
import threading
import time
from collections.abc import Callable, Iterator

from benchmarks.measuring import Result, compare
from threadpool_mb.arguments import Deadline
from threadpool_mb.scheduling.threads import ThreadCache


def _new_threads(count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        done = threading.Event()
        threading.Thread(target=done.set).start()
        done.wait()
    return time.perf_counter() - start


def _cached_threads(count: int) -> float:
    cache = ThreadCache("benchmark")
    start = time.perf_counter()
    for _ in range(count):
        done = threading.Event()
        cache.start(done.set)
        done.wait()
    took = time.perf_counter() - start
    cache.close()
    cache.join(Deadline(None))
    return took


def reusing(rounds: int, scale: float) -> Iterator[tuple[str, list[Result]]]:
    """One job after another, each waited for."""
    count = int(500 * scale)
    contenders: dict[str, Callable[[], float]] = {
        "a new thread": functools.partial(_new_threads, count),
        "a cached thread": functools.partial(_cached_threads, count),
    }
    yield "one job on a thread", compare(contenders, rounds=rounds, messages=count)
