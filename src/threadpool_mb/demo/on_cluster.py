"""The demo's job on a Dask cluster: `python -m threadpool_mb.demo.on_cluster`.

Each package of the standard library is a key; its worker, on one of the Dask workers, tallies the
files that it is sent and tells the tally when it is asked. Then the same on one thread, here. Each
Dask worker reads its own standard library, which is to be the same.
"""

import argparse
import contextlib
import dataclasses
import os
import sys
import time
import warnings
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, cast, final

import dask as _dask  # type: ignore[import-not-found,import-untyped,unused-ignore]  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
import distributed  # type: ignore[import-not-found,import-untyped,unused-ignore]  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

from threadpool_mb.calls.calling import ask
from threadpool_mb.calls.messages import Call, Command
from threadpool_mb.cluster.pool import ClusterPool
from threadpool_mb.demo import report
from threadpool_mb.demo.run import Job, run_on_one_thread, warm_up
from threadpool_mb.demo.tally import TEST_SUITE, Tally, find_sources, standard_library, tally_file

__all__ = ["main", "package", "run_on_cluster"]

# For type checkers in environments that have no Dask.
dask: Final[Any] = distributed
_settings: Final[Any] = cast("Any", _dask).config

_FAILED: Final = 1
_TOP: Final = 15
_IGNORED: Final = (SyntaxWarning, DeprecationWarning)
"""What the parser warns of concerns the files, not this program."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class GetTally(Command[Tally]):
    """What was counted so far."""


def package(key: str) -> Generator[None, Any]:
    """Tally the files of a package, whose paths are from the standard library's folder on."""
    del key
    tally, root = Tally(), standard_library()
    while True:
        received: Any = yield
        if isinstance(received, Call):
            cast("Call[Tally]", received).reply_box.reply(tally)
        else:
            tally.add(tally_file(root / received))


def run_on_cluster(job: Job, client: object) -> tuple[Mapping[str, Tally], float]:
    """Tally the files on a cluster; return what was counted under each key, and the seconds.

    Blocks: until all files are tallied.
    """
    root = standard_library()
    start = time.perf_counter()
    with ClusterPool[str, Any](package, client, name="demo") as pool:
        # Round robin: the heaviest package does not make all others wait.
        longest = max(map(len, job.packages.values()), default=0)
        for place in range(longest):
            for key, paths in job.packages.items():
                if place < len(paths):
                    pool.dispatch(key, str(paths[place].relative_to(root)))
        replies = {key: ask(pool.ref(key), GetTally()) for key in job.packages}
        tallies = {key: reply.result() for key, reply in replies.items()}
    return tallies, time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return the exit status: 1 if the tallies of the cluster and of one thread differ."""
    parser = argparse.ArgumentParser(prog="python -m threadpool_mb.demo.on_cluster")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a cluster that runs; without it, two processes are started here",
    )
    options = parser.parse_args(arguments)
    for category in _IGNORED:
        warnings.simplefilter("ignore", category)
    sources = find_sources(standard_library(), without=(TEST_SUITE,))
    job, alone = Job.of(sources.files), Job.of(sources.files)
    warm_up(job)
    with contextlib.ExitStack() as stack:
        cluster: Any = options.scheduler
        if cluster is None:
            # It reads the frames of threads that run, for which a free-threaded build may crash.
            stack.enter_context(_settings.set({"distributed.worker.profile.enabled": False}))
            cluster = stack.enter_context(
                dask.LocalCluster(
                    n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
                )
            )
        client: Any = stack.enter_context(dask.Client(cluster))
        for category in _IGNORED:
            client.run(warnings.simplefilter, "ignore", category)
        nodes = len(client.scheduler_info()["workers"])
        tallies, seconds = run_on_cluster(job, client)
    seconds_alone = run_on_one_thread(alone)
    print(report.table(tallies, _TOP))
    print()
    print(
        report.figures(
            messages=len(sources.files),
            workers=len(job.packages),
            cores=os.process_cpu_count() or 1,
            pool_seconds=seconds,
            one_thread_seconds=seconds_alone,
        )
    )
    print(f"Dask workers   {nodes}")
    if _counted(tallies) != _counted(alone.tallies):
        print("the tallies of the cluster and of the one thread differ", file=sys.stderr)
        return _FAILED
    print("the tallies of the cluster and of the one thread are the same")
    return 0


def _counted(tallies: Mapping[str, Tally]) -> list[object]:
    """Return what was counted, with the names of unread files: paths differ between machines."""
    return [
        (key, dataclasses.replace(tally, unread=[]), [each.path.name for each in tally.unread])
        for key, tally in sorted(tallies.items())
    ]


if __name__ == "__main__":
    sys.exit(main())
