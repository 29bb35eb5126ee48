"""Throughput from several producers at once."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final

import threadpool_mb as mb
from benchmarks.machine import cores
from benchmarks.measuring import compare, ours, peer, run_threads, scaled
from benchmarks.results import Comparison

KEYS: Final = 1000
MESSAGES: Final = 50_000

type Message = tuple[int, int]
"""Producer and number."""


class Work:
    """What the producers of one run send, and what became of it."""

    def __init__(self, producers: int, messages: int) -> None:
        self._producers: Final = producers
        self.each: Final = messages // producers
        # A key's list is written by one thread at a time; the unordered peer's by any.
        self.handled: Final[list[list[Message]]] = [[] for _ in range(KEYS)]

    def generator(self, key: int) -> Generator[None, Message]:
        """Handle messages by `yield`."""
        handle = self.handled[key].append
        while True:
            handle((yield))

    def run(self, produce: Callable[[int], object], close: Callable[[], object]) -> float:
        """Run the producers, then `close`; return the seconds until all is handled."""
        start = perf_counter()
        run_threads(
            *[lambda producer=producer: produce(producer) for producer in range(self._producers)]
        )
        close()
        return perf_counter() - start

    def check(self, *, ordered: bool) -> None:
        """Raise an error unless each message was handled once, and `ordered` by key."""
        for key, handled in enumerate(self.handled):
            for producer in range(self._producers):
                numbers = [number for sender, number in handled if sender == producer]
                if not ordered:
                    numbers.sort()
                if numbers != list(range(key, self.each, KEYS)):
                    raise AssertionError(f"messages of key {key} are missing or out of order")


def _throughput(work: Work, seconds: float, producers: int) -> float:
    return work.each * producers / seconds


def _keyed_executor(producers: int, messages: int) -> float:
    work = Work(producers, messages)
    executor = mb.KeyedExecutor(max_workers=cores())

    def produce(producer: int) -> None:
        submit, handled = executor.submit_keyed, work.handled
        for number in range(work.each):
            key = number % KEYS
            submit(key, handled[key].append, (producer, number))

    seconds = work.run(produce, executor.shutdown)
    work.check(ordered=True)
    return _throughput(work, seconds, producers)


def _pool(producers: int, messages: int) -> float:
    work = Work(producers, messages)
    pool: mb.Pool[int, Message] = mb.Pool(work.generator, max_threads=cores())
    for key in range(KEYS):
        pool.initialize(key)

    def produce(producer: int) -> None:
        dispatch = pool.dispatch
        for number in range(work.each):
            dispatch(number % KEYS, (producer, number))

    def close() -> None:
        pool.close()
        pool.join()

    seconds = work.run(produce, close)
    work.check(ordered=True)
    return _throughput(work, seconds, producers)


def _thread_pool_executor(producers: int, messages: int) -> float:
    work = Work(producers, messages)
    executor = ThreadPoolExecutor(cores())

    def produce(producer: int) -> None:
        submit, handled = executor.submit, work.handled
        for number in range(work.each):
            submit(handled[number % KEYS].append, (producer, number))

    seconds = work.run(produce, executor.shutdown)
    work.check(ordered=False)
    return _throughput(work, seconds, producers)


def producers(rounds: int, scale: float) -> Iterator[Comparison]:
    """Messages a second from 1, 2 and 4 producers, round robin to 1,000 keys.

    Each producer sends its share to all keys. Timed from the producers' start until every message
    is handled. All have as many threads as there are cores. `ThreadPoolExecutor` keeps no order.
    """
    messages = scaled(MESSAGES, scale, least=4)
    for count in (1, 2, 4):
        entries = [
            peer(
                f"ThreadPoolExecutor({cores()}).submit, out of order",
                _thread_pool_executor,
                count,
                messages,
            ),
            ours(f"KeyedExecutor({cores()}).submit_keyed", _keyed_executor, count, messages),
            ours("Pool, generators, dispatch", _pool, count, messages),
        ]
        yield compare(
            f"{count} producer{'s' if count > 1 else ''}",
            "messages per second",
            entries,
            rounds=rounds,
            higher_is_better=True,
            series="throughput over the number of producers",
            x=count,
            x_label="producers",
        )
