"""Futures: claims on the next messages of a mailbox, filled in the order in which they were taken.

**Guarantees.** A message goes to the oldest claim whose future is still alive. A future that was
dropped unfilled is passed over; one that is dropped filled but unread puts its message back at the
end of the mailbox. No message is lost either way.

**How.** Nobody fills a future when a message is delivered: senders know nothing of claims. Of the
threads that wait for a future one at a time *leads*: it takes messages from the mailbox and fills
the oldest claims with them, until its own is filled. The others wait until theirs is filled or
nobody leads.
"""

import collections
import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Final, cast, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.copying import Uncopied
from threadpool_mb.errors import Cancelled, MailboxClosed, MailboxEmpty
from threadpool_mb.markers import MISSING, Missing

__all__ = ["ClaimedMessage", "Claims"]


@final
class ClaimedMessage[T](Uncopied):
    """A claim on the next message of a mailbox; see `MessageFuture`."""

    __slots__ = ("__weakref__", "_claims", "_read", "_take", "message")

    def __init__(self, claims: "Claims[T]", take: Callable[[Deadline], T]) -> None:
        """Claim a message among `claims`; `take` takes one from the mailbox."""
        self._claims: Final = claims
        self._take: Final = take
        self._read = False
        self.message: T | Missing = MISSING

    def try_now(self) -> T | Missing:
        """Return the message if it is there, else `MISSING`; see `MessageFuture.try_now`."""
        try:
            return self.result(timeout=0)
        except MailboxEmpty:
            return MISSING

    def result(self, *, timeout: float | None = None) -> T:
        """Return the message; see `MessageFuture.result`."""
        return self.wait(Deadline(timeout))

    def wait(self, deadline: Deadline) -> T:
        """Return the message, once it is there."""
        if self.message is MISSING:
            self._claims.wait(self, deadline, self._take)
        self._read = True
        return cast("T", self.message)

    def done(self) -> bool:
        """Return whether the message is there; see `MessageFuture.done`."""
        try:
            if self.message is MISSING:
                self._claims.wait(self, Deadline(0), self._take)
        except (MailboxEmpty, MailboxClosed, Cancelled):
            return False
        return True

    def __del__(self) -> None:
        """Put a message that nobody has read back at the end of the mailbox."""
        # An interrupt may have come before it was made: then there is no `message`.
        if getattr(self, "message", MISSING) is not MISSING and not self._read:
            self._claims.give_back(cast("T", self.message))

    def __repr__(self) -> str:
        """Show whether it is filled."""
        return f"<MessageFuture [{'unfilled' if self.message is MISSING else 'filled'}]>"


@final
class Claims[T]:
    """The unfilled claims on one mailbox, oldest first.

    Holds no strong reference to a future, nor to the mailbox.
    """

    __slots__ = ("_changed", "_leader", "_lock", "_open", "give_back")

    def __init__(self, give_back: Callable[[T], object]) -> None:
        """Put messages that reached nobody back with `give_back`."""
        self.give_back: Final = give_back
        # Guards the two below and the filling of futures. Reentrant: a finalizer may run under it.
        # Entered as it is and not through the condition, whose `__exit__` is Python code that an
        # interrupt can keep from releasing it.
        self._lock: Final = threading.RLock()
        self._open: Final[collections.deque[weakref.ref[ClaimedMessage[T]]]] = collections.deque()
        # The thread that takes messages for all.
        self._leader: int | None = None
        # Notified by the leader, when it has filled a future and when it stops leading.
        self._changed: Final = threading.Condition(self._lock)

    def new(self, take: Callable[[Deadline], T]) -> ClaimedMessage[T]:
        """Return a future behind all that are there."""
        future = ClaimedMessage(self, take)
        with self._lock:
            # Those who poll drop one future after the other, behind one that lives.
            while self._open and self._open[-1]() is None:
                self._open.pop()
            self._open.append(weakref.ref(future))
        return future

    def any(self) -> bool:
        """Return whether a living future is unfilled."""
        with self._lock:
            while self._open and self._open[0]() is None:
                self._open.popleft()
            return bool(self._open)

    def withdraw(self, future: ClaimedMessage[T]) -> bool:
        """Give the future's claim back; `False` if it was filled before that."""
        with self._lock:
            if future.message is not MISSING:
                return False
            # An interrupt may have come between taking the claim and filling the future.
            with contextlib.suppress(ValueError):
                self._open.remove(weakref.ref(future))
            return True

    def wait(
        self, future: ClaimedMessage[T], deadline: Deadline, take: Callable[[Deadline], T]
    ) -> None:
        """Wait until `future` is filled, by leading if nobody else does.

        Blocks: at most until the deadline.

        Raises:
            MailboxEmpty: if the deadline came first.
        """
        me = threading.get_ident()
        while future.message is MISSING:
            try:
                if self._follow(future, deadline, me):
                    message = take(deadline)
                    with self._lock:
                        filled = self._oldest_locked()
                        filled.message = message
                    # Dropped here and not under the lock: this may be the last reference.
                    del filled, message
            finally:
                with self._lock:
                    if self._leader == me:
                        self._leader = None
                        self._changed.notify_all()

    def _follow(self, future: ClaimedMessage[T], deadline: Deadline, me: int) -> bool:
        """Wait until `future` is filled (`False`) or this thread leads (`True`)."""
        with self._lock:
            while future.message is MISSING:
                if self._leader is None:
                    self._leader = me
                    return True
                remaining = deadline.remaining()
                if remaining == 0:
                    raise MailboxEmpty("no message came within the timeout")
                self._changed.wait(remaining)
            return False

    def _oldest_locked(self) -> ClaimedMessage[T]:
        """Remove the oldest claim whose future is alive, and return that future.

        There is one: the leader's own, which it holds while it waits.
        """
        while (future := self._open.popleft()()) is None:
            pass
        return future
