"""What `stats()` costs with few keys and with many: `python -m benchmarks.looking [--keys N]`.

All keys are idle, as those of a service that has seen many users; then a tenth of a percent of them
has a message waiting behind one that is held. Beside it what looking at each worker costs.

Both pools are in one process, and looks at the one and at the other alternate: what else the
machine does meanwhile, and what the garbage collector does, holds up both. A look is also counted
in bytecodes, which a busy machine cannot move. They tell nothing of what C does in one of them, a
walk through a large dict, say: hence the time, too.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import CodeType
from typing import Final, NamedTuple

import threadpool_mb as mb

FEW: Final = 10
ROUNDS: Final = 500
COLD: Final = 40
"""Rounds in which each look comes after a pause, as a monitor's does."""
PAUSE: Final = 0.05
SETTLED: Final = 5.0
"""Seconds after which the dispatcher has looked at all workers."""
_MONITOR: Final = sys.monitoring.PROFILER_ID
_INSTRUCTION: Final = sys.monitoring.events.INSTRUCTION
_gate: Final = threading.Event()

type Look = Callable[[], object]


class Figures(NamedTuple):
    """What looks at one pool have taken."""

    times: list[float]
    """In µs."""

    def __str__(self) -> str:
        """Show the median, with the lowest and the highest."""
        lowest, median, highest = min(self.times), statistics.median(self.times), max(self.times)
        return f"{median:,.1f} µs ({lowest:,.1f} … {highest:,.1f})"


def _worker(_key: object) -> Generator[None, bool]:
    while True:
        if (yield):
            _gate.wait()


def bytecodes(look: Look) -> int:
    """Return how many bytecodes a look takes, on this thread."""
    monitoring, me = sys.monitoring, threading.get_ident()
    count = 0

    def one_more(_code: CodeType, _offset: int) -> None:
        nonlocal count
        if threading.get_ident() == me:
            count += 1

    monitoring.use_tool_id(_MONITOR, "looking")
    monitoring.register_callback(_MONITOR, _INSTRUCTION, one_more)
    try:
        monitoring.set_events(_MONITOR, _INSTRUCTION)
        look()
        monitoring.set_events(_MONITOR, 0)
    finally:
        monitoring.register_callback(_MONITOR, _INSTRUCTION, None)
        monitoring.free_tool_id(_MONITOR)
    return count


def _microseconds(look: Look) -> float:
    start = time.perf_counter()
    look()
    return (time.perf_counter() - start) * 1e6


def alternate(few: Look, many: Look, rounds: int, pause: float = 0) -> tuple[Figures, Figures]:
    """Look at both pools in turn, each first equally often."""
    times: dict[Look, list[float]] = {few: [], many: []}
    for number in range(rounds):
        for look in (few, many) if number % 2 else (many, few):
            if pause:
                time.sleep(pause)
            times[look].append(_microseconds(look))
    return Figures(times[few]), Figures(times[many])


def _filled(keys: int) -> mb.Pool[int, bool]:
    """Return a pool whose keys have had a message each."""
    pool: mb.Pool[int, bool] = mb.Pool(_worker, start="on_demand", max_threads=2)
    for key in range(keys):
        pool.dispatch(key, False)  # noqa: FBT003 - not to be held
    pool.flush()
    return pool


def _settle(look: Look) -> None:
    """Look until a look takes what the one before it took, for a while."""
    end = time.monotonic() + SETTLED
    before, same = 0, 0
    while same < 10 and time.monotonic() < end:  # noqa: PLR2004 - half a second
        now = bytecodes(look)
        same = same + 1 if now == before else 0
        before = now
        time.sleep(PAUSE)


def _report(what: str, few: Look, many: Look, rounds: int, pause: float = 0) -> float:
    """Print what looks at both take; return the ratio of the medians."""
    at_few, at_many = alternate(few, many, rounds, pause)
    each = sorted(one / other for one, other in zip(at_many.times, at_few.times, strict=True))
    ratio = statistics.median(at_many.times) / statistics.median(at_few.times)
    print(f"{what}: {at_few}; {at_many}")
    print(
        f"    ratio of the medians {ratio:.2f}; round by round {statistics.median(each):.2f},"
        f" of which the middle half {each[rounds // 4]:.2f} … {each[3 * rounds // 4]:.2f}"
    )
    return ratio


def _busy(pool: mb.Pool[int, bool], keys: int) -> None:
    """Print what a look takes where some keys have something to do, and where each is looked at."""
    each = _microseconds(lambda: sum(1 for _ in pool.workers()))
    _gate.clear()
    for _ in range(2):
        for key in range(0, keys, 1000):
            pool.dispatch(key, True)  # noqa: FBT003 - to be held
    some = Figures([_microseconds(pool.stats) for _ in range(100)])
    stats = pool.stats()
    count = bytecodes(pool.stats)
    _gate.set()
    print(
        f"{stats.busy:,} busy and {stats.waiting:,} waiting: {some}, {count:,} bytecodes;"
        f" each worker looked at: {each / 1e6:,.2f} s; handled {stats.handled:,}"
    )


def main() -> int:
    """Look; return whether many idle keys cost more than twice what few cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looking")
    parser.add_argument("--keys", type=int, default=1_000_000)
    keys: int = parser.parse_args().keys
    print(sys.version)
    with _filled(FEW) as small, _filled(keys) as large:
        few, many = small.stats, large.stats
        print(f"{FEW} keys; {keys:,} keys, all idle:")
        print(f"the first look: {_microseconds(few):,.0f} µs; {_microseconds(many):,.0f} µs")
        _settle(few)
        _settle(many)
        codes = bytecodes(few), bytecodes(many)
        print(f"bytecodes of a look: {codes[0]:,}; {codes[1]:,}")
        ratio = _report("one look after the other", few, many, ROUNDS)
        _report(f"each {PAUSE * 1000:.0f} ms after the one before", few, many, COLD, PAUSE)
        codes = max(codes[0], bytecodes(few)), max(codes[1], bytecodes(many))
        _busy(large, keys)
    print(f"ratio: {codes[1] / codes[0]:.2f} in bytecodes, {ratio:.2f} in time")
    return int(max(codes[1] / codes[0], ratio) > 2)  # noqa: PLR2004 - the claim


if __name__ == "__main__":
    sys.exit(main())
