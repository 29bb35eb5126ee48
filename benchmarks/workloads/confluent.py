"""Handlers that wait, keyed ever more finely: the workload of Confluent's parallel consumer."""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from time import perf_counter, sleep
from typing import Any, Final

import threadpool_mb as mb
from benchmarks.measuring import compare, ours, peer, scaled
from benchmarks.peers.sharded import ShardedExecutors
from benchmarks.results import Comparison

MESSAGES: Final = 10_000
LONGEST: Final = 0.005
"""Seconds, as in Confluent's table."""
THREADS: Final = 16
LONG: Final = 3.0
"""Seconds of a run from which on it is done in one round only."""

type Jobs = Sequence[tuple[int, float]]
"""Keys, each with the seconds of waiting."""


def draw(keys: int, messages: int) -> Jobs:
    """Return the same jobs for every run: random keys, random waiting."""
    chance = random.Random(keys)  # noqa: S311 - not for secrets
    known = chance.sample(range(2**32), keys)
    return [(chance.choice(known), chance.uniform(0, LONGEST)) for _ in range(messages)]


def _run(make: Callable[[], AbstractContextManager[Any]], jobs: Jobs) -> float:
    handled: dict[int, list[int]] = {key: [] for key, _ in jobs}

    def handle(key: int, number: int, seconds: float) -> None:
        sleep(seconds)
        handled[key].append(number)

    start = perf_counter()
    with make() as executor:
        submit: Callable[..., Future[None]] = executor.submit_keyed
        for number, (key, seconds) in enumerate(jobs):
            submit(key, handle, key, number, seconds)
    took = perf_counter() - start
    expected: dict[int, list[int]] = {key: [] for key in handled}
    for number, (key, _) in enumerate(jobs):
        expected[key].append(number)
    if handled != expected:
        raise AssertionError("jobs are missing or out of order")
    return took


def _expected_seconds(jobs: Jobs) -> float:
    """Return how long the threads need at least: a key's jobs cannot run at once."""
    by_key: dict[int, float] = dict.fromkeys((key for key, _ in jobs), 0.0)
    for key, seconds in jobs:
        by_key[key] += seconds
    return max(sum(by_key.values()) / THREADS, *by_key.values())


def confluent(rounds: int, scale: float) -> Iterator[Comparison]:
    """Messages whose handlers wait, in order per key, on 16 threads, over the number of keys.

    Each waits 0 to 5 ms (drawn beforehand, the same for all), so what counts is how many keys are
    waiting at once. A shard waits with one of its keys while it has others. A run of more than 3 s
    (a single key) is done in one round, and no round of it goes uncounted.
    """
    messages = scaled(MESSAGES, scale)
    for keys in (1, 10, 100, 1000, 10_000):
        jobs = draw(keys, messages)
        entries = [
            peer(f"{THREADS} one-thread executors", _run, lambda: ShardedExecutors(THREADS), jobs),
            ours(
                f"KeyedExecutor({THREADS}).submit_keyed",
                _run,
                lambda: mb.KeyedExecutor(max_workers=THREADS),
                jobs,
            ),
        ]
        long = _expected_seconds(jobs) > LONG
        yield compare(
            f"{messages} waits of 0 to {LONGEST * 1e3} ms, {keys} keys",
            "s",
            entries,
            rounds=1 if long else rounds,
            warm_up=not long,
            series=f"{messages} waits over the number of keys",
            x=keys,
            x_label="keys",
        )
