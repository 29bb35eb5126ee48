"""What users send (`Command`, `Notice`), and what receivers get: `Cast`, or `Call` with a box."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from typing import Any, Final, final, override

from threadpool_mb.arguments import describe
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.cell import Outcome
from threadpool_mb.dead_letters import Informed
from threadpool_mb.errors import DuplicateReply
from threadpool_mb.numbers import CallId
from threadpool_mb.values import MISSING, Uncopied

__all__ = ["Call", "Cast", "Command", "Notice", "ReplyBox", "Request", "answer_of"]


@final
class ReplyBox[R](Uncopied):
    """Takes one answer to a call, and brings it to the caller.

    One that is dropped without an answer tells its caller so: `WorkerGone`. At once, where the
    receiver has taken the call with `receive`, and nothing else holds it. But what hands a message
    to its receiver may hold it, too: the thread that runs a generator worker or a server, until its
    next `yield` (the caller of a generator's `send` holds what it sends); a loop over a mailbox
    that has a limit, until its next step; a broker, until its `handle` returns. So a call that is
    dropped is noticed, at the latest, when its receiver asks for the next message, or ends. A
    receiver that goes on working without an answer had better give one: `fail`.

    Threads: internally synchronized; any thread may answer.

    From the original's `ReplyBox`.
    """

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer[R]) -> None:
        """Bring what is answered to `answer`."""
        self._answer: Final = answer

    @property
    def call_id(self) -> CallId:
        """The id of the call."""
        return self._answer.call_id

    @property
    def expired(self) -> bool:
        """Whether nobody waits for the answer any more, so that it need not be worked out.

        True once the call was answered, or a `call` or `aio.call` has given up. A `Reply` that was
        dropped, or whose `result` ran out of time, does not count. A call that is found to have
        expired is answered with that: its caller gets `CallTimedOut`, whatever becomes of it.
        """
        return self._answer.expired

    def reply(self, value: R, /) -> None:
        """Answer with a value. One that comes too late is dropped, and counted: `late_replies`.

        Blocks: never; as long as the callbacks of the call's `Reply` do, if it has any.

        Raises:
            DuplicateReply: if the call was answered through this box before.

        From the original's `replyTo`.
        """
        answer = self._answer
        log = answer._log  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if log:
            answer.settle(value, None, from_box=True)
            return
        # The same, written out for a caller that does not wait yet: it may be on this thread.
        mine: Outcome = (value, None, True)
        try:
            log.append(mine)
            if log[0] is mine and answer._watched is None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
                return
            answer.see_to(mine)
        except BaseException:  # an interrupt
            with contextlib.suppress(DuplicateReply):
                answer.see_to(mine)
            raise

    def fail(self, error: BaseException, /) -> None:
        """Answer that it has failed: the caller gets `CallFailed` with `error` as its cause.

        Blocks: as `reply` does.

        Raises:
            DuplicateReply: if the call was answered through this box before.
            TypeError: if it is no exception.
        """
        if not isinstance(error, BaseException):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a call fails with an exception, not {describe(error)}")
        self._answer.settle(MISSING, error, from_box=True)

    def __repr__(self) -> str:
        """Show the id of the call."""
        return f"<ReplyBox {self.call_id}>"

    def __del__(self, ended: Callable[[], bool] = sys.is_finalizing) -> None:
        """Answer that nobody will, if nobody has.

        Not once the interpreter has ended: nobody waits then, and modules are gone.
        """
        try:
            answer = self._answer
        except AttributeError:
            return  # an interrupt has come before it was made
        # `Answer.answered`, written out.
        for entry in answer._log:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            if type(entry) is tuple:
                return
        # Where it was dropped because it has expired, its caller is told that by `expired`.
        if not ended() and not answer.expired:
            answer.box_dropped()


def answer_of[R](box: ReplyBox[R]) -> Answer[R]:
    """Return the answer that a box gives."""
    return box._answer  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - no user needs it


class Command[R]:
    """A message that expects a reply of type `R`; the base class of a user's own.

    ```python
    @dataclass(frozen=True, slots=True)
    class GetBalance(mb.Command[int]): ...
    ```

    From the original's `Command` with `Return`.
    """

    __slots__ = ()


class Notice:
    """A message that expects no reply; the base class of a user's own.

    From the original's `Command` with `FireAndForget`.
    """

    __slots__ = ()


@final
class Call[R](Informed):
    """A command and the box for its reply, as the receiver gets them: `case Call(command, box)`.

    From the original's `Blocking` message.
    """

    __slots__ = ("command", "reply_box")
    __match_args__ = ("command", "reply_box")

    def __init__(self, command: Command[R], reply_box: ReplyBox[R]) -> None:
        """Put the two together."""
        self.command: Command[R] = command
        """What is asked; only `delegate` changes it."""
        self.reply_box: Final = reply_box
        """Where the answer goes."""

    @override
    def _not_handled(
        self,
        key: object,
        reason: str,
        *,
        started: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Tell the caller; see `Informed`."""
        answer = answer_of(self.reply_box)
        if error is None and not started and answer.holder is not None:
            # It has waited in the mailbox of a worker that has failed.
            error = answer.holder.end_error
        answer.not_handled(key, reason, started=started, error=error)

    def __repr__(self) -> str:
        """Show the command and the id of the call."""
        return f"<Call {self.command!r} {self.reply_box.call_id}>"


@final
@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Cast:
    """A notice, as the receiver gets it: `case Cast(notice)`.

    From the original's `NonBlocking` message.
    """

    notice: Notice
    """What is told."""

    def __repr__(self) -> str:
        """Show the notice."""
        return f"<Cast {self.notice!r}>"


type Request = Call[Any] | Cast
"""What comes to a worker, or out of a mailbox, to which users call and cast."""
