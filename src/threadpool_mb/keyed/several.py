"""Tasks of several keys: exclusive of each, in order with each.

Such a task puts a *gate* into the lane of each of its keys. A lane that comes to a gate waits, and
holds no thread meanwhile. Once the lanes of all gates wait, the task has a turn, and runs; then
they go on.

**Guarantees.** The task runs after what came before it, for each of its keys, and before what comes
after it; none of its keys has another task running meanwhile. It cannot deadlock: see below. One
that is cancelled before it runs holds up nothing from then on.

**Why no circle can close.** Gates are put up by one thread at a time, for all keys of one task
before those of the next (`keyed.placing`). So of two such tasks one is before the other in every
lane that both are in. A lane is in order, so a task waits only for tasks that are before it: of
those that wait, the one whose gates were put up first waits for tasks of one key alone, and these
wait for none.

**Whose lane comes to a gate.** Of a key that has no lane, the gate is the lane: its submitter has
it wait. So a task whose keys have nothing else to do takes one turn, as one of a single key does.
Of a key that has one, the thread that has run what stood before the gate brings the lane there: in
the lane's turn after a task of one key, in that task's turn after one of several keys. The thread
that brings the last lane has the task run: in a turn that it schedules, or in its own.

**How.** A task has no lock of its own. Gates are counted by a list with one entry for each that no
lane waits at, and one for the thread that puts them up: the thread that pops the last entry, which
is told from the others, has the task run. The list is made before a gate is put behind others,
where a thread may come to it at once; where each gate is the lane, there is none. Whether the task
is run, or left out as it was cancelled, its future decides.

The race of a lane that comes to a gate, and the task's end, or its cancelling. The thread that has
the lane is (1) and (2), the thread that lets the lanes go on (a) and (b):

1. It adds the lane to those that wait.
2. It reads whether the task is over. If so, it takes the lane out again, and goes on with it.
a. The thread writes that the task is over.
b. It takes out all lanes that wait, and has each go on.

(1) and (b) are operations on one dict. If (1) comes first, (b) finds the lane, unless (2) has taken
it out: one of the two has it. If (b) comes first, so does (a), and (2) sees it.

The thread that puts up the gates does (1) for each gate that is a lane, but not (2). When it is
done, it pops an entry. If that is the last one, it has the task run, and the task's end does (b).
If not, it reads whether the task is over, and if so, does (b).

`tests/model/test_several_model.py` runs through the interleavings.
"""

import contextlib
import functools
import threading
from contextvars import copy_context
from typing import Any, Final, cast, override

from threadpool_mb.interrupts import after
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.released import (
    leave_in_place,
    log_lost,
    pass_gate,
    schedule,
    take_away,
    take_out,
)
from threadpool_mb.keyed.standins import RunsTasks, StandIn
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tally import Tally
from threadpool_mb.keyed.tasks import Shard, Task
from threadpool_mb.logs import Logger
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.values import MISSING

__all__ = ["NO_CALL", "Several"]

_logger = Logger(__name__)

NO_CALL: Final[Any] = MISSING
"""What a gate calls, other than the first one."""

_IN_A_ROW: Final = 64
"""The most tasks in a turn."""


class Several(StandIn):
    """A task of several keys: a turn that is scheduled once all its lanes wait.

    To its future it is the lanes that run it; to its gates, the context in which they run.

    Threads: internally synchronized, but for `enter` and `turn`.
    """

    __slots__ = (
        "_context",
        "_keys",
        "_missing",
        "_over",
        "_shard",
        "_thread",
        "_waiting",
        "call",
    )
    is_gate = True

    def __init__(
        self, shard: Shard, keys: tuple[object, ...], context: RunsTasks | None, /
    ) -> None:
        """Be a task of these keys, of which the first one's shard is given; `context`: of `Task`.

        It has no `call` yet.
        """
        # That of what runs it: of pinned threads, that of the first key.
        self._shard: Final = shard
        self._keys: Final = keys
        self._context: RunsTasks | None = context
        self.call: Task | None = None
        """The first key's gate, which has the call, until it is run or left out."""
        # One for each gate that no lane waits at, and the first one, `True`, for the thread that
        # puts them up. The last one is popped first. `None` while each gate came first.
        self._missing: list[bool] | None = None
        # The lanes that wait at a gate.
        self._waiting: Final[list[Task]] = []
        self._over: bool = False
        self._thread: int = 0  # that runs it

    @override
    def run(self, function: object, task: Task, /) -> object:
        """Have the lane of a gate wait."""
        return self

    @property
    def threads(self) -> SharedThreads:
        """What runs it."""
        return self._shard.threads

    @property
    def in_child(self) -> bool:
        """Whether it is a task of the process that has forked this one; for its future."""
        return self._shard.in_child

    @property
    def tally(self) -> Tally:
        """What counts it; for its future."""
        return self._shard.tally

    @property
    def _table(self) -> Table:
        return cast("Table", self._shard.table)

    @override
    def runs_here(self, _key: object, /) -> bool:
        """Return whether this thread runs this task, or one that it waits for."""
        if self._thread or self._over:
            return self._thread == threading.get_ident()
        return self._waits_for_this_thread()

    @override
    def runs_on(self) -> int:
        return self._thread

    def _waits_for_this_thread(self) -> bool:
        return any(self._table.shard(key).runs_here(key) for key in self._keys)

    def stands_behind_this(self, _key: object, /) -> bool:
        """Return whether a task that this one waits for waits for one that this thread runs."""
        return any(self._table.shard(key).stands_behind_this(key) for key in self._keys)

    @property
    def future(self) -> KeyedFuture[Any] | None:
        """Its future, if it has not begun."""
        call = self.call
        return None if call is None else call.future

    def enter(self) -> None:
        """Put up the gates; on one thread at a time.

        Raises:
            RuntimeError: if the table was closed meanwhile; then it is over.
            ThreadRefused: if there is no thread, and the system starts none; then it is over.
        """
        call = self.call
        if call is None or (future := call.future) is None:
            return  # it was cancelled
        try:
            self._put_all(call, future)
            missing = self._missing
            if missing is None or missing.pop():
                threads = self._shard.threads
                threads.put(self)
                if threads.growing:
                    threads.grow_if_needed()
            elif self._over:
                # It may have been cancelled while gates were put up: those that came later, too.
                self._release()
        except BaseException:
            # Not where it runs already. It is not counted as one that was cancelled.
            if KeyedFuture.cancel(future):  # pyright: ignore[reportUnknownMemberType]
                self.call = None
                self._release()
            raise

    def _put_all(self, first: Task, future: KeyedFuture[Any]) -> None:
        waiting = self._waiting
        shards = self._shard.table.shards
        gate: Task | None = first
        try:
            for key in self._keys:
                if gate is None:
                    shard: Shard = shards[hash(key) % len(shards)]
                    gate = Task(shard, key, future, NO_CALL, (), None, self)
                else:
                    shard = gate.shard
                with shard.lock:
                    # The first half is what is needed most times.
                    is_lane = (
                        not shard.barred and shard.entries.setdefault(gate.key, gate) is gate
                    ) or self._put_behind(gate)
                if is_lane:
                    waiting.append(gate)
                    if self._missing is not None:
                        self._missing.pop()
                elif shard.threads.growing and not shard.threads.any:
                    # What is before it may have been refused a thread; as in `Table.submit`.
                    shard.threads.grow_if_needed()
                gate = None
        except BaseException:
            if gate is not None:
                self._put_as_a_lane(gate)
            raise

    def _put_behind(self, gate: Task) -> bool:
        """Put up a gate, under the shard's lock; return whether it is a lane that waits for it."""
        if self._missing is None:
            # Before a thread can come to the gate. Those that came first wait.
            self._missing = [True, *[False] * (len(self._keys) - len(self._waiting))]
        return self._table.add(gate.shard, gate) or leave_in_place(gate)

    def _put_as_a_lane(self, gate: Task) -> None:
        """See to the gate that was just being put up when an interrupt came."""
        if gate in self._waiting:
            return
        shard = gate.shard
        with shard.lock:
            # A gate that is not this task's any more has gone on, as the task was cancelled.
            mine = shard.is_lane(gate) and gate.context is self
            stranded = mine and not shard.hold_back(gate)
        if stranded:
            self._waiting.append(gate)

    @override
    def keep(self, lane: Task, task: Task) -> tuple[bool, bool]:
        """Have a lane wait at a gate that it has taken, unless there is nothing to wait for."""
        shard, gate = lane.shard, task
        gate.context = self  # which the turn has taken
        if gate is not lane:
            # Where it has not stayed in its place (`keyed.released`): one of all keys.
            shard.put_back(lane, gate)
        can_run = self.comes_to(lane)
        if can_run:
            self.threads.schedule(self)
        if can_run is not None:
            return True, False
        if gate is not lane:
            take_away(lane, gate)
        gate.forget()
        return False, False

    def turn(self) -> int:
        """Run the task, and what can run as it is over; return how many have run."""
        has_run = int(self.run_call())
        several = self.end(goes_on=True)
        left = _IN_A_ROW - 1
        while several is not None:
            left -= 1
            has_run += several.run_call()
            several = several.end(goes_on=left > 0)
        return has_run

    def run_call(self) -> bool:
        """Run the task alone, in its context; return whether it has run."""
        # These are two steps. Only where it was cancelled can two threads be here, and both have
        # the call: its future lets neither of them run it (`told_twice`).
        call, self.call = self.call, None
        if call is None:
            return False  # it was cancelled
        left_out: object = False
        context, self._context = self._context, None
        self._thread = threading.get_ident()
        try:
            left_out = (copy_context() if context is None else context).run(Task.run, call)
        except BaseException:
            _logger.exception("%s: a task's end raised", self._shard.table.name)
        self._thread = 0
        call = context = None  # the traceback of an error of the task refers back to this frame
        return not left_out

    def end(self, *, goes_on: bool) -> "Several | None":
        """Have the lanes go on; on a thread that runs tasks, where no interrupt comes.

        Returns:
            If the turn goes on, a task that can run in it; others are scheduled.
        """
        self._over = True  # (a)
        then: Several | None = None
        waiting = self._waiting
        shard = self._shard
        try:
            while waiting:
                lane = waiting.pop()  # (b)
                shard = lane.shard
                try:
                    task = pass_gate(lane, self)
                    if task is not None:
                        # Its threads are looked at here alone: all of them count references to it.
                        threads = self.threads if goes_on else None
                        then = _go_on_with(lane, task, then, threads)
                except BaseException:  # noqa: BLE001 - the key's
                    log_lost(lane)
        except IndexError:
            pass  # the thread that has put up the gates takes lanes out, too
        if shard.closed and shard.table.closed:
            shard.table.end_if_done()
        return then

    def comes_to(self, lane: Task) -> bool | None:
        """Have a lane wait that has come to a gate; return whether the task can run now.

        `None`: it is over, and the lane has to go on.
        """
        self._waiting.append(lane)  # (1)
        # From here on another thread may have the lane go on.
        if self._over and self._take_out_again(lane):  # (2)
            return None
        assert self._missing is not None  # noqa: S101 - else the gate is the lane
        return self._missing.pop()

    def _take_out_again(self, lane: Task) -> bool:
        with contextlib.suppress(ValueError):
            self._waiting.remove(lane)
            return True
        return False

    def cancelled(self, future: KeyedFuture[Any]) -> None:
        """Take note that the future was cancelled: nothing waits for it any more."""
        try:
            self.call = self._context = None
            future.tell_cancelled()
            self._release()
        except BaseException:  # an interrupt
            self.threads.schedule(self)  # which lets those go on that are left
            future.tell_cancelled()
            raise

    def _release(self) -> None:
        """Have the lanes go on; after an interrupt, those that are left can be released again."""
        self._over = True  # (a)
        waiting = self._waiting
        take_out(functools.partial(after, waiting.pop), waiting.append, self._go_on)
        if self._shard.table.closed:
            self._shard.table.end_if_done()

    def _go_on(self, in_hand: list[Task]) -> None:
        lane = in_hand[0]
        try:
            if pass_gate(lane, self) is None:
                return
        except Exception:  # noqa: BLE001 - the key's
            log_lost(lane)
            return
        schedule(in_hand)


def _go_on_with(
    lane: Task, task: Task, then: Several | None, threads: SharedThreads | None
) -> Several | None:
    """Have a lane go on with its next task; return what runs next on this thread; see `end`."""
    shard = lane.shard
    following: Task | None = task
    while following is not None:
        several = following.context
        if not isinstance(several, Several):
            shard.threads.schedule(lane)
            break
        can_run = several.comes_to(lane)
        if can_run is not None:
            if can_run and then is None and several.threads is threads:
                return several
            if can_run:
                several.threads.schedule(several)
            break
        following = pass_gate(lane, several)
    return then
