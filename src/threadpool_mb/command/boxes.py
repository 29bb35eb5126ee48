"""The receiver's end of a call: where the answer goes."""

import sys
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.command.answer import Answer
from threadpool_mb.copying import Uncopied
from threadpool_mb.counters import CallId
from threadpool_mb.describing import describe
from threadpool_mb.markers import MISSING

__all__ = ["ReplyBox", "answer_of"]


@final
class ReplyBox[R](Uncopied):
    """Takes one answer to a call, and brings it to whoever waits for it.

    One that is dropped without an answer tells its caller so: `WorkerGone`. At once, where the
    receiver has taken the call with `receive`, and nothing else holds it. But what hands a message
    to its receiver may hold it, too: the thread that runs a generator worker or a server, until its
    next `yield` (who calls a generator's `send` holds what it sends); a loop over a mailbox that
    has a limit, until its next step; a broker, until its `handle` returns. So a call that is
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

        True once the call was answered, or a `call` or `acall` has given up. A `Reply` that was
        dropped, or whose `result` ran out of time, does not count.
        """
        return self._answer.expired

    def reply(self, value: R, /) -> None:
        """Answer with a value. One that comes too late is dropped, and counted: `late_replies`.

        Blocks: never; as long as the callbacks of the call's `Reply` do, if it has any.

        Raises:
            DuplicateReply: if the call was answered through this box before.

        From the original's `replyTo`.
        """
        self._answer.settle(value, None, from_box=True)

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
        # An interrupt may have come before it was made: then there is no `_answer`.
        reply = getattr(self, "_answer", None)
        if reply is not None and not reply.answered and not ended():
            if reply.expired:
                # Dropped because it has expired, perhaps before the caller has seen that himself.
                reply.give_up()
            else:
                reply.box_dropped()


def answer_of[R](box: ReplyBox[R]) -> Answer[R]:
    """Return the answer that a box gives."""
    return box._answer  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - no user needs it
