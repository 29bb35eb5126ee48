"""Putting up the gates of tasks of several keys, one task at a time.

**Guarantees.** Of two tasks one has put up all its gates before the other begins to.

**How.** A finalizer, or a signal handler, may submit in the midst of that, on the thread that does
it; or on a thread that holds a shard's lock, which the other one waits for. Such a task is left to
the thread that puts up gates just now: it looks for more when it is done, and once again when it
has let go of the lock, as the other one may have come in between. It does so also where its own
task was refused, or it was interrupted: no other thread may come.
"""

import queue
import threading
from typing import Final, final

from threadpool_mb.interrupts import after, is_owned, trying
from threadpool_mb.keyed.several import Several
from threadpool_mb.keyed.table import Table
from threadpool_mb.logs import Logger

__all__ = ["Placing"]

_logger = Logger(__name__)


@final
class Placing:
    """Puts up the gates of one task at a time. Threads: internally synchronized."""

    __slots__ = ("_left", "_lock", "_table")

    def __init__(self, table: Table) -> None:
        """Put up gates in this table."""
        self._table: Final = table
        self._lock: Final = threading.RLock()
        self._left: Final[queue.SimpleQueue[Several]] = queue.SimpleQueue()

    def place(self, several: Several) -> None:
        """Put up a task's gates; raises what `Several.enter` raises. Blocks: some µs a gate."""
        lock = self._lock
        if is_owned(lock):
            self._left.put(several)
            return
        for _ in trying(lock):
            try:
                try:
                    try:
                        several.enter()
                    finally:
                        if self._left.qsize():
                            self._enter_left()
                finally:
                    lock.release()
            finally:
                # Also where this one was refused, or interrupted: others have left theirs to it.
                if self._left.qsize():
                    self._place_left()
            return
        if self._holds_a_shard():
            self._left.put(several)
            self._place_left()
            return
        for _ in after(lock.acquire):
            try:
                try:
                    self._enter(several)
                finally:
                    lock.release()
            finally:
                self._place_left()

    def _enter(self, several: Several) -> None:
        try:
            several.enter()
        finally:
            if self._left.qsize():
                self._enter_left()

    def _holds_a_shard(self) -> bool:
        return any(is_owned(shard.lock) for shard in self._table.shards)

    def _place_left(self) -> None:
        lock = self._lock
        taken = True
        while taken and self._left.qsize() and not is_owned(lock):
            taken = False
            for _ in trying(lock):
                try:
                    self._enter_left()
                finally:
                    lock.release()
                taken = True

    def _enter_left(self) -> None:
        while self._left.qsize():
            # No interrupt comes between the two; see `interrupts`.
            for several in after(self._left.get):
                future = None
                try:
                    future = several.future
                    several.enter()
                except BaseException as error:
                    # No other thread is told.
                    _logger.exception("%s: a task of several keys was not run", self._table.name)
                    future = several.future if future is None else future
                    if future is not None and future.cancel():
                        future.tell_cancelled()
                    if not isinstance(error, Exception):
                        raise  # an interrupt
