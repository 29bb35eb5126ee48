"""The store of a `Prioritized` mailbox: the lowest priority first, and within one what came first.

A sender does nothing but put its message, with its priority, into the queue. The receiver sorts,
under a lock that no sender takes: before it takes a message, it moves what has come into a heap,
and takes the lowest out.

**Guarantees.** A message that was put before the receiver looks is given out in its order. What is
in the heap counts as being in the queue, exactly. Priorities are compared in C.

**Waiting.** A receiver parks in the queue only if it has found queue and heap empty, under the
lock. What it is handed there goes into the heap like all else, before anything that is in the
queue: it came first.

**Sweeping.** A thread that sweeps a mailbox under its receiver has a heap of its own:

1. The receiver, parked, is handed a message. It does not hold the lock yet.
2. The thread that sweeps moves what came after that into its heap, and takes it out one by one.
3. The receiver sorts in what it was handed, and takes the lowest.

With one heap for both, (3) would take a message of (2) before the one that came first. So the
thread that sweeps takes over the receiver's heap as it is, and what it moves there stays there.
What the receiver moves after that came later than all that it was given. At its end that thread
puts the end's marker back, which wakes the receiver.

**Markers.** One is due when nothing is left that came before it, though messages overtake each
other. For that, each entry gets a number as it is moved; with a marker goes how many are left that
have lower ones. So a flush is not opened too early, and does not wait for what came after it. The
marker of the end comes after all that was put before it, too.

**Interrupts.** Each step that takes something is one with the step that puts it where it goes; what
was taken last is put back.
"""

import collections
import functools
import heapq
import itertools
import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final, final, override

from threadpool_mb.arguments import describe
from threadpool_mb.forking import remake
from threadpool_mb.interrupts import after
from threadpool_mb.line.inlet import Marker
from threadpool_mb.line.stores import (
    NOTHING,
    Ranked,
    Store,
    Stored,
    get_from,
    put_into,
    qsize_of,
)

__all__ = ["PriorityStore"]

type _Entry = tuple[float, Any]
"""A priority, and a message or a marker."""

type _Sorted = tuple[float, int, Any]
"""A message behind its priority and its number."""

_AT_ONCE: Final = False


@final
class _Waiting:
    """Messages in their order, and markers; under the store's lock."""

    __slots__ = ("heap", "markers")

    def __init__(self) -> None:
        """Have none."""
        # No two numbers are the same, so that messages are not compared.
        self.heap: Final[list[_Sorted]] = []
        # For each marker its number, and how many messages are left that came before it; -1 until
        # they are counted.
        self.markers: Final[collections.deque[list[int]]] = collections.deque()

    def come_past(self, number: int) -> None:
        """Take note, for the markers behind it, that a message was taken."""
        for marker in self.markers:
            if number < marker[0]:
                marker[1] -= 1

    def size(self) -> int:
        """Return how many messages and markers there are."""
        return len(self.heap) + len(self.markers)

    def taking(self) -> Iterable[list[int] | _Sorted]:
        """Return an iterator of C that takes what is next, and gives it."""
        markers, heap = self.markers, self.heap
        if markers and (not markers[0][1] or not heap):
            return after(markers.popleft)
        pop: Callable[[list[_Sorted]], _Sorted] = heapq.heappop
        return after(pop, heap) if heap else ()


@final
class PriorityStore(Store):
    """Holds messages in the order of their priorities. Threads: internally synchronized."""

    __slots__ = (
        "_handed",
        "_lock",
        "_number",
        "_priority",
        "_swept",
        "_waiting",
        "caught",
        "prepare",
    )

    marker: ClassVar[object] = (0, Marker)

    # Said again for `pyright --verifytypes`.
    caught: bool
    prepare: Callable[[Any], Any] | None

    def __init__(self, priority: Callable[[Any], float], *, caught: bool = False) -> None:
        """Sort by what `priority` returns; `caught` is for a `CatchAll` around it."""
        self.caught = caught
        self.prepare = functools.partial(_ranked, priority)
        self._priority: Final = priority
        # Guards what follows, and taking out of the queue, but for the wait. No sender takes it, no
        # thread waits under it, and no user's code runs. Reentrant: a finalizer may receive.
        self._lock: Final = threading.RLock()
        # What a receiver was handed after it had waited; it came before all that is in the queue.
        self._handed: Final[collections.deque[_Entry]] = collections.deque()
        self._number = 0
        # What the receiver is to take, and what threads that sweep have taken over.
        self._waiting = _Waiting()
        self._swept: _Waiting | None = None

    @override
    def put(self, message: Any, into: Stored[Any]) -> None:
        if type(message) is Ranked:
            put_into(into, (message.priority, message.message))
        elif message is Marker:
            put_into(into, self.marker)
        else:
            put_into(into, (_comparable(self._priority(message)), message))

    @override
    def qsize(self, of: Stored[Any]) -> int:
        with self._lock:
            swept = 0 if self._swept is None else self._swept.size()
            return len(self._handed) + qsize_of(of) + self._waiting.size() + swept

    @override
    def get(self, out_of: Stored[Any], block: bool, timeout: float | None) -> Any:
        while (message := self._next(out_of)) is NOTHING:
            if not block:
                raise queue.Empty
            # No interrupt comes between taking it and keeping it; see `interrupts`.
            for entry in after(get_from, out_of, True, timeout):  # noqa: FBT003 - to wait
                self._handed.append(entry)
        return message

    @override
    def get_prepared(self, out_of: Stored[Any]) -> Any:
        message = self._next(out_of, prepared=True)
        if message is NOTHING:
            raise queue.Empty
        return message

    def _next(self, out_of: Stored[Any], *, prepared: bool = False) -> Any:  # noqa: ANN401
        """Return what is next, as `prepare` has returned it or not; `NOTHING` if there is nothing.

        After an interrupt in here, all is there that was there before.
        """
        taken: list[int] | _Sorted | None = None
        waiting = self._waiting
        try:
            with self._lock:
                waiting = self._to_sweep() if prepared else self._waiting
                self._sort_in(waiting, out_of)
                for taken in waiting.taking():  # noqa: B007 - see `interrupts`
                    pass
                if taken is None:
                    return NOTHING
                if isinstance(taken, list):
                    return Marker
                waiting.come_past(taken[1])
                return Ranked(taken[2], taken[0]) if prepared else taken[2]
        except IndexError:
            return NOTHING  # a finalizer has taken it
        except BaseException:
            self._put_back(taken, waiting, out_of)
            raise

    def _to_sweep(self) -> "_Waiting":
        """Return what to sweep: what was taken over before, or what the receiver has; locked."""
        swept = self._swept or _Waiting()
        if not swept.size():
            # No interrupt comes between the two.
            self._swept, self._waiting = self._waiting, swept
            return self._swept
        return swept

    def _put_back(
        self, taken: list[int] | _Sorted | None, waiting: "_Waiting", into: Stored[Any]
    ) -> None:
        """Have again what was taken. A marker may come later then."""
        if isinstance(taken, list):
            put_into(into, (0, Marker))
        elif taken is not None:
            with self._lock:
                heapq.heappush(waiting.heap, taken)
                # It may have been counted out for some of them.
                for marker in waiting.markers:
                    marker[1] = -1

    def _sort_in(self, waiting: "_Waiting", out_of: Stored[Any]) -> None:
        """Put what has come where it belongs; under the lock."""
        handed = self._handed
        while handed:
            self._sort(waiting, after(handed.popleft))
        if came := qsize_of(out_of):
            self._sort(
                waiting, map(get_from, itertools.repeat(out_of, came), itertools.repeat(_AT_ONCE))
            )
        for marker in waiting.markers:
            if marker[1] < 0:
                marker[1] = sum(number < marker[0] for _, number, _ in waiting.heap)

    def _sort(self, waiting: "_Waiting", entries: Iterator[_Entry]) -> None:
        markers, heap, push = waiting.markers, waiting.heap, heapq.heappush
        try:
            # No interrupt comes between taking one and the first call; see `interrupts`.
            for priority, message in entries:
                self._number = number = self._number + 1
                if message is Marker:
                    markers.append([number, -1])
                else:
                    push(heap, (priority, number, message))
        except (queue.Empty, IndexError):
            pass  # a finalizer has taken the rest

    @override
    def forked(self) -> None:
        remake(self._lock)


def _ranked(priority: Callable[[Any], object], message: object) -> Ranked:
    """Return a message with its priority.

    Raises:
        TypeError: if that is no number.
        ValueError: if it is NaN.
        Exception: what `priority` raises.
    """
    return Ranked(message, _comparable(priority(message)))


def _comparable(priority: object) -> float:
    """Return a priority as one of the two types that compare with each other in C.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is NaN, which is neither less nor greater than any.
    """
    if type(priority) is int:
        return priority
    if isinstance(priority, float):
        if math.isnan(priority):
            raise ValueError(f"priority must return a number that can be compared, not {priority}")
        return float.__float__(priority)
    if isinstance(priority, int):
        return int.__int__(priority)  # of a user's type, which may compare in its own way
    raise TypeError(f"priority must return an int or a float, not {describe(priority)}")
