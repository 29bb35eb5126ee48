"""One stuck key among many: who else waits for it."""

import dataclasses
import itertools
import random
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from time import perf_counter, sleep
from typing import Any, Final

import threadpool_mb as mb
from benchmarks.measuring import PATIENCE, measure, ours, peer, scaled, tabulate
from benchmarks.peers.sharded import ShardedExecutors
from benchmarks.results import Comparison

KEYS: Final = 1000
THREADS: Final = 8
PER_SECOND: Final = 2000
SECONDS: Final = 1.0
LATE: Final = 0.1
"""Seconds from which on a message counts as held up."""


@dataclasses.dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from when each message of a healthy key was due until it was handled."""

    seconds: tuple[float, ...]

    def percentile(self, percent: float) -> float:
        """Return the latency that so many per cent do not exceed."""
        ordered = sorted(self.seconds)
        place = -(-len(ordered) * percent // 100)  # rounded up
        return ordered[max(0, int(place) - 1)]

    def held_up(self) -> float:
        """Return how many per cent were late."""
        return 100 * sum(took > LATE for took in self.seconds) / len(self.seconds)


class Work:
    """The messages of one run, and what became of them."""

    def __init__(self, keys: int, messages: int) -> None:
        chance = random.Random(keys)  # noqa: S311 - not for secrets
        self.keys: Final = chance.sample(range(2**32), keys)
        self.stuck: Final = self.keys.pop()
        weights = [1 / rank for rank in range(1, keys)]
        self.order: Final = chance.choices(self.keys, weights, k=messages)
        self.released: Final = threading.Event()
        self.due: list[float] = []
        # A key's list is written by one thread at a time.
        self.handled: Final[dict[int, list[tuple[int, float]]]] = {key: [] for key in self.keys}

    def handle(self, key: int, number: int) -> None:
        """Handle a message: wait for the release, if it is the stuck key's."""
        if key == self.stuck:
            self.released.wait(PATIENCE)
        else:
            self.handled[key].append((number, perf_counter()))

    def generator(self, key: int) -> Generator[None, int]:
        """Handle messages by `yield`."""
        while True:
            number = yield
            self.handle(key, number)

    def produce(self, send: Callable[[int, int], object]) -> None:
        """Send when each message is due, whether or not earlier ones were handled."""
        send(self.stuck, -1)
        start = perf_counter()
        for number, key in enumerate(self.order):
            due = start + number / PER_SECOND
            self.due.append(due)
            while (early := due - perf_counter()) > 0:
                sleep(early)
            send(key, number)
        self.released.set()

    def latencies(self) -> Latencies:
        """Return how long the messages took, after all were handled."""
        for handled in self.handled.values():
            if any(one >= other for (one, _), (other, _) in itertools.pairwise(handled)):
                raise AssertionError("messages are out of order")
        every = {
            number: end - self.due[number]
            for handled in self.handled.values()
            for number, end in handled
        }
        if len(every) != len(self.order):
            raise AssertionError("messages are missing")
        return Latencies(tuple(every.values()))


def _executor(make: Callable[[], AbstractContextManager[Any]], keys: int, count: int) -> Latencies:
    work = Work(keys, count)
    with make() as executor:
        work.produce(lambda key, number: executor.submit_keyed(key, work.handle, key, number))
    return work.latencies()


def _pool(keys: int, count: int) -> Latencies:
    work = Work(keys, count)
    with mb.Pool(work.generator, max_threads=THREADS) as pool:
        for key in (*work.keys, work.stuck):
            pool.initialize(key)
        work.produce(pool.dispatch)
    return work.latencies()


def isolation(rounds: int, scale: float) -> Iterator[Comparison]:
    """One key is stuck from the first message to the last; how long do the others wait?

    A producer sends 2,000 messages a second to 1,000 keys, some much more often than others (Zipf),
    whether or not earlier ones were handled. A latency counts from when a message was due, so that
    a producer that is held up does not hide it. 8 threads; the stuck key holds one of them. In
    one-thread executors it holds the other keys of its shard as well.
    """
    keys, messages = (
        scaled(KEYS, scale, least=10),
        scaled(int(PER_SECOND * SECONDS), scale, least=10),
    )
    entries = [
        peer(
            f"{THREADS} one-thread executors",
            _executor,
            lambda: ShardedExecutors(THREADS),
            keys,
            messages,
        ),
        ours(
            f"KeyedExecutor({THREADS}).submit_keyed",
            _executor,
            lambda: mb.KeyedExecutor(max_workers=THREADS),
            keys,
            messages,
        ),
        ours(f"Pool, generators, {THREADS} threads", _pool, keys, messages),
    ]
    found = measure(entries, rounds=rounds)
    pick: dict[str, tuple[str, Callable[[Latencies], float]]] = {
        "half of the messages take at most": ("ms", lambda one: one.percentile(50) * 1e3),
        "99 of 100 take at most": ("ms", lambda one: one.percentile(99) * 1e3),
        "the longest takes": ("ms", lambda one: one.percentile(100) * 1e3),
        f"messages held up for more than {LATE * 1e3:.0f} ms": ("%", Latencies.held_up),
    }
    for title, (unit, value) in pick.items():
        figures = {name: [value(one) for one in many] for name, many in found.items()}
        yield tabulate(f"one stuck key of {keys}: {title}", unit, entries, figures)
