"""Keys that leave a node, since they are dealt to another one now: at the node.

**Guarantees.** Once a key is told as moved, no worker of it is left here, and none will begin: the
client sends no more messages for it to this node. The exception is a key that has come back
meanwhile: those of its workers that were to end have ended, and a newer one may run.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any, Final, final

from threadpool_mb.cluster.placing import digest_of, owner_of
from threadpool_mb.cluster.wire import dumped
from threadpool_mb.pool.pool import Pool

__all__ = ["Leaving"]

_SHORTEST: Final = 0.002
"""Seconds between two looks whether a worker has ended."""
_SHARE: Final = 4
"""How many times as long as a look takes it is until the next one."""


@final
class Leaving:
    """The keys that are leaving one node. Threads: for the feeder, but for `gather`."""

    __slots__ = ("_address", "_leaving", "_line", "_lock", "_moved", "_moves", "_pool", "pause")

    def __init__(self, pool: Pool[Any, Any], address: str) -> None:
        """Of the pool of the node `address`."""
        self._pool: Final = pool
        self._address: Final = address
        # The workers that are to end, by key. A worker that begins later is that of a key that has
        # come back: its end is not waited for, as it may live for ever.
        self._leaving: Final[dict[Any, tuple[object, ...]]] = {}
        # The line of a key: its workers that have not ended.
        self._line: Final = pool._dispatcher.roster.line  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of no use to others
        # Guards the next two. No thread waits under it.
        self._lock: Final = threading.Lock()
        self._moves: list[tuple[int, bytes]] = []
        self._moved: dict[Any, None] = {}
        self.pause: float | None = None
        """Seconds until the next look; `None`: none is needed."""

    def begin(self, number: int, nodes: tuple[str, ...]) -> None:
        """Have the workers end whose keys are dealt to another one of `nodes`.

        All messages for them that were sent here were dispatched before.
        """
        keys = {worker.key: None for worker in self._pool.workers()}
        going = [
            key
            for key in keys
            if not nodes or owner_of(digest_of(key, dumped), nodes) != self._address
        ]
        for key in going:
            self._pool.remove(key, drain=True)
            self._leaving[key] = tuple(self._line(key))
        with self._lock:
            self._moves.append((number, dumped(going)))
            for key in going:
                # It came back meanwhile, and is leaving again.
                self._moved.pop(key, None)
        self.look()

    def look(self) -> bool:
        """Look which of them have ended; return whether there is something to tell."""
        if not self._leaving:
            return not self.quiet
        start = time.perf_counter()
        line = self._line
        gone = [key for key, ending in self._leaving.items() if not _both(ending, line(key))]
        for key in gone:
            del self._leaving[key]
        with self._lock:
            self._moved.update(dict.fromkeys(gone))
        took = time.perf_counter() - start
        self.pause = max(_SHORTEST, _SHARE * took) if self._leaving else None
        return not self.quiet

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self._moves or self._moved)

    def gather(self) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        """Take what there is to tell."""
        with self._lock:
            moves, self._moves = self._moves, []
            moved, self._moved = self._moved, {}
        return moves, [dumped(key) for key in moved]


def _both(some: Iterable[object], others: Iterable[object]) -> bool:
    """Return whether anything is in both."""
    there = list(others)
    return any(each is other for each in some for other in there)
