"""Looking at a pool: what it does as a whole, and each of its workers.

**Guarantees.** A look blocks no thread, and makes none wait: it takes a lock for as long as it
takes to copy what is not dormant (`census`).
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from threadpool_mb.arguments import counted
from threadpool_mb.events import StuckWorker
from threadpool_mb.forking import MADE_BEFORE_FORK
from threadpool_mb.logs import Logger
from threadpool_mb.pool.draining import Draining
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.reports import PoolStats, WorkerState, WorkerStats
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.routes import find
from threadpool_mb.pool.workers import WorkerKind
from threadpool_mb.protocols import MailboxStats
from threadpool_mb.threads.timers import Timers
from threadpool_mb.threads.watching import Busy, Watch

__all__ = ["Looking"]

_logger = Logger(__name__)


class Looking[K, M](Draining[K, M]):
    """A pool's control plane, as an observer sees it."""

    __slots__ = ("_kind", "keeping", "timers")

    _kind: WorkerKind[K, M]
    keeping: Keeping[K, M] | None
    timers: Timers

    def stats(self) -> PoolStats:
        """Return a snapshot; see `Pool.stats`."""
        roster = self.roster
        # First: after its end nothing changes, so that what follows is what there was in all.
        state = self.state
        now = _count(roster, self.name)
        # Before the roster's: what is handled in a turn is counted here once that has ended.
        in_turns = self._kind.handled
        watch = None if roster.in_child else self._watch
        oldest, stuck = (None, ()) if watch is None else watch.now()
        return PoolStats(
            name=self.name,
            state=state,
            keys=roster.workers,
            busy=now.busy,
            busy_threads=self._kind.busy_threads(now.busy),
            waiting=now.waiting,
            handled=None if in_turns is None else in_turns + now.counted,
            started=roster.started,
            failed=roster.failed,
            restarted=roster.restarted,
            ended=roster.ends,
            max_keys=None if self.keeping is None else self.keeping.lives.max_keys,
            timers=len(self.timers),
            dead_letters=self._office.counts(),
            threads=len(self._threads) + self._thread.is_alive(),
            oldest=oldest,
            stuck=stuck,
        )

    def watch(self, after: float | None, tell: Callable[[StuckWorker[K]], object] | None) -> None:
        """Prepare to watch for busy workers (`after` seconds), before the first worker enters.

        Raises:
            ValueError: if that is no number of seconds above 0.
        """
        self._watch = None
        if after is not None:
            self._watch = Watch(f"{self.name}: the worker", after, self._busy, tell)
            self._kind.watch()

    def _busy(self) -> Iterator[Busy]:
        """Yield what each thread of a worker has in hand."""
        return self._kind.busy(self.roster.not_dormant())

    def workers(self) -> Iterator[WorkerStats[K]]:
        """Yield what each worker looks like; see `Pool.workers`."""
        return _look_at(self.roster, self.roster.unfinished(), self._kind, self.name)

    def worker(self, key: K) -> WorkerStats[K] | None:
        """Return what the worker looks like that a key's messages go to; see `Pool.worker`."""
        incarnation = find(self.roster.routes, key)
        workers = () if incarnation is None else (incarnation,)
        return next(_look_at(self.roster, workers, self._kind, self.name), None)

    def hot(self, most: int) -> list[WorkerStats[K]]:
        """Return those with the longest queues; see `Pool.hot`."""
        workers = _look_at(self.roster, self.roster.not_dormant(), self._kind, self.name)
        waiting = (worker for worker in workers if worker.messages)
        return heapq.nlargest(most, waiting, key=lambda worker: worker.messages)

    @property
    def state(self) -> str:
        """`"running"`, `"closing"`, `"cancelling"` or `"ended"`; see `PoolStats`."""
        if self.roster.in_child:
            return MADE_BEFORE_FORK
        if not self.roster.closed:
            return "running"
        # The last turn counts what it has handled as it ends, after the worker has.
        if not self._thread.is_alive() and not len(self._threads):
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
        return tuple(self.workers())


class _Counts(NamedTuple):
    """What the workers of a pool do that are not dormant."""

    busy: int
    waiting: int
    counted: int


def _count[K, M](roster: Roster[K, M], pool_name: str) -> _Counts:
    """Count what workers do. Blocks: never."""
    busy = waiting = idle = 0
    if roster.in_child:
        return _Counts(0, 0, roster.counted)
    workers, counted = roster.counts()
    for worker in workers:
        try:
            messages = worker.backlog
        except Exception:  # as in `_mailbox_stats`
            _logger.exception("%s: a mailbox raised", pool_name)
            messages = 0
        waiting += messages
        if worker.state == "running":
            if not worker.idle:
                busy += 1
            elif messages:
                busy += 1
                idle += 1
            else:
                idle += 1
    roster.found_idle(idle)
    return _Counts(busy, waiting, counted)


def _look_at[K, M](
    roster: Roster[K, M],
    workers: Sequence[Incarnation[K, M]],
    kind: WorkerKind[K, M],
    pool_name: str,
) -> Iterator[WorkerStats[K]]:
    """Yield what each of some workers looks like that has not ended; see `WorkerStats`."""
    if roster.in_child:
        return  # they are not in this process, and their mailboxes may be locked for ever
    for incarnation in workers:
        state = incarnation.state
        if state == "ended":
            continue  # meanwhile
        mailbox = _mailbox_stats(incarnation, pool_name)
        doing: WorkerState = (
            "waiting"
            if state == "pending" or incarnation.waits_for is not None
            else kind.state_of(incarnation)
        )
        yield WorkerStats(
            key=incarnation.key,
            incarnation=incarnation.number,
            state=doing,
            running=state == "running",
            told_to_end=mailbox.closed,
            messages=mailbox.messages,
            senders_waiting=mailbox.senders_waiting,
        )


def _mailbox_stats[K, M](incarnation: Incarnation[K, M], pool_name: str) -> MailboxStats:
    try:
        return incarnation.mailbox.stats()
    except Exception:  # a user's mailbox: it must not keep the pool from being looked at
        _logger.exception("%s: a mailbox raised", pool_name)
        return MailboxStats(messages=0, senders_waiting=0, closed=False, cancelled=False)
