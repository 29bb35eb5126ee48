"""What bounds, rates and tasks over several keys cost, and whether they hold: `benchmarks.flow`.

`bound`: sixteen producers, at most 1,000 tasks that wait, beside a `queue.Queue` of that size with
as many threads, and a `ThreadPoolExecutor` behind a semaphore; and what bounds that: a pool and a
`SimpleQueue` without a bound, and a pool whose messages wait for slots that were made by hand. All
send the same function each time: to give an object back to the thread that made it takes time, too,
on a free-threaded build. `memory`: what is resident after each tenth of 10,000,000 that four
producers send under such a bound. `rate`: 1,000 keys that may begin 100, and 20, times a second, on
two threads; 50 keys of which each task is submitted as the one before it is done; and what it costs
while all wait. `several`: tasks over random pairs of keys,
checked by a count that each of their keys keeps. `bank`: transfers between two of 10,000 accounts,
beside a `ThreadPoolExecutor` whose tasks lock two of as many locks in order.
"""

import argparse
import collections
import concurrent.futures
import queue
import random
import resource
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import threadpool_mb as mb
from benchmarks.machine import resident_memory

PRODUCERS: Final = 16
BOUND: Final = 1000
THREADS: Final = 6

_HANDS: Final = 7
_PARTS: Final = 10
_MAY_GROW: Final = 8
"""MiB by which what is resident may differ, as what is freed comes back or not."""


def _nothing() -> None:
    pass


def _calls(_key: object) -> Generator[None, Callable[[], object]]:
    while True:
        (yield)()


def _produce(
    count: int, submit: Callable[[int, int], object], *, producers: int = PRODUCERS
) -> float:
    """Have the producers submit `count` in all; return how many a second they get through."""

    def produce(producer: int) -> None:
        for number in range(count // producers):
            submit(producer, number)

    threads = [threading.Thread(target=produce, args=(each,)) for each in range(producers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - start)


def _taken(slots: Any) -> int:  # noqa: ANN401 - of a pool, or of an executor
    """Return how many slots of a bound are taken."""
    free = sum(each.qsize() for each in slots.stripes) + slots._free.qsize()  # noqa: SLF001
    return int(BOUND - free - slots._unissued)  # noqa: SLF001


def _bounded(count: int, looks: list[int]) -> float:
    with mb.KeyedExecutor(THREADS, max_waiting=BOUND) as executor:
        over = threading.Event()

        slots: Any = executor._flow.room.slots  # type: ignore[union-attr]  # noqa: SLF001

        def look() -> None:
            while not over.wait(0.005):
                # Not `_work_queue.qsize()`: tasks move on while that goes from shard to shard.
                looks.append(_taken(slots))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            return _produce(count, lambda p, n: executor.submit_keyed((p, n % 50), _nothing))
        finally:
            over.set()
            watcher.join()


def _bounded_pool(count: int, looks: list[int]) -> float:
    with mb.Pool(_calls, start="on_demand", max_waiting=BOUND, max_threads=THREADS) as pool:
        over = threading.Event()
        room: Any = pool._dispatcher._flow.room  # type: ignore[union-attr]  # noqa: SLF001

        def look() -> None:
            while not over.wait(0.005):
                # Not `stats().messages`: messages move on while it goes from worker to worker.
                looks.append(_taken(room))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            return _produce(count, lambda p, n: pool.dispatch((p, n % 50), _nothing))
        finally:
            over.set()
            watcher.join()


def _unbounded_pool(count: int) -> float:
    """Return what a message's way costs without a bound; more wait then, as nobody is held up."""
    with mb.Pool(_calls, start="on_demand", max_threads=THREADS) as pool:
        return _produce(count, lambda p, n: pool.dispatch((p, n % 50), _nothing))


def _pool_by_hand(count: int) -> float:
    """Return what a pool can do under the simplest bound: each key has a part of the slots.

    A sender waits though there are slots in other parts: it is no bound of all keys together.
    """
    parts: list[queue.SimpleQueue[bool]] = [queue.SimpleQueue() for _ in range(_HANDS)]
    for number in range(BOUND):
        parts[number % _HANDS].put(True)  # noqa: FBT003 - a slot

    def worker(key: object) -> Generator[None, Callable[[], object]]:
        free = parts[hash(key) % _HANDS].put
        while True:
            function = yield
            free(True)  # noqa: FBT003 - a slot
            function()

    def send(producer: int, number: int) -> None:
        key = producer, number % 50
        parts[hash(key) % _HANDS].get()
        pool.dispatch(key, _nothing)

    with mb.Pool(worker, start="on_demand", max_threads=THREADS) as pool:
        return _produce(count, send)


def _by_queue(count: int, kind: Callable[[], Any] = lambda: queue.Queue(BOUND)) -> float:
    waiting = kind()

    def consume() -> None:
        while (function := waiting.get()) is not None:
            function()

    threads = [threading.Thread(target=consume) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    rate = _produce(count, lambda *_: waiting.put(_nothing))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    return rate


def _by_semaphore(count: int) -> float:
    free = threading.Semaphore(BOUND)

    def run() -> None:
        free.release()

    with concurrent.futures.ThreadPoolExecutor(THREADS) as executor:

        def submit(*_: int) -> None:
            free.acquire()
            executor.submit(run)

        return _produce(count, submit)


def bound(count: int) -> list[str]:
    """Compare; return what went wrong."""
    looks: list[int] = []
    rows: dict[str, list[float]] = collections.defaultdict(list)
    before = _rss()
    for _ in range(3):
        rows["KeyedExecutor(max_waiting=1000)"].append(_bounded(count, looks))
        rows["Pool(max_waiting=1000)"].append(_bounded_pool(count, looks))
        rows["queue.Queue(1000)"].append(_by_queue(count))
        rows["Pool, slots by hand"].append(_pool_by_hand(count))
        rows["Pool, no bound"].append(_unbounded_pool(count))
        rows["SimpleQueue, no bound, no keys"].append(_by_queue(count, queue.SimpleQueue))
        rows["ThreadPoolExecutor, a semaphore"].append(_by_semaphore(count))
    print(f"bound: {PRODUCERS} producers, {count:,} tasks, three times")
    for name, rates in rows.items():
        print(
            f"  {name}: {sorted(rates)[1]:,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f})"
        )
    print(f"  most that waited: {max(looks, default=0)}; MiB: {before} before, {_rss()} after")
    too_many = max(looks, default=0) > BOUND + PRODUCERS
    return ["more waited than may wait"] if too_many else []


def memory(count: int) -> list[str]:
    """Send that many under a bound, and look at the memory; return what went wrong."""
    faults: list[str] = []
    tenth = count // _PARTS
    for name, send in (("KeyedExecutor", _send_tasks), ("Pool", _send_messages)):
        start = time.perf_counter()
        looks = [size // 2**20 for size in send(tenth)]
        seconds = time.perf_counter() - start
        print(
            f"memory: {name}(max_waiting={BOUND}), {tenth * _PARTS:,} from four producers, resident"
            f" after each tenth, MiB: {', '.join(map(str, looks))}; {seconds:.0f} s"
        )
        # The first tenths are those in which what is kept for good comes to be.
        if looks[-1] > looks[2] + _MAY_GROW:
            faults.append(f"{name}: {looks[-1] - looks[2]} MiB more than after three tenths")
    return faults


def _send_tasks(tenth: int) -> Iterator[int]:
    with mb.KeyedExecutor(2, max_waiting=BOUND) as executor:
        for _ in range(_PARTS):
            _produce(tenth, lambda p, n: executor.submit_keyed((p, n % 50), _nothing), producers=4)
            yield resident_memory()


def _send_messages(tenth: int) -> Iterator[int]:
    def worker(_key: object) -> Generator[None, Any]:
        while True:
            yield

    with mb.Pool(worker, start="on_demand", max_waiting=BOUND, max_threads=2) as pool:
        for _ in range(_PARTS):
            _produce(tenth, lambda p, n: pool.dispatch((p, n % 50), n), producers=4)
            yield resident_memory()


def rate(seconds: float) -> list[str]:
    """Look how many tasks begin, and what that costs; return what went wrong."""
    keys = 1000
    for per_second in (100, 20):
        begun, elapsed, used = _throttled(keys, per_second, seconds)
        # The first of each key begins at once.
        due = per_second * elapsed + 1
        worst = max(begun, key=lambda count: abs(count - due))
        print(
            f"rate: {keys:,} keys, {per_second} a second each, {elapsed:.2f} s: due {due:.0f},"
            f" {min(begun)} to {max(begun)} begun, off by {abs(worst - due) / due:.1%} at most;"
            f" {used / elapsed:.2f} cores, {used / max(1, sum(begun)) * 1e6:.1f} µs each"
        )
    rounds, elapsed = _one_by_one(50, 50, seconds)
    due = 50 * elapsed
    print(
        f"  50 keys, 50 a second each, submitted one by one: due {due:.0f}, {min(rounds)} to"
        f" {max(rounds)} begun"
    )
    with mb.KeyedExecutor(2, rate=mb.Rate(0.1)) as executor:
        for _ in range(2):
            for key in range(keys):
                executor.submit_keyed(key, _nothing)
        time.sleep(0.5)
        used, start = time.process_time(), time.perf_counter()
        time.sleep(2.0)
        share = (time.process_time() - used) / (time.perf_counter() - start)
        for each in range(keys):
            executor.cancel_key(each)
    print(f"  while all of them wait: {share:.1%} of a core")
    return []


def _throttled(keys: int, per_second: int, seconds: float) -> tuple[list[int], float, float]:
    """Return how many began of each key; the seconds, and the processor's seconds.

    More of each key wait than are due.
    """
    begun = [0] * keys

    def begin(key: int) -> None:
        begun[key] += 1

    with mb.KeyedExecutor(2, rate=mb.Rate(per_second)) as executor:
        all_are_there = threading.Event()
        executor.submit_exclusive(all_are_there.wait)
        for _ in range(int(per_second * (seconds + 1))):
            for key in range(keys):
                executor.submit_keyed(key, begin, key)
        start, used = time.perf_counter(), time.process_time()
        all_are_there.set()
        time.sleep(seconds)
        counts, elapsed = list(begun), time.perf_counter() - start
        used = time.process_time() - used
        for key in range(keys):
            executor.cancel_key(key)
    return counts, elapsed, used


def _one_by_one(keys: int, per_second: int, seconds: float) -> tuple[list[int], float]:
    """Return how many began of each key, of which each comes as the one before it is done."""
    begun = [0] * keys
    over = threading.Event()

    def submit(key: int) -> None:
        while not over.is_set():
            executor.submit_keyed(key, _nothing).result()
            begun[key] += 1

    with mb.KeyedExecutor(2, rate=mb.Rate(per_second)) as executor:
        threads = [threading.Thread(target=submit, args=(key,)) for key in range(keys)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        counts, elapsed = list(begun), time.perf_counter() - start
        over.set()
        for thread in threads:
            thread.join()
    return counts, elapsed


def several(count: int) -> list[str]:
    """Run tasks over random pairs; return what went wrong."""
    keys = 100
    draw = random.Random(1)  # noqa: S311 - no secret
    # Of each key, how many tasks that use it have run, and how many were submitted.
    run = [0] * keys
    submitted = [0] * keys
    wrong: list[tuple[int, int, int]] = []

    def use(pair: tuple[int, int], numbers: tuple[int, int]) -> None:
        for key, number in zip(pair, numbers, strict=True):
            if run[key] != number:
                wrong.append((key, run[key], number))
            run[key] = number + 1

    start = time.perf_counter()
    with mb.KeyedExecutor(THREADS, max_waiting=10_000) as executor:
        for _ in range(count):
            first, second = draw.sample(range(keys), 2)
            pair = first, second
            numbers = submitted[first], submitted[second]
            submitted[first] += 1
            submitted[second] += 1
            executor.submit_multi(pair, use, pair, numbers)
    seconds = time.perf_counter() - start
    print(
        f"several: {count:,} tasks over pairs of {keys} keys: {seconds / count * 1e6:.1f} µs each;"
        f" all have run: {run == submitted}; out of order: {len(wrong)}"
    )
    return [f"out of order: {each}" for each in wrong[:5]] + ["lost"] * (run != submitted)


def _bank(count: int, transfers: Callable[[list[int], list[tuple[int, int]]], None]) -> float:
    accounts = [100] * 10_000
    draw = random.Random(2)  # noqa: S311 - no secret
    pairs: list[tuple[int, int]] = []
    for _ in range(count):
        one, other = draw.sample(range(len(accounts)), 2)
        pairs.append((one, other))
    start = time.perf_counter()
    transfers(accounts, pairs)
    seconds = time.perf_counter() - start
    if sum(accounts) != 100 * len(accounts):
        raise AssertionError("money was lost")
    return seconds / count * 1e6


def _move(accounts: list[int], one: int, other: int) -> None:
    accounts[one] -= 1
    accounts[other] += 1


def _by_keys(accounts: list[int], pairs: list[tuple[int, int]]) -> None:
    with mb.KeyedExecutor(THREADS) as executor:
        for pair in pairs:
            executor.submit_multi(pair, _move, accounts, *pair)


def _by_locks(accounts: list[int], pairs: list[tuple[int, int]]) -> None:
    locks = {number: threading.Lock() for number in range(len(accounts))}

    def move(one: int, other: int) -> None:
        with locks[min(one, other)], locks[max(one, other)]:
            _move(accounts, one, other)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as executor:
        for pair in pairs:
            executor.submit(move, *pair)


def bank(count: int) -> list[str]:
    """Compare; return what went wrong."""
    ours, theirs = [], []
    for _ in range(5):
        ours.append(_bank(count, _by_keys))
        theirs.append(_bank(count, _by_locks))
    ratios = sorted(their / our for our, their in zip(ours, theirs, strict=True))
    print(
        f"bank: {count:,} transfers: submit_multi {sorted(ours)[2]:.1f} µs each, a dict of locks"
        f" {sorted(theirs)[2]:.1f}: {ratios[2]:.2f} times as fast ({ratios[0]:.2f} to"
        f" {ratios[-1]:.2f})"
    )
    return []


def _rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(words: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.flow",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", help="bound, memory, rate, several, bank")
    parser.add_argument("--scale", type=float, default=1.0, help="more or less work (1.0)")
    arguments = parser.parse_args(words)
    scale: float = arguments.scale
    things: dict[str, Callable[[], list[str]]] = {
        "bound": lambda: bound(int(2e5 * scale)),
        "memory": lambda: memory(int(1e7 * scale)),
        "rate": lambda: rate(5 * scale),
        "several": lambda: several(int(1e6 * scale)),
        "bank": lambda: bank(int(2e4 * scale)),
    }
    unknown = [name for name in arguments.what if name not in things]
    if unknown:
        parser.error(f"no such thing: {', '.join(unknown)} (there are: {', '.join(things)})")
    print(f"CPython {sys.version}")
    faults = [fault for name in arguments.what or things for fault in things[name]()]
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
