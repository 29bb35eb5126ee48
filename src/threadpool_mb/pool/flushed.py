"""Waiting until some workers of a pool have handled what they were given; see `line.flushing`."""

from collections.abc import Sequence
from typing import Any

from threadpool_mb.arguments import Deadline, describe
from threadpool_mb.line.flushing import Flush
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.threads.here import here

__all__ = ["flushed"]


def flushed(workers: Sequence[Incarnation[Any, Any]], pool_name: str, deadline: Deadline) -> bool:
    """Wait until each worker has handled what it has now; `False` if the deadline came first.

    Raises:
        RuntimeError: in one of these workers.
        TypeError: if one has its messages in a user's own kind of mailbox.
    """
    for worker in here.workers():
        if worker in workers:
            raise RuntimeError(
                f"the worker of key {describe(worker.key)} cannot flush the pool {pool_name!r}: it"
                " would wait for itself"
            )
    inlets = [worker.inlet for worker in workers if not worker.has_handled_all]
    flush = Flush()
    for inlet in inlets:
        flush.enter(inlet, *inlet.marker_goes)
        if inlet.unattended:
            inlet.attend()
    return flush.wait(deadline)
