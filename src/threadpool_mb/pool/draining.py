"""Waiting for the end of a pool: joining, draining, leaving its block; which threads must not."""

import contextlib
import dataclasses
import threading
from typing import Any, Final, Protocol

from threadpool_mb.arguments import AT_ONCE, Deadline, check_timeout, shortest
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.pool.reports import DrainReport, WorkerStats, what_is_left
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.telling import Telling
from threadpool_mb.pool.workers import Threads
from threadpool_mb.threads.here import here
from threadpool_mb.threads.watching import Watch

__all__ = ["Draining", "Driver"]

_UNTIL_TOLD_AGAIN: Final = 0.1
"""Seconds between two attempts to tell a mailbox for which there was no memory."""


class Driver(Protocol):
    """Does what the threads of a pool would do; see `threadpool_mb.testing`."""

    def now(self) -> float:
        """Return the time by which the pool's timers go."""
        ...

    def drive(self, dispatcher: "Draining[Any, Any]", /) -> threading.Thread:
        """Take over a new pool; return what stands in the place of the dispatcher's thread."""
        ...


class Draining[K, M]:
    """A pool's control plane, as a joiner sees it."""

    __slots__ = (
        "__weakref__",
        "_office",
        "_telling",
        "_thread",
        "_threads",
        "_watch",
        "name",
        "roster",
    )

    name: str
    roster: Roster[K, M]
    _office: DeadLetterOffice[K, M]
    _telling: Telling[K, M]
    _thread: threading.Thread
    _threads: Threads
    _watch: Watch | None

    def close(self) -> None:
        """Let no worker enter any more; those that have finish their backlog."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Let no worker enter any more, drop those that have not started, cancel the others."""
        raise NotImplementedError

    def _unfinished(self) -> tuple[WorkerStats[K], ...]:
        raise NotImplementedError

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
            and (self._watch is None or self._watch.join(deadline))
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
