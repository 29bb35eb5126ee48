"""Calling, delivering and receiving from asyncio: the task waits, and no thread does."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

from threadpool_mb.aio.loops import running_loop, within
from threadpool_mb.aio.waking import Pulse, Signal, pulse_of
from threadpool_mb.arguments import NEVER, Deadline, describe, shortest
from threadpool_mb.calls import unanswered
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.calling import CallTarget, begin_call, settle_refused
from threadpool_mb.calls.messages import Call, Command
from threadpool_mb.errors import MailboxClosed, MailboxEmpty
from threadpool_mb.line.adapting import OwnInput, adapted
from threadpool_mb.line.askers import Asker
from threadpool_mb.line.slots import Slots
from threadpool_mb.mailbox.kinds import own_mailbox
from threadpool_mb.mailbox.using import no_input
from threadpool_mb.protocols import Input, Mailbox

__all__ = ["call", "deliver", "deliver_until", "messages"]


async def call[R](
    target: Input[Call[Any]],
    command: Command[R],
    /,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - the receiver is told of it
) -> R:
    """Send a command, wait for the reply without blocking the loop, and return it.

    One deadline covers both: waiting for room in the mailbox, and for the reply. A task that is
    cancelled meanwhile takes no reply any more: the receiver is told by `reply_box.expired`.

    Blocks: never the loop, unless the mailbox is of a user's own kind. No worker runs on the loop's
    thread, but for an idle generator worker of a `Pool(inline_calls=True)`, if there is no timeout:
    the loop waits for what it does, and the task does not let others have their turn meanwhile. Nor
    can such a worker run a loop of its own there.
    Threads: any loop on any thread.

    Args:
        target: what to ask: `pool.ref(key)`, a mailbox's or a broker's input.
        command: what to ask.
        timeout: seconds; `None` for ever.

    Raises:
        CancelledError: if the task was cancelled.
        RuntimeError: outside of a task of asyncio; the command was not sent.
        TypeError: if it is no `Command`, or the input is not one of this library's.

    and what `call` raises, but for `CallDeadlock`.
    """
    # First: where no task could wait for the reply, nothing is sent.
    loop = running_loop("aio.call")
    deadline = NEVER if timeout is None else Deadline(timeout, real=True)
    answer, message = begin_call(target, command, deadline)
    own: object = target
    try:
        # Users see nothing of it.
        if not isinstance(own, CallTarget) or not (
            (timeout is None and own._handle_on_loop(message, answer))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
            or _sent_at_once(own, message, answer)  # pyright: ignore[reportUnknownArgumentType]
        ):
            await _send(target, message, answer, pulse_of(loop))
        # Keep no reference: the receiver holds the only one, and can drop the call.
        del message
        if not answer._log:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not `answered`, which is a call
            await _answered(answer, loop, pulse_of(loop))
    except BaseException:
        # The task was cancelled, say. If there is an answer, it stands.
        if not answer.answered:
            answer.give_up()
        raise
    return answer.last_result()


def _sent_at_once(target: CallTarget[Any, Any], message: object, answer: Answer[Any]) -> bool:
    """Deliver a call, as `_send` does, if that can be done without waiting for room."""
    try:
        taken = target._offer(message, answer=answer)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except MailboxClosed as error:
        answer.settle_error(unanswered.not_delivered(answer.call_id, answer.key, error))
        return True
    if taken is False:
        settle_refused(answer)
    return type(taken) is bool


async def _send[R](
    target: Input[Call[Any]], message: Call[R], answer: Answer[R], pulse: Pulse
) -> None:
    """Deliver a call; if that cannot be done, the answer says so."""
    try:
        if not await deliver_until(target, message, answer.deadline, pulse, answer):
            settle_refused(answer)
    except MailboxClosed as error:
        answer.settle_error(unanswered.not_delivered(answer.call_id, answer.key, error))


async def _answered(answer: Answer[Any], loop: asyncio.AbstractEventLoop, pulse: Pulse) -> None:
    """Wait for the answer, or until the call's deadline."""
    answered: asyncio.Future[None] = loop.create_future()
    pulse.begin(answer)
    try:
        answer.when_answered(functools.partial(pulse.wake, loop, answered))
        await within(loop, answered, answer.deadline.remaining())
    finally:
        pulse.end(answer)


type _Offer[T] = Callable[..., bool | Slots]
"""Delivers without waiting, for the `last` time or not; see `OwnInput.offer`."""


def _offer_of[T](target: Input[T], answer: Answer[Any] | None) -> _Offer[T]:
    if isinstance(target, CallTarget):
        # Users see nothing of it.
        return functools.partial(target._offer, answer=answer)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if isinstance(target, OwnInput):
        return adapted(target).offer
    if not hasattr(target, "deliver"):
        raise no_input(target)
    raise TypeError(f"an input must be one of threadpool_mb's, not {describe(target)}")


async def deliver[T](target: Input[T], message: T, /) -> bool:
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
    return await deliver_until(target, message, NEVER, pulse_of(running_loop("aio.deliver")))


async def deliver_until[T](
    target: Input[T],
    message: T,
    deadline: Deadline,
    pulse: Pulse,
    answer: Answer[Any] | None = None,
) -> bool:
    """Deliver a message, or a call whose answer is `answer`, at most until the deadline."""
    offer = _offer_of(target, answer)
    result = offer(message)
    if not isinstance(result, Slots):
        return result
    timeout = result.timeout
    own = NEVER if timeout is None else Deadline(timeout, real=True)
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
                asker, functools.partial(offer, message, last=own.remaining() == 0)
            )
        finally:
            slots.leave(asker)
            pulse.unwatch(slots)
        if not isinstance(result, Slots):
            return result
        if deadline.remaining() == 0:
            return False


_IN_A_ROW = 64
"""How many messages that wait are yielded before other tasks have their turn."""


async def messages[T](mailbox: Mailbox[T], /) -> AsyncIterator[T]:
    """Receive message after message, in an `async for` loop.

    Ends when the mailbox is closed and empty. The messages that wait are yielded one after the
    other; other tasks have their turn after 64 of them at the latest.

    Blocks: never the loop.
    Threads: one task receives from a mailbox, and no other; any thread delivers.

    Raises:
        Cancelled: if the receiver was asked to stop.
        MailboxEmpty: if the mailbox has a `receive_timeout`, and no message came within it.
        CancelledError: if the task was cancelled; no message is lost.
        RuntimeError: outside of a task of asyncio; no message was received.
        TypeError: if the mailbox is not one of this library's.
    """
    own = own_mailbox(mailbox)
    if own is None:
        raise TypeError(f"a mailbox must be one of threadpool_mb's, not {describe(mailbox)}")
    running_loop("aio.messages")
    signal = Signal()
    stop_waking = own.wake_with(signal.tell)
    receive = mailbox.receive
    in_a_row = 0
    cleared = False
    # A message is given out of this, and held by nothing here: a call that the task drops is
    # dropped, though the task has not come back.
    given: list[T] = []
    try:
        while True:
            try:
                given.append(receive(timeout=0))
            except MailboxClosed:
                return
            except MailboxEmpty:
                in_a_row = 0
                if not cleared:
                    # And a second look; not before each look, which would have every sender tell.
                    signal.clear()
                else:
                    own.receiver_waits = True
                    if not await signal.wait(own.receive_timeout):
                        raise
                    own.receiver_waits = False
                cleared = not cleared
                continue
            cleared = False
            yield given.pop()
            in_a_row += 1
            if in_a_row == _IN_A_ROW:
                in_a_row = 0
                await asyncio.sleep(0)
    finally:
        own.receiver_waits = False
        stop_waking()
