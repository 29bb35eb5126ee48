"""What the dispatcher knows of workers, whatever their kind."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Protocol, cast

from threadpool_mb.arguments import Deadline
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import Cancelled, MailboxClosed, PoolClosed
from threadpool_mb.mailbox.kinds import own_mailbox
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.reports import ExitCause, WorkerState
from threadpool_mb.protocols import Mailbox
from threadpool_mb.threads.timers import Timers
from threadpool_mb.threads.watching import Busy

__all__ = [
    "Ended",
    "EndsQuietly",
    "MakeKind",
    "Threads",
    "WorkerKind",
    "clean_cause",
    "ended_well",
    "stop_cause",
]

type Ended[K, M] = Callable[[Incarnation[K, M], BaseException | None, ExitCause, object], object]
"""Called once when a worker has completely ended, on its thread: with its error if it failed, the
cause, and the message that it had in hand when it failed (else `MISSING`)."""


class EndsQuietly(Protocol):
    """A `Roster`."""

    def end(self, incarnation: Incarnation[Any, Any], cause: ExitCause, quietly: bool, /) -> bool:  # noqa: FBT001 - as there
        """See `Roster.end`."""
        ...


class Threads(Protocol):
    """The threads that workers run on."""

    def close(self) -> None:
        """Let every thread end once it has nothing to do. Blocks: never."""
        ...

    def forked(self) -> object:
        """Run nothing more; in a child of `os.fork`, in which they are not."""
        ...

    def join(self, deadline: Deadline, /) -> bool:
        """Wait until every thread has ended; `False` if the deadline came first."""
        ...

    def __contains__(self, thread: threading.Thread, /) -> bool:
        """Return whether the thread is one of these."""
        ...

    def __len__(self) -> int:
        """Return the number of living threads."""
        ...


class WorkerKind[K, M](Protocol):
    """How workers run; the dispatcher knows nothing else of them."""

    @property
    def threads(self) -> Threads:
        """What they run on."""
        ...

    def new_incarnation(self, key: K, /) -> Incarnation[K, M]:
        """Create a worker that is not entered yet; what the mailbox's config raises passes."""
        ...

    def start_at_once(self, incarnation: Incarnation[K, M], /) -> bool:
        """Start a worker on any thread, and set its state, if that can be done at once.

        Neither blocks nor runs user code, and may be called under a lock.

        Returns:
            `False` if `start` has to be called on the dispatcher thread.
        """
        ...

    def start(self, incarnation: Incarnation[K, M], /) -> None:
        """Start a worker; its end is told once, on its thread: see `Ended`.

        On the dispatcher thread. Blocks: never for the worker itself.

        Raises:
            ThreadRefused: if it cannot be started; its end is not told then.
        """
        ...

    def grow(self) -> None:
        """Start one more thread if one is needed; on the dispatcher thread."""
        ...

    def count_with(
        self, rouse: Callable[[Incarnation[K, M]], object], quiet: EndsQuietly | None, /
    ) -> None:
        """Have `rouse` called for each worker that wakes up; see `pool.census`. Called once.

        A worker that has ended well may ask `quiet`, if there is one, before it tells its end.
        """
        ...

    def watch(self) -> None:
        """Have workers that begin from now on show what they have in hand; see `busy`."""
        ...

    def busy(self, workers: Iterable[Incarnation[K, M]], /) -> Iterator[Busy]:
        """Yield what threads have in hand; of the threads of `workers`, if each has its own."""
        ...

    def busy_threads(self, busy: int, /) -> int:
        """Return how many threads run a worker now, where `busy` workers are not idle."""
        ...

    @property
    def handled(self) -> int | None:
        """How many messages workers have handled in turns that have ended; `None`: not known."""
        ...

    def state_of(self, incarnation: Incarnation[K, M], /) -> WorkerState:
        """Return what a worker does that has begun and waits for no other. Blocks: never."""
        ...


type MakeKind[K, M] = Callable[
    [Callable[[], object], Ended[K, M], Timers, Keeping[K, M] | None], WorkerKind[K, M]
]
"""Makes a kind from what asks for its `grow` to be called, and what its workers' ends are told;
from the timers, and what keeps the lives of keys, where they do not live by hand alone."""


class _Receiving(Protocol):
    @property
    def closed(self) -> bool: ...
    @property
    def cancelled(self) -> bool: ...


def stop_cause(reason: DeadLetterReason) -> ExitCause:
    """Return why a worker was told to stop before its next message, from what its messages are."""
    return "removed" if reason is DeadLetterReason.WORKER_REMOVED else "cancelled"


def clean_cause(outcome: Literal["returned", "drained"], reason: DeadLetterReason) -> ExitCause:
    """Return why a worker has ended that had nothing more to handle, or that returned."""
    if outcome == "drained":
        if reason is DeadLetterReason.WORKER_IDLE:
            return "idle"
        if reason is DeadLetterReason.WORKER_EVICTED:
            return "evicted"
    return outcome


def ended_well(error: BaseException, mailbox: _Receiving) -> bool:
    """Return whether it is the worker's own mailbox that has stopped it, not another that it used.

    Where that is of a user's kind: whether it can be.
    """
    own = own_mailbox(cast("Mailbox[Any]", mailbox))
    if own is not None and isinstance(error, MailboxClosed):
        return error.receiver is own
    try:
        return (
            isinstance(error, MailboxClosed)
            and not isinstance(error, PoolClosed)
            and mailbox.closed
        ) or (isinstance(error, Cancelled) and mailbox.cancelled)
    except BaseException:  # noqa: BLE001 - a user's mailbox; the worker's end is reported all the same
        return False
