"""What a pool tells of itself: frozen snapshots, made when they are asked for."""

import dataclasses
from collections.abc import Mapping

from threadpool_mb.dead_letters import DeadLetterReason

__all__ = ["DrainReport", "PoolStats", "UnfinishedWorker", "WorkerExit"]


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerExit[K]:
    """The end of a worker."""

    key: K
    """Its key."""
    incarnation: int
    """Its number; each worker of a pool has another one, and later ones have greater ones."""
    error: BaseException | None
    """What it raised; `None` if it ended well."""


@dataclasses.dataclass(frozen=True, slots=True)
class UnfinishedWorker[K]:
    """A worker that has not ended."""

    key: K
    """Its key."""
    incarnation: int
    """Its number."""
    running: bool
    """Whether it was started; if not, it waits for the worker before it, or for its thread."""
    told_to_end: bool
    """Whether it was removed, or the pool closed; if it runs on, it is busy or stuck."""
    messages: int
    """Messages that wait in its mailbox."""
    senders_waiting: int
    """Threads that wait for room in its mailbox."""


@dataclasses.dataclass(frozen=True, slots=True)
class DrainReport[K]:
    """How a pool ended, or what it waits for."""

    finished: bool
    """Whether all workers and threads have ended. Never, in a child of the process in which the
    pool was made, if it was open at the fork."""
    unfinished: tuple[UnfinishedWorker[K], ...]
    """The workers that have not, oldest first."""
    failed: int
    """Workers that ended with an error, since the pool was made."""
    dead_letters: Mapping[DeadLetterReason, int]
    """Messages that were not handled, by reason, since the pool was made."""


@dataclasses.dataclass(frozen=True, slots=True)
class PoolStats[K]:
    """What a pool looked like at one moment; other threads may have changed it since."""

    state: str
    """`"running"`, `"closing"`, `"cancelling"` or `"ended"`; `"made before os.fork()"` in a
    child of the process in which it was made."""
    workers: int
    """Keys that have a worker."""
    messages: int
    """Messages that wait in all mailboxes."""
    unfinished: tuple[UnfinishedWorker[K], ...]
    """All workers that have not ended, oldest first: who is busy, who is full, who waits."""
    leaving: tuple[UnfinishedWorker[K], ...]
    """Workers that were told to end and have not; if one stays here, its code is stuck."""
    started: int
    """Workers that were started, since the pool was made."""
    failed: int
    """Workers that ended with an error, since the pool was made."""
    dead_letters: Mapping[DeadLetterReason, int]
    """Messages that were not handled, by reason, since the pool was made."""
    threads: int
    """Threads of the pool, idle ones and the dispatcher included."""
