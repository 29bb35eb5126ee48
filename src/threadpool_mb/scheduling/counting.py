"""How many shared threads there are, what they do, and whether there may be one more."""

import os
import threading
from typing import Final

from threadpool_mb.interrupts import trying
from threadpool_mb.scheduling.resting import RestingThreads
from threadpool_mb.scheduling.turns import ServingThread

__all__ = ["ThreadCount", "default_max_threads"]


def default_max_threads() -> int:
    """Return how many threads there may be where nobody says; as for `ThreadPoolExecutor`."""
    return min(32, (os.process_cpu_count() or 1) + 4)


class ThreadCount:
    """Counts threads; `SharedThreads` has them.

    Threads: internally synchronized.
    """

    __slots__ = (
        "_blocked",
        "_closed",
        "_idle",
        "_lock",
        "_max_threads",
        "_refused",
        "_resting",
        "_starting",
        "_threads",
        "_too_many",
        "growing",
        "in_child",
        "own_waits_only",
    )

    def __init__(self, max_threads: int, *, own_waits_only: bool) -> None:
        """Count none yet; see `SharedThreads`."""
        self._max_threads: Final = max_threads
        self.own_waits_only: Final = own_waits_only
        # Guards the rest. Nobody waits under it. Reentrant: a finalizer may run under it.
        self._lock: Final = threading.RLock()
        # Those that count; not those that rest.
        self._threads: Final[list[threading.Thread]] = []
        self._resting: Final = RestingThreads(self._lock)
        self._idle: int = 0
        self._starting: int = 0
        # Those that wait for another worker, and may need another thread to go on.
        self._blocked: int = 0
        self._closed: bool = False
        # The system has refused a thread.
        self._refused: bool = False
        # More than `max_threads` run: one of them rests, once it is not needed.
        self._too_many: bool = False
        self.in_child: bool = False
        """Whether they are those of the process that has forked this one."""
        self.growing: bool = True
        """Whether there may be more threads than there are."""

    def _count_no_more(self) -> None:
        """Have no further thread."""
        self._closed = True
        self.growing = False

    def _in_child(self) -> None:
        """Take note that the threads are those of the process that has forked this one."""
        self.in_child = True

    def block(self, thread: ServingThread) -> None:
        """Take note that one of the threads waits for a worker, which may need a thread."""
        with self._lock:
            if not thread.counted:
                thread.counted = True
                self._blocked += 1
                self._look_whether_growing_locked()
        self.grow_if_needed()

    def unblock(self, thread: ServingThread) -> None:
        """Take note that it goes on; on that thread."""
        with self._lock:
            self._unblock_locked(thread)

    def will_unblock(self, thread: ServingThread, wait: int) -> None:
        """Take note that it goes on in a moment, from the wait of that number; on any thread.

        Not where that would have to wait for the lock: who gives a thread what it waits for may
        hold another lock, for which a finalizer waits that runs under this one. The thread takes
        note itself as it goes on; at worst there is one more meanwhile.
        """
        for _ in trying(self._lock):
            try:
                if thread.wait == wait:
                    self._unblock_locked(thread)
            finally:
                self._lock.release()

    def _unblock_locked(self, thread: ServingThread) -> None:
        if thread.counted:
            thread.counted = False
            self._blocked -= 1
            self._look_whether_growing_locked()

    def grow_if_needed(self) -> None:
        """Ask for one more thread, if one is needed."""
        raise NotImplementedError

    @property
    def starved(self) -> bool:
        """Whether all threads that there may be wait, but for the one that asks."""
        return self._blocked >= self._max_threads - 1

    @property
    def idle(self) -> int:
        """How many wait for a turn."""
        return self._idle

    def __contains__(self, thread: threading.Thread) -> bool:
        """Return whether the thread is one of these."""
        with self._lock:
            return thread in self._threads

    def __len__(self) -> int:
        """Return the number of living threads."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._threads)

    def _look_whether_growing_locked(self) -> None:
        running = len(self._threads)
        self._too_many = running > self._max_threads
        more = running < self._max_threads and not self._refused
        self.growing = not self._closed and (more or running == self._blocked)
