"""Slots that many senders and receivers take and free at once, of all keys together.

All slots in one queue would be one place that all threads come to for each message, twice. So there
are a few *stripes*: queues of slots that are free. The sender of a message takes a slot from the
stripe of the message's lane, and the receiver frees it there: each with one call, without a frame
of its own. Only where that stripe has none does the sender look for more, here.

**Guarantees.** Those of `line.slots`. No more slots are taken than the limit, but for `overdraw`. A
sender waits only where it has found no slot; a slot that another thread moves just then is in no
queue, and is not found. Senders that wait get slots in the order in which they came, but for a
sender that comes at the moment at which a slot is freed.

**Assumes.** What `line.slots` does.

A slot that is freed into a stripe while a sender waits elsewhere must come to that sender:

1. The sender gets in the line of `line.slots`, and has all stripes say that slots are `wanted`.
2. It moves slots of the stripes to the line, as long as a sender stands there, and waits.
a. A thread that frees a slot puts it into a stripe.
b. It looks whether slots are wanted there. If so, it moves those of that stripe to the line, too.

(2) and (a) are operations on one queue. If (a) comes first, (2) moves the slot. If (2) does, so
does (1), and (b) sees it.

A thread writes `wanted` under the lock, of all stripes, by what it reads of the line there. A
sender gets in the line before it writes. So the thread that writes last has read of every sender in
the line. `wanted` may stay set when the line is empty: the next thread that frees a slot clears it.
It is written twice, as a bool and as a list, for two kinds of readers; each one is argued alike.
`tests/model/test_room_model.py` runs through the interleavings.
"""

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.interrupts import after
from threadpool_mb.line.askers import Asker
from threadpool_mb.line.slots import Slots

__all__ = ["NOT_TO_WAIT", "SLOT", "Stripe", "StripedSlots"]

_STRIPES: Final = 7
"""A prime number: hashes that are all multiples of 16, as those of objects are, use each stripe."""

_MOST: Final = 16
"""How many slots a stripe is issued at once, at most."""

NOT_TO_WAIT: Final = (False,)
"""The arguments of `Stripe.get`, for a `map`; see `interrupts`."""
SLOT: Final = (True,)
"""The arguments of `Stripe.free`, for a `map`."""


@final
class Stripe(queue.SimpleQueue[bool]):
    """Slots that are free; to take one is `get(False)`, to free one is `free(True)`.

    The thread that has freed one calls `tell`, if slots are `wanted`, or there are `askers`: as
    with `Slots`.

    It is a queue, and keeps none. A method that it kept would be one object more whose references
    all threads count, and do so under the stripe's lock (`docs/performance.md`). So a slot is
    `True`, too, which nobody counts.
    """

    __slots__ = ("askers", "slots", "wanted")

    def __init__(self, slots: "StripedSlots") -> None:
        """Hold none."""
        super().__init__()
        self.slots: Final = slots
        """All of them."""
        self.wanted: bool = False
        """Whether a sender waits for a slot; not of the slots, which all threads would look at."""
        self.askers: Final[list[bool]] = []
        """Not empty if they are `wanted`: for a thread that looks many times."""

    if TYPE_CHECKING:

        def free(self, slot: bool, /) -> None:  # noqa: FBT001 - the slot
            """Free a slot."""
    else:
        free = queue.SimpleQueue.put

    def tell(self) -> None:
        """Have its slots come to senders that wait, if there are any. Blocks: never."""
        self.slots.move(self)


@final
class StripedSlots(Slots):
    """Slots in stripes. Threads: internally synchronized."""

    # A thread in the line leaves it as it is given a slot, however long it then takes to wake. One
    # that waits in a queue counts as waiting until it has woken: slots would be `wanted` until
    # then, and each sender would go to the line.
    _in_line = True

    __slots__ = ("_at_once", "_parking_here", "stripes")

    def __init__(self, limit: int, timeout: float | None) -> None:
        """Issue up to `limit` slots, for which senders wait at most `timeout` seconds."""
        super().__init__(limit, timeout)
        self.stripes: Final = tuple(Stripe(self) for _ in range(_STRIPES))
        """Where slots are free, besides what has to come to senders that wait."""
        self._at_once: Final = max(1, min(_MOST, limit // (4 * _STRIPES)))
        # The waits of threads that cannot wait in the line, by objects of their own.
        self._parking_here: Final[dict[object, None]] = {}

    def stripe(self, number: int) -> Stripe:
        """Return the stripe of what has a number, or a hash."""
        return self.stripes[number % _STRIPES]

    def sources(self, stripe: Stripe) -> list[Callable[[bool], object]]:
        """Return what to look for a slot with, `get(False)`, where a stripe has none."""
        if self._unissued:
            self._issue(stripe)
        # Where others wait, what comes free is moved to their line: this one goes there, too.
        # Not what the stripe says alone: that may be of a line that is empty by now.
        others_wait = stripe.wanted and (self.askers or self._parking_here)
        stripes = () if others_wait else (stripe, *self.stripes)
        return [*(each.get for each in stripes if each.qsize()), self._free.get]

    def take_from(self, stripe: Stripe) -> bool:
        """Take a slot where a stripe has none; return whether there was one."""
        for get in self.sources(stripe):
            try:
                # No interrupt comes behind the call; see `interrupts`.
                for _ in after(get, False):  # noqa: FBT003 - not to wait
                    return True
            except queue.Empty:
                pass
        return False

    def move(self, stripe: Stripe) -> None:
        """Have slots of a stripe come to senders that wait, if there are any. Blocks: never."""
        try:
            while stripe.qsize() and (self.askers or self._parking_here):
                # No interrupt comes between the two; see `interrupts`.
                for _ in after(stripe.get, False):  # noqa: FBT003 - not to wait
                    self.free(None)
                if self.askers:
                    self.tell()
        except queue.Empty:
            pass
        except BaseException:  # an interrupt, perhaps of one that was moved and not told of
            self.tell()
            raise
        if not self.askers and not self._parking_here:
            self._tell_stripes()

    @override
    def ask(self, asker: Asker) -> None:
        super().ask(asker)
        self._gather()

    @override
    def overdraw(self) -> None:
        if not self.take_from(self.stripes[0]):
            super().overdraw()

    @override
    def _take_at_once(self) -> bool:
        return self.take_from(self.stripes[0]) or super()._take_at_once()

    @override
    def _stand(
        self,
        asker: Asker,
        gate: "queue.SimpleQueue[None]",
        end: Deadline,
        go_on: Callable[[], None],
        in_hand: list[bool],
    ) -> None:
        self._gather()
        super()._stand(asker, gate, end, go_on, in_hand)

    @override
    def _park(self, end: Deadline, in_hand: list[bool]) -> None:
        me = object()
        self._parking_here[me] = None
        try:
            self._gather()
            super()._park(end, in_hand)
        finally:
            self._parking_here.pop(me, None)

    def _issue(self, stripe: Stripe) -> None:
        """Issue some slots, into a stripe."""
        with self._lock:
            for _ in range(min(self._unissued, self._at_once)):
                self._issue_into_locked(stripe)

    def _issue_into_locked(self, stripe: Stripe) -> None:
        # Looked at after a call, in which a finalizer may have come here.
        if self._unissued:
            for _ in after(stripe.free, True):  # noqa: FBT003 - a slot
                self._unissued -= 1

    def _gather(self) -> None:
        """Have the slots of all stripes come to the senders that wait; this thread is one."""
        self._tell_stripes()
        for stripe in self.stripes:
            self.move(stripe)

    def _tell_stripes(self) -> None:
        with self._lock:
            for stripe in self.stripes:
                # Asked for each: a finalizer may come here as the loop goes on. No call in between.
                stripe.askers[:] = SLOT if self.askers or self._parking_here else ()
                stripe.wanted = True if self.askers or self._parking_here else False  # noqa: SIM210 - no call
