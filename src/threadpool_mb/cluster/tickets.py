"""What a node knows of each message that it was given: whether it was handled, or never will be.

Each message goes to the node's pool in an envelope, with a ticket. The pool tells an observer when
the worker is done with a message, and a ticket when its message becomes a dead letter.

**Guarantees.** A message counts as done only after its worker is done with it: at the next `yield`,
or `receive`, or the worker's end. One that a node has not told as done before it is lost was not
handled, or was, and the node could not say so any more.

The race of a thread that is done with a message and the thread that gathers what is done:

1. The worker's thread puts the index into the batch's `done`.
2. It reads `touched`; if that is false, it sets it and puts the batch among the `Touched`.
a. The gatherer takes the batch out, and sets `touched` to false.
b. It reads how long `done` is.

If (2) reads true, (a) comes after (2), and so (b) after (1): the gatherer sees the index.

**Assumes.** `append` and `popleft` are atomic (`tests/test_assumptions.py`).
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, final, override

from threadpool_mb.dead_letters import DeadLetterReason, Informed
from threadpool_mb.guarding import OwnObserver

__all__ = [
    "NodeBatch",
    "NodeObserver",
    "RetryingObserver",
    "Ticket",
    "Tray",
    "taken",
]


@final
class NodeBatch:
    """A batch of messages, at its node."""

    __slots__ = ("done", "number", "size", "told", "touched")

    def __init__(self, number: int, size: int) -> None:
        """Count from nothing."""
        self.number: Final = number
        self.size: Final = size
        self.done: Final[list[int]] = []
        """The indices of messages that were handled, or are dead, in that order."""
        self.told: int = 0
        """How many of them the client was told. For the thread that gathers."""
        self.touched: bool = False
        """Whether the batch is among those that have something to tell."""

    @property
    def untold(self) -> int:
        """How many are done and were not told."""
        return len(self.done) - self.told

    def gather(self) -> tuple[int, list[int] | None]:
        """Return its number and what is new; `None` once all is done."""
        self.touched = False
        so_far = len(self.done)
        new = self.done[self.told : so_far]
        self.told = so_far
        return self.number, None if so_far >= self.size else new


@final
class Tray:
    """Where what a node has to tell is put. Threads: any may put, one gathers."""

    __slots__ = ("_told", "_took", "dead", "exits", "on_news", "replies", "starts", "touched")

    def __init__(self, on_news: Callable[[], object]) -> None:
        """Call `on_news()` after each thing that is put here."""
        self.on_news: Final = on_news
        self.touched: Final[deque[NodeBatch]] = deque()
        self.dead: Final[deque[tuple[int, int, str]]] = deque()
        self.replies: Final[deque[tuple[int, bool, Any]]] = deque()
        self.starts: Final[deque[tuple[bytes, int]]] = deque()
        self.exits: Final[deque[bytes]] = deque()
        # How many messages came, written by the feeder; and were told as done, by what gathers.
        self._took = self._told = 0

    def batch(self, number: int, size: int) -> NodeBatch:
        """Return a batch that has come. For the feeder."""
        self._took += size
        return NodeBatch(number, size)

    @property
    def is_worth_it(self) -> bool:
        """Whether half of what the client waits for is done; so it is if nothing is left to do.

        For the thread that gathers. What is done meanwhile may count or not, or twice.
        """
        touched = self.touched
        untold = 0
        # Taken out and put back, not copied: on 3.13t a copy raises where another thread puts one.
        for _ in range(len(touched)):
            batch = touched.popleft()
            untold += batch.untold
            touched.append(batch)
        return 2 * untold >= self._took - self._told

    @property
    def empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.touched or self.replies or self.starts or self.exits)

    @property
    def empty_of_haste(self) -> bool:
        """Whether there is nothing for which somebody may wait."""
        return not (self.replies or self.dead)

    def gather(self) -> list[tuple[int, list[int] | None]]:
        """Return what was done. The dead are to be taken after that: each was there before."""
        gathered: list[tuple[int, list[int] | None]] = []
        for each in taken(self.touched):  # one may be there twice
            before = each.told
            gathered.append(each.gather())
            self._told += each.told - before
        return gathered


def taken[T](things: "deque[T]") -> list[T]:
    """Take out what is there now. For one thread; others may put more in."""
    return [things.popleft() for _ in range(len(things))]


@final
class Ticket(Informed):
    """One message at its node."""

    __slots__ = ("_batch", "_index", "_tray")

    def __init__(self, batch: NodeBatch, index: int, tray: Tray) -> None:
        """Of the message at `index` of the batch."""
        self._batch: Final = batch
        self._index: Final = index
        self._tray: Final = tray

    def done(self) -> None:
        """Take note that the message was handled."""
        batch, tray = self._batch, self._tray
        batch.done.append(self._index)
        if not batch.touched:
            batch.touched = True
            tray.touched.append(batch)
            tray.on_news()

    def dead(self, reason: str) -> None:
        """Take note that it will not be."""
        self._tray.dead.append((self._batch.number, self._index, reason))
        self.done()

    @override
    def _not_handled(
        self,
        key: object,
        reason: str,
        *,
        started: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Take note that no worker will handle the message; see `Informed`."""
        self.dead(reason)
        _here.informed = True


_here: Final = threading.local()
"""`informed`: whether a ticket was told on this thread, and the hook was not called since."""


class NodeObserver(OwnObserver):
    """Is told by a node's pool of each message that is done, and of workers that begin."""

    __slots__ = ("_started",)

    def __init__(self, started: Callable[[Any, int], object] | None = None) -> None:
        """Hand on what is told of workers that begin."""
        self._started: Final = started

    @override
    def started(self, key: Any, incarnation: int, /) -> None:
        """Hand it on."""
        if self._started is not None:
            self._started(key, incarnation)

    @override
    def sent(self, key: Any, message: Any, /) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Do nothing: the node puts messages into envelopes, with their tickets. But there are."""

    @override
    def begun(self, key: Any, message: Any, sent: Any, /) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keep the ticket until the message is done."""
        return sent

    @override
    def done(self, key: Any, message: Any, begun: Any, error: BaseException | None, /) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take note that a message was handled."""
        begun.done()

    def dead(self, key: object, reason: DeadLetterReason) -> None:
        """Take note of a dead letter, on its thread: it has told its ticket."""


@final
class RetryingObserver(NodeObserver):
    """The same, where a message whose worker has failed is not done.

    Another worker gets it, or it becomes a dead letter: at once, or on another thread, if the key
    is removed before it begins anew.
    """

    __slots__ = ("_in_hand",)

    def __init__(self, started: Callable[[Any, int], object] | None = None) -> None:
        """Hand on what is told of workers that begin."""
        super().__init__(started)
        # The ticket of the message that a key's worker has left. `pop` is atomic.
        self._in_hand: Final[dict[Any, Ticket]] = {}

    @override
    def begun(self, key: Any, message: Any, sent: Any, /) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keep the ticket until the message is done."""
        self._in_hand.pop(key, None)
        return sent

    @override
    def done(self, key: Any, message: Any, begun: Any, error: BaseException | None, /) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take note that a message was handled, or is to be tried again."""
        if error is None:
            begun.done()
        else:
            self._in_hand[key] = begun

    @override
    def dead(self, key: object, reason: DeadLetterReason) -> None:
        """Take note of a dead letter.

        Most have told their tickets. One that was to be tried again, and will not be, has not.
        """
        if getattr(_here, "informed", False):
            _here.informed = False
            return
        ticket = self._in_hand.pop(key, None)
        if ticket is not None:
            ticket.dead(reason)
