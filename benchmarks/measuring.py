"""Timing side by side: every round runs each contender once, and the ratios are taken per round.

These figures are ratios: on a shared machine an absolute time means little, but what runs a moment
after another thing meets the same noise. The median over the rounds is printed, and the spread.
"""

import dataclasses
import gc
import statistics
import threading
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """One contender's figures in one workload."""

    name: str
    nanoseconds: float
    """Per message, the median over the rounds."""
    ratio: float
    """Speed relative to the first contender: 2.0 is twice as fast. The median over the rounds."""
    lowest: float
    highest: float


def compare(
    contenders: Mapping[str, Callable[[], float]], *, rounds: int, messages: int
) -> list[Result]:
    """Run the contenders in turn, `rounds` times; each returns the seconds that its run took.

    The first contender is the base of the ratios. A round before the first is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(rounds + 1):
        for name in order:
            gc.collect()
            took = contenders[name]()
            if number:
                seconds[name].append(took)
        # None runs always after the same other one, in the memory and threads that it left.
        order.append(order.pop(0))
    base = next(iter(seconds.values()))
    results = []
    for name, taken in seconds.items():
        ratios = [b / t for b, t in zip(base, taken, strict=True)]
        results.append(
            Result(
                name=name,
                nanoseconds=statistics.median(taken) / messages * 1e9,
                ratio=statistics.median(ratios),
                lowest=min(ratios),
                highest=max(ratios),
            )
        )
    return results


def run_threads(*functions: Callable[[], object]) -> None:
    """Run each function in a thread of its own, started together; join them; pass on a failure."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], object]) -> None:
        try:
            barrier.wait()
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
