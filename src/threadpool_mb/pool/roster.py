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

import threading
from collections.abc import Callable
from typing import Final, Literal, cast, final

from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import PoolClosed
from threadpool_mb.forking import MADE_BEFORE_FORK, remake
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.routes import forget, take_out

__all__ = ["Roster"]


@final
class Roster[K, M]:
    """Which worker runs for which key.

    Threads: internally synchronized; no method blocks.
    """

    __slots__ = (
        "_entered",
        "_leaving",
        "_lock",
        "_ready",
        "_start_at_once",
        "_told",
        "_unfinished",
        "cancelled",
        "closed",
        "failed",
        "in_child",
        "routes",
        "started",
        "untold",
        "workers",
    )

    def __init__(
        self,
        ready: Callable[[Incarnation[K, M] | None], object],
        start_at_once: Callable[[Incarnation[K, M]], bool] = lambda _: False,
    ) -> None:
        """Tell `ready` of each worker whose turn has come, and `None` once closed and all ended.

        `start_at_once` is asked first; if it has started the worker, `ready` is not told. It looks
        whether the worker is still pending, sets its state and starts it, with no call between
        these. Both functions are called under the lock: they must neither block nor run user code.
        """
        self._ready: Final = ready
        self._start_at_once: Final = start_at_once
        # Guards all below and the links and states of incarnations. Nobody waits under it.
        # Reentrant: the garbage collector may run a finalizer while it is held, which may use the
        # pool.
        self._lock: Final = threading.RLock()
        self.routes: Final[dict[K, Incarnation[K, M]]] = {}
        """The current worker of each key. Written by the roster alone, read by everybody."""
        # One of a key's workers that have not ended, at least where the last one was removed.
        self._leaving: Final[dict[K, Incarnation[K, M]]] = {}
        # A dict for its order: the oldest first.
        self._unfinished: Final[dict[Incarnation[K, M], None]] = {}
        self.untold: Final[dict[Incarnation[K, M], Literal["abandon", "close", "cancel"]]] = {}
        """What the mailboxes of workers that have left are to be told; see `told`. What an
        interrupt or a mailbox has kept from being told stays, for the next call that closes."""
        self._entered = 0
        # Whether the end was told to `ready`.
        self._told = False
        self.closed: bool = False
        """Whether no worker may enter any more."""
        self.in_child: bool = False
        """Whether the workers' threads are those of the process that has forked this one."""
        self.cancelled: bool = False
        """Whether those that have entered are to stop."""
        self.workers: int = 0
        """How many are current."""
        self.started: int = 0
        """How many have begun."""
        self.failed: int = 0
        """How many have ended with an error."""

    def enter(self, incarnation: Incarnation[K, M]) -> bool:
        """Make a new incarnation the current worker of its key, unless there is one.

        Raises:
            PoolClosed: if the roster is closed.
        """
        key = incarnation.key
        with self._lock:
            if self.closed:
                raise PoolClosed(f"the pool {self.why_closed}: it starts no worker")
            # What re-enters here (a finalizer, a signal handler, the key's own methods) finds the
            # worker among the unfinished from the first, and may close, cancel or remove it.
            self._unfinished[incarnation] = None
            incarnation.current = True
            self.workers += 1
            entered = False
            try:
                # Mostly empty: a look less, of the key's methods, too.
                before = self._leaving.get(key) if self._leaving else None
                while (current := self.routes.setdefault(key, incarnation)) is not incarnation:
                    if current.current:
                        return False
                    take_out(self.routes, key, current)
                self._entered = incarnation.number = self._entered + 1
                entry = self._leaving.get(key) if self._leaving else None
                entered = True
            finally:
                if not entered:
                    self._unfinished.pop(incarnation, None)
                    self._not_current_locked(incarnation)
                    forget(self.routes, key, incarnation)
                    self._tell_if_finished_locked()
            # Where it was removed meanwhile, the entry may be of a worker behind it.
            predecessor = entry if entry is not None and incarnation.current else before
            while predecessor is not None and predecessor.successor is not None:
                predecessor = predecessor.successor
            # No call stands between here and the last link.
            if incarnation.state == "ended":
                return True
            if predecessor is None or predecessor.state == "ended":
                try:
                    self._let_begin_locked(incarnation)
                except BaseException:
                    # An interrupt. Where it has begun, nothing is left to be done.
                    if incarnation.state == "pending":
                        self._ready(incarnation)
                    raise
            else:
                incarnation.predecessor = predecessor
                predecessor.successor = incarnation
            return True

    def _let_begin_locked(self, incarnation: Incarnation[K, M]) -> None:
        """Let a worker begin whose turn has come, unless what re-enters has dropped it."""
        try:
            self._start_at_once(incarnation)
        finally:  # also if an interrupt comes once it is scheduled
            self.started += incarnation.state == "running"
        if incarnation.state == "pending":
            self._ready(incarnation)

    @property
    def why_closed(self) -> str:
        """What an error says of a closed pool."""
        return f"was {MADE_BEFORE_FORK}" if self.in_child else "is closed"

    def forked(self) -> bool:
        """Let no worker enter in this child of `os.fork`, nor get a message: they are the parent's.

        Returns:
            `False` if that changes nothing: it was closed, and all have ended.
        """
        remake(self._lock)
        if self._told:
            return False
        self.closed = self.in_child = True
        # Not `routes`, which senders read; see `forking`. The workers in it refuse all that is
        # sent.
        self.workers = 0
        return True

    def has(self, key: object) -> bool:
        """Return whether the key has a current worker."""
        if self.in_child:
            return False
        incarnation = self.routes.get(cast("K", key))
        return incarnation is not None and incarnation.current

    def begin(self, incarnation: Incarnation[K, M]) -> bool:
        """Let a worker whose turn has come run; `False` if it was dropped meanwhile."""
        with self._lock:
            if incarnation.state == "pending":
                incarnation.state = "running"
                self.started += 1
                return True
            return False

    def leave(
        self,
        incarnation: Incarnation[K, M],
        *,
        may_start: bool,
        reason: DeadLetterReason | None = None,
    ) -> bool:
        """Take a current worker out of the routing table.

        Args:
            incarnation: the worker.
            may_start: whether it is to have its turn, if it has not had it.
            reason: what becomes of the messages it leaves, if that is known now; its mailbox is
                then to be told, see `untold`.

        Returns:
            `False` if it is not the current one.
        """
        key, leftovers = incarnation.key, incarnation.leftovers
        with self._lock:
            if not incarnation.current:
                return False
            dropped = incarnation.state == "pending" and not may_start
            last = incarnation.predecessor if dropped else incarnation
            if last is not None:
                # If the key raises here, the worker is still the current one.
                while (entry := self._leaving.setdefault(key, last)) is not last:
                    if entry is not incarnation and entry.state != "ended":
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
                self.untold[incarnation] = (
                    "abandon" if dropped else "close" if may_start else "cancel"
                )
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

    def end(self, incarnation: Incarnation[K, M], *, failed: bool) -> None:
        """Let the successor of a worker that has completely ended have its turn."""
        with self._lock:
            self.failed += failed
            self._not_current_locked(incarnation)
            self._end_locked(incarnation)

    def end_quietly(self, incarnation: Incarnation[K, M]) -> bool:
        """Do what `leave` and `end` do of a worker that has ended well, if nobody is to be told.

        1. The worker is not current any more: a thread that looks its key up now finds none.
        2. Its mailbox refuses: what a sender has put before that is found here, and the sender of
           what is put after that makes the dead letter itself (`line.inlet`).
        3. `gone` is written. A caller that begins to watch after that finds it, and one that
           began before is found here (`calls.unanswered`).
        4. The successor begins.

        Returns:
            `False` if somebody is to be told. Then (1) is taken back, and (4) is not done.
        """
        with self._lock:
            if self.in_child or incarnation.watchers:
                return False
            current = incarnation.current
            if current:
                incarnation.current = False
                self.workers -= 1
            if incarnation.end_if_empty():
                incarnation.gone = True
                if not incarnation.watchers:
                    self._end_locked(incarnation)
                    return True
            # A message that came just now, say.
            if current:
                incarnation.current = True
                self.workers += 1
            return False

    def _end_locked(self, incarnation: Incarnation[K, M]) -> None:
        incarnation.state = "ended"
        key, routes = incarnation.key, self.routes
        self._unfinished.pop(incarnation, None)
        successor = incarnation.successor
        if successor is not None:
            successor.predecessor = incarnation.successor = None
            self._let_begin_locked(successor)
        try:
            try:
                # `take_out`, written out: a `KeyError` if it has left before.
                if (
                    routes[key] is incarnation
                    and (taken := routes.pop(key, incarnation)) is not incarnation
                ):
                    routes.setdefault(key, taken)
            except Exception:  # noqa: BLE001, S110 - as in `forget`
                pass
            if self._leaving and forget(self._leaving, key, incarnation) and successor is not None:
                # The line goes on behind it.
                self._leaving.setdefault(key, successor)
        finally:
            if self.closed:
                self._tell_if_finished_locked()

    def close(self) -> list[Incarnation[K, M]]:
        """Let no worker enter any more; return those that have not ended."""
        with self._lock:
            self.closed = True
            self._tell_if_finished_locked()
            return list(self._unfinished)

    def cancel(self) -> list[Incarnation[K, M]]:
        """Let no worker enter any more, and drop those that have not started.

        Returns:
            The running workers. The dropped ones are among the `untold`.
        """
        with self._lock:
            self.closed = self.cancelled = True
            dropped = [each for each in list(self._unfinished) if each.state == "pending"]
            for each in dropped:
                each.leftovers.reason = DeadLetterReason.POOL_CLOSED
                self.untold[each] = "abandon"
                self._drop_locked(each)
                forget(self.routes, each.key, each)
                forget(self._leaving, each.key, each)
            self._tell_if_finished_locked()
            return list(self._unfinished)

    def told(
        self, incarnation: Incarnation[K, M], what: Literal["abandon", "close", "cancel"]
    ) -> None:
        """Take note that a mailbox was told `what`.

        Another thread may have found more to tell meanwhile:

        1. The remover reads "close", for a worker that is to drain, and tells the mailbox.
        2. The canceller drops that worker, which has not started, and writes "abandon".
        3. The remover comes here. The entry is a different one now, and stays for the next look.

        To delete whatever is there in (3) would lose the messages that wait in the mailbox.
        """
        with self._lock:
            if self.untold.get(incarnation) == what:
                del self.untold[incarnation]

    def keys(self) -> list[K]:
        """Return the keys that have a current worker."""
        if self.in_child:
            return []
        with self._lock:
            return [each.key for each in list(self.routes.values()) if each.current]

    def unfinished(self) -> list[Incarnation[K, M]]:
        """Return the workers that have not ended, oldest first."""
        with self._lock:
            return list(self._unfinished)

    def is_unfinished(self, worker: object) -> bool:
        """Return whether it is one of these workers, and has not ended."""
        return cast("Incarnation[K, M]", worker) in self._unfinished

    def _drop_locked(self, incarnation: Incarnation[K, M]) -> None:
        """Take a worker that has not started out of its line."""
        incarnation.state = "ended"
        before, behind = incarnation.predecessor, incarnation.successor
        incarnation.predecessor = incarnation.successor = None
        if before is not None:
            before.successor = behind
        if behind is not None:
            behind.predecessor = before
        self._unfinished.pop(incarnation, None)
        self._not_current_locked(incarnation)

    def _not_current_locked(self, incarnation: Incarnation[K, M]) -> None:
        if incarnation.current:
            incarnation.current = False
            self.workers -= 1

    def _tell_if_finished_locked(self) -> None:
        if self.closed and not self._unfinished and not self._told:
            self._ready(None)
            # Last: what was interrupted is done again; a second `None` does no harm.
            self._told = True
