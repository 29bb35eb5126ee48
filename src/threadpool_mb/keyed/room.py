"""A bound on the tasks that wait: slots, which senders take and beginning tasks free.

**Guarantees.** Never more tasks wait than the limit, but for those whose time has come
(`submit_later`). Senders that wait get room in the order in which they came, but for one that comes
at the moment at which room is made. A task of the executor itself does not wait for ever: where
none of its threads goes on, and no task can begin, it is told.

**How.** The slots are those of `line.striped`, a stripe for some shards: a task's slot comes from
its shard's stripe, and is freed there. `keyed.flow` takes and frees it, without a frame of its own;
here is what is done where a stripe is empty.
"""

import queue
import threading
from collections.abc import Callable
from typing import Final, Protocol, final

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline
from threadpool_mb.errors import Full
from threadpool_mb.interrupts import after
from threadpool_mb.keyed.table import Table
from threadpool_mb.line.striped import Stripe, StripedSlots
from threadpool_mb.threads.here import here
from threadpool_mb.threads.pinned import PinnedThreads
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.waiting import parked

__all__ = ["Room"]

_PAUSE: Final = 0.05
"""Seconds until a task that waits looks whether anything can begin."""
_LOOKS: Final = 20
"""How often it finds that no thread goes on, and some wait for something else, until it is told:
one of those may have what it waits for, or have been handed a turn, and not know yet."""


class _Holder(Protocol):
    in_room: bool | None


@final
class Room:
    """What is left of a bound. Threads: internally synchronized."""

    __slots__ = ("_own", "_table", "_waits", "limit", "slots")

    def __init__(self, table: Table, limit: int, *, waits: bool) -> None:
        """Have `limit` slots for the tasks of a table; `waits`: whether senders wait."""
        self._table: Final = table
        self.limit: Final = limit
        """The most tasks that wait."""
        self._waits: Final = waits
        self.slots: Final = StripedSlots(limit, None)
        """Those that are left."""
        for number, shard in enumerate(table.shards):
            shard.stripe = self.slots.stripe(number)
        # The waits of threads that are tasks of the executor, by objects of their own.
        self._own: Final[dict[object, None]] = {}

    def take(self, holder: _Holder, stripe: Stripe) -> None:
        """Take a slot where a stripe has none; `holder.in_room` says that it has it.

        Blocks: if senders wait, until there is one.

        Raises:
            Full: if there is none, and senders do not wait; or in a task of the executor, if none
                would ever come free.
            MailboxClosed: if it was closed.
        """
        for get in self.slots.sources(stripe):
            if _take_with(get, holder):
                return
        if not self._wait():
            raise Full(f"{self._table.name} is full: {self.limit} tasks wait")
        holder.in_room = True

    def take_at_once(self, holder: _Holder) -> None:
        """Take a slot for a task that cannot wait; in debt, if need be."""
        self.slots.overdraw()
        holder.in_room = True

    def shut(self) -> None:
        """Have those that wait, and those that come, find that it is closed."""
        self.slots.shut()

    def forked(self) -> None:
        """Wake the thread that has forked, if it waits; in a child of `os.fork`."""
        self.slots.forked()

    def _wait(self) -> bool:
        slots, threads = self.slots, self._table.threads
        if isinstance(threads, PinnedThreads) or not threads.any:
            self._have_threads()
        if not self._waits:
            return slots.wait(AT_ONCE)
        if here.serving is None or threading.current_thread() not in threads:
            return slots.wait(NEVER)
        if isinstance(threads, PinnedThreads):
            return slots.wait(AT_ONCE)
        me = object()
        self._own[me] = None
        in_hand = [False]
        try:
            with parked(threads) as wait:
                if self._wait_until_stuck(threads, wait.go_on, in_hand):
                    return True
        except BaseException:  # an interrupt
            if in_hand[0]:
                slots.give_back()
            raise
        finally:
            del self._own[me]
        return slots.wait(AT_ONCE)

    def _wait_until_stuck(
        self, threads: SharedThreads, go_on: Callable[[], None], in_hand: list[bool]
    ) -> bool:
        # Not in the `with`: an interrupt at the end of a loop may pass it by (`interrupts`).
        looks = 0
        while looks < _LOOKS:
            if self.slots.wait(Deadline(_PAUSE)):
                in_hand[0] = True
                return True
            go_on()
            looks = looks + 1 if self._is_stuck(threads) else 0
            if looks and len(self._own) >= len(threads.all()):
                break
        return False

    def _have_threads(self) -> None:
        """Have threads for what has the room: a sender's start of one may have been interrupted.

        Raises:
            ThreadRefused: if the system starts none.
        """
        for threads in dict.fromkeys(shard.threads for shard in self._table.shards):
            if threads.growing and not threads.any:
                threads.grow_if_needed()

    def _is_stuck(self, threads: SharedThreads) -> bool:
        """Return whether all threads wait, or have nothing to do, and no task can begin.

        Each slot is a waiting task's, and none is in the hand of a sender, which would put a task.
        """
        table = self._table
        if table.delayed or not threads.stuck or table.not_begun < self.limit:
            return False
        # Both once more: a task may have been on its way from one to the other.
        return not table.delayed and threads.stuck


def _take_with(get: Callable[[bool], object], holder: _Holder) -> bool:
    try:
        # No interrupt comes between the two; see `interrupts`.
        for _ in after(get, False):  # noqa: FBT003 - not to wait
            holder.in_room = True
    except queue.Empty:
        return False
    return True
