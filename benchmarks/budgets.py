"""The budgets, in one run: `python -m benchmarks.budgets --base CHECKOUT`.

Runs the cells of `benchmarks.budget_cells` and `benchmarks.budget_peers` in processes of their own,
with the library of the other checkout and with this one's in turns. What is written by hand, in the
standard library, or a peer's is in each of these processes, so that either library has a ratio to
it. Prints the median of the rounds' ratios, the lowest and the highest. Below 1 the library is
cheaper than what it is compared with, but for the rows that say "times as fast".
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.budget_peers import IDEAL, ORIGINAL, OURS, cell
from benchmarks.held_lives import LIVES, ON_TWO
from benchmarks.machine import build
from benchmarks.peers.installed import CASTY, NIGRAINS, PACKAGES, TONIO, Package
from benchmarks.processes import CHECKOUT, checkout_of, run_module

type Cells = Mapping[str, Sequence[float]]

WALL, CPU = 0, 1

TO_BASE: Final = [
    ("a life: CPU", "life", CPU, "≤ 0.5"),
    ("`dispatch`, and its turn: CPU", "one sender", CPU, "≤ 1.03"),
    ("`call` in place: time", "call in place", WALL, "≤ 0.6"),
    ("`call` in place: CPU", "call in place", CPU, ""),
    ("`call` across threads: CPU", "call across, generator", CPU, ""),
    ("`aio.call` across threads: CPU", "aio.call across", CPU, ""),
    ("`submit_keyed`: time", "submit_keyed", WALL, ""),
    *(
        (f"{messages} × {keys}: {name}", cell(messages, keys, OURS), figure, "")
        for messages, keys in ORIGINAL
        for name, figure in (("time", WALL), ("CPU", CPU))
    ),
]
"""A row's name, its cell, which of the two figures, the budget."""

TO_OTHERS: Final = [
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
    *((f"{lives.name} that their first messages start, in those by hand: CPU",
       f"{lives.name}, by themselves", lives.name, CPU, budget)
      for lives, budget in (*zip(LIVES, ("", *("≤ 1.1",) * 4), strict=True),
                            *zip(ON_TWO, ("",) * 5, strict=True))),
    ("four senders, times as fast as one", "one sender", "four senders", WALL, "≥ 0.8"),
]  # fmt: skip
"""A row's name, what is divided, by what, which of the two figures, the budget."""


PEERS: Final[list[tuple[str, Package | None, str, str]]] = [
    (IDEAL, None, "≥ 0.6", "≥ 1.0"),
    ("asyncio, a task per key, sender on the loop", None, "≥ 1.0", ""),
    ("asyncio, a task per key, sender a thread", None, "≥ 1.0", ""),
    ("TonIO, a task per key, sender a task", TONIO, "≥ 1.0", "≥ 1.0"),
    ("TonIO, a task per key, sender a thread", TONIO, "≥ 1.0", "≥ 1.0"),
    ("nigrains, a call each", NIGRAINS, "", ""),
    ("casty, serialised", CASTY, "", ""),
]
"""A contender of the original's benchmark, its package, the budgets with 10 and 50 messages."""

_PEER_ROWS: Final = [
    row
    for messages, keys in ORIGINAL
    for name, package, few, many in PEERS
    if package is None or package.module is not None
    for theirs, mine in [(cell(messages, keys, name), cell(messages, keys, OURS))]
    for row in (
        (f"{messages} × {keys}, times as fast as {name}", theirs, mine, WALL,
         few if messages == min(ORIGINAL)[0] else many),
        (f"{messages} × {keys}, CPU in that of {name}", mine, theirs, CPU, ""),
    )
]  # fmt: skip

ROWS: Final = [*_PEER_ROWS, *TO_OTHERS]


def run(checkout: Path, scale: float, number: int) -> Cells:
    """Return what the cells take with a checkout's library, in the round of that number."""
    found: dict[str, Sequence[float]] = {}
    found |= run_module("benchmarks.budget_cells", str(scale), library=checkout)
    found |= run_module("benchmarks.budget_peers", str(scale), str(number), library=checkout)
    return found


def shown(ratios: Sequence[float]) -> str:
    """Return the median of the rounds' ratios, the lowest and the highest."""
    if not ratios:
        return "–"
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"


def ratios(rounds: Sequence[Cells], divided: str, by: str, figure: int) -> list[float]:
    """Return what one cell takes of another one in each round; nothing, if there is none."""
    return [cells[divided][figure] / cells[by][figure] for cells in rounds if divided in cells]


def table(base: Sequence[Cells], now: Sequence[Cells]) -> list[str]:
    """Return the table of both checkouts' cells, which were run in pairs."""
    lines = [f"| {build()}: median (lowest … highest) | base | now | budget |", "|---|---|---|---|"]
    for name, of, figure, budget in TO_BASE if base else []:
        pairs = zip(now, base, strict=True)
        found = [mine[of][figure] / before[of][figure] for mine, before in pairs]
        lines.append(f"| {name}, in base | 1 | {shown(found)} | {budget} |")
    for name, divided, by, figure, budget in ROWS:
        before, after = (shown(ratios(rounds, divided, by, figure)) for rounds in (base, now))
        lines.append(f"| {name} | {before} | {after} | {budget} |")
    missing = [package for package in PACKAGES if package.module is None]
    return [*lines, *(f"| {package.name}: {package.fact()} | – | – | |" for package in missing)]


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.budgets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--base", type=checkout_of, metavar="CHECKOUT", help="of the library of before"
    )
    parser.add_argument("--rounds", type=int, default=7, help="how many pairs (7)")
    parser.add_argument("--scale", type=float, default=1.0, help="more or less work (1.0)")
    arguments = parser.parse_args(words)
    if arguments.rounds < 1 or arguments.scale <= 0:
        parser.error("there must be a round at least, and something to do")
    base: list[Cells] = []
    now: list[Cells] = []
    for number in range(arguments.rounds):
        order = [(now, CHECKOUT)]
        if arguments.base is not None:
            order.insert(number % 2, (base, arguments.base))
        for found, checkout in order:
            found.append(run(checkout, arguments.scale, number))
    print("\n".join(table(base, now)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
