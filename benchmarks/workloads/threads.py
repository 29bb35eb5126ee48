"""What reusing a thread saves: a job on a new thread against a job for an idle one."""

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import threadpool_mb as mb
from benchmarks.measuring import compare, ours, peer, scaled
from benchmarks.results import Comparison
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.cached import ThreadCache

THREADS: Final = 8


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


def _bare(count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        waiting = queue.SimpleQueue[None]()
        some = [threading.Thread(target=waiting.get) for _ in range(THREADS)]
        for thread in some:
            thread.start()
        for _ in some:
            waiting.put(None)
        for thread in some:
            thread.join()
    return time.perf_counter() - start


def _executors(count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        with ThreadPoolExecutor(THREADS) as executor:
            together = threading.Barrier(THREADS)
            for _ in range(THREADS):
                executor.submit(together.wait)
    return time.perf_counter() - start


def _wait_for_the_end(_key: int, mailbox: mb.Mailbox[None]) -> None:
    for _ in mailbox:
        pass


def _pools(count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        with mb.Pool(_wait_for_the_end) as pool:
            for key in range(THREADS):
                pool.initialize(key)
    return time.perf_counter() - start


def threads(rounds: int, scale: float) -> Iterator[Comparison]:
    """What threads cost: a job on a new one or an idle one; 8 of them that are started and ended.

    A pool's function workers get idle ones where there are any. Jobs come one after another, each
    waited for. The 8 have nothing to do but to wait for their end; a pool has a dispatcher besides.
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
    count = scaled(50, scale)
    yield compare(
        f"{THREADS} threads, started and ended",
        "ms",
        [
            peer("bare threads", _bare, count),
            peer(f"ThreadPoolExecutor({THREADS})", _executors, count),
            ours(f"Pool, {THREADS} function workers", _pools, count),
        ],
        rounds=rounds,
        factor=1e3 / count,
    )
