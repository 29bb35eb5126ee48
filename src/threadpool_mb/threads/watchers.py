"""Watching what an executor, or a broker, has in hand: an observer that notes it.

Of a pool it is seen from outside (`pool.looking`). Here each task is told of as it begins and as it
is done.
"""

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, final, override

from threadpool_mb.arguments import Deadline, check_seconds
from threadpool_mb.events import StuckWorker
from threadpool_mb.observer import Observer, Stats
from threadpool_mb.threads.watching import Busy, Watch

__all__ = ["Watcher", "with_watcher"]

_NOTHING: Final = (0.0, ())


@final
class Watcher(Observer):
    """Notes what each thread has in hand, and has a thread look at it.

    Threads: each writes its own entry.
    """

    def __init__(self, log_as: str, after: float) -> None:
        """Watch for threads that are busy on one thing for longer than `after` seconds.

        Raises:
            ValueError: if that is no number of seconds above 0.
        """
        self._log_as: Final = log_as
        self._after: Final = check_seconds(after, "stuck_after", above=True)
        self._busy: Final[dict[int, Busy]] = {}
        self._marks: Final = itertools.count()
        self._watch: Watch | None = None
        self.tell: Callable[[StuckWorker[Any]], object] | None = None
        """What is told of each worker that is stuck; set once, before `attach`."""

    @override
    def begun(self, key: object, message: object, sent: object, /) -> Busy | None:
        del message, sent
        thread = threading.get_ident()
        before = self._busy.get(thread)
        self._busy[thread] = Busy(thread, key, 0, (thread, next(self._marks)))
        return before

    @override
    def done(self, key: object, message: object, begun: object, error: object, /) -> None:
        del key, message, error
        thread = threading.get_ident()
        if isinstance(begun, Busy):
            self._busy[thread] = begun
        else:
            self._busy.pop(thread, None)

    @override
    def attach(self, name: str, stats: Callable[[], Stats], /) -> None:
        del stats
        watch = self._watch = Watch(f"{name}: {self._log_as}", self._after, self._now, self.tell)
        watch.start(name)

    @override
    def detach(self, name: str, /) -> None:
        del name
        if self._watch is not None:
            self._watch.stop()

    def _now(self) -> list[Busy]:
        return list(self._busy.copy().values())

    def look(self) -> tuple[float, tuple[StuckWorker[Any], ...]]:
        """Return for how long one thing was in hand, at most; what is stuck; see `Watch.now`."""
        return _NOTHING if self._watch is None else self._watch.now()

    def join(self, deadline: Deadline) -> bool:
        """Wait until its thread has ended; `False` if the deadline came first."""
        return self._watch is None or self._watch.join(deadline)


def with_watcher(
    observe: object, log_as: str, stuck_after: float | None
) -> tuple[object, Watcher | None]:
    """Return what a user has given as `observe`, with a watcher if there is to be one; and that.

    Raises:
        ValueError: if `stuck_after` is no number of seconds above 0.
    """
    if stuck_after is None:
        return observe, None
    watcher = Watcher(log_as, stuck_after)
    if observe is None:
        return watcher, watcher
    if isinstance(observe, Observer | str | bytes) or not isinstance(observe, Iterable):
        return (observe, watcher), watcher
    given: Iterable[object] = observe  # pyright: ignore[reportUnknownVariableType]
    return [*given, watcher], watcher
