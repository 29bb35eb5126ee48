"""Curves instead of points: what more keys, senders and threads do."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from benchmarks.growth.flooding import Flood
from benchmarks.growth.life import Life
from benchmarks.machine import cores
from benchmarks.measuring import Entry, compare, ideal, measure, ours, peer, scaled, tabulate
from benchmarks.peers.installed import NIGRAINS, TONIO
from benchmarks.processes import run_module
from benchmarks.results import Comparison

LIVING: Final = (1_000, 10_000, 100_000, 1_000_000)
MANY: Final = 300_000
"""Keys from which on a life takes so long that there is one round only."""
SENDERS: Final = (1, 2, 4, 8, 16)
KEYS: Final = (1, 10, 100, 1_000, 10_000)
THREADS: Final = (1, 2, 4, 8, 16, 32)
MESSAGES: Final = 50_000
SLEEPS: Final = 1_000
SLEEP: Final = 0.001
"""Seconds for which a handler sleeps."""
EXPONENT: Final = 1.1
"""Of Zipf's law: the first of 1,000 keys gets 18 % of the messages."""


def live_in_process(kind: str, count: int) -> Life:
    """Run `benchmarks.growth.life` in a process of its own."""
    return Life(**run_module("benchmarks.growth.life", kind, str(count)))


def flood_in_process(flood: Flood) -> float:
    """Run `benchmarks.growth.flooding` in a process of its own."""
    speed: float = run_module("benchmarks.growth.flooding", json.dumps(dataclasses.asdict(flood)))
    return speed


def _lives(rounds: int, scale: float) -> Iterator[Comparison]:
    for many in LIVING:
        count = scaled(many, scale)
        entries: list[Entry[Life]] = [
            peer("asyncio, a task per key", live_in_process, "asyncio", count),
            *TONIO.select(peer("TonIO, a task per key", live_in_process, "tonio", count)),
            *NIGRAINS.select(peer("nigrains", live_in_process, "nigrains", count)),
            peer(f"{cores()} one-thread executors", live_in_process, "executors", count),
            ideal("ideal by hand", live_in_process, "ideal", count),
            ours("KeyedExecutor", live_in_process, "keyed", count),
            ours("Pool, generators", live_in_process, "pool", count),
        ]
        found = measure(entries, rounds=1 if count >= MANY else rounds, warm_up=False)
        yield from _phases(entries, found, count)


def _phases(
    entries: list[Entry[Life]], found: dict[str, list[Life]], count: int
) -> Iterator[Comparison]:
    pick: dict[str, tuple[str, Callable[[Life], float | None]]] = {
        "starting": ("µs per key", lambda life: life.start / count * 1e6),
        "idle": ("bytes per key", lambda life: life.idle / count),
        "one message to each": ("µs per key", lambda life: life.dispatch / count * 1e6),
        "statistics": (
            "µs per key",
            lambda life: None if life.stats is None else life.stats / count * 1e6,
        ),
        "ending": ("µs per key", lambda life: life.end / count * 1e6),
    }
    for phase, (unit, value) in pick.items():
        figures = {name: [value(life) for life in lives] for name, lives in found.items()}
        known = {
            name: [one for one in values if one is not None] for name, values in figures.items()
        }
        yield tabulate(
            f"{count:,} keys: {phase}",
            unit,
            [entry for entry in entries if known[entry.name]],
            known,
            series=f"{phase}, over the number of keys",
            x=count,
            x_label="keys",
        )


def _compare(
    title: str,
    flood: Callable[[str], Flood],
    kinds: Sequence[tuple[str, str, Callable[..., Entry[float]]]],
    rounds: int,
    **options: Any,  # noqa: ANN401 - fields of a comparison
) -> Comparison:
    """Compare contenders of one flood; what they are called, their kinds, and their roles."""
    return compare(
        title,
        "messages per second",
        [enter(name, flood_in_process, flood(kind)) for name, kind, enter in kinds],
        rounds=rounds,
        warm_up=False,
        higher_is_better=True,
        **options,
    )


def _floods(rounds: int, scale: float) -> Iterator[Comparison]:
    messages = scaled(MESSAGES, scale, least=max(SENDERS))
    several = scaled(1_000, min(1.0, scale))
    kinds = (
        ("asyncio, senders on the loop", "loop", peer),
        ("asyncio, senders are threads", "loop-from-threads", peer),
        *TONIO.select(
            ("TonIO, senders are tasks", "tonio", peer),
            ("TonIO, senders are threads", "tonio-from-threads", peer),
        ),
        *NIGRAINS.select(("nigrains, a call each", "nigrains", peer)),
        (f"{cores()} one-thread executors", "executors", peer),
        (f"ThreadPoolExecutor({cores()}), out of order", "unordered", peer),
        ("ideal by hand", "ideal", ideal),
        ("KeyedExecutor", "keyed", ours),
        ("Pool, generators", "pool", ours),
    )
    for senders in SENDERS:
        yield _compare(
            f"{_counted(senders, 'sender')}, {several:,} keys",
            functools.partial(Flood, keys=several, messages=messages, senders=senders),
            kinds,
            rounds,
            series="throughput over the number of senders",
            x=senders,
            x_label="senders",
        )
    for keys in dict.fromkeys(scaled(keys, min(1.0, scale)) for keys in KEYS):
        yield _compare(
            f"{messages:,} messages to {_counted(keys, 'key')} in turn",
            functools.partial(Flood, keys=keys, messages=messages),
            kinds,
            rounds,
            series=f"throughput of {messages:,} messages over the number of keys",
            x=keys,
            x_label="keys",
        )
    for law, exponent in (("all alike", 0.0), (f"by Zipf's law, s = {EXPONENT}", EXPONENT)):
        yield _compare(
            f"{messages:,} messages, their keys drawn of {several:,}, {law}",
            functools.partial(Flood, keys=several, messages=messages, exponent=exponent),
            kinds,
            rounds,
        )


def _sleeping(rounds: int, scale: float) -> Iterator[Comparison]:
    messages = scaled(SLEEPS, scale, least=10)
    keys = scaled(100, min(1.0, scale), least=2)
    kinds = (
        ("asyncio, handlers in an executor", "loop-with-executor", peer),
        ("one-thread executors", "executors", peer),
        ("ThreadPoolExecutor, out of order", "unordered", peer),
        ("ideal by hand", "ideal", ideal),
        ("KeyedExecutor", "keyed", ours),
        ("Pool, generators", "pool", ours),
    )
    for threads in THREADS:
        yield _compare(
            f"handlers that sleep {SLEEP * 1e3:.0f} ms, {_counted(threads, 'thread')}",
            functools.partial(
                Flood, keys=keys, messages=messages, exponent=0.0, threads=threads, sleep=SLEEP
            ),
            kinds,
            rounds,
            series="throughput of handlers that sleep, over the number of threads",
            x=threads,
            x_label="threads",
        )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def growth(rounds: int, scale: float) -> Iterator[Comparison]:
    """What more keys, more senders and more threads do, as curves.

    Every run is a process of its own. First the life of 1,000 to 1,000,000 keys, with one round
    only of the largest number: all are started, rest, get one message each, are asked for
    statistics (asyncio for the sizes of its queues), and end. Memory is resident; of few keys it is
    mostly the threads. Then 50,000 messages whose handlers append to a list, to workers that have
    started: from 1 to 16 senders to 1,000 keys in turn; from one sender to 1 to 10,000 keys in
    turn; and from one sender to keys drawn by chance, all alike and by Zipf's law. Then handlers
    that sleep, on 1 to 32 threads, their 100 keys drawn by chance. Each second flood of a process
    is timed. All else has as many threads as there are cores; asyncio's loop and nigrains have one.
    `ThreadPoolExecutor` keeps no order.
    """
    yield from _lives(rounds, scale)
    yield from _floods(rounds, scale)
    yield from _sleeping(rounds, scale)
