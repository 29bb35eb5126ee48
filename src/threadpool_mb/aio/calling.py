"""Calling from asyncio: the task waits for the reply, and no thread does."""

import asyncio
import contextlib
import functools
import threading
import weakref
from typing import Any, Final, final

from threadpool_mb.aio.delivering import deliver_until
from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.command import failures
from threadpool_mb.command.calling import begin_call, settle_refused
from threadpool_mb.command.messages import Call, Command
from threadpool_mb.command.replies import Reply
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.forking import remade_in_children
from threadpool_mb.mailbox.protocols import Input

__all__ = ["acall"]

_PAUSE: Final = 0.05
"""Seconds; see `_Pulse`."""
_BEATS_TO_A_NUDGE: Final = 5


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
        TypeError: if it is no `Command`, or the input is not one of this library's.

    and what `call` raises, but for `CallDeadlock`.
    """
    deadline = NEVER if timeout is None else Deadline(timeout)
    reply, message = begin_call(target, command, deadline)
    try:
        try:
            taken = await deliver_until(target, message, deadline, reply)
        except MailboxClosed as error:
            reply.settle_error(failures.not_delivered(reply.call_id, reply.key, error))
        else:
            if not taken:
                settle_refused(reply)
        # Whoever has it now is the only one who has it.
        del message
        if not reply.done():
            await _answered(reply, deadline.remaining())
    finally:
        # Also where the task was cancelled, or the time ran out. If there is an answer, it stands.
        reply.give_up()
    return reply.result(timeout=0)


async def _answered(reply: Reply[Any], seconds: float | None) -> None:
    """Wait for the answer, or until the time has run out."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[None] = loop.create_future()
    reply.when_answered(functools.partial(_tell, loop, answered))
    pulse = _pulse_of(loop)
    pulse.waiting[reply] = None
    pulse.beat_if_needed(loop)
    try:
        async with asyncio.timeout(seconds):
            await answered
    except TimeoutError:
        pass
    finally:
        del pulse.waiting[reply]


def _tell(loop: asyncio.AbstractEventLoop, answered: "asyncio.Future[None]") -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks are gone
        loop.call_soon_threadsafe(_set, answered)


def _set(answered: "asyncio.Future[None]") -> None:
    if not answered.done():
        answered.set_result(None)


@final
class _Pulse:
    """Wakes a loop now and then, as long as tasks wait for replies.

    A free-threaded build frees a reply box that another thread has dropped only when the thread
    that made it, the loop's, runs Python code again (gh-157838); see `command.replies`. So are the
    nudges: they wake the workers' threads.

    Threads: the loop's alone.
    """

    __slots__ = ("_beats", "_until_nudge", "waiting")

    def __init__(self) -> None:
        self._beats = False
        self._until_nudge = _BEATS_TO_A_NUDGE
        self.waiting: Final[dict[Reply[Any], None]] = {}
        """The replies that tasks wait for."""

    def beat_if_needed(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to the next beat, unless there will be one."""
        if self.waiting and not self._beats:
            self._beats = True
            loop.call_later(_PAUSE, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beats = False
        self.beat_if_needed(loop)
        self._until_nudge -= 1
        if not self._until_nudge:
            self._until_nudge = _BEATS_TO_A_NUDGE
            for reply in self.waiting:
                if reply.holder is not None:
                    reply.holder.nudge()


_pulses: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pulse]] = (
    weakref.WeakKeyDictionary()
)
_lock: Final = remade_in_children(threading.RLock())
"""Guards `_pulses`. Nobody waits under it."""


def _pulse_of(loop: asyncio.AbstractEventLoop) -> _Pulse:
    with _lock:
        pulse = _pulses.get(loop)
        if pulse is None:
            pulse = _pulses[loop] = _Pulse()
        return pulse
