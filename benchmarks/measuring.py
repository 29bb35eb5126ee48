"""Timing side by side: every round runs each contender once, in an order that changes.

On a shared machine an absolute time means little, but what runs a moment after another thing meets
the same noise: hence the rounds, and ratios that are taken within each. No contender runs always
after the same other one, whose garbage or warm caches it would meet every time.
"""

import dataclasses
import functools
import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from benchmarks.results import Comparison, Figures, Role

PATIENCE: Final = 120.0
"""Seconds after which something that is waited for is held to be lost."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry[T]:
    """A contender: what to run, and what it is to the comparison."""

    name: str
    role: Role
    run: Callable[[], T]


def entrant[T, **P](
    role: Role, name: str, run: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> Entry[T]:
    """Enter `run(*args, **kwargs)` as a contender."""
    return Entry(name, role, functools.partial(run, *args, **kwargs))


ours = functools.partial(entrant, Role.OURS)
peer = functools.partial(entrant, Role.PEER)
ideal = functools.partial(entrant, Role.IDEAL)
design = functools.partial(entrant, Role.DESIGN)


def running_order(count: int, number: int) -> list[int]:
    """Return the order in which `count` contenders run in round `number`.

    A Williams design: within `count` rounds (twice as many, if it is odd) each contender stands at
    each place, and follows each other one, equally often.
    """
    turn, backwards = (number, False) if count % 2 == 0 else (number // 2, number % 2 == 1)
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    order = [(step + turn) % count for step in zigzag]
    return order[::-1] if backwards else order


def measure[T](
    entries: Sequence[Entry[T]], *, rounds: int, warm_up: bool = True
) -> dict[str, list[T]]:
    """Run the contenders `rounds` times, and return what each found in each round.

    A round before the first is not counted, unless there is to be no `warm_up`.
    """
    found: dict[str, list[T]] = {entry.name: [] for entry in entries}
    for number in range(-1 if warm_up else 0, rounds):
        for place in running_order(len(entries), number % (2 * len(entries))):
            value = _run_alone(entries[place])
            if number >= 0:
                found[entries[place].name].append(value)
    return found


def _run_alone[T](entry: Entry[T]) -> T:
    """Run one contender without another's garbage before it, and without its threads after it."""
    gc.collect()
    before = set(threading.enumerate())
    value = entry.run()
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(PATIENCE)
    if any(thread.is_alive() for thread in left):
        raise AssertionError(f"{entry.name} left threads behind: {left}")
    return value


def tabulate[T](
    title: str,
    unit: str,
    entries: Sequence[Entry[T]],
    found: Mapping[str, Sequence[float]],
    **options: Any,  # noqa: ANN401 - fields of a comparison
) -> Comparison:
    """Make a comparison of what the contenders found."""
    figures = tuple(Figures(entry.name, entry.role, tuple(found[entry.name])) for entry in entries)
    return Comparison(title, unit, figures, **options)


def compare(
    title: str,
    unit: str,
    entries: Sequence[Entry[float]],
    *,
    rounds: int,
    warm_up: bool = True,
    factor: float = 1.0,
    **options: Any,  # noqa: ANN401 - fields of a comparison
) -> Comparison:
    """Measure the contenders, each of which returns a number, and make a comparison of them.

    Args:
        title: says what was done.
        unit: of the figures.
        entries: the contenders.
        rounds: how many are counted.
        warm_up: whether there is one before them that is not.
        factor: what a returned number is multiplied by; it turns seconds into the unit.
        options: more fields of the `Comparison`.
    """
    found = {
        name: [value * factor for value in values]
        for name, values in measure(entries, rounds=rounds, warm_up=warm_up).items()
    }
    return tabulate(title, unit, entries, found, **options)


def scaled(count: int, scale: float, *, least: int = 1) -> int:
    """Return `count` made larger or smaller."""
    return max(least, round(count * scale))


def run_threads(*functions: Callable[[], object]) -> None:
    """Run each function in a thread of its own, started together; join them; pass on a failure."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], object]) -> None:
        try:
            barrier.wait(PATIENCE)
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def timed(function: Callable[[], object]) -> float:
    """Return the seconds that a function takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
