"""Futures that are cheap to make, and know for which key their task runs.

A `concurrent.futures.Future` makes a condition when it is made, which costs more than all else that
is done for a small task. This one makes it when somebody waits: `submit_keyed` is nearly twice as
fast with it on 3.14t, more than twice on 3.13t (`benchmarks/`, "executor").

**Guarantees.** It works with `concurrent.futures.wait` and `as_completed` and with `asyncio`, which
enter `_condition`, look at `_state` and add to `_waiters` there.

The interleaving that must leave nobody waiting. `_mutex` guards `_state`, `_done_callbacks` and the
making of the condition. Whoever waits does (1) and (2), who finishes does (a) and (b):

1. It has the condition made, under the mutex.
2. It enters the condition, finds the future unfinished, and adds itself to those that wait.
a. It sets the state, and looks whether there is a condition, under the mutex.
b. If there is one, it enters it, and notifies all that wait.

If (1) comes before (a), (b) follows: either it finds the one that waits, or that one has not
entered yet and finds the future finished in (2). If (1) comes after (a), so does (2), and finds it
finished.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Any, Final, cast, final, override

from threadpool_mb.describing import describe

__all__ = ["KeyedFuture", "running"]

_logger = logging.getLogger(__name__)

running: Final[dict[int, tuple[object, object]]] = {}
"""The lane that each thread runs just now, by the thread's number: its executor's table, its key.

Each thread writes its own entry alone, and a dict's methods are atomic.
"""

# The words of `concurrent.futures`, which `wait` and `as_completed` compare with.
_PENDING: Final = "PENDING"
_RUNNING: Final = "RUNNING"
_CANCELLED: Final = "CANCELLED"
_CANCELLED_AND_NOTIFIED: Final = "CANCELLED_AND_NOTIFIED"
_FINISHED: Final = "FINISHED"
_UNDONE: Final = (_PENDING, _RUNNING)


@final
class KeyedFuture[R](Future[R]):
    """A `concurrent.futures.Future` that raises where waiting for it would never end."""

    def __init__(self, table: object, key: object) -> None:  # pyright: ignore[reportMissingSuperCall]
        """Make a pending future of a task of `key`."""
        # Not the base's, which makes a condition.
        self._state: str = _PENDING
        self._result: R | None = None
        self._exception: BaseException | None = None
        self._waiters: list[Any] = []
        self._done_callbacks: list[Callable[[Future[R]], object]] = []
        self._made: threading.Condition | None = None
        # See above. Nobody waits under it.
        self._mutex = threading.Lock()
        self._table = table
        self._key = key

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        with self._mutex:
            if self._made is None:
                self._made = threading.Condition()
            return self._made

    @override
    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._state in {_CANCELLED, _CANCELLED_AND_NOTIFIED}

    @override
    def running(self) -> bool:
        """Return whether its task runs."""
        return self._state == _RUNNING

    @override
    def done(self) -> bool:
        """Return whether it was cancelled or has a result."""
        return self._state not in _UNDONE

    @override
    def cancel(self) -> bool:
        """Cancel it if its task does not run yet; return whether it is cancelled."""
        with self._mutex:
            if self._state != _PENDING:
                return self.cancelled()
            self._state = _CANCELLED
            condition = self._made
        if condition is not None:
            with condition:
                condition.notify_all()
        self._call_back()
        return True

    @override
    def set_running_or_notify_cancel(self) -> bool:
        """Return whether the task is to be run: for who runs it."""
        with self._mutex:
            if self._state == _PENDING:
                self._state = _RUNNING
                return True
            if self._state != _CANCELLED:
                raise InvalidStateError(f"{self._state}: {self!r}")
            self._state = _CANCELLED_AND_NOTIFIED
            condition = self._made
        if condition is not None:
            with condition:
                for waiter in self._waiters:
                    waiter.add_cancelled(self)
        return False

    @override
    def set_result(self, result: R) -> None:
        """Finish with a result: for who runs the task."""
        self._finish(result, None)

    @override
    def set_exception(self, exception: BaseException | None) -> None:
        """Finish with an exception: for who runs the task."""
        self._finish(None, exception)

    def _finish(self, result: R | None, error: BaseException | None) -> None:
        with self._mutex:
            if self._state not in _UNDONE:
                raise InvalidStateError(f"{self._state}: {self!r}")
            self._result, self._exception = result, error
            self._state = _FINISHED
            condition = self._made
        if condition is not None:
            with condition:
                for waiter in self._waiters:
                    if error is None:
                        waiter.add_result(self)
                    else:
                        waiter.add_exception(self)
                condition.notify_all()
        if self._done_callbacks:
            self._call_back()

    @override
    def add_done_callback(self, fn: Callable[[Future[R]], object]) -> None:
        """Call `fn(self)` when it is done, at once if it is; what it raises is logged."""
        with self._mutex:
            if self._state in _UNDONE:
                self._done_callbacks.append(fn)
                return
        self._call(fn)

    def _call_back(self) -> None:
        for callback in self._done_callbacks:
            self._call(callback)

    def _call(self, callback: Callable[[Future[R]], object]) -> None:
        try:
            callback(self)
        except Exception:
            _logger.exception("exception calling callback for %r", self)

    @override
    def result(self, timeout: float | None = None) -> R:
        """Return the task's result, or raise what it raised.

        Blocks: until it is done, at most `timeout` seconds (`None`: for ever).

        Raises:
            TimeoutError: if the timeout ran out.
            CancelledError: if it was cancelled.
            RuntimeError: in a task of the same key, unless this one is done: it runs only after
                the task that asks.
        """
        try:
            error = self.exception(timeout)
            if error is not None:
                raise error
            return cast("R", self._result)
        finally:
            # The error's traceback holds this frame.
            error = None
            del self

    @override
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the task raised, `None` if nothing; waits and raises as `result` does."""
        if self._state in _UNDONE:
            self._check_not_own_key()
            self._wait(timeout)
        if self.cancelled():
            raise CancelledError
        return self._exception

    def _wait(self, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        condition = self._condition
        with condition:
            while self._state in _UNDONE:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError
                condition.wait(left)

    def _check_not_own_key(self) -> None:
        table, key = running.get(threading.get_ident(), (None, None))
        if table is self._table and key == self._key:
            raise RuntimeError(
                f"a task of key {describe(key)} cannot wait for another one of its key, which runs"
                " only after it"
            )
