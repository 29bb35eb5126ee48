"""Which workers have not ended, which of them may have something to do, and what all have done.

**Guarantees.** A worker that is *dormant* is idle, and no message waits for it. So what is asked of
a pool as a whole takes time proportional to its threads, and to the workers that have something to
do: a million that are idle cost nothing.

Dormant is what a look at a worker has found idle. The dispatcher looks at all others (`let_rest`)
when there are many of them, or when observers of the pool have found so many of them idle that one
look of the dispatcher's would have cost less. A worker wakes up with its next message (`rouse`).
Neither costs anything where a message finds its worker awake; a sender that wakes a lane pays for
one more look at it.

**The dict of the others.** A dict keeps the places of what was taken out of it until it grows:
where 1,000,000 workers have been, a walk through the few that are left passes 1,000,000 empty
places. So a thread that is about to walk through it first replaces it with a copy, if it is mostly
empty places (`_close_up_locked`).

The race of a message and that look. The dispatcher is (1) to (4), a sender (a) and (b):

1. It acquires the lane's own lock, as a turn does, and finds the lane idle and its queue empty.
2. It writes that the lane is dormant, and takes from it what it has counted.
3. It releases the lock.
4. It looks into the queue once more, and if something is there, does what a sender does.
a. The sender puts a message, and finds the lane idle.
b. It tries the lane's lock. If it gets the lock, it schedules the lane, and wakes it up.

If (b) gets the lock, it does so before (1), which then finds the lane busy, or after (3), and sees
that the lane is dormant. Otherwise the dispatcher holds the lock: (a) comes before (4), which finds
the message. `tests/model/test_census_model.py` runs through the interleavings.

**Counting.** A thread counts what its turns do for itself (`threads.turns`), and no thread shares
the number with it. What is handled in another way (in the last turn of a worker, or on a caller's
thread) is added to the worker's own number, by the thread that has the worker in hand; that is
taken over here as the worker lies down, or ends.
"""

import itertools
import math
import operator
import threading
from collections.abc import Callable
from typing import Any, Final, Literal

from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.reports import ExitCause

__all__ = ["Census"]

_MANY: Final = 1024
"""So many workers may be idle and not dormant, before the dispatcher looks at them by itself."""
_FEW: Final = 32
"""So many idle ones may be looked at in vain, in one look or several, before it does that, too."""
_PATIENCE: Final = 1024
"""The most that `_FEW` is multiplied by, where the dispatcher looks in vain, too."""
_AT_ONCE: Final = 4096
"""How many workers the dispatcher looks at before it does what else there is to do."""
_BYTES: Final = 128
"""More than a dict has for each of its entries as it grows."""
_PLACES: Final = 64
"""So many times `_BYTES` a dict may have in any case."""

_others_of: Final = operator.attrgetter("_unfinished")
_counted_of: Final = operator.attrgetter("counted")


class Census[K, M]:
    """The workers that have not ended. Threads: internally synchronized; no method blocks."""

    __slots__ = (
        "_dormant",
        "_dropped",
        "_entered",
        "_in_vain",
        "_look_at",
        "_patience",
        "_ready",
        "_rested",
        "_stayed",
        "_stayed_idle",
        "_stirred",
        "_unfinished",
        "counted",
        "lock",
        "other_ends",
    )

    def __init__(
        self, ready: Callable[[Incarnation[K, M] | Literal["census"] | None], object]
    ) -> None:
        """Tell `ready` "census" when `let_rest` is to be called."""
        self._ready: Final = ready
        self.lock: Final = threading.RLock()
        """Guards all below, and what the subclasses have. No thread waits under it.

        Reentrant: the garbage collector may run a finalizer while it is held, which may use the
        pool."""
        # The dormant ones; and the others, in a dict for its order: the oldest first.
        self._dormant: Final[dict[Incarnation[K, M], None]] = {}
        self._unfinished: dict[Incarnation[K, M], None] = {}
        # Whether one has ever woken up: then they do not stand in the order of their age.
        self._stirred: bool = False
        # At how many of the others there is to be a look at them.
        self._look_at: float = _MANY
        # How many idle ones were looked at since the dispatcher has looked; how many times `_FEW`
        # may be.
        self._in_vain: int = 0
        self._patience: int = 1
        # Of the dispatcher's round through the others: how many have lain down; how many have
        # stayed of those it has looked at, and how many of these were idle.
        self._rested: int = 0
        self._stayed: int = 0
        self._stayed_idle: int = 0
        # How many lives have entered; of them, how many have never begun.
        self._entered: int = 0
        self._dropped: int = 0
        self.counted: int = 0
        """What workers have handled in turns that did not count it."""
        self.other_ends: Final[dict[ExitCause, int]] = {}
        """How many lives have ended otherwise than by returning, by the cause."""

    def unfinished(self) -> list[Incarnation[K, M]]:
        """Return the workers that have not ended, oldest first."""
        with self.lock:
            if not self._dormant and not self._stirred:
                return list(self._unfinished)
            # One that wakes up may be in both.
            workers = list(self._dormant | self._unfinished)
        workers.sort(key=_number)
        return workers

    def not_dormant(self) -> list[Incarnation[K, M]]:
        """Return the workers that may have something to do."""
        with self.lock:
            self._close_up_locked()
            return list(self._unfinished)

    def counts(self) -> tuple[list[Incarnation[K, M]], int]:
        """Return those, and what all have counted that is not counted elsewhere.

        In one step: what a worker has counted is taken over here as it lies down, or ends.
        """
        with self.lock:
            workers = self.not_dormant()
            return workers, sum(map(_counted_of, workers), self.counted)

    def _close_up_locked(self) -> None:
        """Have no more empty places in the dict of the others than a few for each of them.

        What runs in the midst of it on this thread (a finalizer, a signal handler) may use the
        pool, and so write that dict. It does not come between the moment at which the dict is read
        and the one at which the copy is in its place: both are done by iterators that are C all
        through, and a store (`interrupts`). A copy asks no worker for its hash.
        """
        if self._unfinished.__sizeof__() > _BYTES * (len(self._unfinished) + _PLACES):
            for self._unfinished in map(dict, map(_others_of, (self,))):  # noqa: B020 - C, see above
                pass

    def is_unfinished(self, worker: object) -> bool:
        """Return whether it is one of these workers, and has not ended."""
        incarnation: Any = worker
        with self.lock:  # it may be about to wake up
            return incarnation in self._unfinished or incarnation in self._dormant

    def _none_unfinished(self) -> bool:
        return not self._unfinished and not self._dormant

    def let_rest(self) -> None:
        """Have the workers be dormant that are idle; on the dispatcher's thread.

        It looks at a part of the others, and has itself called for the next part, until it has come
        to the last: so it holds up nothing else for long. Where some have ended meanwhile that had
        stayed, it leaves out as many: they are looked at the next time.
        """
        stayed = self._stayed
        with self.lock:
            self._look_at = math.inf
            self._in_vain = 0
            self._close_up_locked()
            part = list(itertools.islice(self._unfinished, stayed, stayed + _AT_ONCE))
        rest, idle, more = 0, 0, False
        try:
            for worker in part:
                if not worker.idle:
                    continue  # mostly: where many have entered that have not had a turn yet
                idle += 1
                # The lock is taken for each: senders and workers want it, too.
                with self.lock:
                    if worker in self._unfinished and (counted := worker.lie_down()) is not None:
                        self.counted += counted
                        self._dormant[worker] = None
                        del self._unfinished[worker]
                        rest += 1
                worker.look_again()
            more = len(part) == _AT_ONCE
        finally:
            with self.lock:
                self._rested += rest
                self._stayed_idle += idle - rest
                if more:
                    self._stayed += len(part) - rest
                    self._ready("census")
                else:
                    self._round_is_over_locked()

    def _round_is_over_locked(self) -> None:
        """Say when the dispatcher is to look next."""
        if self._rested:
            self._patience = 1
        elif self._stayed_idle:
            # They do not lie down: functions, say, or what is paused.
            self._patience = min(2 * self._patience, _PATIENCE)
        self._rested = self._stayed = self._stayed_idle = 0
        self._look_at = 2 * len(self._unfinished) + _MANY

    def rouse(self, worker: Incarnation[K, M]) -> None:
        """Count a worker among those that are not dormant, as it wakes up."""
        with self.lock:
            self._stirred = True
            # In this order: an interrupt leaves it in both, never in none.
            if worker in self._dormant:
                self._unfinished[worker] = None
                del self._dormant[worker]
            worker.dormant = False
            if len(self._unfinished) >= self._look_at:
                self._ask_for_census_locked()

    def found_idle(self, number: int) -> None:
        """Take note that an observer has looked at so many workers that were idle."""
        if number:
            with self.lock:
                self._in_vain += number
                if self._in_vain > self._patience * min(_FEW, _MANY // 4):
                    self._ask_for_census_locked()

    def _ask_for_census_locked(self) -> None:
        """Have `let_rest` called, once."""
        if self._look_at != math.inf:
            self._look_at = math.inf
            self._ready("census")

    @property
    def ends(self) -> dict[ExitCause, int]:
        """How many lives have ended, by the cause; those that went on anew have ended, too.

        Those have returned that have entered and begun, and are neither here nor counted with
        another cause: so the usual end of a worker counts nothing.
        """
        with self.lock:
            in_both = sum(map(self._dormant.__contains__, self._unfinished))
            here = len(self._dormant) + len(self._unfinished) - in_both
            ends = dict(self.other_ends)
            returned = self._entered - self._dropped - here - sum(ends.values())
        if returned > 0:
            ends["returned"] = returned
        return ends


def _number(worker: Incarnation[Any, Any]) -> int:
    return worker.number
