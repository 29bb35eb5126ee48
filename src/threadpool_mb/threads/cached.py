"""The threads of one pool: started when needed, reused between workers, joined at its end.

**Guarantees.** A job runs on a thread of its own at once; no job waits for a job to end. Each job
runs in an empty `contextvars` context. When a job returns, its thread waits some seconds for the
next one: on t-builds a thread costs 0.4 ms to start, against 20 µs to be woken
(`benchmarks/`, "threads"), and little of its 70 to 150 KiB is given back when it ends.

**Assumes.** Jobs raise nothing. One thread calls `start` and `close`, the pool's dispatcher.
"""

import contextvars
import functools
import queue
import threading
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.forking import remake
from threadpool_mb.threads.launching import new_thread

__all__ = ["ThreadCache"]

_LOOK_SECONDS: Final = 0.05
"""How long its starter waits for a thread to serve before it looks whether the thread has died."""
_IDLE_SECONDS: Final = 10.0
"""How long a thread without a job waits for one before it ends."""


@final
class _CachedThread:
    """One thread, and the way to hand it its next job."""

    __slots__ = ("jobs", "serves", "thread")

    def __init__(self, cache: "ThreadCache", name: str) -> None:
        self.jobs: Final[queue.SimpleQueue[Callable[[], object] | None]] = queue.SimpleQueue()
        self.serves: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        """Gets a token as the thread begins to serve."""
        self.thread: Final = new_thread(functools.partial(cache.serve, self), name)

    def check_serves(self) -> None:
        """Wait until the thread serves, once it was started.

        `Thread.start` returns before the thread has come to its function. On the way there the
        thread may die for want of memory: a job that it was given by then would wait for ever.

        Raises:
            MemoryError: if it has died.
        """
        while True:
            try:
                self.serves.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if self.thread.is_alive():
                    continue
                raise MemoryError("the thread died before it could run anything") from None
            return


@final
class ThreadCache:
    """Runs jobs, each on a thread of its own.

    Threads: `start` and `close` are for one thread; the rest is internally synchronized.
    """

    __slots__ = ("_closed", "_idle", "_idle_name", "_idle_seconds", "_lock", "_threads")

    def __init__(self, name: str, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        """Make a cache; its threads are called `{name}-idle` while they have no job."""
        self._idle_name: Final = f"{name}-idle"
        self._idle_seconds: Final = idle_seconds
        # Guards the three below. No thread waits under it.
        self._lock: Final = threading.RLock()
        # Dicts for their order: the last idle thread is used next; the first idle thread has waited
        # longest and ends first.
        self._threads: Final[dict[threading.Thread, None]] = {}
        self._idle: Final[dict[_CachedThread, None]] = {}
        self._closed = False

    def start(self, job: Callable[[], object]) -> None:
        """Run `job` on a thread that has nothing else to do.

        Blocks: never for another job; some tenths of a millisecond where a thread must be started.

        Raises:
            ThreadRefused: if the system starts no thread.
        """
        with self._lock:
            cached = self._idle.popitem()[0] if self._idle else None
        if cached is None:
            cached = self._new_thread()
        cached.jobs.put(job)

    def _new_thread(self) -> _CachedThread:
        cached = _CachedThread(self, self._idle_name)
        with self._lock:
            running = len(self._threads)
            self._threads[cached.thread] = None
        try:
            cached.thread.start()
            cached.check_serves()
        except (RuntimeError, MemoryError) as error:
            with self._lock:
                del self._threads[cached.thread]
            msg = f"the system started no thread for a worker ({running} are running): {error}"
            raise ThreadRefused(msg) from error
        return cached

    def close(self) -> None:
        """Let every thread end once its job has returned.

        Blocks: never.
        """
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        for cached in idle:
            cached.jobs.put(None)

    def forked(self) -> None:
        """Run no further job; in a child of `os.fork`, in which the threads are not."""
        remake(self._lock)
        self._closed = True

    def join(self, deadline: Deadline) -> bool:
        """Wait until every thread has ended; for a cache that is closed.

        Returns:
            `False` if the deadline came first.
        """
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(deadline.remaining())
        return not any(thread.is_alive() for thread in threads)

    def __contains__(self, thread: threading.Thread) -> bool:
        """Return whether the thread is one of the cache's."""
        with self._lock:
            return thread in self._threads

    def __len__(self) -> int:
        """Return the number of living threads, idle ones included."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._threads)

    def serve(self, cached: _CachedThread) -> None:
        """Run job after job; a cached thread's whole life."""
        cached.serves.put(None)
        while (job := self._next_job(cached)) is not None:
            contextvars.Context().run(job)
            # The objects that the job holds must not live on while the thread is idle.
            del job
            cached.thread.name = self._idle_name
            with self._lock:
                if self._closed:
                    return
                self._idle[cached] = None

    def _next_job(self, cached: _CachedThread) -> Callable[[], object] | None:
        """Wait for a job; `None` if the thread is to end.

        The race at the end of the idle time:

        1. The thread has waited long enough and stops waiting.
        2. `start` removes it from the idle threads and puts a job, or `close` puts `None`.
        3. The thread looks whether it is still idle. It is not: so a job or `None` was put for it,
           or will be at once, and it waits for that without a limit.
        """
        try:
            return cached.jobs.get(timeout=self._idle_seconds)
        except queue.Empty:
            pass
        with self._lock:
            if cached in self._idle:
                del self._idle[cached], self._threads[cached.thread]
                return None
        return cached.jobs.get()
