"""The control plane: what starts workers, and how the end of all workers is known.

**Guarantees.** Each worker that was entered is started once when its turn comes, unless it is
dropped before; its end is reported once (`ends`). The dispatcher thread delivers no message but
those whose time has come (`later`). It runs no user code, but for these (a key's methods, a
mailbox's `create`, hooks), and for one case more: if the system starts no thread for a worker,
there is none to run the hooks that are told of it, and they run on the dispatcher.

A function worker's life: `Roster.enter` (any thread) → `_start` (dispatcher) → the worker's
function → `WorkerEnds.report` (both on its own thread). A generator worker skips `_start` where
there is a shared thread: `Roster` has its kind start it at once (`WorkerKind.start_at_once`), on
the thread that enters it or that ends the worker before it.
"""

import contextlib
import functools
import queue
import time
from collections.abc import Callable
from typing import Final, Literal, final

from threadpool_mb.arguments import Deadline, check_key, describe
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import PoolClosed, ThreadRefused
from threadpool_mb.forking import keep
from threadpool_mb.line.slots import Slots
from threadpool_mb.logs import Logger
from threadpool_mb.observing import attach, exit_hook
from threadpool_mb.pool.draining import Driver
from threadpool_mb.pool.ends import WorkerEnds
from threadpool_mb.pool.flows import PoolFlow
from threadpool_mb.pool.flushed import flushed
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.later import Later
from threadpool_mb.pool.lives import ALWAYS, Lives
from threadpool_mb.pool.looking import Looking
from threadpool_mb.pool.reports import WorkerExit
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.telling import Telling
from threadpool_mb.pool.waits import schedule_ahead
from threadpool_mb.pool.workers import MakeKind
from threadpool_mb.threads.exit_hook import close_at_exit
from threadpool_mb.threads.latches import Ending
from threadpool_mb.threads.launching import new_thread
from threadpool_mb.threads.timers import Timers
from threadpool_mb.values import MISSING, Missing

__all__ = ["Dispatcher"]

_logger = Logger(__name__)

type _Order = Literal["census", "close", "closed", "grow", "look"]


@final
class Dispatcher[K, M](Looking[K, M]):
    """Starts the workers of one pool, ends them, and reports their ends.

    Holds no reference to its pool, so that a pool which was never closed can be collected.

    Threads: internally synchronized.
    """

    __slots__ = (
        "_ended",
        "_flow",
        "_inbox",
        "_later",
        "ending",
        "new_incarnation",
    )

    # Said again for `pyright --verifytypes`: what a subclass sets, it is to give a type.
    name: str
    keeping: Keeping[K, M] | None
    roster: Roster[K, M]
    timers: Timers

    def __init__(
        self,
        name: str,
        office: DeadLetterOffice[K, M],
        on_worker_exit: Callable[[WorkerExit[K]], object] | None,
        make_kind: MakeKind[K, M],
        lives: Lives = ALWAYS,
        *,
        flow: PoolFlow | None = None,
        stuck_after: float | None = None,
        driver: Driver | None = None,
    ) -> None:
        """Start the dispatcher thread; `make_kind` makes the kind of the workers.

        A `driver` does what the threads would do. A worker that is busy on a message for longer
        than `stuck_after` seconds is reported.
        """
        self.name = name
        self._flow: Final = flow
        self._office = office
        # Workers whose turn has come, and "census" from the roster; "close" from a pool that was
        # collected; "grow" from the workers' kind; "look" from the timers, and "closed" once the
        # pool is; what the timers' messages have called; `None` at the end.
        self._inbox: Final[
            queue.SimpleQueue[Incarnation[K, M] | _Order | Callable[[], object] | None]
        ] = queue.SimpleQueue()
        look = functools.partial(self._inbox.put, "look")
        now = time.monotonic if driver is None else driver.now
        self.timers = Timers(look, now=now, schedule=schedule_ahead)
        """What is to be done at a time, on the dispatcher's thread."""
        self.keeping = None if lives.plain else Keeping(lives, self.timers, office)
        """Where keys do not live by hand alone."""
        self._ended: Final[WorkerEnds[K, M]] = WorkerEnds(
            name, exit_hook(office.observers, on_worker_exit), self.keeping
        )
        self._kind = make_kind(
            functools.partial(self._inbox.put, "grow"),
            self._ended.report,
            self.timers,
            self.keeping,
        )
        self.new_incarnation: Final[Callable[[K], Incarnation[K, M]]] = self._kind.new_incarnation
        """Creates a worker that is not entered yet; what the mailbox's config raises passes."""
        self._threads = self._kind.threads
        self.roster = Roster(self._inbox.put, self._kind.start_at_once)
        self.ending: Final = Ending()
        """Reached when all workers have ended."""
        self._ended.roster = self.roster
        self._kind.count_with(self.roster.rouse, self._ended.quiet)
        # What dispatches messages at their times; made when it is first asked for.
        self._later: Later[K, M] | None = None
        if self.keeping is not None:
            self.keeping.roster = self.roster
            self.keeping.new_incarnation = self.new_incarnation
            self.keeping.start = self._inbox.put
            self.keeping.remove = self._retire
            self.keeping.drop = self._drop_pending
            self.keeping.look_at_restarts = functools.partial(self._inbox.put, "closed")
        self._telling = Telling(name, self.roster, self._ended.report_called_off)
        self.watch(stuck_after, None if office.observers is None else office.observers.stuck)
        if driver is not None:
            self._thread = driver.drive(self)
        else:
            self._thread = new_thread(self._run, f"{name}-dispatcher")
            self._start_thread()
        if self._watch is not None:
            self._watch.start(name)
            self.ending.when_reached(self._watch.stop)
        try:
            attach(office.observers, self.stats, self.ending.when_reached)
        except BaseException:  # no `Exception`: there is no pool then
            self.close()
            raise

    def _start_thread(self) -> None:
        close_at_exit(self)
        try:
            self._thread.start()
        except (RuntimeError, MemoryError) as error:
            raise ThreadRefused(
                f"the system started no thread for the pool {self.name!r}: {error}"
            ) from error
        except BaseException:  # an interrupt: the thread may have started, and nothing owns it
            self.close()
            raise

    def remove(
        self,
        incarnation: Incarnation[K, M],
        *,
        drain: bool,
        reason: DeadLetterReason,
        only_idle: bool = False,
    ) -> bool:
        """End a current worker; `False` if it is not the current one any more, or is to stay."""
        if self.roster.in_child:
            return False
        try:
            left = self.roster.leave(
                incarnation, may_start=drain, reason=reason, only_idle=only_idle
            )
            self._telling.left(incarnation)
            if self.keeping is not None and incarnation.state == "ended":
                self.keeping.forget(incarnation)
        except BaseException:
            # An interrupt, or its key raised: if it has left, it is to be told all the same.
            self._telling.left(incarnation)
            raise
        return left

    def _retire(self, incarnation: Incarnation[K, M], reason: DeadLetterReason) -> bool:
        """End a worker that is idle; `False` if its key or its mailbox raises."""
        removed: list[bool] = []

        def retire() -> None:
            removed.append(self.remove(incarnation, drain=True, reason=reason, only_idle=True))

        self._ended.tell(retire, "an idle end")
        return bool(removed)

    def _drop_pending(self, incarnation: Incarnation[K, M]) -> None:
        """End a worker that waits to begin anew, and has nothing to do."""
        reason = DeadLetterReason.WORKER_FAILED
        self._ended.tell(
            functools.partial(self.remove, incarnation, drain=False, reason=reason), "a restart"
        )

    def close(self) -> None:
        """Let no worker enter any more; those that have finish their backlog.

        Blocks: never; where a call before it was interrupted, as long as `on_dead_letter` does.
        """
        if not self.roster.in_child:
            try:
                self._telling.close()
            finally:
                self._say_closed()

    def cancel(self) -> None:
        """Let no worker enter any more, drop those that have not started, cancel the others.

        Blocks: as long as `on_dead_letter` does, for the messages of those that were dropped.
        """
        if not self.roster.in_child:
            try:
                self._telling.cancel()
            finally:
                self._say_closed()

    def _say_closed(self) -> None:
        """Have dead letters made of the messages whose time has not come, if there may be any."""
        if self._flow is not None:
            self._flow.shut()
        # Not by what is in the timers: an entry that is being sorted in is nowhere.
        if self._later is not None or self.keeping is not None:
            self._inbox.put("closed")

    def later(self, key: K, offer: Callable[..., bool | Slots]) -> Later[K, M]:
        """Return what dispatches a message for `key` at its time, with `offer`.

        Raises:
            PoolClosed: if the pool is closed.
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        if self.roster.closed:
            msg = f"the pool {self.name!r} {self.roster.why_closed}: it takes no message"
            raise PoolClosed(f"{msg} for key {describe(key)}")
        with self.roster.lock:
            if self._later is None:
                self._later = Later(self.timers, self._office, offer, self.call_soon, self.roster)
            return self._later

    def why_removed(self, *, drain: bool) -> DeadLetterReason:
        """Return what becomes of the messages of a worker that a user removes.

        What comes in the middle of a clean end is for the next worker, if a message starts one.
        """
        on_demand = self.keeping is not None and self.keeping.on_demand
        return (
            DeadLetterReason.WORKER_ENDED
            if drain and on_demand
            else DeadLetterReason.WORKER_REMOVED
        )

    def flush(self, key: K | Missing, *, timeout: float | None) -> bool:
        """Wait until all is handled that was taken before; see `Pool.flush`."""
        deadline = Deadline(timeout)
        if key is not MISSING:
            check_key(key)
        if self.roster.in_child:
            return True
        workers = self.roster.unfinished() if key is MISSING else self.roster.line(key)
        return flushed(workers, self.name, deadline)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have a function called on the dispatcher's thread. Blocks: never."""
        self._inbox.put(function)

    def close_soon(self) -> None:
        """Close from the dispatcher thread; reentrant and without a lock, for finalizers."""
        self._inbox.put("close")

    def forked(self) -> bool:
        """Take note that this is a child of `os.fork`, in which it does not work: `False`."""
        self._office.forked()
        if self._flow is not None:
            self._flow.forked()
        if self.roster.forked():
            self._threads.forked()
            for incarnation in self.roster.unfinished():
                incarnation.forked()
            keep(self)
        return False

    def _run(self) -> None:
        """Start worker after worker; the dispatcher thread's whole life."""
        while not self.roster.in_child and self.carry_out(self._next()):
            pass
        if not self.roster.in_child:  # else a hook has forked here
            self._end()

    def carry_out(self, order: Incarnation[K, M] | _Order | Callable[[], object] | None) -> bool:
        """Do what is to be done next; `False` if it is the end."""
        if order is None:
            return False
        if order == "grow":
            self._ended.tell(self._kind.grow, "starting a thread")
        elif order == "close":
            self._ended.tell(self.close, "a mailbox")
        elif order == "closed":
            self._drop(last=False)
        elif order == "census":
            self._ended.tell(self.roster.let_rest, "a census")
        elif isinstance(order, Incarnation):
            self._start(order)  # pyright: ignore[reportUnknownArgumentType]
        elif order != "look":
            self._ended.tell(order, "a message whose time has come")
        return True

    def _end(self) -> None:
        self._drop(last=True)
        self._threads.close()
        self._office.flush()
        self.ending.reach()

    def _next(self) -> Incarnation[K, M] | _Order | Callable[[], object] | None:
        """Return what is to be done next; meanwhile, do what is to be done at a time."""
        while True:
            seconds = self.timers.until_next()
            with contextlib.suppress(queue.Empty):
                return self._inbox.get(timeout=seconds)

    def _drop(self, *, last: bool) -> None:
        """Make dead letters of messages whose time has not come; the pool is closed."""
        if self.keeping is not None:
            self._ended.tell(self.keeping.closed, "a restart")
        if self._later is not None:
            self._ended.tell(functools.partial(self._later.drop, last=last), "on_dead_letter")
        elif last:
            self.timers.drop(last=True)

    def _start(self, incarnation: Incarnation[K, M]) -> None:
        if not self.roster.begin(incarnation):
            return
        try:
            self._kind.start(incarnation)
        except Exception as error:  # noqa: BLE001 - ThreadRefused; whatever else: the pool lives on
            self._ended.report(incarnation, error, "failed", MISSING, never_ran=True)
