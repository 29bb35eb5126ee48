"""The control plane: the dispatcher thread starts workers and knows when all have ended.

**Guarantees.** Each worker that was entered is started once when its turn comes, unless it is
dropped before; its end is reported once. Messages that it leaves are dead letters before its end is
reported, and its end is reported before its successor starts. The dispatcher thread never delivers
a message. It runs no user code, but for one case: if the system starts no thread for a worker,
there is none to run the hooks that are told of it, and they run on the dispatcher.

A worker's life: `enter` (any thread) → `_start` (dispatcher) → the worker's function (its own
thread) → `_ended` (its own thread).
"""

import contextlib
import dataclasses
import functools
import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Final, Literal, final

from threadpool_mb.arguments import Deadline, check_timeout
from threadpool_mb.command.failures import forget_locals
from threadpool_mb.command.holders import tell_watchers
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.describing import describe
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.here import here
from threadpool_mb.mailbox.protocols import MailboxStats
from threadpool_mb.pool.incarnation import Incarnation, State
from threadpool_mb.pool.reports import DrainReport, PoolStats, UnfinishedWorker, WorkerExit
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.workers import MakeKind
from threadpool_mb.scheduling.exit_hook import close_at_exit

__all__ = ["Dispatcher"]

_logger = logging.getLogger(__name__)

type _Order = Literal["close", "grow"]


@final
class Dispatcher[K, M]:
    """Starts the workers of one pool, ends them, and reports their ends.

    Holds no reference to its pool, so that a pool which was never closed can be collected.

    Threads: internally synchronized.
    """

    __slots__ = (
        "__weakref__",
        "_inbox",
        "_kind",
        "_office",
        "_on_worker_exit",
        "_thread",
        "_threads",
        "call_here",
        "name",
        "new_incarnation",
        "roster",
    )

    def __init__(
        self,
        name: str,
        office: DeadLetterOffice[K, M],
        on_worker_exit: Callable[[WorkerExit[K]], object] | None,
        make_kind: MakeKind[K, M],
    ) -> None:
        """Start the dispatcher thread; `make_kind` makes the kind of the workers."""
        self.name: Final = name
        self._office: Final = office
        self._on_worker_exit: Final = on_worker_exit
        # Workers whose turn has come; "close" from a pool that was collected; "grow" from the
        # workers' kind; `None` at the end.
        self._inbox: Final[queue.SimpleQueue[Incarnation[K, M] | _Order | None]] = (
            queue.SimpleQueue()
        )
        self._kind: Final = make_kind(functools.partial(self._inbox.put, "grow"), self._ended)
        self.new_incarnation: Final[Callable[[K], Incarnation[K, M]]] = self._kind.new_incarnation
        """Creates a worker that is not entered yet; what the mailbox's config raises passes."""
        self.call_here: Final[Callable[[Incarnation[K, M], M], bool]] = self._kind.call_here
        """Has a message handled on the caller's thread, if that can be done."""
        self._threads: Final = self._kind.threads
        self.roster: Final[Roster[K, M]] = Roster(self._inbox.put, self._kind.start_at_once)
        self._thread: Final = threading.Thread(
            target=self._run, name=f"{name}-dispatcher", daemon=False
        )
        close_at_exit(self)
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            raise ThreadRefused(
                f"the system started no thread for the pool {name!r}: {error}"
            ) from error
        except BaseException:  # an interrupt: the thread may have started, and nobody owns it
            self.close()
            raise

    def remove(
        self, incarnation: Incarnation[K, M], *, drain: bool, reason: DeadLetterReason
    ) -> bool:
        """End a current worker; `False` if it is not the current one any more."""
        try:
            left = self.roster.leave(incarnation, may_start=drain, reason=reason)
            self._tell_left(incarnation)
        except BaseException:
            # An interrupt, or its key raised: if it has left, it is to be told all the same.
            self._tell_left(incarnation)
            raise
        return left

    def close(self) -> None:
        """Let no worker enter any more; those that have finish their backlog.

        Blocks: never; where a call before it was interrupted, as long as `on_dead_letter` does.
        """
        unfinished = self.roster.close()
        self._tell_all(
            [functools.partial(self._tell_left, each) for each in list(self.roster.untold)]
            + [each.mailbox.close for each in unfinished]
        )

    def cancel(self) -> None:
        """Let no worker enter any more, drop those that have not started, cancel the others.

        Blocks: as long as `on_dead_letter` does, for the messages of those that were dropped.
        """
        running = self.roster.cancel()
        for incarnation in running:
            incarnation.leftovers.reason = DeadLetterReason.POOL_CLOSED
        self._tell_all(
            [each.mailbox.cancel for each in running]
            + [functools.partial(self._tell_left, each) for each in list(self.roster.untold)]
        )

    def close_soon(self) -> None:
        """Close from the dispatcher thread; reentrant and without a lock, for finalizers."""
        self._inbox.put("close")

    def join(self, *, timeout: float | None) -> DrainReport[K]:
        """Wait until all workers and threads have ended; see `Pool.join`."""
        deadline = Deadline(timeout)
        self.check_not_own_thread()
        self._thread.join(deadline.remaining())
        finished = not self._thread.is_alive() and self._threads.join(deadline)
        return DrainReport(
            finished=finished,
            unfinished=self._unfinished(),
            failed=self.roster.failed,
            dead_letters=self._office.counts(),
        )

    def drain(self, *, timeout: float | None) -> DrainReport[K]:
        """Close, join, and cancel what is left after the timeout; see `Pool.drain`."""
        check_timeout(timeout)
        self.check_not_own_thread()
        self.close()
        try:
            report = self.join(timeout=timeout)
        except BaseException:
            self.cancel()
            raise
        if report.finished:
            return report
        self.cancel()
        return dataclasses.replace(report, dead_letters=self._office.counts())

    def check_not_own_thread(self) -> None:
        """Raise `RuntimeError` on a thread that `join` would wait for."""
        current = threading.current_thread()
        runs_here = any(self.roster.is_unfinished(worker) for worker in here.workers())
        if current is self._thread or current in self._threads or runs_here:
            raise RuntimeError(
                f"{self!r} cannot be joined from {current.name!r}, which is a thread of its own:"
                " it would wait for itself"
            )

    def stats(self) -> PoolStats[K]:
        """Return a snapshot; see `Pool.stats`."""
        unfinished = self._unfinished()
        return PoolStats(
            state=self.state,
            workers=self.roster.workers,
            messages=sum(worker.messages for worker in unfinished),
            unfinished=unfinished,
            leaving=tuple(worker for worker in unfinished if worker.told_to_end),
            started=self.roster.started,
            failed=self.roster.failed,
            dead_letters=self._office.counts(),
            threads=len(self._threads) + self._thread.is_alive(),
        )

    @property
    def state(self) -> str:
        """`"running"`, `"closing"`, `"cancelling"` or `"ended"`."""
        if not self.roster.closed:
            return "running"
        if not self._thread.is_alive():
            return "ended"
        return "cancelling" if self.roster.cancelled else "closing"

    def __repr__(self) -> str:
        """Show name, counts and state."""
        workers = self.roster.workers
        waiting = sum(worker.messages for worker in self._unfinished())
        return (
            f"<Pool {self.name!r} [{workers} worker{'' if workers == 1 else 's'}"
            f" | {waiting} waiting | {self.state}]>"
        )

    def _unfinished(self) -> tuple[UnfinishedWorker[K], ...]:
        unfinished: list[UnfinishedWorker[K]] = []
        for incarnation in self.roster.unfinished():
            try:
                mailbox = incarnation.mailbox.stats()
            except Exception:  # a user's mailbox: it must not keep the pool from being looked at
                _logger.exception("%s: a mailbox raised", self.name)
                mailbox = MailboxStats(messages=0, senders_waiting=0, closed=False, cancelled=False)
            unfinished.append(
                UnfinishedWorker(
                    key=incarnation.key,
                    incarnation=incarnation.number,
                    running=incarnation.state is State.RUNNING,
                    told_to_end=mailbox.closed,
                    messages=mailbox.messages,
                    senders_waiting=mailbox.senders_waiting,
                )
            )
        return tuple(unfinished)

    def _run(self) -> None:
        """Start worker after worker; the dispatcher thread's whole life."""
        while (order := self._inbox.get()) is not None:
            if order == "grow":
                self._tell(self._kind.grow, "starting a thread")
            elif order == "close":
                self._tell(self.close, "a mailbox")
            else:
                self._start(order)
            # A worker's mailbox must not live on while the dispatcher waits.
            del order
        self._threads.close()
        self._office.flush()

    def _start(self, incarnation: Incarnation[K, M]) -> None:
        if not self.roster.begin(incarnation):
            return
        try:
            self._kind.start(incarnation)
        except Exception as error:  # noqa: BLE001 - ThreadRefused; whatever else: the pool lives on
            self._ended(incarnation, error)

    def _ended(self, incarnation: Incarnation[K, M], error: BaseException | None) -> None:
        """Report the end of a worker, then let its successor start; on the worker's thread."""
        failed = error is not None
        # A hook that calls the successor would wait for this worker.
        here.inner.append(incarnation)
        try:
            # Out of the table first: who dispatches from here on learns that there is no worker.
            self._tell(functools.partial(self.roster.leave, incarnation, may_start=True), "the key")
            self._report(incarnation, error)
        finally:
            # Its traceback holds the worker's frames, and what these hold ends with them: a
            # generator that is suspended in a `with` block, say. Before the successor starts, and
            # as long as this worker is known to run here: that block may call the successor. Also
            # where a hook or a caller has kept the error.
            if error is not None:
                self._tell(functools.partial(forget_locals, error), "a finalizer")
            del error
            here.inner.remove(incarnation)
            self.roster.end(incarnation, failed=failed)

    def _report(self, incarnation: Incarnation[K, M], error: BaseException | None) -> None:
        if error is not None:
            incarnation.leftovers.reason = DeadLetterReason.WORKER_FAILED
            incarnation.end_error = error
        self._tell(incarnation.mailbox.abandon, "the mailbox")
        self._tell(functools.partial(tell_watchers, incarnation), "a reply's callback")
        if self._on_worker_exit is not None:
            worker_exit = WorkerExit(incarnation.key, incarnation.number, error)
            self._tell(functools.partial(self._on_worker_exit, worker_exit), "on_worker_exit")
        if error is not None:
            self._tell(functools.partial(self._log_failure, incarnation, error), "a log handler")

    def _log_failure(self, incarnation: Incarnation[K, M], error: BaseException) -> None:
        _logger.error(
            "%s: the worker of key %s failed", self.name, describe(incarnation.key), exc_info=error
        )

    def _tell_left(self, incarnation: Incarnation[K, M]) -> None:
        """Tell the mailbox of a worker that has left, unless it was told; more than once is once.

        Blocks: as long as `on_dead_letter` does, for the messages of a worker that never starts.
        """
        match self.roster.untold.get(incarnation):
            case None:
                return
            case "abandon":
                incarnation.mailbox.abandon()
            case "close":
                incarnation.mailbox.close()
            case "cancel":
                incarnation.mailbox.cancel()
        self.roster.untold.pop(incarnation, None)

    def _tell(self, function: Callable[[], object], what: str) -> None:
        """Call what runs a user's code (a hook, a mailbox, a key) on a thread that is not his."""
        try:
            function()
        except BaseException:
            # A log handler that raises must not keep the rest from being done.
            with contextlib.suppress(Exception):
                _logger.exception("%s: %s raised", self.name, what)

    def _tell_all(self, functions: Iterable[Callable[[], object]]) -> None:
        """Call mailboxes' methods on the caller's thread; an interrupt passes after the last."""
        interrupt: BaseException | None = None
        for function in functions:
            try:
                function()
            except Exception:
                with contextlib.suppress(Exception):
                    _logger.exception("%s: a mailbox raised", self.name)
            except BaseException as error:  # noqa: BLE001 - raised below
                interrupt = error
        if interrupt is not None:
            raise interrupt
