"""What is to be done at a time: a row and a heap, on a thread that waits for other things, too.

**Guarantees.** What was added is *fired* once, not before its time, in the order of the times, and
of being added where these are equal; unless it is dropped: then it is told that it was dropped,
once. What was cancelled is neither, and is let go of soon: of more than 128, it never makes up more
than half of them for long.

**Assumes.** Of `SimpleQueue`, what `line.inlet` assumes. One thread calls `until_next` and `drop`.

Very often the time that is added is the last one: many wait equally long. Such an entry goes to the
end of a *row*, which is in order, and all others into a heap. What is due first is the first of one
of these. The row costs a tenth of the heap, where a comparison is a call.

Adding takes no lock: a finalizer may do it, and a heap that a finalizer adds to while it is being
sifted is none any more. So what is new waits in a queue, and the thread that has the heap takes it
from there. That thread sleeps until the first time in its heap, so it has to be woken for an
earlier one. The adder is (1) and (2), the thread (a) to (c):

1. The adder puts its entry into the queue.
2. It reads `_wakes_at`, and wakes the thread if its entry comes before that.
a. The thread writes `_wakes_at`, the first time of all.
b. It looks into the queue once more, and begins anew if something is there.
c. It sleeps until then.

(1) and (b) are operations on one queue: one of them comes first. If (1) does, (b) finds the entry.
If (b) does, (2) comes after (a). The same holds of the end: the thread writes `_over`, then takes
what is in the queue; an adder reads `_over` after it has put, and then drops what it finds there.
`tests/model/test_timers_model.py` runs through every interleaving of both.
"""

import collections
import functools
import heapq
import itertools
import queue
import time
from collections.abc import Callable
from typing import ClassVar, Final, final

from threadpool_mb.logs import Logger
from threadpool_mb.threads.turns import Turn

__all__ = ["Entry", "Timers"]

_logger = Logger(__name__)

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

_SHORT: Final = 8
"""How many of a row are moved to the heap for one that comes before them."""

_RAISED: Final = "something that was to be done at a time raised"

_FEW: Final = 64
"""How many cancelled entries are no reason to make the heap anew."""


class Entry:
    """Something that is to be done at a time; subclasses have the slots."""

    __slots__ = ("number", "when")

    quick: ClassVar[bool] = False
    """Whether `fire` calls no user's code, so that what is to be scheduled may wait for it; and
    does nothing where the entry was cancelled."""

    def __init__(self, when: float) -> None:
        """Be due at `when`, by `Timers.now`, in seconds."""
        self.when: float = when
        self.number: int = 0
        """Above 0 from being sorted in on; of two with the same time, the lower one comes first."""

    def __lt__(self, other: "Entry") -> bool:
        """Return whether it comes before another one."""
        return self.when < other.when or (self.when == other.when and self.number < other.number)

    @property
    def cancelled(self) -> bool:
        """Whether it is to be neither fired nor dropped."""
        return False

    def fire(self) -> Turn | None:
        """Do it; on the thread that has the heap. What it raises is logged.

        Returns:
            Of what is quick: the turn that it has scheduled, together with those of others.
        """
        raise NotImplementedError

    def drop(self) -> None:
        """Take note that it will not be done; on any thread. What it raises is logged."""
        raise NotImplementedError


def _nothing(turns: list[Turn], /) -> None:
    """Schedule no turns: there are none."""


@final
class Timers:
    """The entries that are not due yet. Threads: any, but for `until_next` and `drop`."""

    __slots__ = (
        "_asked",
        "_cancelled",
        "_heap",
        "_new",
        "_next",
        "_number",
        "_over",
        "_row",
        "_schedule_all",
        "_turns",
        "_wake",
        "_wakes_at",
        "now",
    )

    def __init__(
        self,
        wake: Callable[[], object],
        *,
        now: Callable[[], float] = time.monotonic,
        schedule: Callable[[list[Turn]], object] = _nothing,
    ) -> None:
        """Hold none.

        `wake` has the thread call `until_next`, and never blocks; `now` is a clock in seconds.
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
        # How many were cancelled and are still here: a guess, as nothing guards it.
        self._cancelled = 0
        # Whether the thread was woken to let go of them.
        self._asked = False
        self._wakes_at = _LAST
        self._over = False
        # The turns that are to be scheduled together.
        self._turns: list[Turn] = []
        self._schedule_all: Final = schedule

    def add(self, entry: Entry) -> None:
        """Have an entry fired at its time; dropped, if there is no thread any more. Blocks: never.

        Reentrant.
        """
        new = self._new
        new.put(entry)
        if entry.when < self._wakes_at or not new.qsize() % _MANY:
            self._wake()
        if self._over:
            self._drop_new()

    def cancelled(self) -> None:
        """Take note that an entry was cancelled."""
        self._cancelled += 1
        if not self._asked and self._too_many_cancelled():
            self._asked = True
            self._wake()

    def until_next(self) -> float | None:
        """Fire what is due now; return the seconds until something is, `None` if nothing ever is.

        The thread calls this again after that time, or once it was woken. It has a look at what
        else it is to do in between, however much is due.
        """
        while True:
            if self._new.qsize() or self._cancelled:
                self._sort_in()
            self._fire_due(self.now())
            if self._turns:
                self._schedule()
            first = self._wakes_at = self._first()
            if not self._new.qsize():
                return min(max(0.0, first - self.now()), _A_DAY) if first < _LAST else None
            self._wakes_at = _FIRST

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
        self._fire(chosen)
        if self._turns:
            self._schedule()

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
                _do(entry.drop)

    def __len__(self) -> int:
        """Return how many wait, those included that were cancelled and are still here."""
        return self._sorted() + self._new.qsize()

    def _sorted(self) -> int:
        return len(self._row) + len(self._heap)

    def _sort_in(self) -> None:
        row, number, cancelled = self._row, self._number, self._cancelled
        last = row[-1].when if row else _FIRST
        try:
            # What is added meanwhile does not keep it from firing what is due. It does not wait.
            for entry in map(self._next, itertools.repeat(False, self._new.qsize())):  # noqa: FBT003
                if cancelled and entry.cancelled:
                    self._cancelled = max(0, self._cancelled - 1)
                    continue
                entry.number = number = number + 1
                if entry.when >= last:
                    row.append(entry)
                else:
                    self._sort_before(entry)
                last = row[-1].when
        except queue.Empty:
            pass
        finally:
            self._number = number
        self._asked = False
        if self._too_many_cancelled():
            self._cancelled = 0
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

    def _too_many_cancelled(self) -> bool:
        return self._cancelled > _FEW and self._cancelled > self._sorted() // 2

    def _fire_due(self, now: float) -> None:
        """Fire what is due, so much of it at most."""
        for _ in itertools.repeat(None, _IN_A_ROW):
            if self._row and self._row[0].quick and self._fire_quick(now):
                self._schedule()
                continue
            entry = self._pop(now)
            if entry is None:
                return
            self._fire(entry)
            if self._new.qsize():  # what was fired may have added what comes next
                self._sort_in()

    def _fire_quick(self, now: float) -> bool:
        """Fire what is quick of the row; return whether turns are to be scheduled for that.

        It is `_pop` and `_fire` in one loop, where nothing of the heap comes before: very many may
        be due at once.
        """
        row, heap = self._row, self._heap
        if self._cancelled or (heap and heap[0][0] <= now):
            return False
        turns = self._turns
        for _ in itertools.repeat(None, _TOGETHER):
            if not row or (entry := row[0]).when > now or not entry.quick:
                break
            row.popleft()
            try:
                turn = entry.fire()
            except BaseException:
                _logger.exception(_RAISED)
            else:
                if turn is not None:
                    turns.append(turn)
        return len(turns) > 0

    def _fire(self, entry: Entry) -> None:
        if entry.cancelled:
            self._cancelled = max(0, self._cancelled - 1)
            return
        if self._turns and not entry.quick:
            self._schedule()
        try:  # `_do`, written out
            turn = entry.fire()
        except BaseException:
            _logger.exception(_RAISED)
            return
        if turn is not None:
            self._turns.append(turn)
            if len(self._turns) >= _TOGETHER:
                self._schedule()

    def _schedule(self) -> None:
        """Have the turns scheduled that what was fired has come to.

        The lock that this takes is taken by each thread that takes such a turn.
        """
        turns, self._turns = self._turns, []
        _do(functools.partial(self._schedule_all, turns))

    def _drop_new(self) -> None:
        try:
            while True:
                entry = self._next(False)  # noqa: FBT003 - not to wait
                if not entry.cancelled:
                    _do(entry.drop)
        except queue.Empty:
            pass


def _do(function: Callable[[], object]) -> None:
    """Call a user's code, perhaps: a hook, a key. The thread goes on whatever it raises."""
    try:
        function()
    except BaseException:
        _logger.exception(_RAISED)
