"""Threads that were started, or are just being started, and have to be joined.

**Guarantees.** When `join` has returned `True`, none of them is left: neither one that had ended
its work, nor one whose `start` another thread had called and that had not returned.

The race of a thread that starts another one and a thread that joins:

1. The starter enters the new thread as one that it launches, then calls its `start`.
2. The new thread runs, and may end.
3. The starter enters it as one that was started, and opens the launch's latch.

A joiner that looks between (1) and (3) finds the launch, waits for the latch, and looks again. To
look only for what (3) enters would leave out a thread that runs already.
"""

import threading
from typing import Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.latches import Latch

__all__ = ["Launches"]


@final
class Launches:
    """The threads of one owner.

    Threads: methods that end in `_locked` are called under the lock; `bool` and `forked` need none;
    the others take it.
    """

    __slots__ = ("_launching", "_lock", "_started")

    def __init__(self, lock: "threading.RLock") -> None:
        """Be guarded by `lock`; nobody waits under it."""
        self._lock: Final = lock
        # One that has ended is dropped as the next one starts.
        self._started: Final[dict[threading.Thread, None]] = {}
        self._launching: Final[dict[threading.Thread, Latch]] = {}

    def __bool__(self) -> bool:
        """Return whether there is one that was started."""
        return bool(self._started)

    def launch_locked(self, thread: threading.Thread) -> None:
        """Take note that `thread.start()` is about to be called."""
        self._launching[thread] = Latch()

    def runs_locked(self, thread: threading.Thread) -> None:
        """Take note that a thread runs: said by the thread itself."""
        self._started[thread] = None

    def started(self, thread: threading.Thread) -> None:
        """Take note that its `start` has returned."""
        with self._lock:
            self._started[thread] = None
            self._over_locked(thread)
            for ended in [each for each in self._started if not each.is_alive()]:
                del self._started[ended]

    def failed_locked(self, thread: threading.Thread) -> bool:
        """Take note that its `start` has raised; return whether it does not run."""
        self._over_locked(thread)
        if thread not in self._started and thread.ident is not None:
            self._started[thread] = None
        return thread not in self._started

    def _over_locked(self, thread: threading.Thread) -> None:
        launching = self._launching.pop(thread, None)
        if launching is not None:
            launching.open()

    def forked(self) -> None:
        """Wait for no launch of the parent's; in a child of `os.fork`.

        The thread that has forked may wait for one itself, in a frame below the signal handler.
        """
        for each in list(self._launching.values()):
            each.open()
        self._launching.clear()

    def all(self) -> set[threading.Thread]:
        """Return the threads that were started; one that has ended since may be among them."""
        with self._lock:
            return set(self._started)

    def join(self, deadline: Deadline) -> bool:
        """Wait until every thread has ended.

        Returns:
            `False` if the deadline came first.
        """
        joined: set[threading.Thread] = set()
        while True:
            # Again and again: one that has not ended may have started another one.
            with self._lock:
                launching = list(self._launching.values())
                threads = [thread for thread in self._started if thread not in joined]
            if not all(each.wait(deadline) for each in launching):
                return False
            if not threads and not launching:
                return True
            for thread in threads:
                thread.join(deadline.remaining())
                if thread.is_alive():
                    return False
                joined.add(thread)
