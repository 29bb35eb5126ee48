"""A worker's life in its parts: `python -m benchmarks.life_parts [--base CHECKOUT]`.

The parts of a generator worker's life of one message, each done for all keys before the next one,
on one shared thread: what starts it, its first turn, what sends the message, the turn that handles
it and ends the worker. Of each: bytecodes of all threads (`sys.monitoring`), processor time of the
process, and with `--instructions` those that callgrind (valgrind) counts. With `--base` the library
of another checkout beside this one's.

A count is the difference of a run of many keys and of one of few. Processor time is the least of
some processes. The garbage collector is off: when it runs depends on what was there before.
"""

import argparse
import contextlib
import gc
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Final

import threadpool_mb as mb
from benchmarks.instructions import FEW, MANY, collected
from benchmarks.machine import build
from benchmarks.processes import CHECKOUT, LONGEST, checkout_of, run_module

PARTS: Final = ("initialize", "first turn", "dispatch", "message and end")
BYTECODES: Final = "bytecodes"
SECONDS: Final = "seconds"
UNTIL: Final = "until"

_MONITOR: Final = sys.monitoring.PROFILER_ID
_INSTRUCTION: Final = sys.monitoring.events.INSTRUCTION


class Gate:
    """The key of a worker that holds the pool's only thread until it is let go."""

    def __init__(self) -> None:
        self._held: Final = threading.Event()
        self._opened: Final = threading.Event()

    def hold(self) -> None:
        """Hold this thread."""
        self._held.set()
        self._opened.wait()

    def wait(self) -> None:
        """Wait until the thread is held: what stood before this worker is done."""
        self._held.wait()

    def open(self) -> None:
        """Let the thread go."""
        self._opened.set()


def _worker(key: object) -> Generator[None, object]:
    if type(key) is Gate:
        key.hold()
        return
    yield


def live(count: int, look: Callable[[], float], until: int = len(PARTS)) -> list[float]:
    """Live so many lives, as far as so many parts; return what a look told before and after each.

    The thread is held while the sender works. Of a turn's part a gate stands behind all keys.
    """
    pool: mb.Pool[object, object] = mb.Pool(_worker, max_threads=1)
    gates = [Gate() for _ in range(3)]
    keys = range(count)
    pool.initialize(gates[0])
    gates[0].wait()

    def begin() -> None:
        for key in keys:
            pool.initialize(key)

    def send() -> None:
        dispatch = pool.dispatch
        for key in keys:
            dispatch(key, None)

    def turns(number: int) -> Callable[[], None]:
        def run() -> None:
            pool.initialize(gates[number + 1])
            gates[number].open()
            gates[number + 1].wait()

        return run

    seen = [look()]
    for part in (begin, turns(0), send, turns(1))[:until]:
        part()
        seen.append(look())
    if until == len(PARTS):
        gates[-1].open()
        pool.close()
        pool.join()
    return seen


def _parts(seen: Sequence[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(seen)]


def seconds(count: int) -> list[float]:
    """Return the processor time of each part, of all threads."""
    return _parts(live(count, process_time))


@contextlib.contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Lend what tells how many bytecodes all threads have taken so far."""
    monitoring, counts = sys.monitoring, dict[int, int]()

    def one_more(*_: object) -> None:
        me = threading.get_ident()
        counts[me] = counts.get(me, 0) + 1  # this thread's own

    monitoring.use_tool_id(_MONITOR, __name__)
    monitoring.register_callback(_MONITOR, _INSTRUCTION, one_more)
    try:
        monitoring.set_events(_MONITOR, _INSTRUCTION)
        yield lambda: sum(counts.values())
    finally:
        monitoring.set_events(_MONITOR, 0)
        monitoring.register_callback(_MONITOR, _INSTRUCTION, None)
        monitoring.free_tool_id(_MONITOR)


def bytecodes(count: int) -> list[float]:
    """Return the bytecodes of each part, of all threads."""
    with counting() as look:
        return _parts(live(count, look))


def _here(words: Sequence[str]) -> None:
    """Do one run in this process, as the words say."""
    what, count, *rest = words
    gc.disable()
    if what == UNTIL:
        live(int(count), process_time, int(*rest))
        os._exit(0)  # without what is left to do, whose instructions are of no part
    print(json.dumps({BYTECODES: bytecodes, SECONDS: seconds}[what](int(count))))


def _differences(few: Sequence[float], many: Sequence[float], keys: int) -> list[float]:
    return [(most - least) / keys for least, most in zip(few, many, strict=True)]


def counted(library: Path, few: int, many: int) -> list[float]:
    """Return the bytecodes of each part of a life, with a checkout's library."""
    least, most = (
        run_module("benchmarks.life_parts", BYTECODES, str(count), library=library)
        for count in (few, many)
    )
    return _differences(least, most, many - few)


def timed(library: Path, count: int, rounds: int) -> list[float]:
    """Return the least processor time of each part of a life, in µs."""
    runs = [
        run_module("benchmarks.life_parts", SECONDS, str(count), library=library)
        for _ in range(rounds)
    ]
    return [min(part) / count * 1e6 for part in zip(*runs, strict=True)]


def instructions(library: Path, few: int, many: int) -> list[float]:
    """Return the instructions of each part of a life: callgrind's, of runs that end after it."""

    def count(keys: int, until: int, folder: str) -> int:
        ended = subprocess.run(  # noqa: S603 - ourselves
            [
                *("valgrind", "--tool=callgrind", "--fair-sched=yes"),
                f"--callgrind-out-file={folder}/out",
                *(sys.executable, "-m", "benchmarks.life_parts", UNTIL, str(keys), str(until)),
            ],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(library / "src"), str(CHECKOUT)]),
                "PYTHONHASHSEED": "0",
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST,
        )
        return collected(ended.stderr)

    with tempfile.TemporaryDirectory() as folder:
        until = [
            (count(many, number, folder) - count(few, number, folder)) / (many - few)
            for number in range(len(PARTS) + 1)
        ]
    return _parts(until)


def table(found: dict[str, list[list[float]]]) -> list[str]:
    """Return a table with a row for each part, and columns of each figure, of each library."""
    names = [name for name, columns in found.items() for _ in columns]
    columns = [column for columns in found.values() for column in columns]
    lines = [f"| {build()} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    rows = [*zip(PARTS, zip(*columns, strict=True), strict=True)]
    for part, figures in [*rows, ("together", tuple(map(sum, columns)))]:
        shown = (f"{one:,.0f}" if one >= 100 else f"{one:.2f}" for one in figures)  # noqa: PLR2004 - digits
        lines.append(f"| {part} | {' | '.join(shown)} |")
    return lines


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.life_parts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--base", type=checkout_of, metavar="CHECKOUT", help="of the library of before"
    )
    parser.add_argument("--rounds", type=int, default=5, help="processes that are timed (5)")
    parser.add_argument("--keys", type=int, default=20_000, help="lives of each of them (20000)")
    parser.add_argument("--instructions", action="store_true", help="with callgrind: minutes")
    arguments = parser.parse_args(words)
    if arguments.instructions and shutil.which("valgrind") is None:
        parser.error("there is no valgrind on PATH, which counts the instructions")
    libraries = [CHECKOUT] if arguments.base is None else [arguments.base, CHECKOUT]
    found = {
        "bytecodes": [counted(library, 100, 600) for library in libraries],
        "µs of processor time": [
            timed(library, arguments.keys, arguments.rounds) for library in libraries
        ],
    }
    if arguments.instructions:
        found["instructions"] = [instructions(library, FEW, MANY) for library in libraries]
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] in ([BYTECODES], [SECONDS], [UNTIL]):
        _here(sys.argv[1:])
    else:
        sys.exit(main(sys.argv[1:]))
