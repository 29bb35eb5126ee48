"""A thread of its own for what is to be done at a time; it is started when it is first needed.

**Guarantees.** What `timers` says of each entry. Once it is closed, what is left is dropped, and
the thread ends.
"""

import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.forking import remake
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.launching import Launches, new_thread
from threadpool_mb.threads.timers import Timers

__all__ = ["Clock"]


@final
class Clock:
    """Fires entries at their times. Threads: internally synchronized."""

    __slots__ = ("_inbox", "_launches", "_lock", "_name", "_thread", "timers")

    def __init__(self, name: str) -> None:
        """Start no thread yet; it is called `{name}-clock`."""
        self._name: Final = name
        # What the thread is to call; `None` to end.
        self._inbox: Final[queue.SimpleQueue[Callable[[], object] | None]] = queue.SimpleQueue()
        # A function of C: an interrupt comes behind the `put`, which others may rely on.
        self.timers: Final = Timers(functools.partial(self._inbox.put, _nothing))
        """What is not due yet."""
        # Guards `_thread`, and the launch. No thread waits under it.
        self._lock: Final = threading.RLock()
        self._launches: Final = Launches(self._lock)
        self._thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether it has a thread."""
        return self._thread is not None

    @property
    def runs(self) -> bool:
        """Whether its thread has not ended. Blocks: never."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Have a thread.

        Raises:
            ThreadRefused: if the system starts none.
        """
        if self._thread is not None:
            return
        thread: threading.Thread | None = None
        try:
            with self._lock:
                if self._thread is not None:
                    return
                thread = new_thread(self._run, f"{self._name}-clock")
                self._launches.launch_locked(thread)
                self._thread = thread
            thread.start()
            self._launches.started(thread)
        except BaseException as error:
            if thread is not None:
                with self._lock:
                    if self._launches.failed_locked(thread) and self._thread is thread:
                        self._thread = None
            if isinstance(error, RuntimeError | MemoryError):
                raise ThreadRefused(f"the system started no clock thread: {error}") from error
            raise

    def add(self, entry: Entry) -> None:
        """Have an entry fired at its time; `start` was called."""
        self.timers.add(entry)

    def drop(self, kind: type[Entry]) -> None:
        """Have the entries of a kind dropped, on the thread. Blocks: never."""
        self._inbox.put(lambda: self.timers.drop(kind))

    def close(self) -> None:
        """Have the thread end; what is left is dropped. Blocks: never."""
        self._inbox.put(None)

    def join(self, deadline: Deadline) -> bool:
        """Wait until the thread has ended; `False` if the deadline came first."""
        return self._launches.join(deadline)

    def forked(self) -> None:
        """Wait for nothing of the parent's; in a child of `os.fork`."""
        remake(self._lock)
        self._launches.forked()

    def _run(self) -> None:
        me = threading.current_thread()
        with self._lock:
            self._launches.runs_locked(me)
            # Its starter may have been interrupted before it could see it run. It is the clock's
            # then, unless a different one was started meanwhile: the timers are for one alone.
            if self._thread is None:
                self._thread = me
            elif self._thread is not me:
                return
        while True:
            seconds = self.timers.until_next()
            with contextlib.suppress(queue.Empty):
                order = self._inbox.get(timeout=seconds)
                if order is None:
                    break
                order()
        self.timers.drop(last=True)


def _nothing() -> None:
    """Wake the thread."""
