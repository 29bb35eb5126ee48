"""Tasks of all keys: each runs alone.

**Guarantees.** Those of `keyed.several`. It runs after all that came before it, of any key or of
none, and before all that comes after it; nothing else runs meanwhile.

**How.** It has a gate in each lane that there is, and in one that all such tasks have, so that they
are in order. It is also the *barrier* of each shard: a lane that comes after it is held back until
it is over. The race of a lane that is held back, and the task's end, or its cancelling, is that of
a lane that comes to a gate; see `keyed.several`.
"""

import operator
import threading
from typing import Any, Final, final, override

from threadpool_mb.interrupts import after
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.released import schedule, take_out
from threadpool_mb.keyed.several import NO_CALL, Several
from threadpool_mb.keyed.standins import Barrier, RunsTasks
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Shard, Task
from threadpool_mb.values import MISSING

__all__ = ["Exclusive"]

_first: Final = operator.itemgetter(0)


@final
class Exclusive(Several):
    """A task of all keys; see `Several`."""

    __slots__ = ("_before", "_late")

    def __init__(self, table: Table, context: RunsTasks | None) -> None:
        """Be a task of all keys of a table; `context`: of `Task`. It has no `call` yet."""
        super().__init__(table.shards[0], (), context)
        # The lanes that were held back.
        self._late: Final[dict[Task, None]] = {}
        # The barriers before it, once it is over; for all that release lanes.
        self._before: Final[dict[Shard, list[Barrier]]] = {}

    @override
    def _waits_for_this_thread(self) -> bool:
        me = threading.get_ident()
        shards = self._table.shards
        return any(lane.runs_on() == me for shard in shards for lane in shard.all_lanes())

    @override
    def _put_all(self, first: Task, future: KeyedFuture[Any]) -> None:
        table = self._table
        missing = self._missing = [True, False]
        self._put(first, missing)
        for shard in table.shards:
            # All under the lock: a key that ends and comes again in between would be held back by
            # this task, which would wait at its gate behind it.
            with shard.lock:
                if shard.closed:
                    table.refuse()
                shard.put_up(self)
                for key in self._keys_before(shard):
                    # Not the first entry: that is for the thread that is here.
                    missing.append(False)
                    self._put(Task(shard, key, future, NO_CALL, (), None, self), missing)

    def _put(self, gate: Task, missing: list[bool]) -> None:
        shard = gate.shard
        try:
            with shard.lock:
                is_lane = self._table.add(shard, gate, barrier=False)
            if is_lane:
                self._waiting.append(gate)
                missing.pop()
            elif shard.threads.growing and not shard.threads.any:
                # What is before it may have been refused a thread; as in `Table.submit`.
                shard.threads.grow_if_needed()
        except BaseException:
            self._put_as_a_lane(gate)
            raise

    def _keys_before(self, shard: Shard) -> list[object]:
        """Return the keys that are to have a gate."""
        # What a signal handler, or a finalizer, has submitted just now may be held back already.
        return [
            lane.key
            for lane in shard.lanes()
            if lane.key is not self._table.of_all and lane not in self._late
        ]

    def hold_back(self, lane: Task) -> bool:
        """Keep a new lane until the task is over; `False` if it is; see `Barrier`."""
        self._late[lane] = None  # (1)
        return not (self._over and self._late.pop(lane, MISSING) is None)  # (2)

    @override
    def end(self, *, goes_on: bool) -> Several | None:
        self._release()
        return None

    @override
    def _release(self) -> None:
        self._over = True  # (a)
        for shard in self._table.shards:
            with shard.lock:
                shard.take_down(self, self._before)
        late = self._late
        take_out(
            lambda: map(_first, after(late.popitem)),  # (b)
            lambda lane: late.update({lane: None}),
            self._go_on_late,
        )
        super()._release()

    def _go_on_late(self, in_hand: list[Task]) -> None:
        # Where this one was cancelled, and one before it is not over.
        for barrier in self._before.get(in_hand[0].shard, ()):
            lane = in_hand.pop()  # an interrupt just here loses it; else it might run twice
            if barrier.hold_back(lane):
                return
            in_hand.append(lane)
        schedule(in_hand)
