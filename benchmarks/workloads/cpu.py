"""Handlers that compute: what a second core brings."""

import threading
from collections.abc import Callable, Generator, Iterator
from time import perf_counter
from typing import Final

import threadpool_mb as mb
from benchmarks.machine import cores
from benchmarks.measuring import Entry, measure, ours, peer, scaled, tabulate
from benchmarks.results import Comparison

KEYS: Final = 100
MESSAGES: Final = 400
STEPS: Final = 5000


def compute(number: int, steps: int) -> int:
    """Keep one core busy with integers of its own."""
    value = number
    for step in range(steps):
        value = (value * 1103515245 + 12345 + step) & 0x7FFFFFFF
    return value


def _expect(found: dict[int, int], messages: int, steps: int) -> None:
    # One message in ten is computed again; that all are there is seen from the numbers.
    if sorted(found) != list(range(messages)):
        raise AssertionError("messages are missing")
    for number in range(0, messages, 10):
        if found[number] != compute(number, steps):
            raise AssertionError("a wrong result")


def _bare(threads: int, messages: int, steps: int) -> float:
    """Share the messages among bare threads beforehand."""
    results: list[dict[int, int]] = [{} for _ in range(threads)]

    def work(first: int) -> None:
        mine: dict[int, int] = {}
        for number in range(first, messages, threads):
            mine[number] = compute(number, steps)
        results[first] = mine

    some = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
    start = perf_counter()
    for thread in some:
        thread.start()
    for thread in some:
        thread.join()
    took = perf_counter() - start
    _expect({number: value for mine in results for number, value in mine.items()}, messages, steps)
    return took


def _pool(threads: int, messages: int, steps: int) -> float:
    results: list[list[tuple[int, int]]] = [[] for _ in range(KEYS)]

    def worker(key: int) -> Generator[None, int]:
        mine = results[key]
        while True:
            number = yield
            mine.append((number, compute(number, steps)))

    start = perf_counter()
    with mb.Pool(worker, max_threads=threads) as pool:
        for key in range(KEYS):
            pool.initialize(key)
        for number in range(messages):
            pool.dispatch(number % KEYS, number)
    took = perf_counter() - start
    for mine in results:
        if mine != sorted(mine):
            raise AssertionError("messages are out of order")
    _expect(dict(pair for mine in results for pair in mine), messages, steps)
    return took


def _executor(threads: int, messages: int, steps: int) -> float:
    start = perf_counter()
    with mb.KeyedExecutor(max_workers=threads) as executor:
        futures = [
            executor.submit_keyed(number % KEYS, compute, number, steps)
            for number in range(messages)
        ]
    took = perf_counter() - start
    _expect({number: future.result() for number, future in enumerate(futures)}, messages, steps)
    return took


def cpu(rounds: int, scale: float) -> Iterator[Comparison]:
    """Handlers that compute, on one thread and on as many as there are cores.

    A loop over integers in Python, on data of the thread's own, 100 keys. First the times; then,
    for each number of threads, the speed-up over one thread of the same kind, round by round.
    Two bare threads that share the messages beforehand say what the machine has to give.
    """
    messages, steps = MESSAGES, scaled(STEPS, scale, least=10)
    kinds: list[tuple[str, Callable[[int, int, int], float], Callable[..., Entry[float]]]] = [
        ("bare threads", _bare, peer),
        ("Pool, generators", _pool, ours),
        ("KeyedExecutor", _executor, ours),
    ]
    counts = sorted({1, 2, *(2**n for n in range(2, 8) if 2**n < cores()), cores()})
    entries = {
        (kind, threads): enter(f"{kind}, {threads}", run, threads, messages, steps)
        for threads in counts
        for kind, run, enter in kinds
    }
    seconds = measure(list(entries.values()), rounds=rounds)
    times = {name: [value * 1e3 for value in values] for name, values in seconds.items()}
    yield tabulate(f"{messages} messages of {steps} steps", "ms", list(entries.values()), times)
    for threads in counts[1:]:
        speed_ups = {
            kind: [
                one / more
                for one, more in zip(
                    seconds[f"{kind}, 1"], seconds[f"{kind}, {threads}"], strict=True
                )
            ]
            for kind, _, _ in kinds
        }
        yield tabulate(
            f"speed-up of {threads} threads over one",
            "×",
            [enter(kind, run) for kind, run, enter in kinds],
            speed_ups,
            higher_is_better=True,
            series="speed-up over one thread" if len(counts) > 2 else "",  # noqa: PLR2004 - a line
            x=threads,
            x_label="threads",
        )
