"""Keys that leave a node, since they are dealt to another one now: at the node.

**Guarantees.** Once a key is told as moved, no worker of it is left here, and none will begin: the
client sends no more messages for it to this node. The exception is a key that has come back
meanwhile: those of its workers that were to end have ended, and a newer one may run.
"""

import threading
import time
from collections.abc import Container, Iterable
from typing import Any, Final, NamedTuple, final

from threadpool_mb.arguments import describe
from threadpool_mb.cluster.placing import digest_of, owner_of
from threadpool_mb.cluster.wire import dumped
from threadpool_mb.logs import Logger
from threadpool_mb.pool.pool import Pool

__all__ = ["Leaving"]

_logger = Logger(__name__)

_SHORTEST: Final = 0.002
"""Seconds between two looks whether a worker has ended."""
_SHARE: Final = 4
"""How many times as long as a look takes it is until the next one."""


class _Key(NamedTuple):
    """A key that leaves."""

    key: Any
    written: bytes
    """The key, pickled: while it can be."""
    ending: tuple[object, ...]
    """Its workers that are to end. One that begins later is that of a key that has come back: its
    end is not waited for, as it may live for ever."""


@final
class Leaving:
    """The keys that are leaving one node. Threads: for the feeder, but for `gather`."""

    __slots__ = ("_address", "_leaving", "_line", "_lock", "_moved", "_moves", "_pool", "pause")

    def __init__(self, pool: Pool[Any, Any], address: str) -> None:
        """Of the pool of the node `address`."""
        self._pool: Final = pool
        self._address: Final = address
        self._leaving: list[_Key] = []
        # The line of a key: its workers that have not ended.
        self._line: Final = pool._dispatcher.roster.line  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of no use to others
        # Guards the next two. No thread waits under it.
        self._lock: Final = threading.Lock()
        self._moves: list[tuple[int, list[bytes]]] = []
        self._moved: list[_Key] = []
        self.pause: float | None = None
        """Seconds until the next look; `None`: none is needed."""

    def begin(self, number: int, nodes: tuple[str, ...]) -> None:
        """Have the workers end whose keys are dealt to another one of `nodes`.

        All messages for them that were sent here were dispatched before.
        """
        # By identity: what a key's class does is seen to where each key is.
        keys = {id(key): key for key in [worker.key for worker in self._pool.workers()]}
        going: dict[Any, _Key] = {}
        for key in keys.values():
            try:
                if not self._stays(key, nodes):
                    self._pool.remove(key, drain=True)
                    going[key] = _Key(key, dumped(key), tuple(self._line(key)))
            except Exception:  # of a user's class; others are not to wait for it
                _logger.exception("%s: the end of key %s is not told", self._pool, describe(key))
        # What came back meanwhile, and is leaving again.
        self._leaving = _without(self._leaving, going)
        self._leaving += going.values()
        with self._lock:
            self._moves.append((number, [each.written for each in going.values()]))
            self._moved = _without(self._moved, going)
        self.look()

    def _stays(self, key: Any, nodes: tuple[str, ...]) -> bool:
        """Return whether a key is dealt to this node, as far as can be said."""
        try:
            return bool(nodes) and owner_of(digest_of(key, dumped), nodes) == self._address
        except Exception:  # of a user's class
            _logger.exception("%s: the key %s cannot be pickled", self._pool, describe(key))
            return False

    def look(self) -> bool:
        """Look which of them have ended; return whether there is something to tell."""
        if not self._leaving:
            return not self.quiet
        start = time.perf_counter()
        there: list[_Key] = []
        gone: list[_Key] = []
        for each in self._leaving:
            (there if self._is_there(each) else gone).append(each)
        self._leaving = there
        with self._lock:
            self._moved += gone
        took = time.perf_counter() - start
        self.pause = max(_SHORTEST, _SHARE * took) if there else None
        return not self.quiet

    def _is_there(self, leaving: _Key) -> bool:
        """Return whether a worker of a key that is to end has not ended."""
        try:
            return _both(leaving.ending, self._line(leaving.key))
        except Exception:  # of a user's class; others are not to wait for it
            _logger.exception("%s: the key %s cannot be found", self._pool, describe(leaving.key))
            return False

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self._moves or self._moved)

    def gather(self) -> tuple[list[tuple[int, list[bytes]]], list[bytes]]:
        """Take what there is to tell: which keys leave, and which have ended, each pickled."""
        with self._lock:
            moves, self._moves = self._moves, []
            moved, self._moved = self._moved, []
        return moves, [each.written for each in moved]


def _without(some: "Iterable[_Key]", going: Container[object]) -> "list[_Key]":
    return [each for each in some if not _is_in(each.key, going)]


def _is_in(key: object, keys: Container[object]) -> bool:
    """Return whether a key is among others; one that cannot be compared is not."""
    try:
        return key in keys
    except Exception:  # noqa: BLE001 - of a user's class
        return False


def _both(some: Iterable[object], others: Iterable[object]) -> bool:
    """Return whether anything is in both."""
    there = list(others)
    return any(each is other for each in some for other in there)
