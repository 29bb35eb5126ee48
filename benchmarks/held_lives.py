"""Lives that start by themselves, beside those by hand: `python -m benchmarks.held_lives`.

By themselves: `start="on_demand"`, `idle_timeout`, `max_keys` and `restart`. The pool's threads are
held while the sender works, so that both take the same turns, in each run: all messages of a worker
in one turn, or singly, each in a turn, the worker idle in between. How many messages meet in one
turn decides what a life costs, more than all else; in a run that goes free it is chance.

Of each: bytecodes of all threads (`sys.monitoring`), on one shared thread, as the difference of a
run of many keys and of one of few; and processor time of the process, of runs of the two in turns:
the least on one thread; on two the median, as these hold each other up, or not, as the machine has
it. With `--base` the library of another checkout beside this one's.
"""

import argparse
import gc
import json
import statistics
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final, NamedTuple

import threadpool_mb as mb
from benchmarks.life_parts import Gate, counting
from benchmarks.machine import build
from benchmarks.processes import CHECKOUT, checkout_of, run_module

BY_HAND, BY_THEMSELVES = False, True
TURNS: Final = 8
KEYS: Final = {1: 4000, 10: 1000, 50: 500}
"""How many keys a run that is timed has, of so many messages. So many that what holds the threads,
before and after all are sent to, is a twentieth of the whole at most."""

type Took = tuple[float, float]
"""µs, and µs of all processors."""


class Lives(NamedTuple):
    """What each key gets."""

    messages: int
    singly: bool
    threads: int = 1

    @property
    def name(self) -> str:
        """What they are called."""
        on = "" if self.threads == 1 else f", {self.threads} threads"
        return f"lives of {self.messages}{', singly' if self.singly else ''}{on}"


LIVES: Final = [
    Lives(messages, singly)
    for messages, singly in ((1, False), (10, False), (10, True), (50, False), (50, True))
]
ON_TWO: Final = [each._replace(threads=2) for each in LIVES]


def all_on() -> dict[str, Any]:
    """Return a pool's options with which keys live by themselves; none ends, or fails, in a run."""
    return {
        "start": "on_demand",
        "idle_timeout": 60.0,
        "max_keys": 10**6,
        "restart": mb.Restart(),
    }


class _Gates:
    """Workers that hold all threads of a pool, which is sent to meanwhile."""

    def __init__(self, pool: mb.Pool[object, object], threads: int) -> None:
        """Hold so many threads, once they have done what waits before."""
        self._pool: Final = pool
        self._made: Final = [Gate() for _ in range(threads)]
        for gate in self._made:
            pool.initialize(gate)

    def wait(self) -> None:
        """Wait until all threads are held."""
        for gate in self._made:
            gate.wait()

    def open(self) -> None:
        """Let the threads go."""
        for gate in self._made:
            gate.open()

    def next(self) -> "_Gates":
        """Have all done that waits, and the threads held again."""
        behind = _Gates(self._pool, len(self._made))
        self.open()
        behind.wait()
        return behind


def live(
    lives: Lives, keys: int, look: Callable[[], Any], *, by_themselves: bool
) -> tuple[Any, Any]:
    """Have so many workers live; return what a look told before it, and once all have ended."""

    def worker(key: object) -> Generator[None, object]:
        if type(key) is Gate:
            key.hold()
            return
        for _ in range(lives.messages):
            yield

    def send(dispatch: Callable[[object, object], object], count: int) -> None:
        for _ in range(count):
            for key in range(keys):
                dispatch(key, None)

    pool: mb.Pool[object, object]
    with mb.Pool(worker, max_threads=lives.threads, **all_on() if by_themselves else {}) as pool:
        gates = _Gates(pool, lives.threads)
        gates.wait()
        before = look()
        if not by_themselves:
            for key in range(keys):
                pool.initialize(key)
        for _ in range(lives.messages if lives.singly else 1):
            send(pool.dispatch, 1 if lives.singly else lives.messages)
            gates = gates.next()
        after = look()
        gates.open()
    return before, after


def _both() -> Took:
    return perf_counter(), process_time()


def in_turns(lives: Lives, scale: float = 1.0) -> dict[bool, list[Took]]:
    """Return what one life of either kind takes, in µs: in runs of the two in turns."""
    keys = max(1, int(scale * KEYS[lives.messages]))
    found: dict[bool, list[Took]] = {BY_HAND: [], BY_THEMSELVES: []}
    for turn in range(TURNS):
        for kind in (BY_HAND, BY_THEMSELVES)[:: -1 if turn % 2 else 1]:
            before, after = live(lives, keys, _both, by_themselves=kind)
            wall, cpu = (
                (end - start) / keys * 1e6 for start, end in zip(before, after, strict=True)
            )
            found[kind].append((wall, cpu))
    return found


def taken(lives: Lives, scale: float = 1.0) -> dict[bool, Took]:
    """Return what one life of either kind takes, in µs."""
    of = min if lives.threads == 1 else statistics.median
    found: dict[bool, Took] = {}
    for kind, took in in_turns(lives, scale).items():
        wall, cpu = map(of, zip(*took, strict=True))
        found[kind] = wall, cpu
    return found


def bytecodes(lives: Lives, few: int, many: int, *, by_themselves: bool) -> float:
    """Return the bytecodes of one life, of all threads."""

    def count(keys: int) -> int:
        with counting() as look:
            before, after = live(lives, keys, look, by_themselves=by_themselves)
        return after - before

    return (count(many) - count(few)) / (many - few)


def _figures(few: int, many: int, scale: float) -> dict[str, list[float]]:
    """Return the figures of each row: of bytecodes, of µs on one thread, and on two; pairs each."""
    found: dict[str, list[float]] = {}
    gc.disable()  # when it runs depends on what was there before
    for lives, on_two in zip(LIVES, ON_TWO, strict=True):
        found[lives.name] = [
            bytecodes(lives, few, many, by_themselves=kind) for kind in (BY_HAND, BY_THEMSELVES)
        ]
        for each in (lives, on_two):
            took = taken(each, scale)
            found[lives.name] += [took[BY_HAND][1], took[BY_THEMSELVES][1]]
            gc.collect()
    return found


def table(libraries: Sequence[dict[str, list[float]]]) -> list[str]:
    """Return a table with a row for each kind of lives, and columns for each library."""
    names = ["bytecodes by hand, by themselves", "µs of processor time, one thread", "two threads"]
    lines = [f"| {build()} | {' | '.join(names * len(libraries))} |"]
    lines.append("|---" * (1 + len(names) * len(libraries)) + "|")
    for lives in LIVES:
        cells: list[str] = []
        for figures in (found[lives.name] for found in libraries):
            for form, hand, own in zip(
                ("{:,.0f}", "{:.2f}", "{:.2f}"), figures[::2], figures[1::2], strict=True
            ):
                cells.append(f"{form.format(hand)}, {form.format(own)}: {own / hand:.3f}")
        lines.append(f"| {lives.name} | {' | '.join(cells)} |")
    return lines


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.held_lives",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--base", type=checkout_of, metavar="CHECKOUT", help="of the library of before"
    )
    parser.add_argument("--keys", type=int, default=100, help="lives that are counted (100)")
    parser.add_argument("--scale", type=float, default=1.0, help="more or less that is timed (1.0)")
    parser.add_argument("--here", action="store_true", help="print figures, of this process")
    arguments = parser.parse_args(words)
    if arguments.here:
        print(json.dumps(_figures(arguments.keys // 5, arguments.keys, arguments.scale)))
        return 0
    sizes = ["--keys", str(arguments.keys), "--scale", str(arguments.scale)]
    libraries: list[Path] = [CHECKOUT] if arguments.base is None else [arguments.base, CHECKOUT]
    found = [
        run_module("benchmarks.held_lives", "--here", *sizes, library=library)
        for library in libraries
    ]
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
