"""Futures: claims on the next messages of a mailbox, filled in the order in which they were taken.

**Guarantees.** A message goes to the oldest claim that still has a living future. A future that was
dropped unfilled is passed over; a future that is dropped filled but unread puts its message back at
the end of the mailbox. No message is lost either way.

**Assumes.** `list.append` is atomic. For which objects CPython calls a finalizer, and when, matters
only for how soon a dropped claim is passed over (`tests/test_assumptions.py`).

**How.** No future is filled when a message is delivered: senders know nothing of claims. Of the
threads that wait for a future one at a time *leads*: it takes messages from the mailbox and fills
the oldest claims with them, until its own is filled. The others wait until theirs is filled or
no thread leads.

The race of the leader and a future that dies. A weak reference could not tell which of the two was
first: with a GIL the reference is still alive while `__del__` runs, and a message that is filled in
behind `__del__`'s look would be lost. So a future and the line share a `_Claim`, which outlives the
future, and to which both only append:

1. The leader appends the message that it has taken.
2. The thread that waits for the future appends `_READ`, and returns the message.
3. The finalizer appends that the future was dropped.

The first entry decides about (1) and (3): if it is the message, the finalizer sees it and gives the
message back; if it is the finalizer's, the leader sees that, and the message goes to the next
claim. The second entry decides about (2) and (3): they come together where a finalizer of the
user's brings a future back to life that the garbage collector has chosen already. Such a future
claims anew.
"""

import collections
import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import AT_ONCE, Deadline
from threadpool_mb.errors import Cancelled, MailboxClosed, MailboxEmpty
from threadpool_mb.threads.waiting import parked
from threadpool_mb.values import MISSING, Missing, Uncopied

__all__ = ["ClaimedMessage", "Claims"]

_READ: Final = "read"
"""An entry of a claim: its message was read. The message itself is entered in a tuple; that the
claim was dropped is entered as a list."""


@final
class _Claim[T]:
    """What a future and the line of claims share."""

    __slots__ = ("_log",)

    def __init__(self) -> None:
        self._log: Final[list[tuple[T] | list[None] | str]] = []

    @property
    def open(self) -> bool:
        """Whether the claim would take a message; once it would not, it never does again."""
        return not self._log

    @property
    def filled(self) -> bool:
        """Whether the claim has taken a message, and only the future has that message."""
        match self._log[:2]:
            case [tuple()] | [tuple(), "read"]:
                return True
            case _:
                return False

    def fill(self, message: T) -> bool:
        """Take a message; `False` if the claim was dropped.

        Called once, for a claim in the line.
        """
        self._log.append((message,))
        return isinstance(self._log[0], tuple)

    def read(self) -> T | Missing:
        """Return the message for good; `MISSING` if the claim was dropped."""
        log = self._log
        if len(log) == 1:
            log.append(_READ)
        first = log[0]
        return first[0] if isinstance(first, tuple) and log[1] is _READ else MISSING

    def drop(self) -> T | Missing:
        """Take and give no message any more. Returns the message that must be given back."""
        log, mine = self._log, [None]
        log.append(mine)
        first = log[0]
        return first[0] if isinstance(first, tuple) and log[1] is mine else MISSING


@final
class ClaimedMessage[T](Uncopied):
    """A claim on the next message of a mailbox; see `MessageFuture`."""

    __slots__ = ("_claim", "_claims", "_successor", "_take")

    def __init__(
        self, claims: "Claims[T]", take: Callable[[Deadline], T], claim: _Claim[T]
    ) -> None:
        """Be the future of `claim`, one of `claims`; `take` takes a message from the mailbox."""
        self._claims: Final = claims
        self._take: Final = take
        self._claim: Final = claim
        # The future that takes over where this one is alive although it was finalized. A finalizer
        # is called once only: so a different future sees to the second message.
        self._successor: ClaimedMessage[T] | None = None

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
        claim = self._claim
        self._claims.wait(claim, deadline, self._take)
        message = claim.read()
        return self._renewed().wait(deadline) if message is MISSING else message

    def done(self) -> bool:
        """Return whether the message is there; see `MessageFuture.done`."""
        try:
            self._claims.wait(self._claim, AT_ONCE, self._take)
        except (MailboxEmpty, MailboxClosed, Cancelled):
            return False
        return self._claim.filled or self._renewed().done()

    def withdraw(self) -> bool:
        """Give the claim back; `False` if it was filled before that."""
        return self._claims.withdraw(self._claim)

    def _renewed(self) -> "ClaimedMessage[T]":
        with self._claims.lock:
            if self._successor is None:
                self._successor = self._claims.new(self._take)
            return self._successor

    def __del__(self, ended: Callable[[], bool] = sys.is_finalizing) -> None:
        """Put a message that was not read back at the end of the mailbox.

        Not once the interpreter has ended: no thread receives then, and modules are gone.
        """
        # An interrupt may have come before the future was made: then there is no claim.
        claim: _Claim[T] | None = getattr(self, "_claim", None)
        message = MISSING if claim is None or ended() else claim.drop()
        if message is not MISSING:
            self._claims.give_back(message)

    def __repr__(self) -> str:
        """Show whether it is filled."""
        return f"<MessageFuture [{'filled' if self._claim.filled else 'unfilled'}]>"


@final
class Claims[T]:
    """The unfilled claims on one mailbox, oldest first.

    Holds no reference to a future, nor to the mailbox.
    """

    __slots__ = ("_changed", "_leader", "_open", "give_back", "lock")

    def __init__(self, give_back: Callable[[T], object]) -> None:
        """Put messages that reached no receiver back with `give_back`."""
        self.give_back: Final = give_back
        self.lock: Final = threading.RLock()
        """Guards the two below, and the filling of claims. Reentrant: a finalizer may run under it.

        It is entered as it is and not through the condition: the condition's `__exit__` is Python
        code, and an interrupt can keep that from releasing the lock.
        """
        self._open: Final[collections.deque[_Claim[T]]] = collections.deque()
        # The thread that takes messages for all.
        self._leader: int | None = None
        # Notified by the leader, when it has filled a future and when it stops leading.
        self._changed: Final = threading.Condition(self.lock)

    def new(self, take: Callable[[Deadline], T]) -> ClaimedMessage[T]:
        """Return a future behind all that are there."""
        claim: _Claim[T] = _Claim()
        # Made before its claim is in the line: only the future's end takes the claim out of there.
        future = ClaimedMessage(self, take, claim)
        with self.lock:
            # A receiver that polls drops one future after the other, behind a future that lives.
            while True:  # not of a condition; see `interrupts`
                if not self._open or self._open[-1].open:
                    break
                self._open.pop()
            self._open.append(claim)
        return future

    def any(self) -> bool:
        """Return whether a living future is unfilled."""
        with self.lock:
            while True:
                if not self._open or self._open[0].open:
                    break
                self._open.popleft()
            return bool(self._open)

    def withdraw(self, claim: _Claim[T]) -> bool:
        """Give a claim back; `False` if it was filled before that."""
        with self.lock:
            if claim.filled:
                return False
            claim.drop()
            # An interrupt may have come between taking the claim and filling it.
            with contextlib.suppress(ValueError):
                self._open.remove(claim)
            return True

    def wait(self, claim: _Claim[T], deadline: Deadline, take: Callable[[Deadline], T]) -> None:
        """Wait until `claim` is filled, or was dropped; lead if no other thread does.

        Blocks: at most until the deadline.

        Raises:
            MailboxEmpty: if the deadline came first.
        """
        if not claim.open:
            return
        me = threading.get_ident()
        while claim.open:
            try:
                # Once more: another leader may have filled it between the look and the lead.
                if self._follow(claim, deadline, me) and claim.open:
                    message = take(deadline)
                    with self.lock:
                        filled = self._fill_oldest_locked(message)
                    if not filled:
                        self.give_back(message)
                    # The message must not be kept alive while this waits for the next one.
                    del message
            finally:
                with self.lock:
                    if self._leader == me:
                        self._leader = None
                        self._changed.notify_all()

    def _follow(self, claim: _Claim[T], deadline: Deadline, me: int) -> bool:
        """Wait until `claim` is not open any more (`False`) or this thread leads (`True`)."""
        while not self._leads(me):
            if deadline.remaining() == 0:
                raise MailboxEmpty("no message came within the timeout")
            with parked(), self.lock:
                # Looked at under the lock, so that no notification comes between.
                if claim.open and self._leader is not None:
                    self._changed.wait(deadline.remaining())
            if not claim.open:
                return False
        return True

    def _leads(self, me: int) -> bool:
        """Take the lead, if no thread has it."""
        with self.lock:
            if self._leader is None:
                self._leader = me
        return self._leader == me

    def _fill_oldest_locked(self, message: T) -> bool:
        """Remove the oldest claim that takes the message, if there is one.

        There is the leader's own claim: its future is alive while the leader waits for it. The
        exception is the case that is described above.
        """
        while self._open:
            if self._open.popleft().fill(message):
                return True
        return False
