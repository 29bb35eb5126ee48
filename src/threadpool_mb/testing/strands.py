"""The threads of a world: the test's, and those that a turn runs on while another one waits.

One of them runs at a time: it has the baton. The test's thread chooses what comes next, and takes
the turns itself. A worker that waits (for the answer to a call, for room) keeps the frames of the
thread that it waits on. Where that is the test's, the turns that come meanwhile run on *carriers*.
A carrier hands the baton back when its turn is over, or waits as well. So a thread that has what it
waits for can go on first, as on a pool's own threads.

**Guarantees.** A thread that does not have the baton runs no code of a user's.
"""

import functools
import math
import queue
from collections.abc import Callable
from typing import Any, Final, Protocol, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.here import Holder, Home, Source, here
from threadpool_mb.threads.launching import new_thread
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import Turn

__all__ = ["Abandoned", "Carrier", "Carriers", "Strand", "Stuck", "Waiting", "World"]

_LOOKS: Final = 20
"""How often a thread that waits looks around in a row, where nothing was done in between."""


class Abandoned(BaseException):
    """Raised in a worker's wait that is given up, as nothing would end it."""


@final
class Waiting:
    """A thread's wait for what comes next in a queue."""

    __slots__ = ("_deadline", "_items", "_looks", "ends_at")

    def __init__(
        self, items: Source[Any], timeout: float | None, deadline: Deadline, now: float
    ) -> None:
        """Wait for `items` for so long; the wait as a whole is over at the deadline."""
        left = deadline.remaining()
        self._items: Final = items
        self._deadline: Final = deadline
        self._looks: Final = timeout is not None and (left is None or timeout < left)
        end = left if self._looks else timeout
        self.ends_at: Final = math.inf if end is None else now + end
        """When it has waited for long enough."""

    @property
    def looks(self) -> bool:
        """Whether it wakes before its end, only to look whether it can ever be over."""
        return self._looks

    def ready(self) -> bool:
        """Return whether there is something."""
        return self._items.qsize() > 0

    @property
    def left(self) -> float | None:
        """The seconds until the deadline."""
        return self._deadline.remaining()


class Stuck(RuntimeError):
    """Nothing is left to do in a `SeededPool`, and what the test or a worker waits for never comes.

    Or it has not come after very many steps.
    """


class World(Protocol):
    """What a strand knows of its world."""

    @property
    def over(self) -> bool:
        """Whether all its pools have ended."""
        ...

    def now(self) -> float:
        """Return the time."""
        ...

    def nothing_now(self) -> bool:
        """Return whether nothing is left to do but to wait."""
        ...


@final
class Strand:
    """A thread, as code that would park it sees it: in its place the world goes on.

    A `Serving`. Threads: the thread itself.
    """

    __slots__ = ("_looked", "_park", "_seen", "number", "progress", "threads", "turn", "world")

    def __init__(self, world: World, park: Callable[[Waiting], None]) -> None:
        """Be of `world`, where `park` goes on until a wait of this thread is over."""
        self.world: Final = world
        self._park: Final = park
        self.turn: Turn | None = None
        """The turn that runs here."""
        self.threads: SharedThreads | None = None
        """Whose turn it is."""
        self.number: int = 0
        """Its number."""
        self._looked = 0
        self._seen = 0
        self.progress: object = None
        """See `Serving`."""

    def run(self, threads: SharedThreads, turn: Turn, number: int) -> None:
        """Take a turn."""
        before = self.threads, self.turn, self.number
        self.threads, self.turn, self.number = threads, turn, number
        if threads.pinned:
            threads._only = self  # type: ignore[assignment]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        try:
            done = turn.turn()  # before the count is read: turns may run inside of it
            # As `SharedThreads` counts them.
            threads._handled += done  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        finally:
            self.threads, self.turn, self.number = before
            if threads.pinned:
                threads._only = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def may_look(self, steps: int) -> bool:
        """Return whether it may look around: not if it has, often, and nothing was done since."""
        if steps != self._seen:
            self._seen = steps
            self._looked = 0
        self._looked += 1
        return self._looked <= _LOOKS

    def source[T](self, items: Source[T], deadline: Deadline, /) -> Source[T]:
        """Return what takes others' turns while this thread waits."""
        return items if self.world.over else _Source(self.world, items, deadline, self._park)

    @property
    def holder(self) -> Holder | None:
        """The worker that has the turn."""
        return getattr(self.turn, "holder", None)

    @property
    def home(self) -> Home | None:
        """The thread itself, if workers are pinned to it."""
        return None if self.threads is None else self.threads.home

    wait: int = 0
    starved: bool = False

    def blocked(self, upon: object = None, /) -> None:
        """Do nothing: the wait comes to `source`."""

    def still_blocked(self) -> None:
        """Do nothing."""

    def unblocked(self, upon: object = None, /) -> None:
        """Do nothing."""

    def goes_on(self, wait: int, /) -> None:
        """Do nothing."""


@final
class _Source[T]:
    """What a thread waits at in the place of a queue."""

    __slots__ = ("_deadline", "_items", "_park", "_world")

    def __init__(
        self, world: World, items: Source[T], deadline: Deadline, park: Callable[[Waiting], None]
    ) -> None:
        self._world: Final = world
        self._items: Final = items
        self._deadline: Final = deadline
        self._park: Final = park

    def qsize(self) -> int:
        return self._items.qsize()

    def get(self, block: bool = True, timeout: float | None = None) -> T:  # noqa: FBT001, FBT002 - as there
        items = self._items
        if block and not items.qsize():
            self._park(Waiting(items, timeout, self._deadline, self._world.now()))
        return items.get(block=False)


@final
class Carrier:
    """A thread that takes a turn, and hands the baton back.

    Threads: the test's; what a wait calls, on the carrier's own.
    """

    __slots__ = ("_back", "_orders", "_thread", "strand", "waiting")

    def __init__(self, world: World, name: str) -> None:
        """Start the thread."""
        self.strand: Final = Strand(world, self._park)
        self.waiting: Waiting | None = None
        """What its turn waits for; `None` if it has none, or runs."""
        self._orders: Final[queue.SimpleQueue[Callable[[], object] | None]] = queue.SimpleQueue()
        # The baton, on its way back.
        self._back: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self._thread: Final = new_thread(self._run, name)
        self._thread.start()

    def _run(self) -> None:
        here.serving = self.strand
        while (order := self._orders.get()) is not None:
            try:
                order()
            finally:
                del order
                self._back.put(None)

    def run(self, order: Callable[[], object]) -> None:
        """Give it the baton, and get it back."""
        self._orders.put(order)
        self._back.get()

    def _park(self, waiting: Waiting) -> None:
        """Hand the baton back until the wait is to go on; on the carrier's thread.

        Raises:
            Abandoned: if it is given up.
        """
        self.waiting = waiting
        self._back.put(None)
        order = self._orders.get()
        self.waiting = None
        if order is not None:  # pragma: no branch - a thread that is to end has no turn
            order()

    def go_on(self) -> None:
        """Give it the baton in the midst of a wait, and get it back."""
        self.run(_nothing)

    def abandon(self) -> None:
        """Give up its wait, and get the baton back."""
        self.run(_abandon)

    def end(self) -> None:
        """Join the thread, which has no turn."""
        self._orders.put(None)
        self._thread.join()


@final
class Carriers:
    """The carriers of a world. Threads: the test's."""

    __slots__ = ("_free", "_world", "count", "parked")

    def __init__(self, world: World) -> None:
        """Have none."""
        self._world: Final = world
        # Those that have no turn.
        self._free: Final[list[Carrier]] = []
        self.parked: Final[list[Carrier]] = []
        """Those whose turns wait."""
        self.count: int = 0
        """How many there are."""

    def take(self, threads: SharedThreads, turn: Turn, number: int) -> None:
        """Take a turn, until it is over or waits."""
        if not self._free:
            self.count += 1
            self._free.append(Carrier(self._world, f"seeded-carrier-{self.count}"))
        carrier = self._free.pop()
        carrier.run(functools.partial(carrier.strand.run, threads, turn, number))
        self._put_away(carrier)

    def go_on(self, carrier: Carrier) -> None:
        """Let a turn go on that waits, until it is over or waits again."""
        self.parked.remove(carrier)
        carrier.go_on()
        self._put_away(carrier)

    def _put_away(self, carrier: Carrier) -> None:
        (self._free if carrier.waiting is None else self.parked).append(carrier)

    def abandon(self) -> None:
        """Give up all waits."""
        while self.parked:
            carrier = self.parked.pop()
            carrier.abandon()
            self._put_away(carrier)

    def end(self) -> None:
        """Give up all waits, and end the threads."""
        self.abandon()
        while self._free:
            self._free.pop().end()
            self.count -= 1


def _nothing() -> None:
    """Go on."""


def _abandon() -> None:
    raise Abandoned("nothing would ever end this wait")
