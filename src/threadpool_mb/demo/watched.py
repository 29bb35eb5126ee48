"""The same files, again and again in one pool, with a page to look at it."""

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NoReturn

from threadpool_mb.dashboard import serve
from threadpool_mb.dead_letters import DeadLetter
from threadpool_mb.demo.run import Job, cores
from threadpool_mb.demo.tally import tally_file
from threadpool_mb.pool.pool import Pool

__all__ = ["run_watched"]


def run_watched(job: Job, port: int, tell: Callable[[str], object]) -> NoReturn:
    """Tally the files in a pool, round after round, and serve its dashboard.

    A package is a key, as in `run_in_pool`; the workers are generators, so that all packages wait
    at once and the page shows which have the longest queues.

    Args:
        job: the files. What is counted is dropped.
        port: the port of the page; `0`: any that is free.
        tell: called with the page's address, then with a line for each round.

    Blocks: until an exception (Ctrl-C) leaves it.

    Raises:
        OSError: if the port is taken.
    """

    def worker(_: str) -> Generator[None, Path]:
        while True:
            tally_file((yield))

    def not_read(_: DeadLetter[str, Path]) -> None:
        """Say nothing: after Ctrl-C it is meant."""

    with (
        Pool(
            worker,
            name="demo",
            max_threads=cores(),
            start="on_demand",
            stuck_after=5.0,
            on_dead_letter=not_read,
        ) as pool,
        serve(pool, port=port) as page,
    ):
        tell(f"dashboard: {page.url}")
        tell("The files are tallied again and again. Ctrl-C ends it.")
        files, number = sum(map(len, job.packages.values())), 0
        what = f"{files:,} files of {len(job.packages):,} packages"
        while True:
            number += 1
            start = time.perf_counter()
            for key, paths in job.packages.items():
                pool.dispatch_many(key, paths)
            pool.flush()
            seconds = time.perf_counter() - start
            tell(f"round {number}: {what}, {seconds:.2f} s")
            time.sleep(1.0)  # so that the rounds can be told apart in the plots
