"""The line of the senders that wait for a slot, and may not, or do not, park in the queue of slots.

A task of asyncio must not park its thread. It stands in a line, as an `Asker`; the thread that
finds a free slot *gives* it one, and tells it. A task that was only told would come too late each
time: while its loop wakes up, a thread that waits in the queue has been handed the slot, or a
thread that has just delivered takes it. As long as an asker stands in the line, or was given a slot
and has not used it, threads that have to wait stand there, too: first come, first served.

**Guarantees.** A slot that is free is given to the first in line that can use it, and to nobody
else. Each asker that was given one is told. Whatever interrupt comes, no slot is lost that was
taken to be given, or that an asker passes on; and each asker stands in the line, or was given one.

**Assumes.** What `line.slots` does. One interrupt at a time comes.

Two races are not decided by the lock. First, a slot that is freed as a sender gets in line:

1. The sender gets in line.
2. It looks into the queue for a free slot (`tell`).
a. The receiver puts the slot into the queue.
b. It looks whether a sender stands in the line, and calls `tell`.

If (a) comes before (2), (2) finds the slot. If it comes after, so does (b), which finds the sender.

Second, the line and the threads that parked in the queue before there was a line. These threads
come first: so `tell` gives nothing to the line as long as `_parking` counts any.

1. A thread that was handed a slot by the queue takes itself out of that count.
2. It looks whether a sender stands in the line, and calls `tell`.
a. Another slot is put. No thread parks any more, so the slot stays in the queue.
b. The receiver calls `tell`, which finds the thread counted, and gives nothing.

(b) comes before (1), and so does (a); so (2) finds the slot, and the line.

A slot that was given is used, or goes on to the next asker: a task that is cancelled passes it on
as it leaves the line. A task cannot do so while its loop does not run. Such a task is passed over;
where its loop was stopped after it was told, `tell` takes the slot back. For that, a sender that
waits in the line calls `tell` now and then.

**Interrupts.** A slot is taken, and given back, with no point between at which one comes
(`interrupts`). An asker leaves the line, and is given the slot, without a call: in one step for an
interrupt, a finalizer and a signal handler, under the lock for other threads. What may call is
asked before; where the asker has left the line meanwhile, the next one is looked at.
"""

import collections
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Final

from threadpool_mb.interrupts import after
from threadpool_mb.line.askers import Asker

__all__ = ["Line"]


class Line:
    """The line before the free slots of a mailbox. Threads: internally synchronized."""

    __slots__ = (
        "_free",
        "_given",
        "_lock",
        "_parking",
        "_using",
        "askers",
        "closed",
        "free",
        "take",
    )

    def __init__(self) -> None:
        """Have no slot, and nobody in line."""
        self._free: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self.take: Final[Callable[[], None]] = self._free.get_nowait
        """Take a slot; `queue.Empty` if none is free that was issued."""
        self.free: Final[Callable[[None], None]] = self._free.put
        """Free a slot, `free(None)`; if there are `askers` after that, call `tell`."""
        # Guards the rest. No thread waits under it. Reentrant: the garbage collector may run a
        # finalizer while it is held, and that may deliver.
        self._lock: Final = threading.RLock()
        # How many of the threads that wait do so in the queue, and not in the line.
        self._parking: int = 0
        self.closed: bool = False
        self.askers: Final[collections.OrderedDict[Asker, None]] = collections.OrderedDict()
        """The line, the first one first."""
        # The askers that were given a slot and have not used it.
        self._given: Final[dict[Asker, bool]] = {}
        # The askers that are just about to use a slot that they were given, by their threads.
        self._using: Final[dict[int, Asker]] = {}

    def give_back(self) -> None:
        """Free a slot that was taken in vain."""
        try:
            self.free(None)
            if self.askers:
                self.tell()
        except BaseException:  # an interrupt, perhaps as it was freed
            self.tell()
            raise

    def ask(self, asker: Asker) -> None:
        """Get in line. `asker` is told when it is given a slot, and whenever it is to try again.

        Blocks: never.
        """
        with self._lock:
            self.askers[asker] = None
        self.tell()
        # Read after the asker got in line: either this sees `closed`, or `shut` sees the asker.
        if self.closed:
            asker.tell()

    def leave(self, asker: Asker) -> None:
        """Leave the line; a slot that `asker` was given and has not used goes to the next asker."""
        freed = False
        try:
            with self._lock:
                self.askers.pop(asker, None)
                freed = self._take_back_locked(asker)
            if freed and self.askers:
                self.tell()
        except BaseException:  # an interrupt, perhaps as it was freed
            self.tell()
            raise

    def _take_back_locked(self, asker: Asker) -> bool:
        """Free the slot that an asker was given and has not used; return whether there was one."""
        given = False
        for given in after(self._given.pop, asker, False):  # noqa: FBT003 - `dict.pop`'s
            if given:
                self.free(None)
        return given

    def using[R](self, asker: Asker, deliver: Callable[[], R]) -> R:
        """Call `deliver`, which may use the slot that `asker` was given, if it was given one."""
        me = threading.get_ident()
        self._using[me] = asker
        try:
            return deliver()
        finally:
            self._using.pop(me, None)

    def tell(self) -> None:
        """Give the free slots to the senders that stand in the line. Blocks: never."""
        try:
            self._give()
        except BaseException:  # an interrupt, perhaps with a slot in hand, which is free again
            self._give()
            raise

    def _give(self) -> None:
        told: list[Asker] = []
        try:
            with self._lock:
                # Not loops: an interrupt at the end of one may leave the lock held (`interrupts`).
                self._take_all_back_locked()
                self._give_all_locked(told)
        except queue.Empty:
            pass
        finally:
            # Not under the lock, but also where an interrupt has come.
            try:
                self._tell(told)
            except BaseException:  # an interrupt, perhaps before it began; to be told twice is fine
                self._tell(told)
                raise

    def _take_all_back_locked(self) -> None:
        """Free the slots of askers that cannot use them now."""
        for asker in list(self._given):
            if not asker.runs():
                self._take_back_locked(asker)

    def _give_all_locked(self, told: list[Asker]) -> None:
        """Give slots to the line; `queue.Empty` if it is longer than there are slots."""
        while self.askers and not self._parking:
            self._give_locked(told)

    def _tell(self, told: list[Asker]) -> None:
        for asker in told:
            if not asker.tell():
                self.leave(asker)

    def _give_locked(self, told: list[Asker]) -> None:
        """Give a slot to the first asker that can use it; those before it are told all the same.

        Raises:
            queue.Empty: if no slot is free.
        """
        # An entry, as long as there is a slot in hand.
        in_hand: list[bool] = []
        try:
            for _ in after(self.take):
                in_hand += [True]
            # Not a loop here: an interrupt at its end would not come to the `finally`.
            self._hand_on_locked(in_hand, told)
        finally:
            if in_hand:
                self.free(None)

    def _hand_on_locked(self, in_hand: list[bool], told: list[Asker]) -> None:
        while in_hand and (asker := self._first()) is not None:
            runs = asker.runs()
            # No call from here on: see above.
            if asker in self.askers:
                told += [asker]
                del self.askers[asker]
                if runs:
                    self._given[asker] = True
                    del in_hand[0]

    def _first(self) -> Asker | None:
        # Not `next(iter(…))`: a handler may change the line between two calls.
        for asker in self.askers:
            return asker
        return None

    def _its_own_locked(self) -> Iterator[bool]:
        """Use the slot that this thread was given for the task which it delivers for.

        Returns an iterator in C, of whether there was one; see `interrupts`.
        """
        asker: object = self._using.get(threading.get_ident())
        return after(self._given.pop, asker, False)  # noqa: FBT003 - `dict.pop`'s
