"""What is to be done at a time: a row and a heap, on a thread that waits for other things, too.

**Guarantees.** What was added is *fired* once, not before its time, in the order of the times, and
of being added where these are equal; unless it is dropped: then it is told that it was dropped,
once. What was cancelled is neither, and is let go of soon: of more than 128, it never makes up more
than half of them for long (`threads.cancels`).

**Assumes.** Of `SimpleQueue`, what `line.inlet` assumes. One thread calls `until_next` and `drop`.

Very often the time that is added is the last one: many wait equally long. Such an entry goes to the
end of a *row*, which is in order, and all others into a heap. What is due first is the first of one
of these. The row costs a tenth of the heap, where a comparison is a call.

Adding takes no lock: a finalizer may do it, and a heap that a finalizer adds to while it is being
sifted is none any more. So what is new waits in a queue, and the thread that has the heap takes it
from there. That thread sleeps until the first time in its heap, so it has to be woken for an
earlier one. The adder is (1) and (2), the thread (a) to (d):

1. The adder puts its entry into the queue.
2. It reads `_wakes_at`. If its entry comes before that, it takes the *leave* to wake the thread,
   and if it has got that, wakes it.
a. The thread gives the leave, if nobody has it.
b. It writes `_wakes_at`, the first time of all.
c. It looks into the queue once more, and begins anew, with (a), if something is there.
d. It sleeps until then.

(1) and (c) are operations on one queue: one of them comes first. If (1) does, (c) finds the entry.
If (c) does, (2) comes after (b). If the adder does not get the leave, another one has taken it
since (a), and wakes the thread after that; then the thread looks again. So however many add what
comes first while the thread has no core, it is woken once. The same holds of the end: the thread
writes `_over`, then takes what is in the queue; an adder reads `_over` after it has put, and then
drops what it finds there.
`tests/model/test_timers_model.py` runs through every interleaving of both.
"""

import bisect
import collections
import functools
import heapq
import itertools
import operator
import queue
import time
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.interrupts import after
from threadpool_mb.threads.cancels import Cancels
from threadpool_mb.threads.entries import Entry, do, log_raised
from threadpool_mb.threads.turns import Turn

__all__ = ["Timers"]

_FIRST: Final = float("-inf")
_LAST: Final = float("inf")

_MANY: Final = 4096
"""How many may wait in the queue before the thread is woken to sort them in: those that come due
meanwhile would wait for all of them."""

_IN_A_ROW: Final = 1024
"""How many are fired in a row at most."""

_A_DAY: Final = 86_400.0
"""The most seconds that the thread sleeps: there are times that no queue can wait for."""

_TOGETHER: Final = 64
"""How many turns are scheduled together at most: those that are due wait for the others of them."""

_SLACK: Final = 0.0005
"""Seconds within which many that come due are waited for together."""

_SEVERAL: Final = 3
"""How many more than one are many."""

_SHORT: Final = 8
"""How many of a row are moved to the heap for one that comes before them."""

_when: Final = operator.attrgetter("when")


def _nothing(turns: list[Turn], /) -> None:
    """Schedule no turns: there are none."""


@final
class Timers:
    """The entries that are not due yet. Threads: any, but for `until_next` and `drop`."""

    # fmt: off
    __slots__ = (
        "_cancels", "_due", "_heap", "_may_wake", "_new", "_next", "_number", "_over", "_row",
        "_schedule_all", "_turns", "_wake", "_wakes_at", "now",
    )
    # fmt: on

    def __init__(
        self,
        wake: Callable[[], object],
        *,
        now: Callable[[], float] = time.monotonic,
        schedule: Callable[[list[Turn]], object] = _nothing,
    ) -> None:
        """Hold none.

        `wake`, of C, as no interrupt is to come before it, has the thread call `until_next`, and
        never blocks; `now` is a clock in seconds.
        `schedule` schedules turns of what was due, and never blocks.
        """
        self._wake: Final = wake
        self.now: Final = now
        """The clock, in seconds."""
        self._new: Final[queue.SimpleQueue[Entry]] = queue.SimpleQueue()
        self._next: Final[Callable[[bool], Entry]] = self._new.get
        self._row: collections.deque[Entry] = collections.deque()
        # With time and number: so what is compared are these, without a call.
        self._heap: list[tuple[float, int, Entry]] = []
        self._number = 0
        self._cancels: Final = Cancels()
        self._wakes_at = _LAST
        # The leave to wake the thread: has its one entry while nobody has taken it.
        self._may_wake: Final[dict[str, bool]] = {"may wake": True}
        self._over = False
        # What is being fired.
        self._due: list[Entry] = []
        # The turns that are to be scheduled together.
        self._turns: list[Turn] = []
        self._schedule_all: Final = schedule

    def add(self, entry: Entry) -> None:
        """Have an entry fired at its time; dropped, if there is no thread any more. Blocks: never.

        Reentrant.
        """
        new = self._new
        try:
            new.put(entry)
            # One more, as 0 of them are not many.
            if entry.when < self._wakes_at or not (new.qsize() + 1) % _MANY:
                self._wake_once()
        except BaseException:  # an interrupt, perhaps behind the `put`
            self._wake_once()
            raise
        if self._over:
            self._drop_new()

    def _wake_once(self) -> None:
        """Wake the thread, if nobody has done so since it has begun to look."""
        # No interrupt comes between the pop and the `try`; see `interrupts`.
        for may_wake in after(self._may_wake.pop, "may wake", False):  # noqa: FBT003 - `dict.pop`'s
            if not may_wake:
                return
            try:
                self._wake()
            except BaseException:
                self._may_wake["may wake"] = True
                raise

    def cancelled(self) -> None:
        """Take note that an entry was cancelled; it says so already. Blocks: never."""
        cancels = self._cancels
        here = cancels.count()
        if here and here > (len(self._row) + len(self._heap)) // 2:
            # No interrupt comes between the two: it would keep all others from waking the thread.
            cancels.asked = True
            self._wake()

    def again(self, entry: Entry) -> None:
        """Take back the entry that is being fired; it is due again, at its new time.

        On the thread that has the heap, so that the entry does not go through the queue.
        """
        self._number = entry.number = self._number + 1
        row = self._row
        if row and entry.when < row[-1].when:
            self._push(entry)
        else:
            row.append(entry)

    def until_next(self) -> float | None:
        """Fire what is due now; return the seconds until something is, `None` if nothing ever is.

        The thread calls this again after that time, or once it was woken. It has a look at what
        else it is to do in between, however much is due.
        """
        while True:
            if not self._may_wake:
                self._may_wake["may wake"] = True
            if self._new.qsize() or self._cancels.any:
                self._sort_in()
            fired = self._fire_due(self.now())
            first = self._wakes_at = self._first()
            if not self._new.qsize():
                return self._until(first, few=fired < _TOGETHER) if first < _LAST else None
            self._wakes_at = _FIRST

    def _until(self, first: float, *, few: bool) -> float:
        """Return the seconds for which to sleep, where the first time of all is `first`.

        Many that come due shortly after each other are waited for together, where there was little
        to do just now: to wake for each of them takes longer than to fire it.
        """
        now, row = self.now(), self._row
        soon = now + _SLACK
        if few and first < soon and len(row) > _SEVERAL and row[_SEVERAL].when < soon:
            return _SLACK
        return min(max(0.0, first - now), _A_DAY)

    def next_time(self) -> float:
        """Return the time at which something is due, infinity if nothing ever is. Fires nothing."""
        self._sort_in()
        self._wakes_at = self._first()
        return self._wakes_at

    def fire_one(self, choose: Callable[[list[Entry]], Entry]) -> None:
        """Fire one entry of those that are due first, at the same time; at least one is due.

        For `threadpool_mb.testing`, in the place of `until_next`.
        """
        first = self.next_time()
        due: list[Entry] = []
        while (entry := self._pop(first)) is not None:
            due.append(entry)
        chosen = choose(due)
        for entry in due:
            if entry is not chosen:
                self._push(entry)
        self._fire_all([chosen])

    def _first(self) -> float:
        """Return the time at which something is due."""
        row, heap = self._row, self._heap
        first = heap[0][0] if heap else _LAST
        return min(first, row[0].when) if row else first

    def _pop(self, now: float) -> Entry | None:
        """Take out what is due first; `None` if nothing is due."""
        row, heap = self._row, self._heap
        if row:
            first = row[0]
            if first.when <= now and not (heap and heap[0] < (first.when, first.number)):
                return row.popleft()
        if heap and heap[0][0] <= now:
            return heapq.heappop(heap)[2]
        return None

    def _push(self, entry: Entry) -> None:
        heapq.heappush(self._heap, (entry.when, entry.number, entry))

    def drop(self, kind: type[Entry] | None = None, *, last: bool = False) -> None:
        """Drop what is not due, or of that what is of a kind; `last`: what is added later, too."""
        if last:
            self._over = True
        self._sort_in()
        dropped: list[Entry] = []
        kept: list[Entry] = []
        for entry in (*self._row, *(each for _, _, each in self._heap)):
            (dropped if kind is None or isinstance(entry, kind) else kept).append(entry)
        # What is in order is a heap.
        self._row.clear()
        self._heap = [(each.when, each.number, each) for each in sorted(kept)]
        for entry in sorted(dropped):
            if not entry.cancelled:
                do(entry.drop)

    def __len__(self) -> int:
        """Return how many wait, with those that are cancelled and still here, or being fired."""
        return self._sorted() + len(self._due) + self._new.qsize()

    def _sorted(self) -> int:
        return len(self._row) + len(self._heap)

    def _sort_in(self) -> None:
        row, number, cancels = self._row, self._number, self._cancels
        # Before what is new is taken. What is being fired is seen to there.
        cancelled = cancels.look() if cancels.any and not self._due else 0
        last = row[-1].when if row else _FIRST
        try:
            # What is added meanwhile does not keep it from firing what is due. It does not wait.
            for entry in map(self._next, itertools.repeat(False, self._new.qsize())):  # noqa: FBT003
                if cancelled and entry.cancelled:
                    cancels.gone += 1
                    continue
                entry.number = number = number + 1
                if (when := entry.when) >= last:
                    row.append(entry)
                    last = when
                else:
                    self._sort_before(entry)
                    last = row[-1].when
        except queue.Empty:
            pass
        finally:
            self._number = number
        if cancelled and cancels.too_many(cancelled, self._sorted()):
            self._row = collections.deque(each for each in row if not each.cancelled)
            self._heap = [each for each in self._heap if not each[2].cancelled]
            heapq.heapify(self._heap)

    def _sort_before(self, entry: Entry) -> None:
        """Sort in what comes before the end of the row."""
        row = self._row
        if len(row) > _SHORT:
            self._push(entry)
            return
        # A few that are due much later keep no others out of the row.
        for each in row:
            self._push(each)
        row.clear()
        row.append(entry)

    def _fire_due(self, now: float) -> int:
        """Fire what is due, so much of it at most; return how much it was."""
        fired = 0
        while fired < _IN_A_ROW and (due := self._take_due(now)):
            fired += len(due)
            self._fire_all(due)
        return fired

    def _take_due(self, now: float) -> list[Entry]:
        """Take out some of what is due, in order; very many may be due at once."""
        row, heap = self._row, self._heap
        some = 0
        if row and row[0].when <= now:
            some = min(len(row), _TOGETHER)
            if row[some - 1].when > now:
                some = bisect.bisect_right(row, now, 0, some, key=_when)
        # These are loops in C.
        due = list(itertools.starmap(row.popleft, itertools.repeat((), some)))
        if not heap or heap[0][0] > now:
            return due
        for entry in due:
            self._push(entry)
        # Of the row, nothing that is in there still comes before.
        to = (row[0].when, row[0].number) if row and row[0].when <= now else (now, _LAST)
        due.clear()
        pop = heapq.heappop
        while len(due) < _TOGETHER and heap and heap[0] < to:
            due.append(pop(heap)[2])
        return due

    def _fire_all(self, due: list[Entry]) -> None:
        """Fire what is due; it is in order, and some of it may be cancelled."""
        turns, new, cancels = self._turns, self._new, self._cancels
        self._due = due
        left = iter(due)
        for entry in left:
            quick = entry.quick
            if (not quick or cancels.any) and entry.cancelled:
                cancels.gone += 1
                continue
            if turns and not quick:
                self._schedule()
                turns = self._turns
            try:  # `do`, written out
                turn = entry.fire()
            except BaseException:  # noqa: BLE001 - logged
                log_raised()
                continue
            if turn is not None:
                turns.append(turn)
            elif not quick and new.qsize():  # what was fired may have added what comes next
                self._sort_in()
                if self._first() < due[-1].when:
                    break
        for entry in left:
            self._push(entry)
        # What is scheduled frees its entry itself, on the thread that has made it, mostly.
        due.clear()
        if turns:
            self._schedule()

    def _schedule(self) -> None:
        """Have the turns scheduled that what was fired has come to.

        The lock that this takes is taken by each thread that takes such a turn.
        """
        turns, self._turns = self._turns, []
        do(functools.partial(self._schedule_all, turns))

    def _drop_new(self) -> None:
        try:
            while True:
                entry = self._next(False)  # noqa: FBT003 - not to wait
                if not entry.cancelled:
                    do(entry.drop)
        except queue.Empty:
            pass
