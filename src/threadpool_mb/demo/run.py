"""The job: the same files through a pool, a worker per package, and on one thread."""

import contextlib
import dataclasses
import gc
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, final

from threadpool_mb.demo.progress import Progress
from threadpool_mb.demo.sources import Source
from threadpool_mb.demo.tally import Tally, read_source, tally_file
from threadpool_mb.mailbox.bounded import Blocking
from threadpool_mb.mailbox.protocols import Mailbox
from threadpool_mb.pool.pool import Pool

__all__ = ["Outcome", "run_in_pool", "run_on_one_thread", "warm_up"]

# Enough that no worker runs dry, few enough that no package falls behind: see `sources.interleave`.
_BACKLOG: Final = 4


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a run counted, and how long it took."""

    tallies: dict[str, Tally]
    """By key."""
    seconds: float
    """From the first dispatch to the last result, the start and end of all threads included."""


def run_in_pool(sources: Sequence[Source], progress: Progress) -> Outcome:
    """Tally the files in a pool, with a worker for each key.

    Blocks: until all files are tallied. Leaving it with an exception (Ctrl-C) cancels the workers
    and waits for the file that each has in hand.
    """
    tallies = _empty_tallies(sources)

    def count(key: str, mailbox: Mailbox[Path]) -> None:
        tally = tallies[key]  # no other worker writes to it: a key has one worker
        for path in mailbox:
            tally.add(tally_file(path))

    gc.collect()
    start = time.perf_counter()
    with Pool(count, mailbox=Blocking(_BACKLOG), name="demo") as pool:
        for key in tallies:
            pool.initialize(key)
        for source in sources:
            pool.dispatch(source.key, source.path)
            if progress.visible:
                progress.show(sum(tally.seen for tally in tallies.values()))
    return Outcome(tallies, time.perf_counter() - start)


def run_on_one_thread(sources: Sequence[Source], progress: Progress) -> Outcome:
    """Tally the same files with the same code on the calling thread.

    Blocks: until all files are tallied.
    """
    tallies = _empty_tallies(sources)
    gc.collect()
    start = time.perf_counter()
    for done, source in enumerate(sources, start=1):
        tallies[source.key].add(tally_file(source.path))
        progress.show(done)
    return Outcome(tallies, time.perf_counter() - start)


def warm_up(sources: Iterable[Source]) -> None:
    """Read every file once, so that the run that comes first does not pay for the disk."""
    for source in sources:
        with contextlib.suppress(OSError):
            read_source(source.path)


def _empty_tallies(sources: Iterable[Source]) -> dict[str, Tally]:
    return {source.key: Tally() for source in sources}
