"""A bound on the tasks that wait: slots, which senders take and beginning tasks free.

**Guarantees.** Never more tasks wait than the limit, but for those whose time has come
(`submit_later`). Senders that wait get room in the order in which they came, but for one that comes
at the moment at which room is made. A task of the executor itself does not wait for ever: where all
of its threads wait, and no task can begin, it is told.

**How.** All slots in one queue would be one place that all threads come to for each task, twice. So
there are a few *stripes*: queues of slots that are free. A slot is freed into the stripe where the
thread that took it looks first: so it finds one there, most times. A thread that finds none waits
in the line of `line.slots`, as the sender of a message does. The race of the last look and a slot
that comes free:

1. The sender finds the stripes empty, and says that it waits.
2. It moves the slots of all stripes to the line, and waits there.
a. A thread that frees a slot puts it into a stripe.
b. It looks whether anybody waits. If so, it moves the slots of that stripe to the line.

(2) and (a) are operations on one queue. If (a) comes first, (2) moves the slot. If (2) does, so
does (1), and (b) sees it. `tests/model/test_room_model.py` runs through the interleavings.
"""

import queue
import threading
from collections.abc import Callable
from typing import Final, Protocol, final

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline
from threadpool_mb.errors import Full
from threadpool_mb.interrupts import after
from threadpool_mb.keyed.table import Table
from threadpool_mb.line.slots import Slots
from threadpool_mb.threads.here import here
from threadpool_mb.threads.pinned import PinnedThreads
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.waiting import parked

__all__ = ["Room", "Stripe"]

_STRIPES: Final = 7
"""A prime number: what is left of threads' numbers differs, though these are multiples of 4096."""

_PAUSE: Final = 0.05
"""Seconds until a task that waits looks whether anything can begin."""
_LOOKS: Final = 20
"""How often it finds that all threads wait, and some for something else, until it is told: one of
those may have what it waits for, and not know yet."""


type Stripe = queue.SimpleQueue[None]


class _Holder(Protocol):
    room: "Room | None"
    stripe: Stripe | None


@final
class Room:
    """What is left of a bound. Threads: internally synchronized."""

    __slots__ = ("_own", "_slots", "_stripes", "_table", "_waiting", "_waits", "limit")

    def __init__(self, table: Table, limit: int, *, waits: bool) -> None:
        """Have `limit` slots for the tasks of a table; `waits`: whether senders wait."""
        self._table: Final = table
        self.limit: Final = limit
        """The most tasks that wait."""
        self._waits: Final = waits
        self._slots: Final = Slots(limit, None)
        self._stripes: Final = tuple(queue.SimpleQueue[None]() for _ in range(_STRIPES))
        # The waits of threads, by objects of their own.
        self._waiting: Final[dict[object, None]] = {}
        # Those of them that are tasks of the executor.
        self._own: Final[dict[object, None]] = {}

    def take(self, holder: _Holder) -> None:
        """Take a slot for a task; `holder.room` says that it has it.

        Blocks: if senders wait, until there is one.

        Raises:
            Full: if there is none, and senders do not wait; or in a task of the executor, if none
                would ever come free.
            MailboxClosed: if it was closed.
        """
        stripes = self._stripes
        own = threading.get_ident() % _STRIPES
        stripe = holder.stripe = stripes[own]
        if stripe.qsize() and self._take_from(stripe.get_nowait, holder):
            return
        for number in range(1, _STRIPES):
            stripe = stripes[own - number]
            if stripe.qsize() and self._take_from(stripe.get_nowait, holder):
                return
        if not self._take_from(self._slots.take, holder):
            self._wait()
            holder.room = self

    def _take_from(self, take: Callable[[], None], holder: _Holder) -> bool:
        try:
            # No interrupt comes between the two; see `interrupts`.
            for _ in after(take):
                holder.room = self
        except queue.Empty:
            return False
        return True

    def take_at_once(self) -> Stripe:
        """Take a slot for a task that cannot wait; in debt, if need be.

        Returns:
            The stripe that it is to be put into.
        """
        self._slots.overdraw()
        return self._stripes[threading.get_ident() % _STRIPES]

    def freed(self, stripe: Stripe) -> None:
        """Take note that a slot was put into a stripe. Blocks: never."""
        if self._waiting or self._slots.askers:
            self._move(stripe)

    def shut(self) -> None:
        """Have those that wait, and those that come, find that it is closed."""
        self._slots.shut()

    def forked(self) -> None:
        """Wake the thread that has forked, if it waits; in a child of `os.fork`."""
        self._slots.forked()

    def _move(self, stripe: Stripe) -> None:
        try:
            while stripe.qsize():
                stripe.get_nowait()
                self._slots.give_back()
        except queue.Empty:
            pass

    def _wait(self) -> None:
        me = object()
        self._waiting[me] = None
        try:
            for stripe in self._stripes:
                self._move(stripe)
            if not self._wait_in_line(me):
                raise Full(f"{self._table.name} is full: {self.limit} tasks wait")
        finally:
            del self._waiting[me]

    def _wait_in_line(self, me: object) -> bool:
        slots, threads = self._slots, self._table.threads
        if not self._waits:
            return slots.wait(AT_ONCE)
        if here.serving is None or threading.current_thread() not in threads:
            return slots.wait(NEVER)
        if isinstance(threads, PinnedThreads):
            return slots.wait(AT_ONCE)
        self._own[me] = None
        looks = 0
        try:
            with parked(threads) as wait:
                while looks < _LOOKS:
                    if slots.wait(Deadline(_PAUSE)):
                        return True
                    wait.go_on()
                    looks = looks + 1 if self._is_stuck(threads) else 0
                    if looks and len(self._own) >= len(threads.all()):
                        break
        finally:
            del self._own[me]
        return slots.wait(AT_ONCE)

    def _is_stuck(self, threads: SharedThreads) -> bool:
        """Return whether all threads wait, and no task can begin.

        Each slot is a waiting task's, and none is in the hand of a sender, who would put a task.
        """
        table = self._table
        if table.delayed or not threads.stuck or table.not_begun < self.limit:
            return False
        # Both once more: a task may have been on its way from one to the other.
        return not table.delayed and threads.stuck
