"""Delivering into a full mailbox from asyncio: the task waits for room, and no thread does."""

from typing import Any, Protocol, cast

from threadpool_mb.aio.signals import Signal
from threadpool_mb.arguments import NEVER, Deadline, shortest
from threadpool_mb.command.replies import Reply
from threadpool_mb.describing import describe
from threadpool_mb.mailbox.protocols import Input
from threadpool_mb.mailbox.slots import Asker, Slots
from threadpool_mb.mailbox.using import no_input

__all__ = ["deliver_async", "deliver_until"]


class _Offering[T](Protocol):
    """An input of this library."""

    def offer(
        self, message: T, *, last: bool = ..., reply: Reply[Any] | None = ...
    ) -> bool | Slots: ...


async def deliver_async[T](target: Input[T], message: T, /) -> bool:
    """Deliver a message; where `target.deliver` would wait for room, only this task does.

    Blocks: never the loop, unless the mailbox is of a user's own kind.
    Threads: any loop on any thread. Of several tasks that wait for room in one mailbox, the first
    one is called first.

    Returns:
        What `target.deliver` does.

    Raises:
        MailboxClosed: if the mailbox was closed, before or during the wait.
        CancelledError: if the task was cancelled; the message was not delivered.
        TypeError: if the input is not one of this library's.
    """
    return await deliver_until(target, message, NEVER)


async def deliver_until[T](
    target: Input[T], message: T, deadline: Deadline, reply: Reply[Any] | None = None
) -> bool:
    """Deliver a message, or a call whose reply is `reply`, at most until the deadline."""
    if not hasattr(target, "deliver"):
        raise no_input(target)
    if not hasattr(target, "offer"):
        raise TypeError(f"an input must be one of threadpool_mb's, not {describe(target)}")
    offering = cast("_Offering[T]", target)
    result = offering.offer(message, reply=reply)
    if not isinstance(result, Slots):
        return result
    timeout = result.timeout
    own = NEVER if timeout is None else Deadline(timeout)
    signal = Signal()
    while True:
        slots = result
        signal.clear()
        asker = Asker(signal.tell)
        slots.askers.append(asker)
        told = False
        try:
            # Once more, now that who frees a slot will tell; see `Slots`. Another worker may have
            # the key by now, whose slots are others.
            result = offering.offer(message, reply=reply)
            if result is slots:
                told = await signal.wait(shortest(own.remaining(), deadline.remaining()))
                result = offering.offer(message, reply=reply, last=own.remaining() == 0)
        finally:
            # Who was told has tried to take that slot; whoever else was told tells the next one.
            if not told:
                slots.withdraw(asker)
        if not isinstance(result, Slots):
            return result
        if deadline.remaining() == 0:
            return False
