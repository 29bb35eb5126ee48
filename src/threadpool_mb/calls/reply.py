"""What the caller of a call without waiting gets: its reply, and futures of that."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from threadpool_mb.arguments import check_callable
from threadpool_mb.calls.answer import Answer
from threadpool_mb.numbers import CallId
from threadpool_mb.values import MISSING, Missing, Uncopied

if TYPE_CHECKING:
    # Imported where it is needed first.
    import concurrent.futures

__all__ = ["Reply"]


@final
class Reply[R](Uncopied):
    """The answer to a call, now or later; from `ask`.

    A reply is read, never consumed: a thread that asks again gets it again.

    Threads: internally synchronized; any number may wait.

    From the original's `AsyncReply`.
    """

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer[R]) -> None:
        self._answer: Final = answer

    @property
    def call_id(self) -> CallId:
        """The id of the call."""
        return self._answer.call_id

    def done(self) -> bool:
        """Return whether the answer is there, a value or an error.

        Blocks: never.
        """
        return self._answer.outcome() is not None

    def try_result(self) -> R | Missing:
        """Return the value if it is there, else `MISSING`.

        Blocks: never.

        Raises:
            CallError: if there will be none; see `result`.

        From the original's `tryTakeReply`.
        """
        outcome = self._answer.outcome()
        return MISSING if outcome is None else self._answer.read(outcome)

    def result(self, *, timeout: float | None = None) -> R:
        """Return the value.

        Blocks: until the answer is there, at most `timeout` seconds (`None`: for ever).

        Raises:
            CallTimedOut: if the timeout ran out. The call stands: the answer may come yet.
            CallNotDelivered: if the call was refused after all, or nobody had the key.
            CallFailed: if the worker said so, or raised.
            WorkerGone: if no worker is left that would answer.
            CallDeadlock: if the worker that is to answer waits for the worker that calls this.
            ValueError: if the timeout is no number of seconds.

        From the original's `waitForReply`.
        """
        return self._answer.result(timeout)

    def add_done_callback(self, function: "Callable[[Reply[R]], object]", /) -> None:
        """Call `function(reply)` when the answer is there; at once, if it is there already.

        It is called on the thread that gives the answer, or on this one, with no lock held. What it
        raises that is an `Exception` is logged. Blocks: never, or as long as the function does.

        Raises:
            TypeError: if the function cannot be called with a reply.
        """
        check_callable(function, "function", "reply")
        self._answer.when_answered(_Callback(function, self))

    def as_future(self) -> "concurrent.futures.Future[R]":
        """Return a future of the answer, for what takes one; a new one each time. Blocks: never.

        It cannot be cancelled: nobody could call the command back. A worker may wait for it as it
        may for the reply, also with `concurrent.futures.wait` and `as_completed`.
        """
        module: Any = importlib.import_module("threadpool_mb.calls.reply_future")
        future: concurrent.futures.Future[R] = module.future_of(self._answer)
        return future

    def _awaited(self) -> Answer[R]:
        """Return what a worker waits for that waits for this."""
        return self._answer

    def __repr__(self) -> str:
        """Show the id of the call, and what there is."""
        return f"<Reply {self._answer}>"


@final
class _Callback[R]:
    """What is called with a reply.

    The answer's log keeps it, and the reply refers to the answer: so it lets go of the reply when
    it is called.
    """

    __slots__ = ("_function", "_reply")

    def __init__(self, function: Callable[[Reply[R]], object], reply: Reply[R]) -> None:
        self._function: Callable[[Reply[R]], object] | None = function
        self._reply: Reply[R] | None = reply

    def __call__(self) -> None:
        function, reply = self._function, self._reply
        self._function = self._reply = None
        if function is not None and reply is not None:
            function(reply)
