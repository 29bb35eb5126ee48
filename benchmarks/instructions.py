"""How many instructions a life, a message and a call take: `python -m benchmarks.instructions`.

Figures that a noisy machine cannot move: callgrind (valgrind) counts the instructions of a whole
process that does a thing some times, and of one that does it more often; the difference is the
thing's: of the least of some counts, since where objects come to lie makes some of 4 %. What they
do not tell: waiting, caches, two threads that want the same. A count takes ten seconds of a core,
all of them three to four minutes.

`benchmarks/instructions.json` has the figures. More than 5 % above them is an error, unless
`--write` puts the new ones there. They hold for one version of the interpreter and its compiler: of
a version that is not in the file nothing is said but its figures.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.instruction_cells import CELLS
from benchmarks.machine import build
from benchmarks.processes import CHECKOUT, LONGEST

FILE: Final = Path(__file__).with_suffix(".json")
TOLERANCE: Final = 0.05
FEW: Final = 300
MANY: Final = 10_300
"""So many more that what differs as a process begins, some millions, is 1 % of theirs."""

COUNTS: Final = 2

_COLLECTED: Final = re.compile(r"Collected : (\d+)")


def collected(output: str) -> int:
    """Return the number of instructions of which callgrind tells.

    Raises:
        ValueError: if it tells of none.
    """
    found = _COLLECTED.search(output)
    if found is None:
        raise ValueError(f"callgrind has counted nothing: {output[-500:]}")
    return int(found[1])


def count(cell: str, times: int, folder: str) -> int:
    """Return the instructions of a process that runs a cell."""
    valgrind = ["valgrind", "--tool=callgrind", "--fair-sched=yes"]
    return collected(run([*valgrind, f"--callgrind-out-file={folder}/out"], cell, times, folder))


def run(before: Sequence[str], cell: str, times: int, folder: str) -> str:
    """Run a process with a cell, with some words before its command; return what it says."""
    ended = subprocess.run(  # noqa: S603 - ourselves
        [*before, sys.executable, "-m", "benchmarks.instruction_cells", cell, str(times)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPYCACHEPREFIX": f"{folder}/pyc"},
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST,
    )
    return ended.stderr


def measure(cells: Sequence[str]) -> dict[str, int]:
    """Return the instructions that each cell takes once."""
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        # Compiles what is imported: as callgrind counts, that takes half a minute.
        run([], cells[0], 1, folder)
        for cell in cells:
            many, few = (
                min(count(cell, times, folder) for _ in range(COUNTS)) for times in (MANY, FEW)
            )
            found[cell] = (many - few) // (MANY - FEW)
            print(f"{cell:10} {found[cell]:9,}", flush=True)
    return found


def grown(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Return a line for each figure that has grown by more than the tolerance."""
    return [
        f"{cell}: {before[cell]:,} → {figure:,} ({figure / before[cell] - 1:+.1%})"
        for cell, figure in now.items()
        if cell in before and figure > before[cell] * (1 + TOLERANCE)
    ]


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cells", nargs="*", metavar="CELL", help=", ".join(CELLS))
    parser.add_argument("--write", action="store_true", help="keep the figures")
    arguments = parser.parse_args(words)
    unknown = [cell for cell in arguments.cells if cell not in CELLS]
    if unknown:
        parser.error(f"no such cell: {', '.join(unknown)} (there are: {', '.join(CELLS)})")
    if shutil.which("valgrind") is None:
        parser.error("there is no valgrind on PATH, which counts the instructions")
    figures: dict[str, dict[str, int]] = json.loads(FILE.read_text(encoding="utf-8"))
    now = measure(arguments.cells or list(CELLS))
    too_many = grown(figures.get(build(), {}), now)
    if arguments.write:
        figures[build()] = {**figures.get(build(), {}), **now}
        FILE.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    elif build() not in figures:
        print(f"there are no figures of {build()} to compare with, only of {', '.join(figures)}")
    elif too_many:
        print("\n".join(["more than before:", *too_many]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
