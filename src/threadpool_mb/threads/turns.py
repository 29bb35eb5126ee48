"""The turns that wait for a shared thread: a queue, and what was moved ahead of it.

A thread that is about to wait for a worker has that worker's turn *brought forward*, where hardly
any thread is left: the turns before it may all have to wait for the same, and each would cost one
more thread. The turns before it in the queue are moved aside, once: so looking for a turn takes no
time for turns that were moved already, however many wait.

What has waited for a time, or an answer, is put ahead of all others, as it has waited already: into
a queue of its own, without a lock, as a thread that finds that lock taken waits for longer than a
turn takes.

**Guarantees.** Each turn that was put is taken once. Turns are taken in the order in which they
were put, but for those that were brought forward, or put ahead; and where threads are one too many,
those that were moved aside come last. At most `_IN_A_ROW` turns, and one for each thread, come
before others that have waited longer.

**Assumes.** Of `SimpleQueue`, what `line.inlet` assumes. A turn is in here once at most.

A turn that was moved is not in the queue, and wakes no thread that waits there. So threads look at
`moved` before they wait. The same holds of one that is put ahead. The mover is (1) to (3), a thread
that has found the queue empty (a) to (c):

1. It moves turns aside, or puts them ahead, and writes `moved`.
2. It reads how many threads are idle, or starting.
3. It puts a nudge for each.
a. The thread counts as idle; one that is starting counts as such.
b. It reads `moved`, and if it is set, takes what was moved in place of (c).
c. It waits in the queue.

If (1) comes before (b), the thread takes what was moved. If it comes after, so does (2), which
counts the thread, and (3) puts a nudge that wakes this thread, or a different one that waits as
well. Where the queue holds something else for that thread, no nudge is put. A busy thread may take
that, or the nudge: so each thread that has a turn, wherever it has taken it, and counts as neither
idle nor starting, does (2) and (3) before it begins, if `moved` is set.

Nothing guards `moved` against a thread that puts a turn ahead. So a thread that finds nothing moved
clears it, looks once more, and sets it again if there is something. If the turn is put before that
second look, the thread sees it. If it comes after, so does (1), which sets `moved` for good. In
between, any number of threads may read that nothing is moved: at (b), or with the nudge in hand
that (3) has put. So the thread that sets it again must not sleep, nor become spare: it takes what
was moved, or what comes before that, and does (2) and (3).
"""

import collections
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Final, Protocol, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.forking import remake
from threadpool_mb.threads.here import Holder, Home, Source

__all__ = ["NUDGE", "ReadyTurns", "ServingThread", "Turn"]


class Turn(Protocol):
    """A thing that can be scheduled."""

    def turn(self) -> int:
        """Do some of what there is to do; on a shared thread. It raises nothing.

        Returns:
            How much of it was done, to be counted; 0 if that is counted otherwise.
        """
        ...


@final
class _Nudge:
    """A turn in which nothing is done."""

    __slots__ = ()

    def turn(self) -> int:
        return 0


NUDGE: Final = _Nudge()
"""Has a thread that waits for a turn run for a moment."""


class _Threads(Protocol):
    @property
    def own_waits_only(self) -> bool: ...
    @property
    def starved(self) -> bool: ...
    def block(self, thread: "ServingThread", /) -> None: ...
    def unblock(self, thread: "ServingThread", /) -> None: ...
    def will_unblock(self, thread: "ServingThread", wait: int, /) -> None: ...
    def grow_if_needed(self) -> None: ...
    @property
    def home(self) -> Home | None: ...


@final
class ServingThread:
    """A shared thread, as a worker that waits in a call on it sees it; see `circles`.

    Threads: only the shared thread itself, but any thread for `goes_on`.
    """

    __slots__ = ("_number", "_threads", "_waits", "counted", "handled", "progress", "turn")

    def __init__(self, threads: _Threads) -> None:
        """Be one of `threads`."""
        self._threads: Final = threads
        # How many waits there are, one inside the other: a finalizer may wait inside a wait.
        self._waits = 0
        self._number = 0
        self.counted: bool = False
        """Whether the thread counts as one that waits; guarded by the lock of `threads`."""
        self.turn: Turn | None = None
        """The turn that the thread has taken."""
        self.handled: int = 0
        """What its turns have done, but for the one that it has now."""
        self.progress: object = None
        """What counts down while a turn goes on that is watched; see `threads.watching`."""

    @property
    def wait(self) -> int:
        """The number of the thread's wait; 0 where it does not wait, or waits inside a wait.

        What ends the inner wait does not end the outer one.
        """
        return self._number if self._waits == 1 else 0

    @property
    def holder(self) -> Holder | None:
        """The worker that has the turn, if it is one that can be called."""
        return getattr(self.turn, "holder", None)

    @property
    def starved(self) -> bool:
        """Whether all other threads wait; see `Serving`."""
        return self._threads.starved

    def blocked(self, upon: object = None, /) -> None:
        """Take note that the thread will wait; see `SharedThreads` on which waits count."""
        if upon is self._threads or not self._threads.own_waits_only:
            self._waits += 1
            if self._waits == 1:
                # Before it counts: the thread that ended the wait before this one may still be
                # about to say so.
                self._number += 1
            self._threads.block(self)

    @property
    def home(self) -> Home | None:
        """The thread itself, if workers are pinned to it; see `Serving`."""
        return self._threads.home

    def source[T](self, items: Source[T], _deadline: Deadline, /) -> Source[T]:
        """Return the queue itself; see `Serving`."""
        return items

    def still_blocked(self) -> None:
        """Have one more thread started, if one is needed and there may be one."""
        if self._waits:
            self._threads.block(self)
        else:
            self._threads.grow_if_needed()

    def goes_on(self, wait: int, /) -> None:
        """Have the thread count as one that waits no more; see `Serving`."""
        if wait:
            self._threads.will_unblock(self, wait)

    def unblocked(self, upon: object = None, /) -> None:
        """Take note that the thread goes on."""
        if upon is self._threads or not self._threads.own_waits_only:
            self._waits -= 1
            if not self._waits:
                self._threads.unblock(self)


_IN_A_ROW: Final = 64
"""How many turns may be taken in a row before a turn that has waited longer."""


@final
class ReadyTurns:
    """The turns that wait; `None` among them says that there will be no more.

    Threads: internally synchronized.
    """

    __slots__ = (
        "_ahead",
        "_aside",
        "_in_a_row",
        "_lock",
        "_next_woken",
        "_woken",
        "get",
        "moved",
        "put",
        "qsize",
        "queue",
    )

    def __init__(self) -> None:
        """Hold none."""
        self.queue: Final[queue.SimpleQueue[Turn | None]] = queue.SimpleQueue()
        self.put: Final[Callable[[Turn | None], None]] = self.queue.put
        """Add a turn."""
        self.get: Final[Callable[[bool], Turn | None]] = self.queue.get
        """Take the next turn that was not moved."""
        self.qsize: Final[Callable[[], int]] = self.queue.qsize
        """How many turns were not moved."""
        # What was put ahead.
        self._woken: Final[queue.SimpleQueue[Turn]] = queue.SimpleQueue()
        self._next_woken: Final[Callable[[bool], Turn]] = self._woken.get
        # Guards the rest. No thread waits under it. Reentrant: a finalizer may run under it.
        self._lock: Final = threading.RLock()
        # What was brought forward, and what was moved aside for it; as ordered sets.
        self._ahead: Final[collections.OrderedDict[Turn, None]] = collections.OrderedDict()
        self._aside: Final[collections.OrderedDict[Turn, None]] = collections.OrderedDict()
        self._in_a_row = 0
        self.moved: bool = False
        """Whether `take` may find something."""

    def __len__(self) -> int:
        """Return how many turns wait."""
        return self.qsize() + self._moved_count() if self.moved else self.qsize()

    def bring_forward(self, turn: Turn) -> None:
        """Move a turn ahead, if it waits. The caller has idle threads nudged after that."""
        with self._lock:
            self.moved = True
            self._gather_locked()
            if turn in self._ahead:
                return
            if turn in self._aside:
                self._ahead[turn] = None
                del self._aside[turn]
                return
            in_hand: Turn | None = NUDGE
            last = False
            try:
                for _ in range(self.qsize()):
                    in_hand = self.get(False)
                    if in_hand is None:
                        last = True
                    elif in_hand is turn:
                        self._ahead[in_hand] = None
                        break
                    elif in_hand is not NUDGE:
                        self._aside[in_hand] = None
                    in_hand = NUDGE
            except queue.Empty:
                pass  # other threads take turns, too
            except BaseException:  # no memory
                self.put(in_hand)
                raise
            finally:
                if last:
                    self.put(None)
                self._look_whether_moved_locked()

    def _gather_locked(self) -> None:
        """Have what was put ahead before now among what was brought forward."""
        in_hand: Turn | None = None
        try:
            for _ in range(self._woken.qsize()):
                in_hand = self._next_woken(False)  # noqa: FBT003 - not to wait
                self._ahead[in_hand] = None
        except queue.Empty:
            pass  # other threads take turns, too
        except BaseException:  # no memory
            if in_hand is not None:
                self._woken.put(in_hand)
            raise

    def put_ahead(self, turns: Iterable[Turn]) -> None:
        """Add turns ahead of all others. The caller has idle threads nudged after that.

        An interrupt leaves in an iterator what was not put. Blocks: never.
        """
        # A loop in C: no interrupt comes between taking one out of the iterator and putting it.
        collections.deque(map(self._woken.put, turns), 0)
        self.moved = True

    def take(self, *, crowded: bool) -> Turn | None:
        """Take a turn that was moved; `None` if a turn of the queue is to come first.

        `crowded`: there are more threads than there may be, so the turns that were moved aside come
        last: each of them may cost one more thread.
        """
        if not self._ahead and self._in_a_row < _IN_A_ROW and self._woken.qsize():
            try:
                woken = self._next_woken(False)  # noqa: FBT003 - not to wait
            except queue.Empty:
                pass  # other threads take turns, too
            else:
                self._in_a_row += 1  # a guess, as nothing guards it here
                return woken
        with self._lock:
            turn = self._take_locked(crowded=crowded)
            while True:  # not of a condition; see `interrupts`
                if not self._look_whether_moved_locked() or turn is not None:
                    break
                turn = self._take_locked(crowded=crowded)
        return turn

    def _woken_turn(self) -> Turn | None:
        if self._woken.qsize():
            with contextlib.suppress(queue.Empty):
                return self._next_woken(False)  # noqa: FBT003 - not to wait
        return None

    def _take_locked(self, *, crowded: bool) -> Turn | None:
        before = self._in_a_row
        if before >= _IN_A_ROW:
            self._in_a_row = 0
            if self._aside:
                return self._aside.popitem(last=False)[0]
            return None if self.qsize() else self._ahead_locked()
        turn = self._ahead_locked()
        if turn is not None:
            self._in_a_row = before + 1
            return turn
        if self._aside and not (crowded and self.qsize()):
            self._in_a_row = 0
            return self._aside.popitem(last=False)[0]
        # A turn of the queue comes before those that were moved aside, if there are any.
        self._in_a_row = before + bool(self._aside)
        return None

    def _ahead_locked(self) -> Turn | None:
        return self._ahead.popitem(last=False)[0] if self._ahead else self._woken_turn()

    def _look_whether_moved_locked(self) -> bool:
        """Clear `moved` if nothing is; return whether it was cleared and had to be set again."""
        if not self._moved_count():
            self.moved = False
            if self._woken.qsize():
                self.moved = True
                return True
        return False

    def _moved_count(self) -> int:
        return self._woken.qsize() + len(self._ahead) + len(self._aside)

    def forked(self) -> None:
        """Be usable in a child of `os.fork`, where no turns wait."""
        remake(self._lock)
