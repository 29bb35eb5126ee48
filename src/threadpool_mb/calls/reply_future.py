"""A reply as a `concurrent.futures.Future`.

Imported when it is first asked for, as `concurrent.futures` is with the first owner of threads.
"""

import concurrent.futures
import contextlib
from typing import Any, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.calls import unanswered
from threadpool_mb.calls.answer import Answer
from threadpool_mb.forking import forks, free_once, remake
from threadpool_mb.threads.waiting import Waiters, parked
from threadpool_mb.values import Uncopied

__all__ = ["ReplyFuture", "future_of"]


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
        # After how many forks it was let go of what threads of the parent may hold.
        self.freed: int = forks()
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
        if self.freed != forks():
            free_once(self, self._let_go)
        value: Any
        value, error, from_box = outcome
        # Another thread may have filled it.
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(
                    unanswered.fresh(answer.call_id, answer.key, error, from_box=from_box)
                )
        # Last: what raises before this leaves it to the thread that waits.
        self.answer = None

    def _let_go(self) -> None:
        condition: Any = self._condition
        remake(condition._lock)  # noqa: SLF001 - an `RLock`


def future_of[R](answer: Answer[R]) -> ReplyFuture[R]:
    """Return a future that is filled when the answer is there."""
    future = ReplyFuture(answer)
    answer.when_answered(future.fill)
    return future
