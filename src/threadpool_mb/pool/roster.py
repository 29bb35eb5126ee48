"""Which worker a key has: the routing table, and the line of workers behind each key.

**Guarantees.** A key has at most one *current* worker, the one that `routes` names. At most one
worker of a key runs; a new one starts only after the one before it has completely ended. What is
said of an incarnation touches that incarnation alone: the late end of an old worker cannot harm its
successor.

**How.** A removed worker that still runs (or still drains) is *leaving*. The next worker of its key
is linked behind it and becomes ready when it ends. A worker that is removed before its turn is
unlinked and never starts, unless it is to drain.

Reading `routes` needs no lock (`pool.routes`). Everything else is under the lock. A key's
`__hash__` and `__eq__` are user code and run under it: they may not wait for another thread that
uses the pool.

They may raise, and may use the pool themselves, as may a finalizer or a signal handler that runs
under the lock. So the tables, which ask the key, only say where to look. Which worker is current
and what stands before it is said by the incarnations, which change without a call in between:

- An entry of `routes` that is not current counts as none. None is overwritten: it is taken out, and
  put back if the key has made it another's meanwhile.
- An entry of `_leaving` is any worker of the line. The next one goes to the line's end.
- What a key raises before its worker has left has changed nothing; after that, it leaves an entry
  that counts as none.
"""

from typing import Final, final

from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import PoolClosed
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.reports import ExitCause
from threadpool_mb.pool.roster_tables import RosterTables
from threadpool_mb.pool.routes import forget, take_out

__all__ = ["Roster"]

_SELDOM: Final = 255
"""How many workers enter between two looks at how many there are, as a mask."""


@final
class Roster[K, M](RosterTables[K, M]):
    """Which worker runs for which key.

    Threads: internally synchronized; no method blocks.
    """

    __slots__ = ()

    # Said again for `pyright --verifytypes`: what a subclass sets, it is to give a type.
    cancelled: bool
    closed: bool
    counted: int
    restarted: int
    started: int
    workers: int

    def enter(self, incarnation: Incarnation[K, M]) -> bool:  # noqa: C901, PLR0912, PLR0915 - one step after the other
        """Make a new incarnation the current worker of its key, unless there is one.

        Raises:
            PoolClosed: if the roster is closed.
        """
        key = incarnation.key
        with self.lock:
            if self.closed:
                incarnation.state = "ended"  # what it has in its mailbox is to free its room
                raise PoolClosed(f"the pool {self.why_closed}: it starts no worker")
            # What re-enters here (a finalizer, a signal handler, the key's own methods) finds the
            # worker among the unfinished from the first, and may close, cancel or remove it.
            self._unfinished[incarnation] = predecessor = None
            incarnation.current = True
            self.workers += 1
            try:
                # Mostly empty: a look less, of the key's methods, too.
                if self._leaving:
                    predecessor = self._leaving.get(key)
                while True:  # not of a condition; see `interrupts`
                    current = self.routes.setdefault(key, incarnation)
                    if current is incarnation or current.current:
                        break
                    if current.state == "running" and (
                        predecessor is None or predecessor.state == "ended"
                    ):
                        predecessor = current  # it ends just now; see `end`
                    take_out(self.routes, key, current)
                if current is incarnation:
                    self._entered = number = incarnation.number = self._entered + 1
                    if not number & _SELDOM and len(self._unfinished) >= self._look_at:
                        self._ask_for_census_locked()
                    # Where it was removed meanwhile, the entry may be of a worker behind it.
                    if (
                        self._leaving
                        and (entry := self._leaving.get(key)) is not None
                        and entry.state != "ended"
                        and incarnation.current
                    ):
                        predecessor = entry
            except BaseException:
                self._not_entered_locked(incarnation)
                raise
            if current is not incarnation:
                self._not_entered_locked(incarnation)
                return False
            while True:
                if predecessor is None or predecessor.successor is None:
                    break
                predecessor = predecessor.successor
            # No call stands between here and the last link.
            if incarnation.state == "ended":
                return True
            if predecessor is None or predecessor.state == "ended":
                try:
                    # `_let_begin_locked`, written out.
                    try:
                        self._start_at_once(incarnation)
                    finally:
                        if incarnation.state == "running":
                            self.started += 1
                    if incarnation.state == "pending":
                        self._ready(incarnation)
                except BaseException:
                    # An interrupt. Where it has begun, nothing is left to be done.
                    if incarnation.state == "pending":
                        self._ready(incarnation)
                    raise
            else:
                incarnation.predecessor = predecessor
                predecessor.successor = incarnation
            return True

    def _not_entered_locked(self, incarnation: Incarnation[K, M]) -> None:
        """Undo what `enter` has done of a worker that does not enter."""
        incarnation.state = "ended"
        self._unfinished.pop(incarnation, None)
        self._dropped += incarnation.number > 0
        self._not_current_locked(incarnation)
        forget(self.routes, incarnation.key, incarnation)
        self._tell_if_finished_locked()

    def _let_begin_locked(self, incarnation: Incarnation[K, M]) -> None:
        """Let a worker begin whose turn has come, unless what re-enters has dropped it."""
        try:
            self._start_at_once(incarnation)
        finally:  # also if an interrupt comes once it is scheduled
            if incarnation.state == "running":
                self.started += 1
        if incarnation.state == "pending":
            self._ready(incarnation)

    def begin(self, incarnation: Incarnation[K, M]) -> bool:
        """Let a worker whose turn has come run; `False` if it was dropped meanwhile."""
        with self.lock:
            if incarnation.state == "pending":
                incarnation.state = "running"
                self.started += 1
                if self.to_restart:
                    self.restarted += self.to_restart.pop(incarnation, None) is not None
                return True
            return False

    def leave(
        self,
        incarnation: Incarnation[K, M],
        *,
        may_start: bool,
        reason: DeadLetterReason | None = None,
        only_idle: bool = False,
    ) -> bool:
        """Take a current worker out of the routing table.

        Args:
            incarnation: the worker.
            may_start: whether it is to have its turn, if it has not had it.
            reason: what becomes of the messages it leaves, if that is known now; its mailbox is
                then to be told, see `untold`.
            only_idle: not if it is idle no more, or was paused meanwhile.

        Returns:
            `False` if it is not the current one, or is to stay.
        """
        key, leftovers = incarnation.key, incarnation.leftovers
        with self.lock:
            if not incarnation.current or (only_idle and incarnation.idle_since is None):
                return False
            dropped = incarnation.state == "pending" and not may_start
            last = incarnation.predecessor if dropped else incarnation
            if last is not None:
                # If the key raises here, the worker is still the current one.
                while True:  # not of a condition; see `interrupts`
                    entry = self._leaving.setdefault(key, last)
                    if entry is last or (entry is not incarnation and entry.state != "ended"):
                        break
                    take_out(self._leaving, key, entry)
            # What re-enters has left nothing to do, or changed nothing. No call stands between here
            # and what the mailbox is to be told.
            if not incarnation.current:
                return False
            incarnation.current = False
            self.workers -= 1
            if reason is not None:
                leftovers.reason = reason
                if dropped:
                    self.untold[incarnation] = "abandon"
                    self._to_bury += 1
                else:
                    self.untold[incarnation] = "close" if may_start else "cancel"
            if dropped:
                self._drop_locked(incarnation)
            try:
                if dropped:
                    # Where it was the first of the line, its predecessor having ended.
                    forget(self._leaving, key, incarnation)
                take_out(self.routes, key, incarnation)
            finally:
                self._tell_if_finished_locked()
            return True

    def _count_end_locked(self, cause: ExitCause) -> None:
        if cause != "returned":
            # Not `get`; see `routes`. It is another thread that has counted the end before.
            ends = self.other_ends
            ends[cause] = ends[cause] + 1 if cause in ends else 1

    @property
    def failed(self) -> int:
        """How many have ended with an error."""
        return self.other_ends.get("failed", 0)

    def again(self, incarnation: Incarnation[K, M], message: object, cause: ExitCause) -> bool:
        """Let a worker that has ended wait to begin anew, with its mailbox, under a new number.

        `message` is what it is to handle first; see `Incarnation.renew`.

        Returns:
            `False` if it was told to stop. Then nothing has changed.
        """
        with self.lock:
            # One that was removed may have yet to be told.
            removed = self.untold.get(incarnation) == "cancel"
            if removed or self.cancelled or self.in_child or incarnation.told_to_stop:
                return False
            self._count_end_locked(cause)
            if cause == "failed":
                self.to_restart[incarnation] = "waits"
            self._entered = incarnation.number = self._entered + 1
            incarnation.renew(message)
            incarnation.state = "pending"
            return True

    def end(  # noqa: C901, PLR0912 - one step after the other
        self,
        incarnation: Incarnation[K, M],
        cause: ExitCause,
        quietly: bool = False,  # noqa: FBT001, FBT002 - a call with names takes longer
    ) -> bool:
        """Let the successor of a worker that has completely ended have its turn.

        `quietly`: do what `leave` does, too, of a worker that has ended well, if no caller is to be
        told:

        1. The worker is not current any more: a thread that looks its key up now finds none.
        2. Its mailbox refuses: what a sender has put before that is found here, and the sender of
           what is put after that makes the dead letter itself (`line.inlet`).
        3. `gone` is written. A caller that begins to watch after that finds it, and one that
           began before is found here (`calls.unanswered`).
        4. The successor begins.

        What re-enters between (1) and the end may enter a worker of this key: that finds this one
        in the table, and is linked behind it. So it begins with (4), or after the next life that
        this one gets where it has left messages.

        Returns:
            `False` if a caller is to be told, or a message has come, or no end is `quiet`: only if
            `quietly`. Then (1) is taken back, and (4) is not done.
        """
        with self.lock:
            current, entered = incarnation.current, self._entered
            if quietly:
                if not self.quiet or incarnation.watchers:
                    return False
                incarnation.current = False
                if not incarnation.end_if_empty():  # a message that came just now, say
                    incarnation.current = current
                    return False
                incarnation.gone = True
                if incarnation.watchers:
                    incarnation.current = current
                    return False
            if current:
                incarnation.current = False
                self.workers -= 1
            if cause != "returned":
                self._count_end_locked(cause)
            incarnation.state = "ended"
            if incarnation.counted:
                self.counted += incarnation.counted
                incarnation.counted = 0
            self._unfinished.pop(incarnation, None)
            if incarnation.dormant:  # else it is none of those
                self._dormant.pop(incarnation, None)
            successor = incarnation.successor
            if successor is not None:
                successor.predecessor = incarnation.successor = None
                self._let_begin_locked(successor)
            try:
                key, routes = incarnation.key, self.routes
                try:
                    # `take_out`, written out: a `KeyError` if it has left before. The entry of one
                    # that was current until now is its own, unless what has re-entered, or the key,
                    # has made it another's: no sender may miss that one for a moment.
                    if (
                        (current and successor is None and self._entered == entered)
                        or routes[key] is incarnation
                    ) and (taken := routes.pop(key, incarnation)) is not incarnation:
                        routes.setdefault(key, taken)
                except Exception:  # noqa: BLE001, S110 - as in `forget`
                    pass
                if (
                    self._leaving
                    and forget(self._leaving, key, incarnation)
                    and successor is not None
                ):
                    # The line goes on behind it.
                    self._leaving.setdefault(key, successor)
            finally:
                if self.closed and not self._unfinished:
                    self._tell_if_finished_locked()
            return True

    def close(self) -> list[Incarnation[K, M]]:
        """Let no worker enter any more; return those that have not ended."""
        with self.lock:
            self.closed = True
            self._tell_if_finished_locked()
            return self.unfinished()

    def _pending(self) -> list[Incarnation[K, M]]:
        return [each for each in self.unfinished() if each.state == "pending"]

    def cancel(self) -> list[Incarnation[K, M]]:
        """Let no worker enter any more, and drop those that have not started.

        Returns:
            The running workers. The dropped ones are among the `untold`.
        """
        with self.lock:
            self.closed = self.cancelled = True
            dropped = self._pending()
            for each in dropped:
                each.leftovers.reason = DeadLetterReason.POOL_CLOSED
                self._abandon_locked(each)
                self._drop_locked(each)
                forget(self.routes, each.key, each)
                forget(self._leaving, each.key, each)
            self._tell_if_finished_locked()
            return self.unfinished()

    def _drop_locked(self, incarnation: Incarnation[K, M]) -> None:
        """Take a worker that has not started out of its line."""
        incarnation.state = "ended"
        if incarnation in self.to_restart:
            self.to_restart[incarnation] = "called off"
        before, behind = incarnation.predecessor, incarnation.successor
        incarnation.predecessor = incarnation.successor = None
        if before is not None:
            before.successor = behind
        if behind is not None:
            behind.predecessor = before
        # It waits to begin, perhaps anew, and so is not dormant. No call of Python code stands
        # before this one, in which an interrupt could leave it here for ever.
        self._unfinished.pop(incarnation, None)
        if incarnation.counted:
            self.counted += incarnation.counted
            incarnation.counted = 0
        self._dropped += 1
        self._not_current_locked(incarnation)

    def _not_current_locked(self, incarnation: Incarnation[K, M]) -> None:
        if incarnation.current:
            incarnation.current = False
            self.workers -= 1
