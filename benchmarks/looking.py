"""What `stats()` costs with few keys and with many: `python -m benchmarks.looking [--keys N]`.

All keys are idle, as those of a service that has seen many users; then a tenth of a percent of them
has a message waiting behind one that is held. Beside it what looking at each worker costs.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Final

import threadpool_mb as mb

FEW: Final = 10
ROUNDS: Final = 200
SETTLED: Final = 5.0
"""Seconds after which the dispatcher has looked at all workers."""
_gate: Final = threading.Event()


def _worker(_key: object) -> Generator[None, bool]:
    while True:
        if (yield):
            _gate.wait()


def _microseconds(look: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return what a look takes, the median of some."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        look()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def _look_at(keys: int) -> tuple[float, float]:
    """Return the µs of `stats()` where all are idle, and where some wait."""
    with mb.Pool(_worker, start="on_demand", max_threads=2) as pool:
        for key in range(keys):
            pool.dispatch(key, False)  # noqa: FBT003 - not to be held
        pool.flush()
        start = time.perf_counter()
        pool.stats()
        first = (time.perf_counter() - start) * 1e6
        # The dispatcher looks at many workers soon; few are looked at each time.
        end = time.monotonic() + SETTLED
        while time.monotonic() < end:
            pool.stats()
            time.sleep(0.05)
        idle = _microseconds(pool.stats)
        each = _microseconds(lambda: sum(1 for _ in pool.workers()), 1)
        _gate.clear()
        for _ in range(2):
            for key in range(0, keys, 1000):
                pool.dispatch(key, True)  # noqa: FBT003 - to be held
        some = _microseconds(pool.stats)
        stats = pool.stats()
        _gate.set()
    print(
        f"{keys:>9,} keys: the first look {first:,.0f} µs, then {idle:,.0f} µs; with"
        f" {stats.busy:,} busy and {stats.waiting:,} waiting {some:,.0f} µs;"
        f" each worker looked at: {each:,.0f} µs; handled {stats.handled:,}"
    )
    return idle, some


def main() -> int:
    """Look; return whether many idle keys cost at most twice what few cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looking")
    parser.add_argument("--keys", type=int, default=1_000_000)
    keys: int = parser.parse_args().keys
    print(sys.version)
    few, _ = _look_at(FEW)
    many, _ = _look_at(keys)
    print(f"ratio, all idle: {many / few:.2f}")
    return int(many > 2 * few)


if __name__ == "__main__":
    sys.exit(main())
