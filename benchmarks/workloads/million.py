"""A million keys: what they cost in time and memory."""

from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.machine import cores
from benchmarks.measuring import Entry, ideal, measure, ours, peer, scaled, tabulate
from benchmarks.memory import Usage
from benchmarks.processes import run_module
from benchmarks.results import Comparison

KEYS: Final = 1_000_000
MIB: Final = 2**20


def in_process(kind: str, count: int) -> Usage:
    """Run `benchmarks.memory` in a process of its own."""
    return Usage(**run_module("benchmarks.memory", kind, str(count)))


def _used_once(count: int, rounds: int) -> Iterator[Comparison]:
    entries: list[Entry[Usage]] = [
        peer(f"ThreadPoolExecutor({cores()}).submit, no keys", in_process, "submit", count),
        ideal(f"ideal by hand, {cores()} threads", in_process, "ideal", count),
        ours(f"KeyedExecutor({cores()}).submit_keyed", in_process, "submit_keyed", count),
        ours("Pool, generators", in_process, "pool", count),
    ]
    found = measure(entries, rounds=rounds, warm_up=False)
    pick: dict[str, tuple[str, Callable[[Usage], float]]] = {
        "time": ("s", lambda usage: usage.seconds),
        "memory before": ("MiB", lambda usage: usage.before / MIB),
        "most memory during": ("MiB", lambda usage: usage.during / MIB),
        "memory after": ("MiB", lambda usage: usage.after / MIB),
    }
    for title, (unit, value) in pick.items():
        figures = {name: [value(usage) for usage in many] for name, many in found.items()}
        yield tabulate(f"{count:,} keys used once: {title}", unit, entries, figures)


def _live(count: int, rounds: int) -> Iterator[Comparison]:
    entries: list[Entry[Usage]] = [
        ideal(f"ideal by hand, {cores()} threads", in_process, "live-ideal", count),
        ours("Pool, generators", in_process, "live-pool", count),
    ]
    found = measure(entries, rounds=rounds, warm_up=False)
    figures = {
        name: [(usage.during - usage.before) / count for usage in many]
        for name, many in found.items()
    }
    title = f"{count:,} live idle workers, their keys included"
    yield tabulate(title, "bytes per worker", entries, figures)


def million(rounds: int, scale: float) -> Iterator[Comparison]:
    """A million keys: each created, used once and dropped; and all of them alive at once.

    Every run is a process of its own, as a process that has been large does not become small again;
    so there is no round to warm up. Memory is what the kernel calls resident.
    """
    yield from _used_once(scaled(KEYS, scale), rounds)
    for count in (KEYS // 10, KEYS):
        yield from _live(scaled(count, scale), rounds)
