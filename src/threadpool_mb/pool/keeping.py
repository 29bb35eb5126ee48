"""Carrying out what is decided of keys' lives: idle ends, evictions, restarts, late messages.

On the dispatcher's thread, but for what a sender needs at once: room, or a late message's worker.

**Guarantees.** A worker that is ended as idle, or evicted, is removed as by `remove(drain=True)`:
it handles what has come in the middle, and a message that comes after that is for the next worker.
One that has returned then though messages are left gets a new life, which handles them before the
next worker of the key starts; where keys start on demand, so does each that has returned. So no
message of those is lost, and none overtakes another of its sender.

Which messages are *late*. A sender that has found the worker's inlet open may put its message after
the worker has ended (`line.inlet`). The sender is (1) to (3), the end of the worker (a) to (c):

1. The sender, which has found `closed` unset, puts its message.
2. It reads `unattended`, and sweeps if that is `DONE`.
3. It sends its next message, finds the inlet closed, and looks for the next worker.
a. The worker's thread writes `DONE`, under the roster's lock.
b. It looks into the queue, under that lock. If something is there, it writes 0, and the worker gets
   a new life.
c. Otherwise it has ended for good.

If (1) comes before (b), the new life finds the message, and it is handled before the next worker
begins. If (1) comes after (b), so does (2), which finds `DONE`; the thread that sweeps does that
under the roster's lock, and hands the message to the next worker under it. So (3) comes after that,
even where a different thread has swept the sender's message: the sender has waited for the lock.
`tests/model/test_late_messages_model.py` runs through every interleaving of it.

What is *noted* of a worker: that it was restarted, or that its key has raised as it was to be
evicted. Its end forgets that. An end of which nobody is to be told is one step under the roster's
lock, and does not look for notes: as long as there are any, no end is quiet (`Roster.quiet`). Both
are written together, under that lock: by the thread that ends the worker, or of one that is
current. So a quiet end comes before the note, which is not written then, or finds that it is none.
"""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast, final, override

from threadpool_mb.arguments import describe
from threadpool_mb.calls.calling import rehold
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.envelopes import plain
from threadpool_mb.line.stores import unranked
from threadpool_mb.logs import Logger
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.lives import Lives, idle_longest, next_restart, still_counted
from threadpool_mb.pool.routes import found
from threadpool_mb.pool.ticks import Ticks
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.timers import Timers
from threadpool_mb.values import MISSING

if TYPE_CHECKING:
    from threadpool_mb.pool.roster import Roster

__all__ = ["Keeping"]

_logger = Logger(__name__)

_SWEEPS: Final = 4
"""How many sweeps there are in an idle timeout."""
_IN_A_SLICE: Final = 4096
"""How many workers are looked at before the dispatcher looks for other things to do."""
_FEW: Final = 256
"""As many workers can be looked at for each one that starts."""
_PATIENCE: Final = 20
"""How many times as long as it took to look at all workers nobody looks at them again: where most
of very many are busy, looking would take more time than they do."""

_TRIM_SECONDS: Final = 0.01
"""Seconds until the dispatcher looks again, where there are too many workers and none was idle."""

_IDLE_ENDS: Final = (DeadLetterReason.WORKER_IDLE, DeadLetterReason.WORKER_EVICTED)


@final
class Keeping[K, M]:
    """Keeps the lives of one pool's keys. Threads: any, but for what the timers call."""

    __slots__ = (
        "_asleep",
        "_candidates",
        "_left_over",
        "_not_before",
        "_office",
        "_raised",
        "_restarts",
        "_spent",
        "_timers",
        "_trims",
        "drop",
        "limit",
        "lives",
        "look_at_restarts",
        "new_incarnation",
        "remove",
        "roster",
        "start",
        "thread_time",
        "ticks",
    )

    roster: "Roster[K, M]"
    """The pool's; this and the five below are set once, before a worker starts."""
    start: Callable[[Incarnation[K, M]], object]
    """Has the dispatcher start a worker that is pending."""
    remove: Callable[[Incarnation[K, M], DeadLetterReason], bool]
    """Has a worker end once it has handled its backlog; `False` if its key or mailbox raised."""
    new_incarnation: Callable[[K], Incarnation[K, M]]
    drop: Callable[[Incarnation[K, M]], object]
    """Ends a worker that waits to begin."""
    look_at_restarts: Callable[[], object]
    """Has the dispatcher call `closed`."""

    def __init__(self, lives: Lives, timers: Timers, office: DeadLetterOffice[K, M]) -> None:
        """Keep lives as a user has said."""
        self.lives: Final = lives
        self.limit: Final = lives.max_keys
        self._timers: Final = timers
        self._office: Final = office
        self.thread_time: Callable[[], float] = time.thread_time
        """Says how long looking at workers has taken."""
        self.ticks: Final = Ticks(ordered=lives.max_keys is not None)
        # Whether nobody sweeps, as there is no worker.
        self._asleep = True
        # What a sweep has yet to look at.
        self._left_over: list[Incarnation[K, M]] = []
        # Seconds that this sweep has taken.
        self._spent = 0.0
        # The idle workers at the last look, the one that was idle longest comes last.
        self._candidates: list[tuple[int, Incarnation[K, M]]] = []
        self._not_before = 0.0
        # Those whose keys have raised as they were to be evicted, until their next turns: ticks.
        self._raised: Final[dict[Incarnation[K, M], int | None]] = {}
        # Whether the dispatcher will look again for workers that are idle.
        self._trims = False
        # When the workers that have failed were restarted.
        self._restarts: Final[dict[Incarnation[K, M], tuple[float, ...]]] = {}

    @property
    def on_demand(self) -> bool:
        """Whether a key's first message starts a worker."""
        return self.lives.start == "on_demand"

    def entered(self) -> None:
        """Take note that a worker has entered: end another one, if there are too many."""
        if self.limit is not None and self.roster.workers > self.limit:
            self._make_room(self.limit)
        # Read after the worker was counted; see `sweep`.
        if self._asleep and self.lives.idle_timeout is not None:
            self._wake_sweep(self.lives.idle_timeout / _SWEEPS)

    def sweep(self) -> None:
        """End the workers that are idle for too long; go on later, as long as there are any."""
        timeout = self.lives.idle_timeout
        assert timeout is not None  # noqa: S101 - else nobody sweeps
        now = self._timers.now()
        start = self.thread_time()
        if not self._left_over:
            self.ticks.sweep(now)
            self._spent = 0.0
            self._left_over = self.roster.unfinished()
        some, self._left_over = self._left_over[:_IN_A_SLICE], self._left_over[_IN_A_SLICE:]
        if idle_before := self.ticks.idle_before(now - timeout):
            for worker in some:
                since = worker.idle_since
                if since is not None and since < idle_before:
                    self.remove(worker, DeadLetterReason.WORKER_IDLE)
        self._make_room(self.limit)
        self._spent += self.thread_time() - start
        if self._left_over:
            self._sweep_later(0)
            return
        # A worker that enters after this look finds that nobody sweeps, and has it done.
        self._asleep = True
        if self.roster.workers:
            self._wake_sweep(max(timeout / _SWEEPS, _PATIENCE * self._spent))

    def _wake_sweep(self, seconds: float) -> None:
        """Have somebody sweep, once."""
        with self.roster.lock:
            if not self._asleep:
                return
            self._asleep = False
        self._sweep_later(seconds)

    def _sweep_later(self, seconds: float) -> None:
        self._timers.add(_Call(self._timers.now() + seconds, self.sweep))

    def _make_room(self, limit: int | None) -> None:
        """End the workers that are idle longest, as long as there are too many.

        Where none is idle, the dispatcher tries again soon.
        """
        while limit is not None and self.roster.workers > limit:
            if (idlest := self._idle_longest()) is None:
                if not self._trims:
                    self._trims = True
                    again = max(self._timers.now() + _TRIM_SECONDS, self._not_before)
                    self._timers.add(_Call(again, self._trim))
                return
            since, worker = idlest
            if not self.remove(worker, DeadLetterReason.WORKER_EVICTED):
                with self.roster.lock:
                    if worker.current:
                        self._note(self._raised, worker, since)

    def _trim(self) -> None:
        self._trims = False
        self._make_room(self.limit)

    def _idle_longest(self) -> tuple[int, Incarnation[K, M]] | None:
        """Return the worker that is idle longest and may be ended, behind its tick, or `None`.

        All that were idle at the last look and have had no turn since come before all others.
        """
        for looked in (False, True):  # pragma: no branch - the second time it breaks
            try:
                while True:
                    since, worker = self._candidates.pop()
                    kept = found(self._raised, worker, None) == since
                    if worker.current and worker.idle_since == since and not kept:
                        return since, worker
            except IndexError:
                pass
            if looked:
                break
            if self.roster.workers > _FEW and self._timers.now() < self._not_before:
                break
            # Of this thread alone: what others take meanwhile is no reason to look less often.
            start = self.thread_time()
            workers = self.roster.unfinished()
            self._candidates = idle_longest(each for each in workers if each.current)
            spent = self.thread_time() - start
            self._not_before = self._timers.now() + _PATIENCE * spent
        return None

    # Restarts.

    def restart_after(
        self, worker: Incarnation[K, M], error: BaseException | None, message: object
    ) -> float | None:
        """Return the seconds after which a worker that has ended starts again; `None` for never.

        `message` is what it had in hand.
        """
        policy = self.lives.restart
        if not isinstance(error, Exception) or policy is None or worker.told_to_stop:
            return None
        if not (self.retries and message is not MISSING) and worker.has_nothing_to_come:
            return None
        return next_restart(policy, found(self._restarts, worker, ()), self._timers.now())

    def restart(self, worker: Incarnation[K, M], delay: float, message: object) -> bool:
        """Start a worker again that has failed, after a time; `False` if it was told to stop.

        `message` is what the new one gets first, `MISSING` for nothing.
        """
        policy = self.lives.restart
        assert policy is not None  # noqa: S101 - it has decided
        roster, now = self.roster, self._timers.now()
        # Before it is pending: a thread that removes it then forgets this.
        counted = still_counted(policy, found(self._restarts, worker, ()), now)
        self._note(self._restarts, worker, counted)
        if not roster.again(worker, message, "failed"):
            return False
        self._timers.add(_Call(now + delay, functools.partial(self.start, worker), worker))
        # Read after that: a thread that closes the pool writes it, then has the dispatcher look.
        if roster.closed:
            self.look_at_restarts()
        return True

    def closed(self) -> None:
        """Wait for no restart of a worker that has nothing to do; on the dispatcher's thread."""
        for worker in list(self._restarts):
            if worker.state == "pending" and worker.has_nothing_to_come:
                # One that was removed is not current: it begins, and ends.
                if worker.current:
                    self.drop(worker)
                else:
                    self.start(worker)

    @property
    def retries(self) -> bool:
        """Whether the message that a worker had in hand when it failed is tried again."""
        return self.lives.restart is not None and self.lives.restart.in_hand == "retry"

    def bury_in_hand(self, key: K, message: object, error: BaseException | None) -> None:
        """Make a dead letter of a message that was to be tried again and will not be."""
        self._office.take(key, cast("M", message), DeadLetterReason.WORKER_FAILED, error)

    def _note(self, notes: dict[Any, Any], worker: Incarnation[K, M], note: object) -> None:
        """Note something of a worker, until its end."""
        with self.roster.lock:
            try:
                notes[worker] = note
            finally:  # last: what re-enters, and forgets, may have found no note
                self.roster.quiet = False

    def forget(self, worker: Incarnation[K, M]) -> None:
        """Forget what is noted of a worker that has ended, or was dropped."""
        if self.roster.quiet:
            return  # nothing is noted of any
        with self.roster.lock:
            self._raised.pop(worker, None)
            restarted = self._restarts.pop(worker, None) is not None
            self.roster.quiet = not (self._raised or self._restarts or self.roster.in_child)
        if restarted:
            self._timers.cancelled()

    # What is left when a worker has ended well.

    def has_next(self, reason: DeadLetterReason) -> bool:
        """Return whether what a worker has left is for another life, or for the next worker."""
        if reason in _IDLE_ENDS:
            return True
        return self.on_demand and reason is DeadLetterReason.WORKER_ENDED

    def redeliver(self, key: K, message: M) -> bool:
        """Hand a late message to the next worker, and start it if need be; under the roster's lock.

        Neither blocks nor runs user code, but for the key's own methods, and a mailbox's `create`;
        of what it displaces the caller tells, by `displaced_later`.

        Returns:
            `False` if that cannot be done: the pool is closed, say.
        """
        try:
            return self._redeliver(key, message)
        except Exception:
            _logger.exception(
                "%s: a message that came as the worker of key %s ended cannot be handed on",
                self._office.owner,
                describe(key),
            )
            return False

    def handing_on(self, key: K, dead: list[M]) -> Callable[[M], None]:
        """Return what a sweep calls with each message, under the lock; `dead` gets the others."""

        def hand_on(message: M) -> None:
            if not self.redeliver(key, message):
                dead.append(message)

        return hand_on

    def _redeliver(self, key: K, message: M) -> bool:
        roster = self.roster
        while not roster.closed:
            worker = roster.current(key)
            if worker is None:
                worker = self.new_incarnation(key)
            rehold(plain(unranked(message)), worker)
            taken = worker.force(message)
            if taken is None:
                return False  # its mailbox may block
            if not taken:
                roster.leave(worker, may_start=True)  # it has closed its own mailbox
                continue
            try:
                entered = worker.current or roster.enter(worker)
            except BaseException:
                worker.not_entered(plain(unranked(message)))
                raise
            if entered:
                self.entered()
                return True
            worker.unseen()  # what re-entered has entered another one
        return False


@final
class _Call(Entry):
    __slots__ = ("_for", "_function")

    def __init__(
        self,
        when: float,
        function: Callable[[], object],
        pending: Incarnation[Any, Any] | None = None,
    ) -> None:
        super().__init__(when)
        self._function: Final = function
        # The worker that it is for, as long as that waits to begin.
        self._for: Final = pending

    @property
    @override
    def cancelled(self) -> bool:
        return self._for is not None and self._for.state != "pending"

    @override
    def fire(self) -> None:
        self._function()

    @override
    def drop(self) -> None:
        """Do nothing: there is no worker any more."""
