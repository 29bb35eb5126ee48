"""A process of its own that makes very many keys: `python -m benchmarks.memory KIND COUNT`.

Of its own, as a process that has once been large does not become small again. Prints `Usage` as
JSON.
"""

import dataclasses
import gc
import itertools
import json
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final

import threadpool_mb as mb
from benchmarks.machine import cores, peak_memory, resident_memory
from benchmarks.measuring import PATIENCE
from benchmarks.peers.ideal import HandWrittenIdeal


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """What it took; memory is resident, in bytes."""

    seconds: float
    before: int
    during: int
    """The most there was; of keys that live on: once all of them have started."""
    after: int
    """When all was closed and dropped, and the garbage collected."""


class _Marks:
    """Whether each key's message was handled once."""

    def __init__(self, count: int) -> None:
        self._marks: Final = bytearray(count)

    def mark(self, key: int) -> None:
        self._marks[key] += 1  # the key's own byte: nobody else writes it

    def worker(self, _key: int) -> Generator[None, int]:
        self.mark((yield))

    def check(self) -> None:
        if self._marks.count(1) != len(self._marks):
            raise AssertionError("some keys' messages were not handled once")


def _submit_keyed(count: int, marks: _Marks) -> None:
    with mb.KeyedExecutor(max_workers=cores()) as executor:
        for key in range(count):
            executor.submit_keyed(key, marks.mark, key)


def _submit(count: int, marks: _Marks) -> None:
    with ThreadPoolExecutor(cores()) as executor:
        for key in range(count):
            executor.submit(marks.mark, key)


def _pool(count: int, marks: _Marks) -> None:
    with mb.Pool(marks.worker, max_threads=cores()) as pool:
        for key in range(count):
            pool.initialize(key)
            pool.dispatch(key, key)


def _ideal(count: int, marks: _Marks) -> None:
    workers = HandWrittenIdeal(marks.worker, cores())
    for key in range(count):
        workers.start(key)
        workers.send(key, (key,))
    workers.close()


def use_once(use: Callable[[int, _Marks], None], count: int) -> Usage:
    """Create, use once and drop `count` keys."""
    marks = _Marks(count)
    before = resident_memory()
    start = perf_counter()
    use(count, marks)
    seconds = perf_counter() - start
    marks.check()
    gc.collect()
    return Usage(seconds, before, peak_memory(), resident_memory())


class _Idlers:
    """Workers that do nothing, and tell when all of them have started."""

    def __init__(self, count: int) -> None:
        self._count: Final = count
        self._numbers: Final = itertools.count(1)
        self._all_started: Final = threading.Event()

    def worker(self, key: int) -> Generator[None, int]:
        total = key
        if next(self._numbers) == self._count:
            self._all_started.set()
        while True:
            total += yield

    def wait(self) -> int:
        """Wait until all have started, and return how much memory there is in use."""
        if not self._all_started.wait(PATIENCE):
            raise AssertionError("some workers did not start")
        gc.collect()
        return resident_memory()


def _live_in_pool(count: int, idlers: _Idlers) -> int:
    pool = mb.Pool(idlers.worker, max_threads=cores())
    for key in range(count):
        pool.initialize(key)
    during = idlers.wait()
    pool.cancel()
    pool.join()
    return during


def _live_by_hand(count: int, idlers: _Idlers) -> int:
    workers = HandWrittenIdeal(idlers.worker, cores())
    for key in range(count):
        workers.start(key)
    during = idlers.wait()
    workers.close()
    return during


def live(use: Callable[[int, _Idlers], int], count: int) -> Usage:
    """Have `count` keys live and idle at once."""
    idlers = _Idlers(count)
    gc.collect()
    before = resident_memory()
    start = perf_counter()
    during = use(count, idlers)
    seconds = perf_counter() - start
    gc.collect()
    return Usage(seconds, before, during, resident_memory())


KINDS: Final[dict[str, Callable[[int], Usage]]] = {
    "submit_keyed": lambda count: use_once(_submit_keyed, count),
    "submit": lambda count: use_once(_submit, count),
    "pool": lambda count: use_once(_pool, count),
    "ideal": lambda count: use_once(_ideal, count),
    "live-pool": lambda count: live(_live_in_pool, count),
    "live-ideal": lambda count: live(_live_by_hand, count),
}


def main() -> None:
    """Do what the arguments say."""
    kind, count = sys.argv[1:]
    print(json.dumps(dataclasses.asdict(KINDS[kind](int(count)))))


if __name__ == "__main__":
    main()
