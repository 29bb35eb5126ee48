"""Queues with a store: of kinds that do not give every message out in the order in which it came.

A queue of a mailbox, or a lane, that has a store is put into, taken from and counted as every other
queue is; what it holds, and what comes next, the store knows. So the arguments of `line.inlet`,
`line.lane` and `line.flushing` hold for it as they are.

**Guarantees.** Those of a queue: no message is lost, and no marker. A marker comes after all that
was put before it. Which message comes next, and which is dropped, each store says.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import Any, ClassVar, Final, final, override

from threadpool_mb.forking import in_children

__all__ = [
    "NOTHING",
    "Ranked",
    "Store",
    "Stored",
    "StoredQueue",
    "displaced_here",
    "displaced_later",
    "get_from",
    "put_into",
    "qsize_of",
    "unranked",
]

# The methods of a queue whose own are those of `Stored`.
_simple_queue: Any = queue.SimpleQueue
put_into: Final[Callable[..., None]] = _simple_queue.put
get_from: Final[Callable[..., Any]] = _simple_queue.get
qsize_of: Final[Callable[..., int]] = _simple_queue.qsize


class NOTHING:
    """In the place of a message where there is none; the class itself, as for `Marker`."""


@final
class Ranked:
    """A message whose priority is known; within the library, in the place of the message."""

    __slots__ = ("message", "priority")

    def __init__(self, message: object, priority: float) -> None:
        """Have the message wait as one of this priority."""
        self.message: Final[Any] = message
        self.priority: Final = priority


_later: dict[int, list[tuple["Stored[Any]", Any]]] = {}
"""What threads have displaced that hold a lock, by their idents; see `displaced_later`."""


@in_children
def _forget_other_threads() -> None:
    """They are not there, and a new thread may get the ident of one of them."""
    global _later  # noqa: PLW0603 - of the process
    _later = {}


@contextlib.contextmanager
def displaced_later() -> Generator[None]:
    """Have what this thread displaces told of at the end: before that, it holds a lock.

    Dead letters have hooks. In `with displaced_later(), lock:` they are told of with no lock held.
    """
    me = threading.get_ident()
    if me in _later:
        yield  # within another one, at whose end it is told
        return
    displaced = _later[me] = []
    try:
        yield
    finally:
        _later.pop(me, None)  # it is not there in a child that was forked meanwhile
        with contextlib.ExitStack() as told:  # each, whatever the one before it raises
            for into, message in reversed(displaced):
                told.callback(into.displaced, message)


def displaced_here() -> list[tuple["Stored[Any]", Any]] | None:
    """Return where to put what this thread displaces, behind its queue; `None`: tell of it now.

    A thread asks before it takes a message out: an interrupt in here would lose that.
    """
    return _later.get(threading.get_ident()) if _later else None


def unranked[M](message: M) -> M:
    """Return the message itself, of one whose priority is known, too."""
    if isinstance(message, Ranked):
        unwrapped: M = message.message
        return unwrapped
    return message


class Store:
    """Where the messages of a queue wait; of whatever type they are."""

    __slots__ = ()

    caught: bool = False
    """Whether a message is refused, and this is logged, where `prepare` raises."""
    prepare: Callable[[Any], Any] | None = None
    """Returns what is to be put in the place of a message, before room is looked for.

    It may raise: then nothing was taken. `None`: the message itself is put.
    """

    marker: ClassVar[object]
    """What is a marker in the queue."""

    def put(self, message: Any, into: "Stored[Any]") -> None:  # noqa: ANN401 - see above
        """Put a message, or a marker; call `displaced` with what it displaces."""
        raise NotImplementedError

    def get(self, out_of: "Stored[Any]", block: bool, timeout: float | None) -> Any:  # noqa: ANN401, FBT001
        """Take what is next, a message or a marker, as the queue's `get` does."""
        raise NotImplementedError

    def get_prepared(self, out_of: "Stored[Any]") -> Any:  # noqa: ANN401
        """Do the same at once; a message comes as `prepare` has returned it."""
        return self.get(out_of, False, None)

    def qsize(self, of: "Stored[Any]") -> int:
        """Return how many messages and markers wait."""
        return qsize_of(of)

    def forked(self) -> None:
        """Do not stay locked, in a child of `os.fork`."""
        raise NotImplementedError


class Stored[M]:
    """A queue with a store; a base class beside `SimpleQueue`, or a subclass of that."""

    __slots__ = ()

    store: Store

    def displaced(self, message: M) -> None:
        """Make a dead letter of a message that a newer one has displaced."""
        raise NotImplementedError

    def put(self, item: M, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002, ARG002 - as in the original
        """Put a message, or a marker. Blocks: never."""
        self.store.put(item, self)

    def get(self, block: bool = True, timeout: float | None = None) -> M:  # noqa: FBT001, FBT002 - as in the original
        """Take what is next: a message, or a marker."""
        item: M = self.store.get(self, block, timeout)
        return item

    def get_nowait(self) -> M:
        """Take what is next, if there is anything."""
        return self.get(False)

    def get_prepared(self) -> M:
        """Do the same; a message comes as `Store.prepare` has returned it."""
        item: M = self.store.get_prepared(self)
        return item

    def qsize(self) -> int:
        """Return how many messages and markers wait."""
        return self.store.qsize(self)


class StoredQueue[M](Stored[M], queue.SimpleQueue[M]):
    """The queue of a mailbox whose messages are in a store."""

    __slots__ = ("_displaced", "store")

    store: Store  # said again for `pyright --verifytypes`, as it is set here

    def __init__(self, store: Store, displaced: Callable[[M], object]) -> None:
        """Have messages in `store`; call `displaced` with those that it has displaced."""
        super().__init__()
        self.store = store
        self._displaced: Final = displaced

    @override
    def displaced(self, message: M) -> None:
        self._displaced(message)
