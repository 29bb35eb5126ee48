"""The job: the same files through a pool, a worker for each package, and on one thread.

A package's files are handled by one worker, one after another. To keep all cores busy to the end,
the packages are taken heaviest first, as many at a time as there are cores: all at once would share
the cores fairly, and the heaviest would be left alone on one core at the end. Few threads also keep
their memory warm: on free-threaded builds each thread has a heap of its own, and with a thread for
each of the standard library's 190 packages at once the job touches 190,000 fresh pages, not 11,000.
"""

import contextlib
import dataclasses
import gc
import os
import queue
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import final

from threadpool_mb.dead_letters import DeadLetter
from threadpool_mb.demo.tally import Source, Tally, read_source, tally_file
from threadpool_mb.pool.pool import Pool
from threadpool_mb.pool.reports import WorkerExit
from threadpool_mb.protocols import Mailbox

__all__ = ["Job", "cores", "run_in_pool", "run_on_one_thread", "warm_up"]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """Files to tally, and what was counted of them so far."""

    packages: Mapping[str, Sequence[Path]]
    """The files of each key, heaviest key first."""
    tallies: Mapping[str, Tally]
    """What was counted under each key; written by the thread that runs the job."""

    @classmethod
    def of(cls, sources: Iterable[Source]) -> "Job":
        """Group files by key; nothing is counted yet."""
        groups: dict[str, list[Source]] = {}
        for source in sources:
            groups.setdefault(source.key, []).append(source)
        heaviest_first = sorted(
            groups, key=lambda key: sum(source.size for source in groups[key]), reverse=True
        )
        return cls(
            {key: [source.path for source in groups[key]] for key in heaviest_first},
            {key: Tally() for key in heaviest_first},
        )

    def seen(self) -> int:
        """Return how many files were tallied; from any thread, while the job runs."""
        return sum(tally.seen for tally in self.tallies.values())


def cores() -> int:
    """Return how many cores this process may use."""
    return os.process_cpu_count() or 1


def run_in_pool(job: Job) -> float:
    """Tally the files in a pool, with a worker for each key; return the seconds it took.

    The seconds include the start and the end of the pool and its threads.

    Blocks: until all files are tallied. Leaving it with an exception (Ctrl-C) cancels the workers
    and waits for the file that each has in hand.
    """
    # A token for each core. No `Semaphore`: on 3.14 Ctrl-C can leave its lock locked (gh-148874).
    free: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(cores()):
        free.put(None)

    def worker(key: str, mailbox: Mailbox[Path]) -> None:
        tally = job.tallies[key]  # written by no other thread: a key has one worker
        for path in mailbox:
            tally.add(tally_file(path))

    def worker_ended(_: WorkerExit[str]) -> None:
        free.put(None)

    def not_read(_: DeadLetter[str, Path]) -> None:
        """Say nothing: after Ctrl-C it is meant, else the tallies differ from the other run's."""

    gc.collect()
    start = time.perf_counter()
    with Pool(worker, name="demo", on_worker_exit=worker_ended, on_dead_letter=not_read) as pool:
        for key, paths in job.packages.items():
            free.get()
            pool.initialize(key)
            for path in paths:
                pool.dispatch(key, path)
            pool.remove(key, drain=True)  # it finishes its backlog; its thread serves another key
    return time.perf_counter() - start


def run_on_one_thread(job: Job) -> float:
    """Tally the same files with the same code on the calling thread; return the seconds it took.

    Blocks: until all files are tallied.
    """
    gc.collect()
    start = time.perf_counter()
    for key, paths in job.packages.items():
        tally = job.tallies[key]
        for path in paths:
            tally.add(tally_file(path))
    return time.perf_counter() - start


def warm_up(job: Job) -> None:
    """Read every file once, so that the run that comes first does not pay for the disk."""
    for paths in job.packages.values():
        for path in paths:
            with contextlib.suppress(OSError):
                read_source(path)
