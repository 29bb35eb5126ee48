"""Reporting the end of a worker: its messages, its callers, the hook, the log; then its successor.

**Guarantees.** Messages that a worker leaves are dead letters before its end is reported, and its
end is reported before its successor starts. A failure is logged before the dead letters that it has
caused. Each step is done, whatever the one before it raises.

`until_drained` is what a worker sees of it, for the managers of contexts that it has entered.
"""

import contextlib
import functools
from collections.abc import Callable
from types import TracebackType
from typing import Final, final

from threadpool_mb.arguments import describe
from threadpool_mb.calls.unanswered import forget_locals, tell_watchers
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.forking import end_child, end_own_thread
from threadpool_mb.logs import Logger
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.reports import ExitCause, WorkerExit
from threadpool_mb.pool.roster import Roster
from threadpool_mb.threads.here import here

__all__ = ["WorkerEnds", "until_drained"]

_logger = Logger(__name__)


@final
class WorkerEnds[K, M]:
    """Reports each worker of a pool that has completely ended, on its thread.

    It is a method that is called, not the object: CPython keeps the arguments of a call of an
    object with a `__call__` until the call returns, and with them the frames of a worker that
    failed. A Python function owns its arguments.
    """

    __slots__ = ("_name", "_on_worker_exit", "roster")

    roster: Roster[K, M]
    """The pool's; set once, before a worker starts."""

    def __init__(self, name: str, on_worker_exit: Callable[[WorkerExit[K]], object] | None) -> None:
        """Report for the pool `name`."""
        self._name: Final = name
        self._on_worker_exit: Final = on_worker_exit

    def report(
        self,
        incarnation: Incarnation[K, M],
        error: BaseException | None,
        cause: ExitCause,
        message: object,
        *,
        never_ran: bool = False,
    ) -> None:
        """Report the end of a worker, then let its successor start."""
        if error is None and self._on_worker_exit is None and self.roster.end_quietly(incarnation):
            return
        if self.roster.in_child:
            # It has forked. Its end here is not the worker's, which goes on in the parent.
            if error is not None and not isinstance(error, SystemExit):
                self._log_failure(incarnation, error)
            end_child(error)
        failed = error is not None
        # No frame holds the message: what a callback raises meanwhile keeps the frames below it.
        in_hand = [message]
        del message
        # A hook that calls the successor would wait for this worker.
        here.inner.append(incarnation)
        try:
            # Out of the table first: a sender that dispatches now learns that the key has no
            # worker.
            self.tell(functools.partial(self.roster.leave, incarnation, may_start=True), "the key")
            if error is not None:
                incarnation.leftovers.reason = DeadLetterReason.WORKER_FAILED
                # Before the dead letters that it has caused.
                log = self._log_never_ran if never_ran else self._log_failure
                self.tell(functools.partial(log, incarnation, error), "a log handler")
                # The traceback holds the worker's frames, and these the call in hand, whose reply
                # will hold the error: a cycle. Before anybody else has the error: to clear a frame
                # that another thread looks at crashes 3.14t.
                self.tell(functools.partial(forget_locals, error), "a finalizer")
                incarnation.end_error = error
            self._report(incarnation, error, cause, in_hand)
        finally:
            # Its traceback holds the worker's frames, and what these hold ends with them: a
            # generator that is suspended in a `with` block, say. Before the successor starts, and
            # as long as this worker is known to run here: that block may call the successor.
            in_hand.clear()
            del error
            here.inner.remove(incarnation)
            self.roster.end(incarnation, failed=failed)

    def _report(
        self,
        incarnation: Incarnation[K, M],
        error: BaseException | None,
        cause: ExitCause,
        in_hand: list[object],
    ) -> None:
        self.tell(incarnation.mailbox.abandon, "the mailbox")
        self.tell(functools.partial(tell_watchers, incarnation), "a reply's callback")
        if self._on_worker_exit is not None:
            worker_exit = WorkerExit(
                incarnation.key, incarnation.number, error, cause=cause, message=in_hand[0]
            )
            self.tell(functools.partial(self._on_worker_exit, worker_exit), "on_worker_exit")

    def _log_failure(self, incarnation: Incarnation[K, M], error: BaseException) -> None:
        _logger.error(
            "%s: the worker of key %s failed", self._name, describe(incarnation.key), exc_info=error
        )

    def _log_never_ran(self, incarnation: Incarnation[K, M], error: BaseException) -> None:
        # The traceback would be the dispatcher's, and the same for each worker.
        _logger.error(
            "%s: the worker of key %s was not started: %s",
            self._name,
            describe(incarnation.key),
            error,
        )

    def tell(self, function: Callable[[], object], what: str) -> None:
        """Call what runs a user's code (a hook, a mailbox, a key) on a thread that is not his."""
        try:
            function()
        except BaseException:
            _logger.exception("%s: %s raised", self._name, what)
        if self.roster.in_child:
            end_own_thread()


@final
class until_drained(contextlib.AbstractContextManager[None, bool]):  # noqa: N801 - used like a function: `with until_drained()`
    """Let a clean end of the worker look like a normal one to what stands around it.

    A worker ends cleanly when it has handled its backlog: after the pool's `close`, at the end of
    its `with` block, after `remove(drain=True)`. A generator worker is closed at its `yield` then,
    by `GeneratorExit`; a function worker gets `MailboxClosed` from `receive`. Both are exceptions,
    on which a database connection rolls back. Innermost in a worker's `with`, this swallows them:

    ```python
    def ledger(account: str) -> Generator[None, Entry]:
        with connect(account) as connection, until_drained():
            while True:
                connection.add((yield))
        # here after a clean end, once `connection` has committed
    ```

    What stops a worker before its next message (`remove`, `cancel`: `Cancelled`), and what the
    worker raises itself, passes, so that a transaction is rolled back.

    Blocks: never. Threads: for one worker.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool:
        """Swallow what ends a worker cleanly."""
        if isinstance(error, MailboxClosed):
            workers = here.workers()
            return bool(workers) and workers[-1].receives_from(error.receiver)
        return isinstance(error, GeneratorExit)
