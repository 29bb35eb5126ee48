"""Who works for which key: the routing table, and the line of workers behind each key.

**Guarantees.** A key has at most one *current* worker, the one that `routes` names. At most one
worker of a key runs; a new one starts only after the one before it has completely ended. What is
said of an incarnation touches that incarnation alone: the late end of an old worker cannot harm its
successor.

**How.** A removed worker that still runs (or still drains) is *leaving*. The next worker of its key
is linked behind it and becomes ready when it ends. A worker that is removed before its turn is
unlinked and never starts, unless it is to drain.

Reading `routes` needs no lock: `dict.get` is atomic beside insertions and deletions
(`tests/test_assumptions.py`). Everything else is under the lock. A key's `__hash__` and `__eq__`
are user code and run under it; they may raise (nothing has changed then, or the entry that could
not be deleted is an ended one, which counts as none), and they may not wait for another thread that
uses the pool.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Final, cast, final

from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import PoolClosed
from threadpool_mb.pool.incarnation import Incarnation, State

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
        "_unfinished",
        "cancelled",
        "closed",
        "failed",
        "routes",
        "started",
    )

    def __init__(self, ready: Callable[[Incarnation[K, M] | None], object]) -> None:
        """Tell `ready` of each worker whose turn has come, and `None` once closed and all ended.

        `ready` is called under the lock: it must neither block nor run user code.
        """
        self._ready: Final = ready
        # Guards all below and the links and states of incarnations. Nobody waits under it.
        # Reentrant: the garbage collector may run a finalizer while it is held, which may use the
        # pool.
        self._lock: Final = threading.RLock()
        self.routes: Final[dict[K, Incarnation[K, M]]] = {}
        """The current worker of each key. Written by the roster alone, read by everybody."""
        # The last of a key's removed workers that have not ended, where no current one follows it.
        self._leaving: Final[dict[K, Incarnation[K, M]]] = {}
        # A dict for its order: the oldest first.
        self._unfinished: Final[dict[Incarnation[K, M], None]] = {}
        self._entered = 0
        self.closed: bool = False
        """Whether no worker may enter any more."""
        self.cancelled: bool = False
        """Whether those that have entered are to stop."""
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
                raise PoolClosed("the pool is closed: it starts no worker")
            # What re-enters here (a finalizer, a signal handler, the key's own methods) finds the
            # worker among the unfinished from the first, and may close, cancel or remove it.
            self._unfinished[incarnation] = None
            entered = False
            try:
                before = self._leaving.get(key)
                current = self.routes.setdefault(key, incarnation)
                if current is not incarnation:
                    if current.state is not State.ENDED:
                        return False
                    self.routes[key] = incarnation
                self._entered += 1
                incarnation.number = self._entered
                predecessor = self._leaving.get(key)
                entered = True
            finally:
                if not entered:
                    self._unfinished.pop(incarnation, None)
                    self._forget_locked(self.routes, key, incarnation)
                    self._tell_if_finished_locked()
            if predecessor is None or predecessor is incarnation:
                predecessor = before
            if incarnation.state is State.ENDED:
                return True
            if predecessor is None or predecessor.state is State.ENDED:
                self._ready(incarnation)
            else:
                incarnation.predecessor = predecessor
                predecessor.successor = incarnation
            self._forget_locked(self._leaving, key, predecessor)
            return True

    def has(self, key: object) -> bool:
        """Return whether the key has a current worker."""
        incarnation = self.routes.get(cast("K", key))
        return incarnation is not None and incarnation.state is not State.ENDED

    def begin(self, incarnation: Incarnation[K, M]) -> bool:
        """Let a worker whose turn has come run; `False` if it was dropped meanwhile."""
        with self._lock:
            if incarnation.state is State.PENDING:
                incarnation.state = State.RUNNING
                self.started += 1
                return True
            return False

    def leave(
        self,
        incarnation: Incarnation[K, M],
        *,
        may_start: bool,
        reason: DeadLetterReason | None = None,
    ) -> bool | None:
        """Take a current worker out of the routing table.

        Args:
            incarnation: the worker.
            may_start: whether it is to have its turn, if it has not had it.
            reason: what becomes of the messages it leaves, if that is known now.

        Returns:
            `None` if it is not the current one, else whether it was dropped: it will never start.
        """
        key = incarnation.key
        with self._lock:
            if self.routes.get(key) is not incarnation or incarnation.state is State.ENDED:
                return None
            dropped = incarnation.state is State.PENDING and not may_start
            last = incarnation.predecessor if dropped else incarnation
            # In this order: if the key raises here, the worker is still the current one.
            if last is not None:
                self._leaving[key] = last
            del self.routes[key]
            if reason is not None:
                incarnation.leftovers.reason = reason
            if dropped:
                self._drop_locked(incarnation)
                self._tell_if_finished_locked()
            return dropped

    def end(self, incarnation: Incarnation[K, M], *, failed: bool) -> None:
        """Let the successor of a worker that has completely ended have its turn."""
        with self._lock:
            incarnation.state = State.ENDED
            self.failed += failed
            self._unfinished.pop(incarnation, None)
            successor = incarnation.successor
            if successor is not None:
                successor.predecessor = incarnation.successor = None
                self._ready(successor)
            try:
                self._forget_locked(self.routes, incarnation.key, incarnation)
                self._forget_locked(self._leaving, incarnation.key, incarnation)
            finally:
                self._tell_if_finished_locked()

    def close(self) -> list[Incarnation[K, M]]:
        """Let no worker enter any more; return those that have not ended."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self._tell_if_finished_locked()
            return list(self._unfinished)

    def cancel(self) -> tuple[list[Incarnation[K, M]], list[Incarnation[K, M]]]:
        """Let no worker enter any more, and drop those that have not started.

        Returns:
            The running workers, and the dropped ones.
        """
        with self._lock:
            told = self.closed and not self._unfinished
            self.closed = self.cancelled = True
            dropped = [each for each in list(self._unfinished) if each.state is State.PENDING]
            for each in dropped:
                self._drop_locked(each)
                self._forget_locked(self.routes, each.key, each)
                self._forget_locked(self._leaving, each.key, each)
            if not told:
                self._tell_if_finished_locked()
            return list(self._unfinished), dropped

    def keys(self) -> list[K]:
        """Return the keys that have a current worker."""
        with self._lock:
            return [each.key for each in self.routes.values() if each.state is not State.ENDED]

    def unfinished(self) -> list[Incarnation[K, M]]:
        """Return the workers that have not ended, oldest first."""
        with self._lock:
            return list(self._unfinished)

    def _drop_locked(self, incarnation: Incarnation[K, M]) -> None:
        """Take a worker that has not started out of its line."""
        incarnation.state = State.ENDED
        self._unfinished.pop(incarnation, None)
        before, behind = incarnation.predecessor, incarnation.successor
        incarnation.predecessor = incarnation.successor = None
        if before is not None:
            before.successor = behind
        if behind is not None:
            behind.predecessor = before

    def _tell_if_finished_locked(self) -> None:
        if self.closed and not self._unfinished:
            self._ready(None)

    @staticmethod
    def _forget_locked(
        table: dict[K, Incarnation[K, M]], key: K, incarnation: Incarnation[K, M] | None
    ) -> None:
        # A key that raises now did not when it was entered. Its entry stays, and counts as none.
        with contextlib.suppress(Exception):
            if incarnation is not None and table.get(key) is incarnation:
                del table[key]
