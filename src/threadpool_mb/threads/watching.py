"""Watching for workers that are busy on one thing for long.

Nothing is written down as a message is taken: there is a look now and then at what each thread has
in hand. A worker that has the same in hand as at the looks before is *stuck* once that has lasted
for long enough. So what is watched pays for a mark that changes with each message, and no clock.

It is a thread of its own that looks, and tells: what is told may take its time, and holds up
nothing but the looks after it.

**Guarantees.** A stuck worker is told of once for each thing that it has in hand, at most a quarter
of `after` late; never one that has gone on meanwhile.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, final

from threadpool_mb.arguments import Deadline, check_seconds, describe
from threadpool_mb.events import StuckWorker
from threadpool_mb.logs import Logger
from threadpool_mb.threads.launching import new_thread
from threadpool_mb.threads.stacks import stack_of

__all__ = ["Busy", "Watch"]

_logger = Logger(__name__)

_LOOKS: Final = 4
"""How many looks there are in the time that it may last."""


class Busy(NamedTuple):
    """What a thread has in hand.

    Two of them are never compared with `==`: that would ask the keys, which are users' objects.
    """

    thread: int
    """The thread's ident."""
    key: Any
    incarnation: int
    mark: object
    """What is another one, by `==`, with each thing that comes into the thread's hand."""

    def is_same(self, other: "Busy") -> bool:
        """Return whether it is the same thing, in the same hand."""
        return (
            self.thread == other.thread
            and self.incarnation == other.incarnation
            and self.mark == other.mark
            and self.key is other.key
        )


class _Seen(NamedTuple):
    busy: Busy
    since: float
    told: StuckWorker[Any] | None


@final
class Watch:
    """Watches the threads of one pool. Threads: any may ask."""

    __slots__ = ("_after", "_busy", "_log_as", "_seen", "_stop", "_tell", "_thread")

    def __init__(
        self,
        log_as: str,
        after: float,
        busy: Callable[[], Iterable[Busy]],
        tell: Callable[[StuckWorker[Any]], object] | None,
    ) -> None:
        """Log and `tell` what is busy for longer than `after` seconds, of what `busy` returns.

        `log_as` is what the line begins with: "pool-1: the worker", say.

        Raises:
            ValueError: if `after` is no number of seconds above 0.
        """
        self._log_as: Final = log_as
        self._after: Final = check_seconds(after, "stuck_after", above=True)
        self._busy: Final = busy
        self._tell: Final = tell
        # What each thread had in hand at the last look; another dict each time.
        self._seen: dict[int, _Seen] = {}
        self._stop: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, name: str) -> None:
        """Look from now on, on a thread `{name}-watch`; where the system starts none, log that."""
        thread = new_thread(self._run, f"{name}-watch")
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            _logger.warning("%s is not watched: the system starts no thread: %s", name, error)
        else:
            self._thread = thread

    def stop(self) -> None:
        """Look no more; the thread ends. Blocks: never."""
        self._stop.put(None)

    def join(self, deadline: Deadline) -> bool:
        """Wait until its thread has ended; `False` if the deadline came first."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(deadline.remaining())
        return not thread.is_alive()

    def _run(self) -> None:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._stop.get(timeout=self._after / _LOOKS)
            try:
                self._look(time.monotonic())
            except BaseException:
                # A key's `repr`, an observer, no memory: the watch goes on.
                _logger.exception("%s: a look at what is stuck raised", self._log_as)

    def _look(self, now: float) -> None:
        seen: dict[int, _Seen] = {}
        stuck: list[StuckWorker[Any]] = []
        for busy in self._busy():
            before = self._seen.get(busy.thread)
            if before is None or not before.busy.is_same(busy):
                seen[busy.thread] = _Seen(busy, now, None)
                continue
            told = before.told
            if told is None and now - before.since >= self._after:
                told = self._find_out(before, now)
                stuck += [] if told is None else [told]
            seen[busy.thread] = _Seen(busy, before.since, told)
        # Before it is told: that may take its time.
        self._seen = seen
        for each in stuck:
            try:
                self._report(each)
            finally:
                if self._tell is not None:
                    self._tell(each)

    def _find_out(self, seen: _Seen, now: float) -> StuckWorker[Any] | None:
        """Return which worker is stuck, and where; `None` if it has gone on meanwhile."""
        busy = seen.busy
        stack = stack_of(busy.thread)
        if not any(each.is_same(busy) for each in self._busy()):
            return None
        name = _name_of(busy.thread)
        return StuckWorker(busy.key, busy.incarnation, now - seen.since, name, stack)

    def _report(self, stuck: StuckWorker[Any]) -> None:
        _logger.warning(
            "%s of key %s has been busy on one message for %.3g s, on the thread %s:\n%s",
            self._log_as,
            describe(stuck.key),
            stuck.seconds,
            stuck.thread,
            stuck.stack.rstrip("\n"),
        )

    def now(self) -> tuple[float, tuple[StuckWorker[Any], ...]]:
        """Return for how long a thread has had one thing in hand, at most, and what is stuck.

        As far as looks have shown: 0 if none has the same in hand as at the last one.

        Blocks: never.
        """
        now, seen = time.monotonic(), self._seen
        same = [
            before
            for busy in self._busy()
            if (before := seen.get(busy.thread)) is not None and before.busy.is_same(busy)
        ]
        oldest = max((now - each.since for each in same), default=0.0)
        stuck = [
            StuckWorker(told.key, told.incarnation, now - each.since, told.thread, told.stack)
            for each in same
            if (told := each.told) is not None
        ]
        return oldest, tuple(stuck)


def _name_of(ident: int) -> str:
    """Return the name of a thread; its ident, if it is none of `threading`'s."""
    for thread in threading.enumerate():
        if thread.ident == ident:
            return thread.name
    return str(ident)
