"""Generator workers whose messages expire, or that take so many a second, or wait for room of all.

Only pools with `message_ttl`, `rate` or `max_waiting` have these lanes. With the first two, a
message waits with the time at which it was put. The lane's own `get` looks at that, and at when it
may take the next one.

**Guarantees.** A message is handled, or it is a dead letter: one that has waited for too long is
never handled. A worker takes its messages in order, no more often than the rate says, and holds no
thread while it waits. Never more messages wait in all than `max_waiting`, but for those that are
redelivered. The thread that takes a message out of the queue, to handle or to sweep it, frees its
room.
"""

import collections
import contextlib
import functools
import queue
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any, ClassVar, Final, final, override

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.line.inlet import Marker
from threadpool_mb.line.lane import Lane
from threadpool_mb.line.slots import Slots, refuse
from threadpool_mb.line.striped import Stripe
from threadpool_mb.pool.flows import PoolFlow
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.waits import Sleep, Suspended, Wait
from threadpool_mb.threads.turns import Turn
from threadpool_mb.values import MISSING

__all__ = ["flowing"]

# Of the queue that the lane is: its own are those below.
_get_nowait: Final[Callable[[Any], Any]] = Lane[Any].get_nowait


@final
class _Until(Wait):
    """The time from which on a worker may take its next message."""

    __slots__ = ("_when",)

    def __init__(self, when: float) -> None:
        self._when: Final = when

    @override
    def begin(self, suspended: Suspended) -> None:
        suspended.wake_at(self._when)

    @override
    def due(self, suspended: Suspended) -> None:
        suspended.wake()


class _Flowing:
    """A lane with a flow; beside its own class."""

    __slots__ = ()

    common: Any
    ahead: ClassVar[bool] = False

    def _take(self) -> Any:  # noqa: ANN401 - what is in the queue
        lane: Any = self
        return _get_nowait(lane)

    def schedule(self, turns: Iterator[Turn]) -> None:
        """Give the lane a turn behind others: where many wait for their time, all come late."""
        threads = self.common.threads
        put: Callable[[Turn], object] = threads.put
        collections.deque(map(put, turns), 0)  # as in `ReadyTurns.put_ahead`
        threads.grow_if_needed()

    def handle_here(self, message: object, **_: object) -> bool:
        """Handle nothing: a call waits for its time, too, and for room."""
        del message
        return False


class _InRoom(_Flowing):
    """A lane whose messages take room of all, in a stripe that it shares with other lanes.

    Only the marker takes none. The thread that takes a message out of the queue frees its slot.
    """

    __slots__ = ()

    stripe: Stripe
    closed: bool
    put: Callable[[Any], None]
    attend: Callable[[], None]
    unattended: int

    def __init__(self, common: Any, key: Any, slots: Slots | None) -> None:  # noqa: ANN401 - as there
        lane: Any = self
        super().__init__(common, key, slots)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        lane.stripe = common.flow.room.stripe(hash(lane))
        lane.direct = None

    def renew(self, message: object) -> None:
        """Have a new life; its messages take room as before."""
        lane: Any = self
        base: Any = super()
        base.renew(message)
        lane.direct = None
        # Before it is pending, perhaps for long: what waits in it frees its room once it begins.
        lane.common.flow.suspended[self] = None

    def _suspend(self) -> None:
        self.common.flow.suspended[self] = None
        base: Any = super()
        base._suspend()  # noqa: SLF001 - its own

    def _work(self) -> int:
        lane: Any = self
        # Not for each turn: there is one dict for all lanes. It has waited, or begins.
        if type(lane._generator) is not GeneratorType:  # noqa: SLF001 - its own
            self.common.flow.suspended.pop(self, None)
        base: Any = super()
        goes_on: int = base._work()  # noqa: SLF001 - its own
        return goes_on

    def _take(self) -> Any:  # noqa: ANN401 - what is in the queue
        """Take what comes next, and free its slot, which `get` leaves to the turn: see `freed`."""
        lane: Any = self
        message: Any = _get_nowait(lane)
        if message is not Marker:
            self._give_back()
        return message

    def get_nowait(self) -> Any:  # noqa: ANN401 - an M, or the marker
        """Take what comes next; for `sweep`."""
        return self._take()

    def deliver(self, message: Any, /, deadline: Deadline = NEVER) -> bool:  # noqa: ANN401 - an M
        """Put one message in, and wait for room in the pool; see `Inlet.deliver`."""
        stripe = self.stripe
        # Not a loop, and no wait in the handler: as in `Inlet.deliver`.
        while True:
            try:
                stripe.get(False)
                break
            except queue.Empty:
                pass
            if self.common.flow.take_room(stripe, self.common.threads, deadline):
                break
            return False
        if self.closed:
            # No frame is begun before it: there an interrupt would cost the slot.
            try:
                stripe.free(True)  # noqa: FBT003 - a slot
                if stripe.wanted:
                    stripe.tell()
            except BaseException:  # an interrupt, perhaps as it was freed
                stripe.tell()
                raise
            refuse(message)
        self.put(message)
        if self.unattended:
            self.attend()
        return True

    def _give_back(self) -> None:
        """Free a slot."""
        stripe = self.stripe
        try:
            stripe.free(True)  # noqa: FBT003 - a slot
            if stripe.wanted:
                stripe.tell()
        except BaseException:  # as in `deliver`
            stripe.tell()
            raise

    @property
    def room(self) -> Slots:
        """What a sender may have to wait for."""
        return self.stripe.slots

    def force(self, message: Any) -> bool | None:  # noqa: ANN401 - an M
        """Put one message in without waiting for room."""
        base: Any = super()
        self.stripe.slots.overdraw()
        taken: bool | None = base.force(message)
        if not taken:
            self._give_back()
        return taken

    @property
    def first_may_wait(self) -> bool:
        """Whether a first message may have to wait: for room in the pool."""
        return True

    def unseen(self) -> None:
        """Free the room of its first message."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._take()


class _Timed(_Flowing):
    """A lane that looks at times; what is in its queue is behind the time at which it was put."""

    __slots__ = ()

    def __init__(self, common: Any, key: Any, slots: Slots | None) -> None:  # noqa: ANN401 - as there
        lane: Any = self
        super().__init__(common, key, slots)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        lane.due = None
        lane.early = 0.0
        lane.fresh = True

    def put(self, message: Any) -> None:  # noqa: ANN401 - an M, or the marker
        """Put a message, with the time."""
        entry = message if message is Marker else (self.common.flow.now(), message)
        queue.SimpleQueue.put(self, entry)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def get_nowait(self) -> Any:  # noqa: ANN401 - an M, or the marker
        """Take what comes next, however long it has waited; for `sweep`."""
        entry = self._take()
        return entry if entry is Marker else entry[1]

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401, FBT001, FBT002 - as there
        """Take the next message, if it may be taken now, and has not waited for too long."""
        del block, timeout
        lane: Any = self
        if lane.early:
            raise queue.Empty  # in this turn it was looked at
        flow = self.common.flow
        now = flow.now()
        then = None
        if (may_begin := flow.may_begin) is not None:
            due = flow.due_before(lane.key) if lane.due is None else lane.due
            when, then = may_begin(due, now, lane.fresh)
            # Markers wait for no time: where nothing else is left, all is handled.
            if when > now and not lane.only_markers_wait:
                lane.early = when
                lane.fresh = False  # it waits now
                raise queue.Empty
        if (entry := self._take()) is Marker:
            return entry
        if flow.ttl is not None and now - entry[0] > flow.ttl:
            if lane.slots is not None:
                lane.slots.give_back()
            self.common.office.take(lane.key, entry[1], DeadLetterReason.EXPIRED)
            raise queue.Empty
        if then is not None:
            lane.due = then
            flow.remember(lane.key, then, now)
        lane.fresh = False
        return entry[1]

    def _run(self, generator: Any, first: Any = Marker) -> Any:  # noqa: ANN401 - as there
        lane: Any = self
        lane.early = 0.0
        base: Any = super()
        outcome = base._run(generator, first)  # noqa: SLF001 - its own
        if type(outcome) is not int or outcome < 0:
            return outcome
        if not lane.early:
            lane.fresh = not lane.qsize()
            return outcome
        lane.counted += outcome - 1
        until = _Until(lane.early)
        lane._generator = Suspended(lane._generator, until, MISSING, sets_up=False)  # noqa: SLF001 - its own
        return "suspended"

    def _go_on(self, waits: Suspended) -> Any:  # noqa: ANN401 - as there
        lane: Any = self
        if type(waits) is Sleep or type(waits.wait) is not _Until:
            base: Any = super()
            return base._go_on(waits)  # noqa: SLF001 - its own
        generator = waits.generator
        waits.let_go()
        lane._generator = generator  # noqa: SLF001 - its own
        return self._run(generator)


@functools.cache
def _kind(kind: Any, *, timed: bool, in_room: bool) -> type[GeneratorWorkers[Any, Any]]:  # noqa: ANN401 - see below
    lane: type[GeneratorLane[Any, Any]] = kind._lane  # noqa: SLF001 - its own
    bases: tuple[type, ...] = (_Timed,) * timed + (_InRoom,) * in_room
    slots = ("due", "early", "fresh") * timed + ("stripe",) * in_room
    members: dict[str, Any] = {"__slots__": slots}
    of_lane: Any = type(f"Flowing{lane.__name__.lstrip('_')}", (*bases, lane), members)
    if in_room and not timed:
        of_lane.freed = of_lane.stripe  # the turn frees the slot: see `freed`
    return type(f"Flowing{kind.__name__}", (kind,), {"__slots__": (), "_lane": of_lane})


def flowing(
    kind: type[GeneratorWorkers[Any, Any]], flow: PoolFlow
) -> type[GeneratorWorkers[Any, Any]]:
    """Return workers of a kind whose lanes do what a flow says."""
    timed = flow.may_begin is not None or flow.ttl is not None
    given: Any = kind  # a type, which mypy does not take for one that can be hashed
    return _kind(given, timed=timed, in_room=flow.room is not None)
