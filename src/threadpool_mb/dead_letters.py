"""Messages that will not be handled: counted, handed to a hook, otherwise logged.

**Guarantees.** Every dead letter is counted once. If a caller waits for an answer to it, the caller
is told first. It goes to the hook if there is one. Without a hook the first of a kind is logged at
WARNING, and those that follow within a second are summed up in the next line (or in the last one,
when the owner ends). What a hook raises is logged and changes nothing else. The hook is called on
the thread on which the message became a dead letter, with no lock held. There is one exception: in
a finalizer or a signal handler, the thread may hold what it held when that began.

A message that is told what becomes of it is `Informed`: a call is, since a caller waits for its
answer.
"""

import collections
import dataclasses
import enum
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from threadpool_mb.arguments import describe
from threadpool_mb.envelopes import Observed, plain
from threadpool_mb.forking import end_own_thread, remake
from threadpool_mb.logs import Logger
from threadpool_mb.values import Missing

__all__ = [
    "DeadLetter",
    "DeadLetterOffice",
    "DeadLetterReason",
    "Informed",
    "TakesDisplaced",
    "inform",
]

_logger = Logger(__name__)

_LOG_INTERVAL: Final = 1.0
"""Seconds between two log lines of one reason."""


class DeadLetterReason(enum.StrEnum):
    """Why a message was not handled."""

    UNKNOWN_KEY = "unknown key"
    """No worker had the key."""
    REFUSED = "refused by the limit"
    """The worker's mailbox was full."""
    WORKER_REMOVED = "worker removed"
    """The worker was removed, or overflowed its mailbox, before it took the message."""
    WORKER_ENDED = "worker ended"
    """The worker returned before it took the message."""
    WORKER_FAILED = "worker failed"
    """The worker raised, or was never started, before it took the message."""
    WORKER_IDLE = "worker idle"
    """The worker was ended as idle before it took the message, and no other could take it."""
    WORKER_EVICTED = "worker evicted"
    """The worker was ended to make room for another key's, and no other could take it."""
    EXPIRED = "expired"
    """The message has waited for longer than the pool's `message_ttl`."""
    NOT_DUE = "not due yet"
    """The pool was closed before the time at which the message was to be dispatched."""
    POOL_CLOSED = "pool closed"
    """The pool or broker was cancelled, or ended, before the message was taken; or was closed as
    one of `dispatch_later` came due, or waited for room."""
    DUPLICATE_INITIALIZE = "duplicate initialize"
    """The message came with an `initialize` of a key that has a worker."""
    DISPLACED = "displaced"
    """The worker's mailbox was full, and kept a newer message instead: its kind is `Sliding`."""
    DEMULTIPLEX_FAILED = "demultiplex failed"
    """A broker's `demultiplex` raised, or returned no address."""
    NODE_LOST = "node lost"
    """The Dask worker to which the message was sent is lost. The message may have been handled: see
    `threadpool_mb.cluster`."""
    UNREADABLE = "unreadable"
    """The Dask worker to which the message was sent could not unpickle it."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter[K, M]:
    """A message that will not be handled."""

    key: K | Missing
    """The key that it was for; `MISSING` where a broker ended before it had asked for the key, or
    did not learn it."""
    message: M
    """The message itself."""
    reason: DeadLetterReason
    """Why it will not be handled."""


@final
class DeadLetterOffice[K, M]:
    """Counts the dead letters of one owner and passes them on.

    Threads: internally synchronized.
    """

    __slots__ = (
        "_counts",
        "_hook",
        "_in_child",
        "_lock",
        "_now",
        "_quiet_until",
        "_unlogged",
        "observers",
        "owner",
    )

    def __init__(
        self,
        owner: str,
        hook: Callable[[DeadLetter[K, M]], object] | None = None,
        observers: Any = None,  # noqa: ANN401 - that module is above this one
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an office for `owner` (its repr in log lines); `now` is a clock in seconds.

        `observers` are told of each dead letter, too: an `Observers`, if there are any.
        """
        self.observers: Final = observers
        self.owner: Final = owner
        self._hook: Final = hook
        self._now: Final = now
        # Guards the three tables below. A thread waits for it no longer than a few dict accesses
        # take.
        self._lock: Final = threading.RLock()
        self._in_child: bool = False
        self._counts: Final = dict.fromkeys(DeadLetterReason, 0)
        self._quiet_until: Final[dict[DeadLetterReason, float]] = {}
        self._unlogged: Final = collections.Counter[DeadLetterReason]()

    def take(
        self,
        key: K | Missing,
        message: M,
        reason: DeadLetterReason,
        cause: BaseException | None = None,
    ) -> None:
        """Count one dead letter and pass it on; a caller that waits for its answer gets `cause`.

        Blocks: as long as the hook does.
        """
        if self._in_child:
            return
        inform(message, key, reason, error=cause)
        message = plain(message)
        more = -1
        with self._lock:
            self._counts[reason] += 1
            if self._hook is None:
                now = self._now()
                if now < self._quiet_until.get(reason, now):
                    self._unlogged[reason] += 1
                else:
                    self._quiet_until[reason] = now + _LOG_INTERVAL
                    more = self._unlogged.pop(reason, 0)
        if more >= 0:
            before = f" ({more} more before it)" if more else ""
            _logger.warning(
                "%s: dead letter for key %s: %s%s", self.owner, describe(key), reason, before
            )
        if self._hook is None and self.observers is None:
            return
        letter = DeadLetter(key, message, reason)
        try:
            if self._hook is not None:
                self._hook(letter)
        except Exception:
            _logger.exception("%s: on_dead_letter raised", self.owner)
        finally:
            if self.observers is not None:
                self.observers.dead_letter(letter)
        if self._in_child:
            end_own_thread()

    def flush(self) -> None:
        """Log how many dead letters rate limiting has kept out of the log."""
        with self._lock:
            unlogged = dict(self._unlogged)
            self._unlogged.clear()
        for reason, more in unlogged.items():
            _logger.warning("%s: %d more dead letters: %s", self.owner, more, reason)

    def forked(self) -> None:
        """Take nothing any more, and log no sum, in a child of `os.fork`: the parent does."""
        remake(self._lock)
        self._in_child = True
        self._unlogged.clear()

    def counts(self) -> Mapping[DeadLetterReason, int]:
        """Return how many there were of each reason; a snapshot."""
        with self._lock:
            counts = self._counts.copy()
        return {reason: count for reason, count in counts.items() if count}


class TakesDisplaced:
    """What a mailbox gives its dead letters to, if it knows where displaced messages come from."""

    __slots__ = ()

    def displaced(self, message: Any) -> None:  # noqa: ANN401 - of any mailbox
        """Make a dead letter of a message that was displaced by a newer one. It may raise."""
        raise NotImplementedError


class Informed:
    """A message that is told if it will not be handled."""

    __slots__ = ()

    def _not_handled(
        self,
        key: object,
        reason: str,
        *,
        started: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Take note that no worker will handle the message; a second time changes nothing.

        Called on any thread, with no lock held. It neither blocks nor raises.

        Args:
            key: the key that the message was for; `MISSING` where that is not known.
            reason: why; a `DeadLetterReason`, where the message was for a worker.
            started: whether the message was being handled.
            error: the error that has ended the handling, if there was one.
        """
        raise NotImplementedError


def inform(
    message: object,
    key: object,
    reason: str,
    *,
    started: bool = False,
    error: BaseException | None = None,
) -> None:
    """Tell a message that it will not be handled, if it is `Informed`; and what goes with it."""
    if type(message) is Observed:
        inform(message.sent, key, reason, started=started, error=error)
        message = message.message
    if isinstance(message, Informed):
        # Users, who get such messages in hand, see nothing of it.
        message._not_handled(key, reason, started=started, error=error)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
