"""Calling from asyncio: the task waits for the reply, and no thread does."""

import asyncio
import functools
from typing import Any

from threadpool_mb.aio.delivering import deliver_until
from threadpool_mb.aio.loops import tell_future, within
from threadpool_mb.aio.pulses import pulse_here
from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.command import failures
from threadpool_mb.command.answer import Answer
from threadpool_mb.command.calling import begin_call, settle_refused
from threadpool_mb.command.messages import Call, Command
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.mailbox.protocols import Input

__all__ = ["acall"]


async def acall[R](
    target: Input[Call[Any]],
    command: Command[R],
    /,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - the receiver is told of it
) -> R:
    """Send a command, wait for the reply without blocking the loop, and return it.

    One deadline covers both: waiting for room in the mailbox, and for the reply. A task that is
    cancelled meanwhile takes no reply any more: the receiver is told by `reply_box.expired`.

    Blocks: never the loop, unless the mailbox is of a user's own kind. A worker is never run on the
    loop's thread.
    Threads: any loop on any thread.

    Args:
        target: whom to ask: `pool.ref(key)`, a mailbox's or a broker's input.
        command: what to ask.
        timeout: seconds; `None` for ever.

    Raises:
        CancelledError: if the task was cancelled.
        RuntimeError: outside of a task of asyncio; the command was not sent.
        TypeError: if it is no `Command`, or the input is not one of this library's.

    and what `call` raises, but for `CallDeadlock`.
    """
    # First: where nobody could wait for the reply, nothing is sent.
    pulse = pulse_here("acall")
    deadline = NEVER if timeout is None else Deadline(timeout)
    answer, message = begin_call(target, command, deadline)
    try:
        try:
            taken = await deliver_until(target, message, deadline, pulse, answer)
        except MailboxClosed as error:
            answer.settle_error(failures.not_delivered(answer.call_id, answer.key, error))
        else:
            if not taken:
                settle_refused(answer)
        # Whoever has it now is the only one who has it.
        del message
        if answer.outcome() is None:
            pulse.watch(answer)
            try:
                await _answered(answer, deadline.remaining())
            finally:
                pulse.unwatch(answer)
    finally:
        # Also where the task was cancelled, or the time ran out. If there is an answer, it stands.
        answer.give_up()
    return answer.result(0)


async def _answered(answer: Answer[Any], seconds: float | None) -> None:
    """Wait for the answer, or until the time has run out."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[None] = loop.create_future()
    answer.when_answered(functools.partial(tell_future, loop, answered))
    await within(loop, answered, seconds)
