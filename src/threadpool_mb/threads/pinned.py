"""Threads each of which has turns of its own: what is pinned to one of them runs nowhere else.

**Guarantees.** A *home* has one thread at most, whatever waits. What is dealt goes to the home that
has the fewest. A thread that would wait for a task of its own home, or of one whose thread waits
for it, through whatever chain, gets `RuntimeError` (of calls, see `circles`).
"""

import threading
from collections.abc import Callable, Iterable
from typing import Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.forking import remade_in_children, remake
from threadpool_mb.threads.here import here
from threadpool_mb.threads.shared import SharedThreads

__all__ = ["PinnedThreads", "waiting_upon"]


@final
class PinnedThreads:
    """Deals what runs in turns to threads, where it stays.

    Threads: internally synchronized.
    """

    __slots__ = ("_load", "_lock", "homes")

    def __init__(self, count: int, make: Callable[[int], SharedThreads]) -> None:
        """Make the homes: `make(0)`, `make(1)` and so on. No thread is started yet."""
        self.homes: Final = tuple(make(number) for number in range(count))
        # Guards how many were dealt to each home. No thread waits under it. Reentrant: a finalizer
        # may run under it.
        self._lock: Final = threading.RLock()
        self._load: Final = dict.fromkeys(self.homes, 0)

    def deal(self) -> SharedThreads:
        """Return the home that has the fewest, and count one more for it."""
        with self._lock:
            return self._deal_locked(self.homes)

    def deal_if_runs(self) -> SharedThreads | None:
        """Do as `deal`, if that home has a thread; `None` if it has not."""
        with self._lock:
            return self._deal_locked(self.homes) if self._fewest(self.homes).any else None

    def deal_to_running(self) -> SharedThreads | None:
        """Do as `deal`, of the homes that have a thread; `None` if none has."""
        with self._lock:
            running = self._running()
            return self._deal_locked(running) if running else None

    def _running(self) -> list[SharedThreads]:
        return [home for home in self.homes if home.any]

    def _fewest(self, homes: Iterable[SharedThreads]) -> SharedThreads:
        return min(homes, key=self._load.__getitem__)

    def _deal_locked(self, homes: Iterable[SharedThreads]) -> SharedThreads:
        home = self._fewest(homes)
        self._load[home] += 1
        return home

    def release(self, home: SharedThreads) -> None:
        """Take note that one of those that were dealt to a home is there no more."""
        with self._lock:
            self._load[home] -= 1

    def grow(self, *, least: int = 0) -> None:
        """Start the threads that are needed; see `SharedThreads.grow`."""
        for home in self.homes:
            home.grow(least=least)

    def grow_if_needed(self) -> None:
        """Ask for the threads that are needed; see `SharedThreads.grow_if_needed`."""
        for home in self.homes:
            home.grow_if_needed()

    @property
    def any(self) -> bool:
        """Whether a thread was started."""
        return any(home.any for home in self.homes)

    @property
    def idle(self) -> int:
        """How many threads wait for a turn."""
        return sum(home.idle for home in self.homes)

    @property
    def handled(self) -> int:
        """What all turns have done; see `SharedThreads.handled`."""
        return sum(home.handled for home in self.homes)

    def all(self) -> set[threading.Thread]:
        """Return the threads that were started; some may have ended since."""
        return set[threading.Thread]().union(*(home.all() for home in self.homes))

    def close(self) -> None:
        """Let every thread end once nothing waits for its turn. Blocks: never."""
        for home in self.homes:
            home.close()

    def forked(self, *, usable: bool = False) -> bool:
        """Take no turn in a child of `os.fork`; see `SharedThreads.forked`."""
        remake(self._lock)
        return all([home.forked(usable=usable) for home in self.homes])  # noqa: C419 - of each

    def join(self, deadline: Deadline) -> bool:
        """Wait until every thread has ended; `False` if the deadline came first."""
        return all(home.join(deadline) for home in self.homes)

    def __contains__(self, thread: threading.Thread) -> bool:
        """Return whether the thread is one of these."""
        return any(thread in home for home in self.homes)

    def __len__(self) -> int:
        """Return the number of living threads."""
        return sum(len(home) for home in self.homes)


_lock: Final = remade_in_children(threading.RLock())
"""Guards `_waits`. No thread waits under it."""
_waits: Final[dict[SharedThreads, SharedThreads]] = {}
"""Upon which home the thread of a home waits."""


@final
class waiting_upon:  # noqa: N801 - used like a function: `with waiting_upon(threads, future)`
    """The time in which this thread waits for a task that `upon` run.

    The last thread to say what it waits upon sees the others: it closes the circle, and is told.

    Raises:
        RuntimeError: on entering, if the thread would wait for itself.
    """

    __slots__ = ("_before", "_home", "_upon", "_what")

    def __init__(self, upon: SharedThreads, what: object) -> None:
        """Wait upon `upon`, for `what`."""
        serving = here.serving
        home = None if serving is None or upon.home is None else serving.home
        self._home: Final = home if isinstance(home, SharedThreads) else None
        self._upon: Final = upon
        self._what: Final = what
        # A finalizer that runs in the midst of a wait may wait inside that one.
        self._before: SharedThreads | None = None

    def __enter__(self) -> None:
        home = self._home
        if home is None:
            return
        with _lock:
            each: SharedThreads | None = self._upon
            while True:  # not of a condition; see `interrupts`
                if each is None:
                    break
                if each is home:
                    raise RuntimeError(
                        f"a pinned task cannot wait for {self._what!r}, which needs its thread"
                    )
                each = _waits.get(each)
            self._before, _waits[home] = _waits.get(home), self._upon

    def __exit__(self, *_: object) -> None:
        home = self._home
        if home is not None:
            with _lock:
                if self._before is None:
                    _waits.pop(home, None)
                else:
                    _waits[home] = self._before
