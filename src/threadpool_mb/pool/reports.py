"""What a pool tells of itself: frozen snapshots, made when they are asked for."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from threadpool_mb.arguments import counted, some_keys
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.values import MISSING

__all__ = [
    "DrainReport",
    "ExitCause",
    "PoolStats",
    "WorkerExit",
    "WorkerState",
    "WorkerStats",
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
    """Its number; unique within the pool; later workers have greater numbers."""
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


type WorkerState = Literal["idle", "busy", "waiting"]
"""What a worker does; see `WorkerStats.state`."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerStats[K]:
    """A worker that has not ended, as it was when it was looked at, a moment after others."""

    key: K
    """Its key."""
    incarnation: int
    """Its number."""
    state: WorkerState
    """What it does:

    - `"idle"`: it waits for its next message. Of a function worker: some thread, or task of
      asyncio, waits for the next message of its mailbox, one of this library's;
    - `"waiting"`: it waits for the worker of its key before it; for one of the threads that take
      turns; for an answer, in `call` or `Reply.result`; or for room in a mailbox of a worker, for
      which it waits as long as it takes (`Blocking`);
    - `"busy"`: anything else. Other waits of its code are not known of, such as those in `aio`, for
      a future, or for a call that is handled on its own thread.
    """
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
    unfinished: tuple[WorkerStats[K], ...]
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
    keys: int
    """Keys that have a worker."""
    messages: int
    """Messages that wait in all mailboxes."""
    workers: tuple[WorkerStats[K], ...]
    """All workers that have not ended, oldest first: which are busy, which are full, which wait."""
    leaving: tuple[WorkerStats[K], ...]
    """Workers that were told to end and have not; if one stays here, its code is stuck."""
    started: int
    """Workers that were started, since the pool was made."""
    failed: int
    """Workers that ended with an error, since the pool was made."""
    dead_letters: Mapping[DeadLetterReason, int]
    """Messages that were not handled, by reason, since the pool was made."""
    threads: int
    """Threads of the pool, idle ones and the dispatcher included."""


def what_is_left(unfinished: Sequence[WorkerStats[Any]]) -> str:
    """Return, for a log line, which workers are left and how much waits for them."""
    workers, messages = len(unfinished), sum(worker.messages for worker in unfinished)
    running = some_keys([worker.key for worker in unfinished if worker.running])
    return (
        f"{counted(workers, 'worker')} not ended{running}, {counted(messages, 'message')} waiting"
    )
