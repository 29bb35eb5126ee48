"""Starting threads that keep nothing of the thread that starts them, and joining all of them.

**Guarantees.** When `join` has returned `True`, none of the threads is left: neither a thread that
had ended its work, nor one that was still inside a call of `start` on a different thread.

The race of a thread that starts a new one and a thread that joins:

1. The starter enters the new thread as being launched, then calls its `start`.
2. The new thread runs, and may end.
3. The starter enters the new thread as started, and opens the launch's latch.

A joiner that looks between (1) and (3) finds the launch, waits for the latch, and looks again. If
it looked only for what (3) enters, it would leave out a thread that runs already.

3.14 gives a thread a context: on free-threaded builds a copy of its starter's, by default. A thread
of ours would keep the objects in it alive for as long as it lives, so it gets an empty one. Before
3.14 a thread begins with an empty context anyway.
"""

import contextvars
import functools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.forking import end_child, forks, own_thread
from threadpool_mb.threads.latches import Latch

__all__ = ["Launches", "new_thread", "runs"]

_TASKS: Final = Path("/proc/self/task")
"""Where Linux has the threads of this process, each under its `native_id`."""

# As the documentation of `threading` has it: they are always alive, and cannot be joined.
_DUMMY: Final = threading._DummyThread  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


@final
class Launches:
    """The threads of one owner.

    Threads: methods that end in `_locked` are called under the lock; `forked` needs none;
    the others acquire it.
    """

    __slots__ = ("_launching", "_lock", "_started")

    def __init__(self, lock: "threading.RLock") -> None:
        """Be guarded by `lock`; no thread waits under it."""
        self._lock: Final = lock
        # A thread that has ended is dropped as the next one starts.
        self._started: Final[dict[threading.Thread, None]] = {}
        self._launching: Final[dict[threading.Thread, Latch]] = {}

    def launch_locked(self, thread: threading.Thread) -> None:
        """Take note that `thread.start()` is about to be called."""
        self._launching[thread] = Latch()

    def runs_locked(self, thread: threading.Thread) -> None:
        """Take note that a thread runs; called by the thread itself."""
        self._started[thread] = None

    def started(self, thread: threading.Thread) -> None:
        """Take note that `thread.start()` has returned."""
        with self._lock:
            self._started[thread] = None
            self._over_locked(thread)
            for ended in self._ended_locked():
                del self._started[ended]

    def _ended_locked(self) -> list[threading.Thread]:
        return [each for each in self._started if not each.is_alive()]

    def failed_locked(self, thread: threading.Thread) -> bool:
        """Take note that `thread.start()` has raised; return whether the thread does not run."""
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

        The thread that has forked may wait for a launch, in a frame below the signal handler.
        """
        for each in list(self._launching.values()):
            each.open()
        self._launching.clear()

    def all(self) -> set[threading.Thread]:
        """Return the threads that were started; some may have ended since."""
        with self._lock:
            return set(self._started)

    def join(self, deadline: Deadline) -> bool:
        """Wait until every thread has ended.

        Returns:
            `False` if the deadline came first.
        """
        joined: set[threading.Thread] = set()
        while True:
            # Looked at again each time: a thread that has not ended may have started a new one.
            with self._lock:
                launching = list(self._launching.values())
                started = list(self._started)
            threads = [thread for thread in started if thread not in joined]
            if not all(each.wait(deadline) for each in launching):
                return False
            if not threads and not launching:
                return True
            for thread in threads:
                thread.join(deadline.remaining())
                if thread.is_alive():
                    return False
                joined.add(thread)


def runs(thread: threading.Thread) -> bool:
    """Return whether a thread of `threading.enumerate()` runs.

    A thread may be listed as alive after its end: it is taken off the list before what it has in
    a `threading.local` is let go of. What logs then, or asks for `threading.current_thread()`, puts
    a dummy of it on. So the system is asked about dummies, where it can tell; else they run.
    """
    if not isinstance(thread, _DUMMY) or not _TASKS.is_dir():
        return thread.is_alive()
    return (_TASKS / str(thread.native_id)).is_dir()


def new_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Return a thread that is not started and will run `target()` in an empty context.

    It is no daemon: at interpreter exit a daemon would be stopped in the midst of a message. If
    `target` forks and returns in the child, the child ends; see `forking.end_child`.
    """
    run = functools.partial(_run, target)
    if sys.version_info >= (3, 14):  # pragma: no branch - the reports are made on 3.14
        return threading.Thread(target=run, name=name, daemon=False, context=contextvars.Context())
    return threading.Thread(target=run, name=name, daemon=False)  # pragma: no cover - runs on 3.13


def _run(target: Callable[[], object]) -> None:
    before = forks()
    own_thread()
    target()
    if forks() != before:
        end_child()
