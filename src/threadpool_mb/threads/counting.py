"""How many shared threads there are, what they do, and whether there may be one more.

A thread that is one too many rests until it is needed again. If all threads of a pool wait for its
workers, the pool gets one more thread. Once one of those that wait goes on, the thread that is one
too many must not begin with further turns: each turn may come to wait as well, and would then cost
one more thread. It rests instead of ending: the next thread may be needed in a millisecond, and
costs 0.3 ms to start.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Final, Self, final

from threadpool_mb.errors import ThreadRefused
from threadpool_mb.interrupts import after, trying
from threadpool_mb.threads.here import Holder
from threadpool_mb.threads.spares import Spares
from threadpool_mb.threads.turns import ReadyTurns, ServingThread

__all__ = ["RestingThreads", "ThreadCount", "default_max_threads", "shared_name"]


def default_max_threads() -> int:
    """Return how many threads there may be by default; as for `ThreadPoolExecutor`."""
    return min(32, (os.process_cpu_count() or 1) + 4)


def shared_name(name: str, count: int) -> str:
    """Return the name of a thread of `name`, of which there are `count` before it."""
    return f"{name}-shared-{count + 1}"


class ThreadCount:
    """Counts threads; `SharedThreads` has them.

    Threads: internally synchronized.
    """

    __slots__ = (
        "_blocked",
        "_closed",
        "_handled",
        "_idle",
        "_lock",
        "_max_threads",
        "_may_start",
        "_only",
        "_ready",
        "_refused",
        "_resting",
        "_seldom",
        "_serving",
        "_spares",
        "_starting",
        "_threads",
        "_too_many",
        "growing",
        "in_child",
        "own_waits_only",
        "pinned",
    )

    def __init__(self, max_threads: int, *, own_waits_only: bool, pinned: bool = False) -> None:
        """Count none yet; see `SharedThreads`."""
        self._max_threads: Final = max_threads
        self.own_waits_only: Final = own_waits_only
        self.pinned: Final = pinned
        # Guards the rest. No thread waits under it. Reentrant: a finalizer may run under it.
        self._lock: Final = threading.RLock()
        self._ready: Final = ReadyTurns()
        # The threads that count; not those that rest.
        self._threads: Final[list[threading.Thread]] = []
        self._resting: Final = RestingThreads(self._lock)
        # How many wait in the queue, or are about to, or were just handed a turn there: one as a
        # rule, and more only where there is no memory, or when these are closed.
        self._idle: int = 0
        self._spares: Final = Spares()
        self._starting: int = 0
        # The threads that take turns, by their idents; what those have done that have ended.
        self._serving: Final[dict[int, ServingThread]] = {}
        self._handled: int = 0
        # The one thread, if what it runs is pinned to it: a cycle, which its end breaks.
        self._only: ServingThread | None = None
        # How many threads wait for another worker, and may need one more thread to go on.
        self._blocked: int = 0
        self._closed: bool = False
        # The system has refused a thread.
        self._refused: bool = False
        # More than `max_threads` run: one of them rests, once it is not needed.
        self._too_many: bool = False
        # That, or the next one: one look for both, after each turn.
        self._seldom: bool = False
        self.in_child: bool = False
        """Whether the threads are those of the process that has forked this one."""
        # Whether there may be more threads than there are.
        self._may_start: bool = True
        self.growing: bool = True
        """Whether a thread that puts a turn is to look whether one more thread is needed for it:
        none is idle, and one may be started, or woken."""

    def _count_no_more(self) -> None:
        """Have no further thread."""
        self._closed = True
        self._may_start = self.growing = False

    def _in_child(self) -> None:
        """Take note that the threads are those of the process that has forked this one."""
        self.in_child = self._seldom = True

    def _count_in(self, thread: ServingThread) -> None:
        """Take note that this thread will take turns."""
        if self.pinned:
            self._only = thread
        with self._lock:
            self._serving[threading.get_ident()] = thread

    def _count_out(self) -> None:
        """Take note that this thread has taken its last turn."""
        self._only = None
        with self._lock:
            thread = self._serving.pop(threading.get_ident(), None)
            if thread is not None:
                self._handled += thread.handled

    def _count_lost(self) -> None:
        """Take note that an error which was raised into this thread as it waited has ended it.

        There may be another one in its place. The turn that it was to take, or to have another
        thread take, is for that one, or for those that are spare.
        """
        this = threading.current_thread()
        with self._lock:
            self._resting.lost_locked(this)
            if this in self._threads:
                self._threads.remove(this)
            self._look_whether_growing_locked()
        if self._closed:
            self._ready.put(None)  # the error may have cost the one that it took
        self.grow_if_needed()

    def block(self, thread: ServingThread) -> None:
        """Take note that one of the threads waits for a worker, which may need a thread."""
        with self._lock:
            if not thread.counted:
                thread.counted = True
                self._blocked += 1
                self._look_whether_growing_locked()
        self.grow_if_needed()

    def unblock(self, thread: ServingThread) -> None:
        """Take note that the thread goes on; called on that thread."""
        with self._lock:
            self._unblock_locked(thread)

    def will_unblock(self, thread: ServingThread, wait: int) -> None:
        """Take note that it goes on in a moment, from the wait of that number; on any thread.

        Does nothing where it would have to wait for the lock: the thread that calls it may hold a
        different lock, which a finalizer that runs under this one waits for. The thread that waited
        takes note itself as it goes on; at worst there is one more thread meanwhile.
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

    @property
    def home(self) -> Self | None:
        """Itself, if what it runs is pinned to its one thread; see `Holder`."""
        return self if self.pinned else None

    @property
    def occupant(self) -> Holder | None:
        """The worker that has the turn, of those that are pinned; see `Home`."""
        only = self._only
        return None if only is None else only.holder

    def grow_if_needed(self) -> None:
        """Ask for one more thread, if one is needed."""
        raise NotImplementedError

    def ask_again(self) -> None:
        """Do as `grow_if_needed` for one that was interrupted: that is what it is to raise."""
        with contextlib.suppress(ThreadRefused):
            self.grow_if_needed()

    @property
    def starved(self) -> bool:
        """Whether all threads that there may be wait, except the thread that asks."""
        return self._blocked >= self._max_threads - 1

    @property
    def stuck(self) -> bool:
        """Whether no turn goes on: threads wait for others of their turns, or for any turn.

        And no turn is left to be taken. A thread that waits for any may just have been handed one,
        and not know yet; where there is none of these (`unoccupied`), that is out of the question.
        """
        with self._lock:
            return (
                not len(self._ready) and 0 < len(self._threads) <= self._blocked + self.unoccupied
            )

    @property
    def unoccupied(self) -> int:
        """How many threads have no turn: they wait for one, or have not had their first one."""
        return self.idle + self._starting

    @property
    def handled(self) -> int:
        """What all turns have done, but for those that threads have now."""
        with self._lock:
            # A copy: a thread that is new adds itself without the lock.
            return self._handled + sum(each.handled for each in self.serving.values())

    @property
    def serving(self) -> dict[int, ServingThread]:
        """The threads that take turns, by their idents. Blocks: never."""
        return self._serving.copy()

    @property
    def idle(self) -> int:
        """How many threads wait for a turn."""
        return self._idle + len(self._spares)

    def __contains__(self, thread: threading.Thread) -> bool:
        """Return whether the thread is one of these."""
        with self._lock:
            return thread in self._threads

    def __len__(self) -> int:
        """Return the number of living threads."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._threads)

    def _rests(self, *, starting: bool) -> "queue.SimpleQueue[bool] | None":
        """Return what this thread is to rest with, if there are more threads than there may be.

        The thread rests where it has nothing to do, or another thread goes on. It counts no more
        then. Turns that were put since it looked are left to the other threads. If all of those
        wait, it asks for one more thread, as any sender would.
        """
        with self._lock:
            running = len(self._threads)
            # A thread that is being started may be refused, and is not counted on.
            launched = self._starting - starting
            others = running - 1 - self._blocked - launched
            if running <= self._max_threads or (others <= 0 and (launched or len(self._ready))):
                return None
            self._threads.remove(threading.current_thread())
            self._starting -= starting
            bell = self._resting.add_locked()
            self._look_whether_growing_locked()
        self.grow_if_needed()
        return bell

    def _wake_rested_locked(self) -> bool:
        """Have a thread that rests count and take turns again; return whether there is one."""
        try:
            # No interrupt comes between the pop and the `try`; see `interrupts`.
            for thread, bell in after(self._resting.take_locked):
                try:
                    # No call between the two: both are done, or neither.
                    self._starting += 1
                    self._threads.append(thread)
                    self._look_whether_growing_locked()
                finally:
                    bell.put(True)  # noqa: FBT003 - it goes on
        except KeyError:
            return False
        return True

    def _one_is_needed(self) -> bool:
        """Whether a turn waits that no thread will take at once."""
        # One that is starting may take long, or be refused: no spare one sleeps on for it.
        return not self._idle and len(self._ready) > (0 if self._spares.bells else self._starting)

    def _enter(self) -> "queue.SimpleQueue[None] | None":
        """Count this thread as idle, and return `None`; or return the bell of a spare one."""
        with self._lock:
            if self._idle and not self._closed and (bell := self._spares.add()) is not None:
                if self._closed:  # by a finalizer, since this looked
                    self._spares.wake()
                return bell
            self._idle += 1
            self.growing = False
        return None

    def _was_spare(self, bell: "queue.SimpleQueue[None]") -> None:
        """Take note that this thread, which was woken at its bell, has looked for a turn."""
        self._spares.has_looked(bell)  # (ii)
        with self._lock:
            # It may have been the last one that was spare: then no sender looks for one.
            self._look_whether_idle_locked()

    def _leave(self) -> None:
        """Count this thread as idle no more."""
        with self._lock:
            self._idle -= 1
            self._look_whether_idle_locked()

    def _look_whether_growing_locked(self) -> None:
        running = len(self._threads)
        self._too_many = running > self._max_threads
        self._seldom = self._too_many or self.in_child
        more = running < self._max_threads and not self._refused
        all_wait = running == self._blocked and not self.pinned
        self._may_start = not self._closed and (more or all_wait)
        self._look_whether_idle_locked()

    def _look_whether_idle_locked(self) -> None:
        # Without a call: so no finalizer closes these in between, and no interrupt comes.
        if self._idle or self._closed:
            self.growing = False
        elif self._spares.bells:
            self.growing = True
        else:
            self.growing = self._may_start


_REST_SECONDS: Final = 0.1
"""How long a thread rests before it ends."""


@final
class RestingThreads:
    """The threads that rest.

    Threads: methods that end in `_locked` are called under the lock of the `ThreadCount`; `rest`
    acquires it.
    """

    __slots__ = ("_lock", "_resting", "take_locked")

    def __init__(self, lock: "threading.RLock") -> None:
        """Be guarded by `lock`; no thread waits under it."""
        self._lock: Final = lock
        # The thread that rested last is woken first: its core is the warmest.
        self._resting: Final[dict[threading.Thread, queue.SimpleQueue[bool]]] = {}
        self.take_locked: Final[Callable[[], tuple[threading.Thread, queue.SimpleQueue[bool]]]] = (
            self._resting.popitem
        )
        """Take out one that rests, and its bell, which is to be rung; `KeyError` if none does."""

    def add_locked(self) -> "queue.SimpleQueue[bool]":
        """Add this thread to those that rest, and return what it has to `rest` with."""
        bell: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._resting[threading.current_thread()] = bell
        return bell

    def rest(self, bell: "queue.SimpleQueue[bool]") -> bool:
        """Wait until this thread is needed; `False` if it is to end.

        Blocks: a tenth of a second at most.

        The race at the end of that time:

        1. The thread stops waiting.
        2. A different thread removes it from those that rest, and rings its bell.
        3. The thread looks whether it is still one of those that rest. It is not: so its bell was
           rung, or will be at once.
        """
        try:
            return bell.get(timeout=_REST_SECONDS)
        except queue.Empty:
            pass
        with self._lock:
            if self._resting.pop(threading.current_thread(), None) is not None:
                return False
        return bell.get()

    def lost_locked(self, thread: threading.Thread) -> None:
        """Take note that a thread has ended in the midst of its rest, if it has."""
        self._resting.pop(thread, None)

    def end_locked(self) -> None:
        """Have all threads that rest end."""
        try:
            while True:
                # No interrupt comes between the two; see `interrupts`.
                for _, bell in after(self.take_locked):
                    bell.put(False)  # noqa: FBT003 - it ends
        except KeyError:
            pass
