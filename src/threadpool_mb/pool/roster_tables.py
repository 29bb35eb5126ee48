"""The tables of a pool's workers, which any thread may read; `pool.roster` writes them."""

from collections.abc import Callable
from typing import Final, Literal, cast

from threadpool_mb.forking import MADE_BEFORE_FORK, remake
from threadpool_mb.pool.census import Census
from threadpool_mb.pool.incarnation import Incarnation

__all__ = ["RosterTables", "What"]

type What = Literal["abandon", "abandon again", "close", "cancel"]
"""What a mailbox is to be told; "abandon again" if it has raised, and the end does not wait."""


class RosterTables[K, M](Census[K, M]):
    """Which workers there are.

    Threads: internally synchronized; no method blocks.
    """

    __slots__ = (
        "_leaving",
        "_start_at_once",
        "_to_bury",
        "_told",
        "cancelled",
        "closed",
        "in_child",
        "quiet",
        "restarted",
        "routes",
        "started",
        "to_restart",
        "untold",
        "workers",
    )

    def __init__(
        self,
        ready: Callable[[Incarnation[K, M] | Literal["census"] | None], object],
        start_at_once: Callable[[Incarnation[K, M]], bool] = lambda _: False,
    ) -> None:
        """Tell `ready` of each worker whose turn has come, and `None` once closed and all ended.

        `start_at_once` is asked first; if it has started the worker, `ready` is not told. It looks
        whether the worker is still pending, sets its state and starts it, with no call between
        these. Both functions are called under the lock: they must neither block nor run user code.
        """
        super().__init__(ready)
        self._start_at_once: Final = start_at_once
        self.routes: Final[dict[K, Incarnation[K, M]]] = {}
        """The current worker of each key. Written by the roster alone, read by any thread."""
        # One of a key's workers that have not ended, at least where the last one was removed.
        self._leaving: Final[dict[K, Incarnation[K, M]]] = {}
        self.untold: Final[dict[Incarnation[K, M], What]] = {}
        """What the mailboxes of workers that have left are to be told; see `told`. What an
        interrupt or a mailbox has kept from being told stays, for the next call that closes."""
        # How many of these are to "abandon" what waits for them. The end is not told before that:
        # it is another thread that makes dead letters of it, or is about to.
        self._to_bury: int = 0
        self.to_restart: Final[dict[Incarnation[K, M], Literal["waits", "called off"]]] = {}
        """Failed workers that wait to begin anew; those that will not, until that was told."""
        # Whether the end was told to `ready`.
        self._told = False
        self.closed: bool = False
        """Whether no worker may enter any more."""
        self.in_child: bool = False
        """Whether the workers' threads are those of the process that has forked this one."""
        self.quiet: bool = True
        """Whether a worker that has ended well may end quietly; see `Roster.end`. Written under the
        lock."""
        self.cancelled: bool = False
        """Whether those that have entered are to stop."""
        self.workers: int = 0
        """How many are current."""
        self.started: int = 0
        """How many have begun."""
        self.restarted: int = 0
        """How many have begun anew after an error."""

    @property
    def why_closed(self) -> str:
        """What an error says of a closed pool."""
        return f"was {MADE_BEFORE_FORK}" if self.in_child else "is closed"

    def forked(self) -> bool:
        """Let no worker enter in this child of `os.fork`, nor get a message: they are the parent's.

        Returns:
            `False` if that changes nothing: it was closed, and all have ended.
        """
        remake(self.lock)
        if self._told:
            return False
        self.closed = self.in_child = True
        self.quiet = False
        # Not `routes`, which senders read; see `forking`. The workers in it refuse all that is
        # sent.
        self.workers = 0
        return True

    def has(self, key: object) -> bool:
        """Return whether the key has a current worker."""
        if self.in_child:
            return False
        # Under the lock: once a worker is seen to have left, no sender finds it any more.
        with self.lock:
            return self.current(cast("K", key)) is not None

    def current(self, key: K) -> Incarnation[K, M] | None:
        """Return the worker that gets the key's messages; what the key raises passes."""
        incarnation = self.routes.get(key)
        return incarnation if incarnation is not None and incarnation.current else None

    def keys(self) -> list[K]:
        """Return the keys that have a current worker."""
        if self.in_child:
            return []
        with self.lock:
            return self._current_keys_locked()

    def _current_keys_locked(self) -> list[K]:
        return [each.key for each in list(self.routes.values()) if each.current]

    def line(self, key: K) -> list[Incarnation[K, M]]:
        """Return the workers of a key that have not ended."""
        with self.lock:
            # Not a loop here: an interrupt at its end may leave the lock held (`interrupts`).
            return self._line_locked(key)

    def _line_locked(self, key: K) -> list[Incarnation[K, M]]:
        found: dict[Incarnation[K, M], None] = {}
        ways: list[Incarnation[K, M] | None] = [self.routes.get(key), self._leaving.get(key)]
        while ways:
            worker = ways.pop()
            if worker is not None and worker not in found and self.is_unfinished(worker):
                found[worker] = None
                ways += [worker.predecessor, worker.successor]
        return list(found)

    def told(self, incarnation: Incarnation[K, M], what: What) -> None:
        """Take note that a mailbox was told `what`.

        Another thread may have found more to tell meanwhile:

        1. The remover reads "close", for a worker that is to drain, and tells the mailbox.
        2. The canceller drops that worker, which has not started, and writes "abandon".
        3. The remover comes here. The entry is a different one now, and stays for the next look.

        To delete whatever is there in (3) would lose the messages that wait in the mailbox.
        """
        with self.lock:
            if self.untold.get(incarnation) == what:
                # The count first: what is interrupted here is done again, and an end that comes too
                # early is better than none.
                self._to_bury -= what == "abandon"
                del self.untold[incarnation]
                self._tell_if_finished_locked()

    def not_buried(self, incarnation: Incarnation[K, M]) -> None:
        """Take note that a mailbox has raised as it was to be abandoned: the end comes anyway."""
        with self.lock:
            if self.untold.get(incarnation) == "abandon":
                self._to_bury -= 1
                self.untold[incarnation] = "abandon again"
                self._tell_if_finished_locked()

    def _abandon_locked(self, incarnation: Incarnation[K, M]) -> None:
        before = self.untold.get(incarnation)
        self.untold[incarnation] = "abandon"
        self._to_bury += before != "abandon"

    def _tell_if_finished_locked(self) -> None:
        if self.closed and not self._told and self._to_bury <= 0 and self._none_unfinished():
            self._ready(None)
            # Last: what was interrupted is done again; a second `None` does no harm.
            self._told = True
