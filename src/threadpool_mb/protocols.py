"""The three roles: a config creates a mailbox, which creates inputs.

The seven kinds of mailbox of this library implement them; a user's own kinds may, too. A pool or
broker needs nothing but these protocols.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Protocol

from threadpool_mb.values import Missing

__all__ = ["Input", "Mailbox", "MailboxConfig", "MailboxStats", "MessageFuture"]


@dataclasses.dataclass(frozen=True, slots=True)
class MailboxStats:
    """What a mailbox looked like at one moment; other threads may have changed it since."""

    messages: int
    """Messages that were delivered and not yet received."""
    senders_waiting: int
    """Threads that wait for room."""
    closed: bool
    """Whether it takes no more messages."""
    cancelled: bool
    """Whether its receiver was asked to stop."""


class Input[T](Protocol):
    """The sending end of a mailbox, or of anything else that takes messages."""

    def deliver(self, message: T, /) -> bool:
        """Put one message into the mailbox.

        Blocks: until there is room, as the mailbox's config says.
        Threads: any number may deliver; messages of one thread keep their order.

        Returns:
            `True` once the message is in, `False` only if the limit refused it.

        Raises:
            MailboxClosed: if the mailbox was closed, before or during the wait.
        """
        ...


class MessageFuture[T](Protocol):
    """A claim on the next message of a mailbox, from `Mailbox.try_receive`.

    Futures are filled in the order in which they were taken, and remember their message. A future
    that is dropped unfilled gives its claim back. A future that is dropped filled but unread puts
    its message back at the end of the mailbox.

    Threads: internally synchronized.

    From the original's `Future`, which loses the message in both cases.
    """

    def try_now(self) -> T | Missing:
        """Return the message if it is there, else `MISSING`.

        Blocks: never.

        Raises:
            MailboxClosed: if the mailbox is closed and held no message for this future.
            Cancelled: if the receiver was asked to stop before the future was filled.
        """
        ...

    def result(self, *, timeout: float | None = None) -> T:
        """Return the message.

        Blocks: until the message is there, at most `timeout` seconds (`None`: for ever).
        Threads: any thread may wait; several futures may be awaited at once.

        Raises:
            MailboxEmpty: if the timeout ran out; the claim stands, and the call can be repeated.
            MailboxClosed: if the mailbox is closed and held no message for this future.
            Cancelled: if the receiver was asked to stop before the future was filled.
            ValueError: if the timeout is no number of seconds.
        """
        ...

    def done(self) -> bool:
        """Return whether the message is there; like `try_now`, it looks into the mailbox.

        Blocks: never.
        """
        ...


class Mailbox[T](Protocol):
    """The receiving end.

    Threads: one thread receives, any number deliver through inputs. Closing and cancelling are for
    any thread.
    """

    def new_input(self) -> Input[T]:
        """Return a sending end. All inputs of a mailbox are equal and may be shared."""
        ...

    def receive(self, *, timeout: float | None = None) -> T:
        """Take the oldest message; where the config sorts them, the one that is first in its order.

        Blocks: until there is a message, at most `timeout` seconds (`0` or less: not at all;
        `None`: for ever, or as long as the mailbox's config says).

        Raises:
            MailboxEmpty: if the timeout ran out.
            MailboxClosed: if the mailbox is closed and all it held were received.
            Cancelled: if the receiver was asked to stop.
            ValueError: if the timeout is no number of seconds.
        """
        ...

    def receive_many(self, max_messages: int, *, timeout: float | None = None) -> list[T]:
        """Take what is there: at least one message, at most `max_messages`, oldest first.

        Blocks: until there is one message, as `receive` does.

        Raises:
            MailboxEmpty: if the timeout ran out.
            MailboxClosed: if the mailbox is closed and all it held were received.
            Cancelled: if the receiver was asked to stop.
            ValueError: if `max_messages` is no `int` of at least 1, or the timeout is none.
        """
        ...

    def try_receive(self) -> MessageFuture[T]:
        """Claim the next message that is not claimed yet.

        Blocks: never.
        """
        ...

    def __iter__(self) -> Iterator[T]:
        """Receive message after message; ends when the mailbox is closed and empty.

        Raises what `receive` raises, except `MailboxClosed`: a cancelled mailbox raises `Cancelled`
        out of the loop, so that what stands after the loop is not mistaken for a normal end.
        """
        ...

    def __len__(self) -> int:
        """Return the number of messages that wait; other threads may change it at once."""
        ...

    def close(self) -> None:
        """Take no more messages; what is in the mailbox can still be received.

        Blocks: never. Senders that wait for room wake and raise `MailboxClosed`.
        """
        ...

    def cancel(self) -> None:
        """Take no more messages and ask the receiver to stop.

        The receiver's next `receive` raises `Cancelled`, also when messages wait, and also when the
        receiver already waits in it.

        Blocks: never.
        """
        ...

    def abandon(self) -> None:
        """Say that no thread will receive any more: what is in the mailbox becomes dead letters.

        For the owner of the mailbox, once its receiver has ended. The mailbox is closed with it.

        Blocks: as long as the dead-letter function does.
        """
        ...

    @property
    def closed(self) -> bool:
        """Whether the mailbox takes no more messages."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether the receiver was asked to stop. Long computations may look at it."""
        ...

    def stats(self) -> MailboxStats:
        """Return a snapshot of the mailbox."""
        ...


class MailboxConfig(Protocol):
    """Says how a mailbox behaves when it is full or empty, and creates such mailboxes.

    Threads: immutable.
    """

    @property
    def limit(self) -> int | None:
        """The most messages that may wait; `None` for no limit."""
        ...

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox. Blocks: never.

        Args:
            on_dead_letter: called with each message that was accepted and will not be received, on
                the thread that finds it (a sender's, where a newer one has displaced it), with no
                lock held. What it raises is logged. Without it
                such a message is logged at WARNING.
        """
        ...
