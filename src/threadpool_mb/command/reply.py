"""What the caller of a call without waiting gets: its reply, and futures of that."""

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import Any, Final, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.callables import check_callable
from threadpool_mb.command import failures
from threadpool_mb.command.answer import Answer
from threadpool_mb.copying import Uncopied
from threadpool_mb.counters import CallId
from threadpool_mb.markers import MISSING, Missing
from threadpool_mb.waiting import Waiters, parked

__all__ = ["Reply", "ReplyFuture"]


@final
class Reply[R](Uncopied):
    """The answer to a call, now or later; from `call_async`.

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
            CallFailed: if whoever handled the call said so, or raised.
            WorkerGone: if nobody is left who would answer.
            CallDeadlock: if whoever is to answer waits for the worker that calls this.
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
        future = ReplyFuture(self._answer)
        self._answer.when_answered(future.fill)
        return future

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


@final
class ReplyFuture[R](Uncopied, concurrent.futures.Future[R]):
    """A future that is waited for as its reply is: by a worker, too, of the pool that answers.

    It refers to the answer, which refers to it by a callback, until the answer is there.
    """

    def __init__(self, answer: Answer[R]) -> None:
        """Be the future of a call's answer."""
        super().__init__()
        self.answer: Answer[R] | None = answer
        """What it waits for; `None` once the answer is there."""
        self._waiters = Waiters()
        self.set_running_or_notify_cancel()

    @override
    def result(self, timeout: float | None = None) -> R:
        """Return the value, or raise; see `Reply.result`.

        Raises:
            TimeoutError: if the timeout ran out.
            ValueError: if it is no number of seconds.
        """
        try:
            left = self._wait(timeout)
            # For the callbacks that were added before this one's.
            with parked():
                return super().result(left)
        finally:
            # The error's traceback holds this frame.
            del self

    @override
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the error, `None` if there is a value; waits as `result` does."""
        left = self._wait(timeout)
        with parked():
            return super().exception(left)

    def _wait(self, timeout: float | None) -> float | None:
        """Wait for the reply; return the seconds that are left for its callbacks.

        Raises:
            CallDeadlock: if that would be for ever.
            ValueError: if the timeout is no number of seconds.
        """
        deadline = Deadline(timeout)
        answer = self.answer
        if answer is not None:
            if answer.outcome() is None and deadline.remaining() != 0:
                answer.wait(deadline)
            # The thread that has answered may be kept from filling it: by an interrupt, no memory.
            self.fill()
        return deadline.remaining()

    def fill(self) -> None:
        """Take over the answer, if it is there; on any thread, once it was done it does nothing."""
        answer = self.answer
        outcome = None if answer is None else answer.outcome()
        if answer is None or outcome is None:
            return
        value: Any
        value, error, from_box = outcome
        # Another thread may have filled it.
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(
                    failures.fresh(answer.call_id, answer.key, error, from_box=from_box)
                )
        # Last: what raises before this leaves it to the thread that waits.
        self.answer = None
