"""A mailbox that counts what is taken out of it."""

from collections.abc import Iterator
from typing import final, override

from threadpool_mb.mailbox.wrapping import WrappedMailbox
from threadpool_mb.protocols import Mailbox, MessageFuture
from threadpool_mb.values import Missing

__all__ = ["CountedMailbox"]


@final
class CountedMailbox[T](WrappedMailbox[T]):
    """Counts for its receiver. Threads: one receives; any may read what was counted."""

    __slots__ = ("asked", "taken")

    def __init__(self, wrapped: Mailbox[T]) -> None:
        """Count what is taken out of `wrapped` through this."""
        super().__init__(wrapped)
        self.taken: int = 0
        """How many messages were taken."""
        self.asked: int = 0
        """How often the receiver has asked for more: it has handled those before then."""

    @override
    def receive(self, *, timeout: float | None = None) -> T:
        self.asked += 1
        message = self.wrapped.receive(timeout=timeout)
        self.taken += 1
        return message

    @override
    def receive_many(self, max_messages: int, *, timeout: float | None = None) -> list[T]:
        self.asked += 1
        messages = self.wrapped.receive_many(max_messages, timeout=timeout)
        self.taken += len(messages)
        return messages

    @override
    def try_receive(self) -> MessageFuture[T]:
        self.asked += 1
        return _CountedFuture(self.wrapped.try_receive(), self)

    @override
    def __iter__(self) -> Iterator[T]:
        for message in self.wrapped:
            self.taken += 1
            # Given out of a list, so that nothing here holds it.
            given = [message]
            del message
            yield given.pop()
            self.asked += 1


@final
class _CountedFuture[T](MessageFuture[T]):
    """Counts the message that it gives out first."""

    __slots__ = ("_counted", "_future", "_mailbox")

    def __init__(self, future: MessageFuture[T], mailbox: CountedMailbox[T]) -> None:
        self._future = future
        self._mailbox = mailbox
        self._counted = False

    @override
    def try_now(self) -> T | Missing:
        message = self._future.try_now()
        if not isinstance(message, Missing):
            self._count()
        return message

    @override
    def result(self, *, timeout: float | None = None) -> T:
        message = self._future.result(timeout=timeout)
        self._count()
        return message

    @override
    def done(self) -> bool:
        return self._future.done()

    def _count(self) -> None:
        if not self._counted:
            self._counted = True
            self._mailbox.taken += 1
