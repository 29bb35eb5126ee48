"""The original's benchmark beside its peers, for `benchmarks.budgets`: `SCALE ROUND`, prints JSON.

Each contender of `benchmarks.workloads.original` that the budgets name, with the library of the
checkout that is on the path: the microseconds by the clock, from the making of the contender until
all is handled, and those of all processors, the contender's end included. Which runs after which
changes with the round.
"""

import json
import sys
from time import process_time
from typing import Final

import threadpool_mb as mb
from benchmarks.budget_cells import THREADS, Took
from benchmarks.measuring import Entry, ideal, measure, ours, scaled
from benchmarks.peers.ideal import HandWrittenIdeal
from benchmarks.workloads.original import PUBLISHED, SentOneByOne, coroutines, run

ORIGINAL: Final = tuple(PUBLISHED)
"""Messages a key, and keys."""

OURS: Final = "Pool"
IDEAL: Final = "by hand"


def cell(messages: int, keys: int, contender: str) -> str:
    """Return the name of a cell."""
    return f"{messages} × {keys}, {contender}"


def contenders(messages: int, keys: int) -> list[Entry[float]]:
    """Return who runs the original's benchmark: the peers that are installed, and ours."""
    return [
        *coroutines(messages, keys),
        ideal(IDEAL, run, lambda r: HandWrittenIdeal(r.generator, THREADS), messages, keys),
        ours(
            OURS,
            run,
            lambda r: SentOneByOne(mb.Pool(r.generator, max_threads=THREADS)),
            messages,
            keys,
        ),
    ]


def _timed(entry: Entry[float]) -> Entry[Took]:
    def run_entry() -> Took:
        cpu = process_time()
        seconds = entry.run()
        return seconds * 1e6, (process_time() - cpu) * 1e6

    return Entry(entry.name, entry.role, run_entry)


def measure_all(scale: float, number: int) -> dict[str, Took]:
    """Return what each contender takes in the round of that number."""
    measure(contenders(2, 10), rounds=1, warm_up=False)  # imports, threads, specialized bytecode
    found: dict[str, Took] = {}
    for messages, keys in ORIGINAL:
        entries = [_timed(entry) for entry in contenders(messages, scaled(keys, scale))]
        turn = number % len(entries)
        took = measure(entries[turn:] + entries[:turn], rounds=1, warm_up=False)
        found |= {cell(messages, keys, name): one for name, [one] in took.items()}
    return found


if __name__ == "__main__":
    print(json.dumps(measure_all(float(sys.argv[1]), int(sys.argv[2]))))
