"""What reusing a thread saves: a job on a new thread against a job for an idle one."""

import threading
import time
from collections.abc import Iterator

from benchmarks.measuring import compare, ours, peer, scaled
from benchmarks.results import Comparison
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


def threads(rounds: int, scale: float) -> Iterator[Comparison]:
    """A job on a new thread against a job for an idle one, which is what a pool's workers get.

    One job after another, each waited for.
    """
    count = scaled(500, scale)
    yield compare(
        "one job on a thread",
        "µs per job",
        [
            peer("a new thread", _new_threads, count),
            ours("a cached thread", _cached_threads, count),
        ],
        rounds=rounds,
        factor=1e6 / count,
    )
