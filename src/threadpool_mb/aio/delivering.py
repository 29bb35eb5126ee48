"""Delivering into a full mailbox from asyncio: the task waits for room, and no thread does."""

import functools
from typing import Any, Protocol, cast

from threadpool_mb.aio.pulses import Pulse, pulse_here
from threadpool_mb.aio.signals import Signal
from threadpool_mb.arguments import NEVER, Deadline, shortest
from threadpool_mb.command.answer import Answer
from threadpool_mb.describing import describe
from threadpool_mb.mailbox.askers import Asker
from threadpool_mb.mailbox.protocols import Input
from threadpool_mb.mailbox.slots import Slots
from threadpool_mb.mailbox.using import no_input

__all__ = ["deliver_async", "deliver_until"]


class _Offering[T](Protocol):
    """An input of this library."""

    def offer(
        self, message: T, *, last: bool = ..., answer: Answer[Any] | None = ...
    ) -> bool | Slots: ...


async def deliver_async[T](target: Input[T], message: T, /) -> bool:
    """Deliver a message; where `target.deliver` would wait for room, only this task does.

    Blocks: never the loop, unless the mailbox is of a user's own kind.
    Threads: any loop on any thread. Of the tasks and threads that wait for room in one mailbox, the
    first one gets it first.

    Returns:
        What `target.deliver` does.

    Raises:
        MailboxClosed: if the mailbox was closed, before or during the wait.
        CancelledError: if the task was cancelled; the message was not delivered.
        RuntimeError: outside of a task of asyncio; the message was not delivered.
        TypeError: if the input is not one of this library's.
    """
    return await deliver_until(target, message, NEVER, pulse_here("deliver_async"))


async def deliver_until[T](
    target: Input[T],
    message: T,
    deadline: Deadline,
    pulse: Pulse,
    answer: Answer[Any] | None = None,
) -> bool:
    """Deliver a message, or a call whose answer is `answer`, at most until the deadline."""
    if not hasattr(target, "deliver"):
        raise no_input(target)
    if not hasattr(target, "offer"):
        raise TypeError(f"an input must be one of threadpool_mb's, not {describe(target)}")
    offering = cast("_Offering[T]", target)
    result = offering.offer(message, answer=answer)
    if not isinstance(result, Slots):
        return result
    timeout = result.timeout
    own = NEVER if timeout is None else Deadline(timeout)
    signal = Signal()
    while True:
        slots = result
        signal.clear()
        asker = Asker(signal.tell, signal.can_be_seen)
        pulse.watch(slots)
        slots.ask(asker)
        try:
            await signal.wait(shortest(own.remaining(), deadline.remaining()))
            # Another worker may have the key by now, whose slots are others.
            result = slots.using(
                asker,
                functools.partial(
                    offering.offer, message, answer=answer, last=own.remaining() == 0
                ),
            )
        finally:
            slots.leave(asker)
            pulse.unwatch(slots)
        if not isinstance(result, Slots):
            return result
        if deadline.remaining() == 0:
            return False
