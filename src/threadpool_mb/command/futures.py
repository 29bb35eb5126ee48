"""Futures of replies, for what takes a `concurrent.futures.Future`."""

import concurrent.futures
from collections.abc import Callable
from typing import Any, Protocol, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.waiting import Waiters, parked

__all__ = ["ReplyFuture", "future_of"]


class _Reply[R](Protocol):
    def result(self, *, timeout: float | None = ...) -> R: ...
    def done(self) -> bool: ...
    def wait(self, deadline: Deadline) -> object: ...
    def add_done_callback(self, function: Callable[[Any], object], /) -> None: ...


@final
class ReplyFuture[R](concurrent.futures.Future[R]):
    """A future that is waited for as its reply is: by a worker, too, of the pool that answers.

    It refers to the reply, which refers to it by a callback, until the answer is there.
    """

    def __init__(self, reply: _Reply[R]) -> None:
        """Be the future of `reply`."""
        super().__init__()
        self.reply: _Reply[R] | None = reply
        """What it waits for; `None` once the answer is there."""
        self._waiters = Waiters()
        self.set_running_or_notify_cancel()

    @override
    def result(self, timeout: float | None = None) -> R:
        """Return the value, or raise; see `Reply.result`.

        Raises:
            TimeoutError: if the timeout ran out.
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
        """
        reply = self.reply
        if reply is None or (timeout is not None and not timeout > 0):
            return timeout
        deadline = Deadline(None if timeout is None else float(timeout))
        if not reply.done():
            reply.wait(deadline)
        return deadline.remaining()

    def fill(self, reply: _Reply[R]) -> None:
        """Take over the answer, which is there."""
        self.reply = None
        try:
            value = reply.result(timeout=0)
        except Exception as error:  # noqa: BLE001 - it is the future's
            self.set_exception(error)
        else:
            self.set_result(value)


def future_of[R](reply: _Reply[R]) -> "concurrent.futures.Future[R]":
    """Return a future of a reply; see `Reply.as_future`."""
    future = ReplyFuture(reply)
    reply.add_done_callback(future.fill)
    return future
