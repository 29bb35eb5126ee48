"""A pool that a world drives, in the place of its threads.

Its shared threads are never started: what is scheduled stays in their queue. Nor is the
dispatcher's thread: its orders stay in its inbox, and joining it has the world go on.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, final, override

from threadpool_mb.pool.reports import what_is_left
from threadpool_mb.testing.order import Order, Step, What
from threadpool_mb.testing.strands import Strand
from threadpool_mb.testing.traced import traced
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.here import here
from threadpool_mb.threads.pinned import PinnedThreads
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import ReadyTurns, Turn
from threadpool_mb.values import MISSING

__all__ = ["Driven", "StandIn", "ready_of", "take"]


class _World(Protocol):
    interrupt: KeyboardInterrupt | None

    @property
    def order(self) -> Order: ...
    def now(self) -> float: ...
    def run_until(self, done: Callable[[], bool], timeout: float | None, /) -> object: ...
    def choose_entry(self, due: list[Entry], /) -> Entry: ...


class _Threads(SharedThreads):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """Shared threads that are none; a world takes their turns."""

    __slots__ = ()

    @property
    @override
    def stuck(self) -> bool:
        strand = here.serving
        return isinstance(strand, Strand) and strand.world.nothing_now()


@final
class StandIn(threading.Thread):
    """In the place of a dispatcher's thread; it is never started."""

    def __init__(self, driven: "Driven") -> None:
        super().__init__(name=f"{driven.dispatcher.name}-dispatcher")
        self._driven: Final = driven

    @override
    def is_alive(self) -> bool:
        return not self._driven.over

    @override
    def join(self, timeout: float | None = None) -> None:
        driven = self._driven
        driven.world.run_until(lambda: driven.over, timeout)


@final
class Driven:
    """A pool that a world drives."""

    __slots__ = ("commons", "dispatcher", "over", "threads", "throughput", "world")

    def __init__(self, world: "_World", dispatcher: Any) -> None:  # noqa: ANN401 - its insides are used here
        self.world: Final = world
        self.dispatcher: Final = dispatcher
        self.over: bool = False
        """Whether it has ended, or was dropped."""
        kind = dispatcher._kind  # noqa: SLF001 - see above
        threads = kind.threads
        self.threads: Final[list[SharedThreads]] = (
            list(threads.homes) if isinstance(threads, PinnedThreads) else [threads]
        )
        for each in self.threads:
            each.__class__ = _Threads
            each._count_no_more()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            each.any = True
        self.commons: Final[list[Any]] = [kind._common, *getattr(kind, "_at", {}).values()]  # noqa: SLF001 - see above
        self.throughput: Final[int] = kind._common.throughput  # noqa: SLF001 - see above
        for common in self.commons:
            common.worker = traced(common.worker, self._record)
            common.begin = None  # it is no generator function any more, but makes one
        dispatcher.timers._wake = _nothing  # noqa: SLF001 - see above
        if dispatcher._flow is not None:  # noqa: SLF001 - see above
            dispatcher._flow.now = world.now  # noqa: SLF001 - see above
        if dispatcher.keeping is not None:
            # Looking at workers takes no time.
            dispatcher.keeping.thread_time = world.now

    def _record(
        self,
        key: object,
        what: What,
        /,
        message: object = MISSING,
        text: str = "",
        error: BaseException | None = None,
    ) -> None:
        strand = here.serving
        number = strand.number if isinstance(strand, Strand) else 0
        world = self.world
        name = self.dispatcher.name
        if isinstance(error, KeyboardInterrupt) and here.is_main:
            world.interrupt = error
        world.order.add(Step(number, world.now(), name, key, what, message, text))

    @property
    def orders(self) -> int:
        """How many orders wait for the dispatcher."""
        return 0 if self.over else self.dispatcher._inbox.qsize()  # noqa: SLF001 - see above

    def carry_out(self) -> None:
        """Do the dispatcher's next order."""
        if not self.dispatcher.carry_out(self.dispatcher._inbox.get_nowait()):  # noqa: SLF001 - see above
            self.dispatcher._end()  # noqa: SLF001 - see above
            self.over = True

    @property
    def next_time(self) -> float:
        """When a timer is due."""
        return math.inf if self.over else self.dispatcher.timers.next_time()

    def fire(self) -> None:
        """Fire one of the timers that are due first."""
        self.dispatcher.timers.fire_one(self.world.choose_entry)

    def what_is_left(self) -> str:
        """Return what keeps it from its end, as a text."""
        left = what_is_left(self.dispatcher._unfinished())  # noqa: SLF001 - see above
        state = "" if self.dispatcher.roster.closed else "is open, "
        return f"pool {self.dispatcher.name!r} {state}{left}"


def take(threads: SharedThreads, count: int) -> list[Turn]:
    """Take so many turns out of the queue of some threads."""
    ready = ready_of(threads)
    taken: list[Turn] = []
    for _ in range(count):
        turn = ready.take(crowded=False) if ready.moved else None
        if turn is None and ready.qsize():
            turn = ready.get(False)
        if turn is not None:  # `None` says that there will be no more
            taken.append(turn)
    return taken


def ready_of(threads: SharedThreads) -> ReadyTurns:
    """Return the turns that wait for some threads."""
    return threads._ready  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _nothing() -> None:
    """Stand in the place of what would wake a thread."""
