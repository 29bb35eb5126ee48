"""The control plane: what starts workers, and how the end of all workers is known.

**Guarantees.** Each worker that was entered is started once when its turn comes, unless it is
dropped before; its end is reported once (`ends`). The dispatcher thread never delivers a message.
It runs no user code, but for one case: if the system starts no thread for a worker, there is none
to run the hooks that are told of it, and they run on the dispatcher.

A function worker's life: `Roster.enter` (any thread) → `_start` (dispatcher) → the worker's
function → `WorkerEnds.report` (both on its own thread). A generator worker skips `_start` where
there is a shared thread: `Roster` has its kind start it at once (`WorkerKind.start_at_once`), on
the thread that enters it or that ends the worker before it.
"""

import contextlib
import dataclasses
import functools
import queue
import threading
from collections.abc import Callable
from typing import Final, Literal, final

from threadpool_mb.arguments import AT_ONCE, Deadline, check_timeout, counted, shortest
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.forking import MADE_BEFORE_FORK, keep
from threadpool_mb.logs import Logger
from threadpool_mb.pool.ends import WorkerEnds
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.reports import (
    DrainReport,
    PoolStats,
    WorkerExit,
    WorkerStats,
    what_is_left,
)
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.telling import Telling
from threadpool_mb.pool.workers import MakeKind
from threadpool_mb.protocols import MailboxStats
from threadpool_mb.threads.exit_hook import close_at_exit
from threadpool_mb.threads.here import here
from threadpool_mb.threads.latches import Ending
from threadpool_mb.threads.launching import new_thread
from threadpool_mb.values import MISSING

__all__ = ["Dispatcher"]

_logger = Logger(__name__)

type _Order = Literal["close", "grow"]

_UNTIL_TOLD_AGAIN: Final = 0.1
"""Seconds between two attempts to tell a mailbox for which there was no memory."""


@final
class Dispatcher[K, M]:
    """Starts the workers of one pool, ends them, and reports their ends.

    Holds no reference to its pool, so that a pool which was never closed can be collected.

    Threads: internally synchronized.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_inbox",
        "_kind",
        "_office",
        "_telling",
        "_thread",
        "_threads",
        "ending",
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
        # Workers whose turn has come; "close" from a pool that was collected; "grow" from the
        # workers' kind; `None` at the end.
        self._inbox: Final[queue.SimpleQueue[Incarnation[K, M] | _Order | None]] = (
            queue.SimpleQueue()
        )
        self._ended: Final[WorkerEnds[K, M]] = WorkerEnds(name, on_worker_exit)
        self._kind: Final = make_kind(
            functools.partial(self._inbox.put, "grow"), self._ended.report
        )
        self.new_incarnation: Final[Callable[[K], Incarnation[K, M]]] = self._kind.new_incarnation
        """Creates a worker that is not entered yet; what the mailbox's config raises passes."""
        self._threads: Final = self._kind.threads
        self.roster: Final[Roster[K, M]] = Roster(self._inbox.put, self._kind.start_at_once)
        self.ending: Final = Ending()
        """Reached when all workers have ended."""
        self._ended.roster = self.roster
        self._telling: Final[Telling[K, M]] = Telling(name, self.roster)
        self._thread: Final = new_thread(self._run, f"{name}-dispatcher")
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
        if self.roster.in_child:
            return False
        try:
            left = self.roster.leave(incarnation, may_start=drain, reason=reason)
            self._telling.left(incarnation)
        except BaseException:
            # An interrupt, or its key raised: if it has left, it is to be told all the same.
            self._telling.left(incarnation)
            raise
        return left

    def close(self) -> None:
        """Let no worker enter any more; those that have finish their backlog.

        Blocks: never; where a call before it was interrupted, as long as `on_dead_letter` does.
        """
        if not self.roster.in_child:
            self._telling.close()

    def cancel(self) -> None:
        """Let no worker enter any more, drop those that have not started, cancel the others.

        Blocks: as long as `on_dead_letter` does, for the messages of those that were dropped.
        """
        if not self.roster.in_child:
            self._telling.cancel()

    def close_soon(self) -> None:
        """Close from the dispatcher thread; reentrant and without a lock, for finalizers."""
        self._inbox.put("close")

    def forked(self) -> bool:
        """Take note that this is a child of `os.fork`, in which it does not work: `False`."""
        self._office.forked()
        if self.roster.forked():
            self._threads.forked()
            for incarnation in self.roster.unfinished():
                incarnation.forked()
            keep(self)
        return False

    def waits_for(self, deadline: Deadline) -> str | None:
        """Return what keeps a closed pool from its end at the deadline; see `exit_hook`."""
        if self._thread.ident is not None:  # else it was refused
            self._thread.join(deadline.remaining())
        if not self._thread.is_alive():
            return None
        return f"pool {self.name}: {what_is_left(self._unfinished())}"

    def join(self, *, timeout: float | None) -> DrainReport[K]:
        """Wait until all workers and threads have ended; see `Pool.join`."""
        deadline = Deadline(timeout)
        self.check_not_own_thread()
        if not self.roster.in_child:
            self._tell_again(deadline)
        self._thread.join(deadline.remaining())
        finished = (
            not self.roster.in_child
            and not self._thread.is_alive()
            and self._threads.join(deadline)
        )
        return DrainReport(
            finished=finished,
            unfinished=self._unfinished(),
            failed=self.roster.failed,
            dead_letters=self._office.counts(),
        )

    def _tell_again(self, deadline: Deadline) -> None:
        """Tell the mailboxes that may not have been told.

        No memory for it is no memory for now: a worker's backlog, which has taken it, gets less.

        Raises:
            MemoryError: if there was none until the deadline.
        """
        while self._thread.is_alive():
            try:
                self._telling.again()
            except MemoryError:
                if deadline.remaining() == 0:
                    raise
            else:
                break
            self._thread.join(shortest(_UNTIL_TOLD_AGAIN, deadline.remaining()))

    def leave(self, *, well: bool) -> None:
        """Do what leaving the pool's `with` block does; see `Pool.__exit__`."""
        try:
            # Where there is no memory for it, `join` tells them again.
            with contextlib.suppress(MemoryError):
                (self.close if well else self.cancel)()
            self.join(timeout=None)
        except BaseException:
            self.cancel()
            raise

    def threads_ended(self) -> bool:
        """Return whether all threads have ended. Blocks: never."""
        if self.roster.in_child:
            return True
        self._thread.join(0)
        return not self._thread.is_alive() and self._threads.join(AT_ONCE)

    def drain(self, *, timeout: float | None) -> DrainReport[K]:
        """Close, join, and cancel what is left after the timeout; see `Pool.drain`."""
        check_timeout(timeout)
        self.check_not_own_thread()
        try:
            with contextlib.suppress(MemoryError):
                self.close()
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
        if self.roster.in_child:
            return
        current = threading.current_thread()
        runs_here = any(self.roster.is_unfinished(worker) for worker in here.workers())
        if current is self._thread or current in self._threads or runs_here:
            raise RuntimeError(
                f"the pool {self.name!r} cannot be joined from {current.name!r}, which is a thread"
                " of its own: it would wait for itself"
            )

    def stats(self) -> PoolStats[K]:
        """Return a snapshot; see `Pool.stats`."""
        workers = self._unfinished()
        return PoolStats(
            state=self.state,
            keys=self.roster.workers,
            messages=sum(worker.messages for worker in workers),
            workers=workers,
            leaving=tuple(worker for worker in workers if worker.told_to_end),
            started=self.roster.started,
            failed=self.roster.failed,
            dead_letters=self._office.counts(),
            threads=len(self._threads) + self._thread.is_alive(),
        )

    @property
    def state(self) -> str:
        """`"running"`, `"closing"`, `"cancelling"` or `"ended"`; see `PoolStats`."""
        if self.roster.in_child:
            return MADE_BEFORE_FORK
        if not self.roster.closed:
            return "running"
        if not self._thread.is_alive():
            return "ended"
        return "cancelling" if self.roster.cancelled else "closing"

    def __repr__(self) -> str:
        """Show name, counts and state."""
        # Not what waits: that would ask each worker.
        workers, threads = self.roster.workers, len(self._threads)
        return (
            f"<Pool {self.name!r} [{counted(workers, 'worker')}"
            f" | {counted(threads, 'thread')} | {self.state}]>"
        )

    def _unfinished(self) -> tuple[WorkerStats[K], ...]:
        unfinished: list[WorkerStats[K]] = []
        if self.roster.in_child:
            return ()  # they are not in this process, and their mailboxes may be locked for ever
        for incarnation in self.roster.unfinished():
            state = incarnation.state
            if state == "ended":
                continue  # meanwhile
            try:
                mailbox = incarnation.mailbox.stats()
            except Exception:  # a user's mailbox: it must not keep the pool from being looked at
                _logger.exception("%s: a mailbox raised", self.name)
                mailbox = MailboxStats(messages=0, senders_waiting=0, closed=False, cancelled=False)
            unfinished.append(
                WorkerStats(
                    key=incarnation.key,
                    incarnation=incarnation.number,
                    state=(
                        "waiting"
                        if state == "pending" or incarnation.waits_for is not None
                        else self._kind.state_of(incarnation)
                    ),
                    running=state == "running",
                    told_to_end=mailbox.closed,
                    messages=mailbox.messages,
                    senders_waiting=mailbox.senders_waiting,
                )
            )
        return tuple(unfinished)

    def _run(self) -> None:
        """Start worker after worker; the dispatcher thread's whole life."""
        while not self.roster.in_child and (order := self._inbox.get()) is not None:
            if order == "grow":
                self._ended.tell(self._kind.grow, "starting a thread")
            elif order == "close":
                self._ended.tell(self.close, "a mailbox")
            else:
                self._start(order)
            # A worker's mailbox must not live on while the dispatcher waits.
            del order
        if self.roster.in_child:
            return  # a hook has forked here
        self._threads.close()
        self._office.flush()
        self.ending.reach()

    def _start(self, incarnation: Incarnation[K, M]) -> None:
        if not self.roster.begin(incarnation):
            return
        try:
            self._kind.start(incarnation)
        except Exception as error:  # noqa: BLE001 - ThreadRefused; whatever else: the pool lives on
            self._ended.report(incarnation, error, "failed", MISSING, never_ran=True)
