"""What a pool tells of itself: frozen snapshots, made when they are asked for."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from threadpool_mb.arguments import counted, some_keys
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.events import ExitCause as ExitCause
from threadpool_mb.events import StuckWorker
from threadpool_mb.events import WorkerExit as WorkerExit

__all__ = [
    "DrainReport",
    "ExitCause",
    "PoolStats",
    "WorkerExit",
    "WorkerState",
    "WorkerStats",
    "what_is_left",
]

type WorkerState = Literal["idle", "busy", "waiting", "paused"]
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
      which it waits as long as it takes (`Blocking`); for a time or a result, in `sleep` or `wait`;
      or for the delay before it is started again;
    - `"paused"`: it takes no message until it is resumed; see `Pool.pause`;
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
class PoolStats:
    """What a pool looked like at one moment; other threads may have changed it since.

    It takes time proportional to the pool's threads, and to its workers that have something to do:
    those that are idle cost nothing. `Pool.workers` has the details of each, `Pool.hot` of those
    with the longest queues.
    """

    name: str
    """The pool's name."""
    state: str
    """`"running"`, `"closing"`, `"cancelling"` or `"ended"`; `"made before os.fork()"` in a
    child of the process in which it was made."""
    keys: int
    """Keys that have a worker."""
    busy: int
    """Workers that have begun, and are not idle: they handle a message, or one waits for them."""
    busy_threads: int
    """Threads that run a worker now: of `threads`, which counts the dispatcher as well."""
    waiting: int
    """Messages that wait in all mailboxes."""
    handled: int | None
    """Messages that generator workers have handled, since the pool was made; one that is tried
    again counts again. What a worker has handled counts at the end of its turn, of at most
    `throughput` messages. `None` where workers are functions, which take their messages themselves:
    to count them would add a quarter to what it costs to receive one. With `stuck_after` they count
    what they take."""
    started: int
    """Workers that were started, since the pool was made."""
    failed: int
    """Workers that ended with an error, since the pool was made; those that were restarted count,
    too."""
    restarted: int
    """Workers that were started again after they had failed, since the pool was made; one counts
    when it begins, not while it waits to."""
    ended: Mapping[ExitCause, int]
    """Workers that have ended, by the cause, since the pool was made; those that were restarted
    count, too."""
    max_keys: int | None
    """The most keys that were asked for, if they were; `keys` is more where none was idle."""
    timers: int
    """Messages, waits of workers and restarts whose time has not come; some of them may have been
    cancelled. Those that the dispatcher moves just then may be left out."""
    dead_letters: Mapping[DeadLetterReason, int]
    """Messages that were not handled, by reason, since the pool was made."""
    threads: int
    """Threads of the pool, idle ones and the dispatcher included."""
    oldest: float | None = None
    """With `stuck_after`: the seconds for which the worker that is busy longest has been on its
    present message, as far as looks at it have shown; 0 if none was busy on the same message at
    the last look. A wait in `sleep` or `wait` does not count, one in `call` does."""
    stuck: tuple[StuckWorker[Any], ...] = ()
    """With `stuck_after`: the workers that are busy on one message for longer."""


def what_is_left(unfinished: Sequence[WorkerStats[Any]]) -> str:
    """Return, for a log line, which workers are left and how much waits for them."""
    workers, messages = len(unfinished), sum(worker.messages for worker in unfinished)
    running = some_keys([worker.key for worker in unfinished if worker.running])
    return (
        f"{counted(workers, 'worker')} not ended{running}, {counted(messages, 'message')} waiting"
    )
