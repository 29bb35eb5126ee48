"""What hooks and observers are told of workers: frozen values, which any layer may know."""

import dataclasses
from typing import Literal

from threadpool_mb.values import MISSING

__all__ = ["ExitCause", "StuckWorker", "WorkerExit"]

type ExitCause = Literal["returned", "failed", "drained", "idle", "evicted", "removed", "cancelled"]
"""Why a worker has ended; see `WorkerExit.cause`."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerExit[K]:
    """The end of a worker; or of its wait to be started again, if nothing will be started.

    A hook that was told of a restart (`restart_in`) is told of either: the new worker's end, in its
    time, or that the restart was called off, by `remove`, `cancel`, or the close of a pool in which
    nothing is left to do. The cause says by which; `error` is `None`, and `stats().ended` does not
    count it, since no worker was running.
    """

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
      and has done so, or there is none;
    - `"removed"`: by `remove`, or because its mailbox overflowed;
    - `"cancelled"`: by the pool's `cancel`;
    - `"idle"`: no message came for the pool's `idle_timeout`;
    - `"evicted"`: there was one key more than the pool's `max_keys`, and it was idle longest.
    """
    message: object = MISSING
    """The message that a generator worker had in hand when it failed, or when it was removed or
    cancelled in the midst of it (in `sleep` or `wait`); else `MISSING`. It is no dead letter. The
    messages of a function worker are its own affair: which one it had in hand is not known."""
    restart_in: float | None = None
    """The seconds after which it is started again, with its mailbox; `None` if it has ended for
    good."""


@dataclasses.dataclass(frozen=True, slots=True)
class StuckWorker[K]:
    """A worker, or a task, that is busy on one message for longer than `stuck_after`."""

    key: K
    """Its key."""
    incarnation: int
    """Its number."""
    seconds: float
    """How long it has been busy on that message."""
    thread: str
    """The name of the thread that runs it."""
    stack: str
    """Where it is: the stack of that thread as text, the most recent call last."""
