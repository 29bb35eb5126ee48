"""A mailbox around another one: it does what that does."""

from collections.abc import Iterator
from typing import Final

from threadpool_mb.protocols import Input, Mailbox, MailboxStats, MessageFuture

__all__ = ["WrappedMailbox"]


class WrappedMailbox[T]:
    """Does what the mailbox in it does; the base class of what does something besides."""

    __slots__ = ("wrapped",)

    def __init__(self, wrapped: Mailbox[T]) -> None:
        """Do what `wrapped` does."""
        self.wrapped: Final = wrapped

    def new_input(self) -> Input[T]:
        """Return a sending end; see `Mailbox.new_input`."""
        return self.wrapped.new_input()

    def receive(self, *, timeout: float | None = None) -> T:
        """Take the oldest message; see `Mailbox.receive`."""
        return self.wrapped.receive(timeout=timeout)

    def receive_many(self, max_messages: int, *, timeout: float | None = None) -> list[T]:
        """Take what is there; see `Mailbox.receive_many`."""
        return self.wrapped.receive_many(max_messages, timeout=timeout)

    def try_receive(self) -> MessageFuture[T]:
        """Claim the next message; see `Mailbox.try_receive`."""
        return self.wrapped.try_receive()

    def __iter__(self) -> Iterator[T]:
        """Receive message after message; see `Mailbox.__iter__`."""
        return iter(self.wrapped)

    def __len__(self) -> int:
        """Return the number of messages that wait; see `Mailbox.__len__`."""
        return len(self.wrapped)

    def close(self) -> None:
        """Close the wrapped mailbox; see `Mailbox.close`."""
        self.wrapped.close()

    def cancel(self) -> None:
        """Cancel the wrapped mailbox; see `Mailbox.cancel`."""
        self.wrapped.cancel()

    def abandon(self) -> None:
        """Abandon the wrapped mailbox; see `Mailbox.abandon`."""
        self.wrapped.abandon()

    @property
    def closed(self) -> bool:
        """Whether the mailbox takes no more messages."""
        return self.wrapped.closed

    @property
    def cancelled(self) -> bool:
        """Whether the receiver was asked to stop."""
        return self.wrapped.cancelled

    def stats(self) -> MailboxStats:
        """Return a snapshot of the wrapped mailbox."""
        return self.wrapped.stats()
