"""What a pool tells of itself: frozen snapshots, made when they are asked for."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.describing import counted, some_keys
from threadpool_mb.markers import MISSING

__all__ = [
    "DrainReport",
    "ExitCause",
    "PoolStats",
    "UnfinishedWorker",
    "WorkerExit",
    "what_is_left",
]

type ExitCause = Literal["returned", "failed", "drained", "idle", "evicted", "removed", "cancelled"]
"""Why a worker has ended; see `WorkerExit.cause`."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerExit[K]:
    """The end of a worker."""

    key: K
    """Its key."""
    incarnation: int
    """Its number; each worker of a pool has another one, and later ones have greater ones."""
    error: BaseException | None
    """What it raised; `None` if it ended well."""
    cause: ExitCause
    """Why it has ended:

    - `"returned"`: it came to its own end;
    - `"failed"`: it raised, or was never started; `error` is that exception;
    - `"drained"`: it was to handle its backlog, by the pool's `close` or by `remove(drain=True)`,
      and has done so;
    - `"removed"`: by `remove`, or because its mailbox overflowed;
    - `"cancelled"`: by the pool's `cancel`.

    `"idle"` and `"evicted"` are reserved for ends that a pool decides by itself.
    """
    message: object = MISSING
    """The message that a generator worker had in hand when it failed; else `MISSING`. The messages
    of a function worker are its own affair: which one it had in hand is not known."""


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


def what_is_left(unfinished: Sequence[UnfinishedWorker[Any]]) -> str:
    """Return, for a log line, who has not ended and how much waits for them."""
    workers, messages = len(unfinished), sum(worker.messages for worker in unfinished)
    running = some_keys([worker.key for worker in unfinished if worker.running])
    return (
        f"{counted(workers, 'worker')} not ended{running}, {counted(messages, 'message')} waiting"
    )
