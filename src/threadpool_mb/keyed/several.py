"""Tasks of several keys, or of all: exclusive of each, in order with each.

Such a task puts a *gate* into the lane of each of its keys. A lane that comes to a gate waits, and
holds no thread meanwhile. Once the lanes of all gates wait, the task runs; then they go on.

**Guarantees.** The task runs after what came before it, for each of its keys, and before what comes
after it; none of its keys has another task running meanwhile. It cannot deadlock: see below. One
that is cancelled before it runs holds up nothing from then on.

**Why no circle can close.** Gates are put up by one thread at a time, for all keys of one task
before those of the next (`keyed.placing`). So of two such tasks one is before the other in every
lane that both are in. A lane is in order, so a task waits only for tasks that are before it: of
those that wait, the one whose gates were put up first waits for tasks of one key alone, and these
wait for none.

**A task of all keys** has a gate in each lane that there is, and in one that all such tasks have,
so that they are in order. It is also the *barrier* of each shard: a lane that comes after it is
held back until it is over.

**How.** A task has no lock of its own. Gates are counted by a list with one entry for each, and one
for who puts them up: whoever pops the last entry, which is told from the others, has the task run.
Whether it was run, or left out as it was cancelled: whoever pops the one entry of a different list.

The race of a lane that comes to a gate, or was held back, and the task's end, or its cancelling.
The lane's thread is (1) and (2), the thread that lets the lanes go on (a) and (b):

1. It adds the lane to those that wait.
2. It reads whether the task is over. If so, it takes the lane out again, and goes on with it.
a. The thread writes that the task is over.
b. It takes out all lanes that wait, and has each go on.

(1) and (b) are operations on one dict. If (1) comes first, (b) finds the lane, unless (2) has taken
it out: one of the two has it. If (b) comes first, so does (a), and (2) sees it.

`tests/model/test_several_model.py` runs through the interleavings.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any, Final, final, override

from threadpool_mb.arguments import describe
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.interrupts import after
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.standins import Barrier, Held, RunsTasks, StandIn
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tally import Tally
from threadpool_mb.keyed.tasks import Shard, Task
from threadpool_mb.logs import Logger
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.values import MISSING

__all__ = ["Several", "check_keys"]

_logger = Logger(__name__)

type AnyCall = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any] | None]
"""What is called: a function, its arguments, its keywords."""


def check_keys(keys: object) -> list[object]:
    """Return different keys, in their order.

    Raises:
        TypeError: if they are no iterable of keys that can be hashed.
    """
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        raise TypeError(
            f"keys must be an iterable of keys, not {describe(keys)};"
            " for one key there is submit_keyed"
        )
    each: list[object] = list(keys)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    try:
        return list(dict.fromkeys(each))
    except TypeError as error:
        raise TypeError(f"each of the keys must be hashable: {error}") from None


class _Arrival(Held):
    """A lane has come to a gate."""

    def __init__(self, several: "Several") -> None:
        super().__init__()
        self._several: Final = several

    @override
    def keep(self, lane: Task, task: Task) -> bool:
        return self._several.arrive(lane, task)


@final
class Several(StandIn):
    """A task of several keys, or of all: a turn that is scheduled once all its lanes wait.

    To its future it is the lanes that run it; to its gates, the context in which they run.

    Threads: internally synchronized, but for `enter` and `turn`.
    """

    __slots__ = (
        "_before",
        "_claim",
        "_context",
        "_gate",
        "_keys",
        "_late",
        "_missing",
        "_over",
        "_table",
        "_thread",
        "_waiting",
        "threads",
    )

    def __init__(self, table: Table, keys: list[object] | None) -> None:
        """Be a task of these keys, of all if there are `None`."""
        self._table: Final = table
        table.gated = True
        self._keys: Final = keys
        first = table.shard(keys[0]) if keys else table.shards[0]
        self.threads: Final[SharedThreads] = first.threads
        """What runs it: of pinned threads, that of the first key."""
        self._context: RunsTasks | None = None
        # The gate that has the call, until it is run or left out.
        self._claim: Final[list[Task]] = []
        # The gate that is being put up.
        self._gate: Task | None = None
        # One for each gate that no lane waits at, and the last one, `True`, for who puts them up.
        self._missing: list[bool] = []
        # The lanes that wait at a gate, and those that were held back.
        self._waiting: Final[dict[Task, None]] = {}
        self._late: Final[dict[Task, None]] = {}
        # The barriers before it, of one of all keys, once it is over; for all that release lanes.
        self._before: Final[dict[Shard, list[Barrier]]] = {}
        self._over = False
        # The thread that runs it.
        self._thread = 0

    @override
    def run(self, function: Callable[[Task], object], task: Task, /) -> object:
        """Have the lane of a gate wait."""
        raise _Arrival(self)

    @property
    def in_child(self) -> bool:
        """Whether it is a task of the process that has forked this one; for its future."""
        return self._table.in_child

    @property
    def tally(self) -> Tally:
        """What counts it; for its future."""
        return self._table.shards[0].tally

    @override
    def runs_here(self, _key: object, /) -> bool:
        """Return whether this thread runs this task, or one that it waits for."""
        me = threading.get_ident()
        if self._thread == me:
            return True
        if self._over or self._thread:
            return False
        if self._keys is not None:
            return any(self._table.shard(key).runs_here(key) for key in self._keys)
        return any(lane.thread == me for shard in self._table.shards for lane in shard.all_lanes())

    def stands_behind_this(self, _key: object, /) -> bool:
        """Return whether a task that this one waits for waits for one that this thread runs."""
        table = self._table
        return any(table.shard(key).stands_behind_this(key) for key in self._keys or ())

    def be_called(self, future: KeyedFuture[Any], call: AnyCall, context: RunsTasks | None) -> None:
        """Say what it is: a function, its arguments, its keywords; see `Task`."""
        fn, args, kwargs = call
        table = self._table
        key = table.of_all if self._keys is None else self._keys[0]
        shard = table.shards[0] if self._keys is None else table.shard(key)
        self._context = context
        self._claim.append(Task(shard, key, future, fn, args, kwargs or None, self))

    @property
    def future(self) -> KeyedFuture[Any] | None:
        """Its future, if it has not begun."""
        for task in self._claim[:1]:
            return task.future
        return None

    def enter(self) -> None:
        """Put up the gates; on one thread at a time.

        Raises:
            RuntimeError: if the table was closed meanwhile; then it is over.
            ThreadRefused: if there is no thread, and the system starts none; then it is over.
        """
        future = self.future
        if future is None:
            return  # it was cancelled
        try:
            self._put_all(self._claim[0], future)
            if self._missing.pop():
                self.threads.schedule(self)
        except BaseException:
            self._put_as_a_lane()
            if self._take_call() is not None:
                self._release()
            raise
        finally:
            # It may have been cancelled while gates were put up: those that came later, too.
            if self._over:
                self._release()

    def _put_all(self, first: Task, future: KeyedFuture[Any]) -> None:
        table = self._table
        if self._keys is not None:
            self._missing = [True] + [False] * len(self._keys)
            self._put(first)
            for key in self._keys[1:]:
                self._put(_no_call(table.shard(key), key, future, self))
            return
        self._missing = [True, False]
        self._put(first, barrier=False)
        for shard in table.shards:
            # All under the lock: a key that ends and comes again in between would be held back by
            # this task, which would wait at its gate behind it.
            with shard.lock:
                if shard.closed:
                    table.refuse()
                shard.put_up(self)
                for key in self._keys_before(shard):
                    # Not the first entry: that is for the thread that is here.
                    self._missing.append(False)
                    self._put(_no_call(shard, key, future, self), barrier=False)

    def _keys_before(self, shard: Shard) -> list[object]:
        """Return the keys that are to have a gate of a task of all keys."""
        # What a signal handler, or a finalizer, has submitted just now may be held back already.
        return [
            lane.key
            for lane in shard.lanes()
            if lane.key is not self._table.of_all and lane not in self._late
        ]

    def _put(self, gate: Task, *, barrier: bool = True) -> None:
        self._gate = gate
        shard = gate.shard
        with shard.lock:
            if shard.barred:
                is_lane = self._table.add(shard, gate, barrier=barrier)
            else:
                is_lane = shard.add(gate)
        if is_lane:
            self._waiting[gate] = None
            self._missing.pop()
        elif shard.threads.growing and not shard.threads.any:
            # What is before it may have been refused a thread; as in `Table.submit`.
            shard.threads.grow_if_needed()
        self._gate = None

    def _put_as_a_lane(self) -> None:
        """See to the gate that was just being put up when an interrupt came."""
        gate = self._gate
        if gate is None or gate in self._waiting:
            return
        with gate.shard.lock:
            stranded = gate.shard.is_lane(gate) and not gate.shard.hold_back(gate)
        if stranded:
            self._waiting[gate] = None

    def arrive(self, lane: Task, gate: Task) -> bool:
        """Have a lane wait at a gate; `False` if there is nothing to wait for any more."""
        shard = lane.shard
        gate.context = self  # which the turn has taken
        if gate is not lane:
            # It stays in its place until it is passed: whoever cancels what waits finds it there.
            shard.put_back(lane, gate)
        self._waiting[lane] = None  # (1)
        # Whoever lets the lane go on may do so from here on.
        if self._over and self._waiting.pop(lane, MISSING) is None:  # (2)
            if gate is not lane:
                shard.next(lane, take=True)
            gate.forget()
            return False
        if self._missing.pop():
            self.threads.schedule(self)
        return True

    def hold_back(self, lane: Task) -> bool:
        """Keep a new lane until the task is over; `False` if it is; see `Barrier`."""
        self._late[lane] = None  # (1)
        return not (self._over and self._late.pop(lane, MISSING) is None)  # (2)

    def turn(self) -> int:
        """Run the task, and have the lanes go on; return how many have run."""
        task = self._take_call()
        if task is None:
            self._release()  # it was cancelled
            return 0
        left_out: object = False
        me = self._thread = threading.get_ident()
        for lane in self._waiting:
            lane.thread = me
        try:
            context, self._context = self._context, None
            left_out = (copy_context() if context is None else context).run(Task.run, task)
        except BaseException:
            _logger.exception("%s: a task's end raised", self._table.name)
        finally:
            context = None
            for lane in self._waiting:
                lane.thread = 0
        del task
        self._release()
        return 0 if left_out else 1

    def cancelled(self, future: KeyedFuture[Any]) -> None:
        """Take note that the future was cancelled: nothing waits for it any more."""
        with contextlib.suppress(IndexError):
            for _ in after(self._claim.pop):
                try:
                    self._context = None
                    future.tell_cancelled()
                    self._release()
                except BaseException:  # an interrupt
                    self.threads.schedule(self)  # which finds that it was cancelled
                    future.tell_cancelled()
                    raise

    def _take_call(self) -> Task | None:
        """Return the gate that has the call, to one thread; `None` to all others."""
        try:
            return self._claim.pop()
        except IndexError:
            return None

    def _release(self) -> None:
        """Have the lanes go on; after an interrupt, those that are left can be released again."""
        self._over = True  # (a)
        if self._keys is None:
            for shard in self._table.shards:
                with shard.lock:
                    shard.take_down(self, self._before)
        for lanes, go_on in ((self._late, self._go_on_late), (self._waiting, self._go_on)):
            with contextlib.suppress(KeyError):
                while True:
                    for lane, _ in after(lanes.popitem):  # (b)
                        in_hand = [lane]
                        try:
                            go_on(in_hand)
                        except BaseException:  # an interrupt
                            lanes.update(dict.fromkeys(in_hand))
                            raise
        if self._table.closed:
            self._table.end_if_done()

    def _go_on_late(self, in_hand: list[Task]) -> None:
        # Where this one was cancelled, and one before it is not over.
        for barrier in self._before.get(in_hand[0].shard, ()):
            lane = in_hand.pop()  # an interrupt just here loses it; else it might run twice
            if barrier.hold_back(lane):
                return
            in_hand.append(lane)
        _schedule(in_hand)

    def _go_on(self, in_hand: list[Task]) -> None:
        lane, shard = in_hand[0], in_hand[0].shard
        if self._table.closed and not shard.is_lane(lane):
            return  # all were left out
        try:
            if lane.context is self:
                lane.forget()  # it is the gate, which came first
            elif lane.behind and lane.behind[0].context is self:  # not passed yet
                lane.behind[0].forget()
                shard.next(lane, take=True)
            if lane.ended or shard.next(lane, take=False) is None:
                return
        except Exception:
            _logger.exception(
                "%s: the entry of key at %#x stays: looking it up failed",
                self._table.name,
                id(lane.key),
            )
            return
        _schedule(in_hand)


def _no_call(shard: Shard, key: object, future: KeyedFuture[Any], several: Several) -> Task:
    """Return a gate that has nothing to call."""
    function: Any = MISSING
    return Task(shard, key, future, function, (), None, several)


def _schedule(in_hand: list[Task]) -> None:
    """Schedule the lane in hand, which it is no more then; see `interrupts`."""
    threads = in_hand[0].shard.threads
    # Without a thread, and where the system starts none, the next sender asks for one again.
    with contextlib.suppress(ThreadRefused):
        for _ in map(threads.put, after(in_hand.pop)):
            threads.grow_if_needed()
