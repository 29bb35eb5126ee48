"""Which workers have not ended, which of them may have something to do, and what all have done.

**Guarantees.** A worker that is *dormant* is idle, and no message waits for it. So what is asked of
a pool as a whole takes time proportional to its threads, and to the workers that have something to
do: a million that are idle cost nothing.

Dormant is what a look at a worker has found idle. The dispatcher looks at all others when there are
many of them (`let_rest`); a worker wakes up with its next message (`rouse`). So neither costs a
message that finds its worker awake, and a sender that wakes a lane pays for one look more at it.

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

**Counting.** A thread counts what its turns do for itself (`threads.turns`), and nobody shares the
number with it. What is handled in another way (in the last turn of a worker, or on a caller's
thread) is added to the worker's own number, by whoever has the worker in hand; that is taken over
here as the worker lies down, or ends.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, Final, Literal

from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.reports import ExitCause

__all__ = ["Census"]

_MANY: Final = 1024
"""So many workers may be idle and not dormant, before the dispatcher looks at them by itself."""
_FEW: Final = 32
"""... and so many, before it does where somebody has looked at them in vain."""


class Census[K, M]:
    """The workers that have not ended. Threads: internally synchronized; no method blocks."""

    __slots__ = (
        "_dormant",
        "_dropped",
        "_entered",
        "_look_at",
        "_ready",
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
        """Guards all below, and what the subclasses have. Nobody waits under it.

        Reentrant: the garbage collector may run a finalizer while it is held, which may use the
        pool."""
        # The dormant ones; and the others, in a dict for its order: the oldest first.
        self._dormant: Final[dict[Incarnation[K, M], None]] = {}
        self._unfinished: Final[dict[Incarnation[K, M], None]] = {}
        # Whether one has ever woken up: then they do not stand in the order of their age.
        self._stirred: bool = False
        # At how many of the others there is to be a look at them.
        self._look_at: float = _MANY
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
            return list(self._unfinished)

    def is_unfinished(self, worker: object) -> bool:
        """Return whether it is one of these workers, and has not ended."""
        incarnation: Any = worker
        return incarnation in self._unfinished or incarnation in self._dormant

    def _none_unfinished(self) -> bool:
        return not self._unfinished and not self._dormant

    def let_rest(self) -> None:
        """Have the workers be dormant that are idle; on the dispatcher's thread.

        It takes time proportional to the others.
        """
        for worker in self.not_dormant():
            if not worker.idle:
                continue  # mostly: where many have entered that have not had a turn yet
            # The lock is taken for each: senders and workers want it, too.
            with self.lock:
                if worker in self._unfinished and (counted := worker.lie_down()) is not None:
                    self.counted += counted
                    self._dormant[worker] = None
                    del self._unfinished[worker]
            worker.look_again()
        with self.lock:
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
        """Take note that somebody has looked at so many workers that were idle."""
        if number > min(_FEW, _MANY // 4):
            with self.lock:
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
            in_both = sum(worker in self._dormant for worker in self._unfinished)
            here = len(self._dormant) + len(self._unfinished) - in_both
            ends = dict(self.other_ends)
            returned = self._entered - self._dropped - here - sum(ends.values())
        if returned > 0:
            ends["returned"] = returned
        return ends


def _number(worker: Incarnation[Any, Any]) -> int:
    return worker.number
