"""The budgets, in one run: `python -m benchmarks.budgets --base CHECKOUT`.

Runs the cells of `benchmarks.budget_cells` in processes of their own, with the library of the other
checkout and with this one's in turns; what is written by hand, or in the standard library, is in
each of these processes. Prints the median of the pairs' ratios, the lowest and the highest. Below 1
the library is cheaper than what it is compared with, but for the rows that say "times as fast".
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.budget_cells import ORIGINAL
from benchmarks.machine import build
from benchmarks.processes import CHECKOUT, run_module

type Cells = Mapping[str, Sequence[float]]

WALL, CPU = 0, 1
_SCALES: Final = [f"{messages} × {keys}" for messages, keys in ORIGINAL]

TO_BASE: Final = [
    ("a life: CPU", "life", CPU, "≤ 0.5"),
    ("`call` in place: time", "call in place", WALL, "≤ 0.6"),
    ("`call` in place: CPU", "call in place", CPU, ""),
    ("`call` across threads: CPU", "call across, generator", CPU, ""),
    ("`aio.call` across threads: CPU", "aio.call across", CPU, ""),
    ("`submit_keyed`: time", "submit_keyed", WALL, ""),
    *((f"{scale}: time", scale, WALL, "") for scale in _SCALES),
]
"""A row's name, its cell, which of the two figures, the budget."""

TO_OTHERS: Final = [
    *((f"{scale}, times as fast as by hand", f"{scale}, by hand", scale, WALL, "≥ 0.6, ≥ 1.0")
      for scale in _SCALES),
    *((f"{scale}, times as fast as asyncio", f"{scale}, asyncio", scale, WALL, "≥ 1.0")
      for scale in _SCALES),
    ("`call` across, generator, in two hops", "call across, generator", "two hops", WALL, "≤ 1.5"),
    ("`call` across, function, in two hops", "call across, function", "two hops", WALL, "≤ 1.5"),
    ("`aio.call` in place, in a queue and future of asyncio", "aio.call in place",
     "aio, queue and future", WALL, "≤ 2"),
    ("`aio.call` across, in the same", "aio.call across", "aio, queue and future", WALL, "≤ 6"),
    ("by hand across, in the same", "aio, by hand across", "aio, queue and future", WALL, ""),
    ("`aio.call` across, in that by hand", "aio.call across", "aio, by hand across", WALL, ""),
    ("`aio.call` across, in that by hand: CPU", "aio.call across", "aio, by hand across", CPU, ""),
    ("`submit_keyed`, times as fast as `ThreadPoolExecutor.submit`", "ThreadPoolExecutor.submit",
     "submit_keyed", WALL, "≥ 1.8"),
    ("four senders, times as fast as one", "one sender", "four senders", WALL, "≥ 0.8"),
]  # fmt: skip
"""A row's name, what is divided, by what, which of the two figures, the budget."""


def run(checkout: Path, scale: float) -> Cells:
    """Return what the cells take with a checkout's library."""
    found: Cells = run_module("benchmarks.budget_cells", str(scale), library=checkout)
    return found


def row(name: str, ratios: Sequence[float], budget: str) -> str:
    """Return a row of the table."""
    least, most = min(ratios), max(ratios)
    return f"| {name} | {statistics.median(ratios):.2f} ({least:.2f} … {most:.2f}) | {budget} |"


def table(base: Sequence[Cells], now: Sequence[Cells]) -> list[str]:
    """Return the table of both checkouts' cells, which were run in pairs."""
    lines = [f"| {build()} | median (lowest … highest) | budget |", "|---|---|---|"]
    for name, cell, figure, budget in TO_BASE if base else []:
        pairs = zip(now, base, strict=True)
        ratios = [mine[cell][figure] / before[cell][figure] for mine, before in pairs]
        lines.append(row(f"{name}, in base", ratios, budget))
    for name, divided, by, figure, budget in TO_OTHERS:
        lines.append(
            row(name, [cells[divided][figure] / cells[by][figure] for cells in now], budget)
        )
    return lines


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.budgets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", type=Path, metavar="CHECKOUT", help="of the library of before")
    parser.add_argument("--rounds", type=int, default=7, help="how many pairs (7)")
    parser.add_argument("--scale", type=float, default=1.0, help="more or less work (1.0)")
    arguments = parser.parse_args(words)
    if arguments.base is not None and not (arguments.base / "src" / "threadpool_mb").is_dir():
        parser.error(f"--base: there is no src/threadpool_mb in {arguments.base}")
    if arguments.rounds < 1 or arguments.scale <= 0:
        parser.error("there must be a round at least, and something to do")
    base: list[Cells] = []
    now: list[Cells] = []
    for number in range(arguments.rounds):
        order = [(now, CHECKOUT)]
        if arguments.base is not None:
            order.insert(number % 2, (base, arguments.base.absolute()))
        for found, checkout in order:
            found.append(run(checkout, arguments.scale))
    print("\n".join(table(base, now)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
