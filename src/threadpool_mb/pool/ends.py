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
from threadpool_mb.dead_letters import DeadLetterReason, inform
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.forking import end_child, end_own_thread
from threadpool_mb.logs import Logger
from threadpool_mb.pool.incarnation import Incarnation, why_left
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.reports import ExitCause, WorkerExit
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.workers import stop_cause
from threadpool_mb.threads.here import here
from threadpool_mb.values import MISSING

__all__ = ["WorkerEnds", "until_drained"]

_logger = Logger(__name__)


@final
class WorkerEnds[K, M]:
    """Reports each worker of a pool that has completely ended, on its thread.

    It is a method that is called, not the object: CPython keeps the arguments of a call of an
    object with a `__call__` until the call returns, and with them the frames of a worker that
    failed. A Python function owns its arguments.
    """

    __slots__ = ("_name", "_on_worker_exit", "keeping", "roster")

    roster: Roster[K, M]
    """The pool's; set once, before a worker starts."""

    def __init__(
        self,
        name: str,
        on_worker_exit: Callable[[WorkerExit[K]], object] | None,
        keeping: Keeping[K, M] | None,
    ) -> None:
        """Report for the pool `name`; `keeping` is where keys do not live by hand alone."""
        self.keeping: Final = keeping
        self._name: Final = name
        self._on_worker_exit: Final = on_worker_exit

    @property
    def quiet(self) -> Roster[K, M] | None:
        """The roster, if a worker that has ended well may be told to it alone, for a start."""
        return self.roster if self._on_worker_exit is None else None

    def report(  # noqa: C901 - one step after the other
        self,
        incarnation: Incarnation[K, M],
        error: BaseException | None,
        cause: ExitCause,
        message: object,
        *,
        never_ran: bool = False,
    ) -> None:
        """Report the end of a worker, then let its successor start."""
        keeping = self.keeping
        if error is None:
            if keeping is not None:
                keeping.forget(incarnation)
            if self._on_worker_exit is None and self.roster.end(incarnation, cause, quietly=True):
                return
        if self.roster.in_child:
            # It has forked. Its end here is not the worker's, which goes on in the parent.
            if error is not None and not isinstance(error, SystemExit):
                self._log_failure(incarnation, error)
            end_child(error)
        # No frame holds the message: what a callback raises meanwhile keeps the frames below it.
        in_hand = [message]
        del message
        delay = None if keeping is None else keeping.restart_after(incarnation, error, in_hand[0])
        goes_on = False
        # A hook that calls the successor would wait for this worker.
        here.inner.append(incarnation)
        try:
            if delay is None:
                # Out of the table first: a sender that dispatches now learns that the key has no
                # worker.
                self._leave(incarnation)
            if error is not None:
                self._see_to_failure(incarnation, error, delay, in_hand, never_ran=never_ran)
            elif keeping is not None:
                goes_on = self._goes_on(keeping, incarnation)
            if delay is None and not goes_on:
                self._bury(incarnation)
            self._tell_exit(incarnation, error, cause, in_hand, delay)
        finally:
            # Its traceback holds the worker's frames, and what these hold ends with them: a
            # generator that is suspended in a `with` block, say. Before the successor starts, and
            # as long as this worker is known to run here: that block may call the successor.
            again = in_hand.pop() if keeping is not None and keeping.retries else MISSING
            in_hand.clear()
            del error
            here.inner.remove(incarnation)
            if keeping is None or not self._begins_anew(
                keeping, incarnation, delay, again, cause, goes_on=goes_on
            ):
                if keeping is not None:
                    keeping.forget(incarnation)
                self.roster.end(incarnation, cause)

    def _see_to_failure(
        self,
        incarnation: Incarnation[K, M],
        error: BaseException,
        delay: float | None,
        in_hand: list[object],
        *,
        never_ran: bool,
    ) -> None:
        """Log a failure, and tell the callers and observers of the message that was in hand."""
        if delay is None:
            incarnation.leftovers.reason = DeadLetterReason.WORKER_FAILED
        # Before the dead letters that it has caused.
        log = self._log_never_ran if never_ran else self._log_failure
        self.tell(functools.partial(log, incarnation, error, delay), "a log handler")
        # The traceback holds the worker's frames, and these the call in hand, whose reply will hold
        # the error: a cycle. Before another thread has the error: to clear a frame that another
        # thread looks at crashes 3.14t.
        self.tell(functools.partial(forget_locals, error), "a finalizer")
        incarnation.end_error = error
        if self.keeping is not None and in_hand[0] is not MISSING:
            self._see_to_hand(self.keeping, incarnation, error, in_hand, again=delay is not None)

    def _leave(self, incarnation: Incarnation[K, M]) -> None:
        self.tell(functools.partial(self.roster.leave, incarnation, may_start=True), "the key")

    def _bury(self, incarnation: Incarnation[K, M]) -> None:
        self.tell(incarnation.bury, "the mailbox")
        self.tell(functools.partial(tell_watchers, incarnation), "a reply's callback")

    def _tell_exit(
        self,
        incarnation: Incarnation[K, M],
        error: BaseException | None,
        cause: ExitCause,
        in_hand: list[object],
        delay: float | None,
    ) -> None:
        if self._on_worker_exit is not None:
            worker_exit = WorkerExit(
                incarnation.key,
                incarnation.number,
                error,
                cause=cause,
                message=in_hand[0],
                restart_in=delay,
            )
            self.tell(functools.partial(self._on_worker_exit, worker_exit), "on_worker_exit")

    def _see_to_hand(
        self,
        keeping: Keeping[K, M],
        incarnation: Incarnation[K, M],
        error: BaseException,
        in_hand: list[object],
        *,
        again: bool,
    ) -> None:
        """See to the message that a failed worker had in hand, where it may begin anew."""
        key, message = incarnation.key, in_hand[0]
        if again and not keeping.retries:
            # As it is told where the worker ends for good.
            reason = DeadLetterReason.WORKER_FAILED
            tell = functools.partial(inform, message, key, reason, started=True, error=error)
            self.tell(tell, "a reply's callback")
        elif keeping.retries and not again:
            bury = functools.partial(keeping.bury_in_hand, key, message, error)
            self.tell(bury, "a reply's callback")

    def _goes_on(self, keeping: Keeping[K, M], incarnation: Incarnation[K, M]) -> bool:
        """Return whether a worker has left messages that it is to handle in another life."""
        if incarnation.told_to_stop or not keeping.has_next(why_left(incarnation.leftovers)):
            return False
        ends: list[bool] = []
        self.tell(lambda: ends.append(incarnation.ends_for_good(self.roster.lock)), "the mailbox")
        return ends == [False]

    def _begins_anew(
        self,
        keeping: Keeping[K, M],
        incarnation: Incarnation[K, M],
        delay: float | None,
        message: object,
        cause: ExitCause,
        *,
        goes_on: bool,
    ) -> bool:
        """Have a worker begin anew, if it is to; return whether it does."""
        if delay is None and not goes_on:
            return False
        if delay is not None and keeping.restart(incarnation, delay, message):
            return True
        if goes_on and self.roster.again(incarnation, MISSING, cause):
            keeping.start(incarnation)
            return True
        # It was told to stop meanwhile.
        self._leave(incarnation)
        self._bury(incarnation)
        if message is not MISSING:
            keeping.bury_in_hand(incarnation.key, message, None)
        if delay is not None:
            self.tell(functools.partial(self.report_called_off, incarnation), "on_worker_exit")
        return False

    def report_called_off(self, incarnation: Incarnation[K, M]) -> None:
        """Report that a worker whose restart was told of is not started again.

        Its end has been counted. On the thread that removes it, or cancels the pool, as the dead
        letters of what it leaves. What is raised that is no `Exception` passes: an interrupt, say.
        """
        if self._on_worker_exit is None or self.roster.in_child:
            return
        reason = why_left(incarnation.leftovers)
        # It would have been started for its backlog alone: the pool was closed, and there is none.
        drained = reason is DeadLetterReason.WORKER_FAILED
        worker_exit = WorkerExit(
            incarnation.key,
            incarnation.number,
            None,
            cause="drained" if drained else stop_cause(reason),
        )
        try:
            self._on_worker_exit(worker_exit)
        except Exception:
            _logger.exception("%s: on_worker_exit raised", self._name)
        if self.roster.in_child:
            end_own_thread()

    def _log_failure(
        self, incarnation: Incarnation[K, M], error: BaseException, delay: float | None = None
    ) -> None:
        key = describe(incarnation.key)
        if delay is None:
            _logger.error("%s: the worker of key %s failed", self._name, key, exc_info=error)
        else:
            text = "%s: the worker of key %s failed, and starts again in %g s"
            _logger.warning(text, self._name, key, delay, exc_info=error)

    def _log_never_ran(
        self, incarnation: Incarnation[K, M], error: BaseException, _delay: float | None
    ) -> None:
        # The traceback would be the dispatcher's, and the same for each worker.
        _logger.error(
            "%s: the worker of key %s was not started: %s",
            self._name,
            describe(incarnation.key),
            error,
        )

    def tell(self, function: Callable[[], object], what: str) -> None:
        """Call what runs a user's code (a hook, a mailbox, a key), on a thread of the pool's."""
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
