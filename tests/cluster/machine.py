"""One process of a Dask cluster: a scheduler, or a worker. It ends with its standard input."""

import asyncio
import sys

import dask
from distributed import Scheduler, Worker

dask.config.set(
    {
        "distributed.scheduler.dashboard.status.task-stream-length": 1,
        "distributed.worker.memory.terminate": False,
        # It walks the frames of threads that run. A free-threaded 3.14 of these tests has crashed
        # in `PyFrame_GetBack`: that it was for this is likely, and not shown.
        "distributed.worker.profile.enabled": False,
    }
)


async def run(kind: str, *arguments: str) -> None:
    """Run until the standard input is closed."""
    server = (
        Scheduler(host="127.0.0.1", port=0, dashboard=False)
        if kind == "scheduler"
        else Worker(*arguments, host="127.0.0.1", nthreads=2, dashboard=False, memory_limit=0)
    )
    async with server:
        print(server.address, flush=True)  # noqa: T201 - it is read
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
