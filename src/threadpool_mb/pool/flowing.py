"""Generator workers whose messages expire, or that take so many a second, or wait for room of all.

Only pools with `message_ttl`, `rate` or `max_waiting` have these lanes. A message waits with the
time at which it was put. The lane's own `get` looks at that, and at when it may take the next one.

**Guarantees.** A message is handled, or it is a dead letter: one that has waited for too long is
never handled. A worker takes its messages in order, no more often than the rate says, and holds no
thread while it waits. Never more messages wait in all than `max_waiting`, but for those that are
redelivered. Whoever takes a message out of the queue, to handle or to sweep it, frees its room.
"""

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, final, override

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline, check_seconds
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import Full, MailboxClosed, PoolClosed
from threadpool_mb.line.inlet import Marker
from threadpool_mb.line.slots import Slots
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.pausing import any_held
from threadpool_mb.pool.waits import Suspended, Wait
from threadpool_mb.rates import MAKES_UP, Limits, Rate, Spacing, WhenFull
from threadpool_mb.threads.here import here
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.waiting import parked
from threadpool_mb.values import MISSING

__all__ = ["PoolFlow", "check_flow", "flowing"]

# Of the queue that the lane is: its own are those below.
_get_nowait: Final[Callable[[Any], Any]] = queue.SimpleQueue[Any].get_nowait

_FEW: Final = 1024
"""How many keys' times are no reason to look for those that are over."""

_PAUSE: Final = 0.05
"""Seconds until a worker that waits for room looks whether anything else can go on."""


@final
class PoolFlow:
    """What holds for all workers of a pool. Threads: internally synchronized."""

    # fmt: off
    __slots__ = (
        "_due", "_lock", "_looked", "_waiting", "may_begin", "name", "now", "room", "suspended",
        "ttl",
    )
    # fmt: on

    def __init__(
        self,
        name: str,
        rate: Rate | None,
        ttl: float | None,
        max_waiting: int | None,
        *,
        wait: bool,
    ) -> None:
        """Hold what a user has given; `wait`: whether senders wait for room."""
        self.name: Final = name
        self.now: Callable[[], float] = time.monotonic
        """The clock, in seconds."""
        self.may_begin: Final = None if rate is None else Spacing(rate).may_begin
        """See `Spacing`; `None` without a rate."""
        self.ttl: Final = ttl
        """Seconds that a message may wait."""
        self.room: Final = None if max_waiting is None else Slots(max_waiting, None if wait else 0)
        """The room of all messages, if there is a limit."""
        # The waits of workers of this pool.
        self._waiting: Final[dict[object, None]] = {}
        self.suspended: Final[dict[object, None]] = {}
        """The lanes that wait in the midst of a message, or for their time."""
        # When the next message of a key is due: also for its next worker. Nobody waits under the
        # lock. Reentrant: a key's methods may dispatch.
        self._due: Final[dict[object, float]] = {}
        self._lock: Final = threading.RLock()
        self._looked = _FEW

    def take_room(self, room: Slots, threads: SharedThreads, deadline: Deadline) -> bool:
        """Take room for a message; `False` if the deadline came first.

        Raises:
            Full: if there is none, and senders do not wait; or in a worker, if none would come.
            PoolClosed: if the pool is closed.
        """
        try:
            room.take()
        except queue.Empty:
            pass
        else:
            return True
        try:
            return self._wait(room, threads, deadline)
        except MailboxClosed:
            raise PoolClosed(f"the pool {self.name!r} is closed: it takes no message") from None

    def _wait(self, room: Slots, threads: SharedThreads, deadline: Deadline) -> bool:
        full = f"the pool {self.name!r} is full: {room.limit} messages wait"
        if deadline is not AT_ONCE and room.timeout is None and self._is_own_worker():
            if threads.pinned:
                # It holds up the workers of its thread: there is no thread more where it waits.
                if room.wait(AT_ONCE):
                    return True
                raise Full(f"{full}, and a pinned worker does not wait")
            return self._wait_as_worker(room, threads, deadline, full)
        if room.wait(deadline):
            return True
        # Of a call, and on a loop, it is the sender that is told.
        if room.timeout == 0 and deadline is NEVER:
            raise Full(full)
        return False

    def _is_own_worker(self) -> bool:
        """Return whether a worker of this pool runs on this thread."""
        if here.serving is None:
            return False
        return any(
            getattr(getattr(worker, "common", None), "flow", None) is self
            for worker in here.workers()
        )

    def _wait_as_worker(
        self, room: Slots, threads: SharedThreads, deadline: Deadline, full: str
    ) -> bool:
        """Wait in a worker of this pool, until all its threads wait for room: none would come."""
        me = object()
        self._waiting[me] = None
        try:
            with parked() as wait:
                while not self._none_goes_on(threads):
                    left = deadline.remaining()
                    if room.wait(Deadline(_PAUSE if left is None else min(left, _PAUSE))):
                        return True
                    if left == 0:
                        return False
                    wait.go_on()
        finally:
            del self._waiting[me]
        if room.wait(AT_ONCE):
            return True
        raise Full(f"{full}, and all its threads wait for room")

    def _none_goes_on(self, threads: SharedThreads) -> bool:
        """Return whether all threads wait for room, and no worker waits for anything else."""
        if self.suspended or any_held(self):
            return False
        return threads.stuck and len(self._waiting) >= len(threads)

    def due_before(self, key: object) -> float | None:
        """Return when the next message of a key is due, as an earlier worker has left it."""
        with self._lock:
            return self._due.get(key)

    def remember(self, key: object, due: float, now: float) -> None:
        """Take note of when the next message of a key is due."""
        with self._lock:
            self._due[key] = due
            if len(self._due) > self._looked:
                for each in [each for each, its in self._due.items() if its < now - MAKES_UP]:
                    del self._due[each]
                self._looked = max(_FEW, 2 * len(self._due))

    def shut(self) -> None:
        """Wake who waits for room: the pool is closed."""
        if self.room is not None:
            self.room.shut()

    def forked(self) -> None:
        """Wake the thread that has forked, if it waits for room; in a child of `os.fork`."""
        if self.room is not None:
            self.room.forked()


def check_flow(
    name: str,
    rate: Rate | None,
    message_ttl: float | None,
    max_waiting: int | None,
    when_full: WhenFull,
    *,
    removes: bool,
) -> PoolFlow | None:
    """Return what holds for all workers; `None` if nothing was given.

    `removes`: whether a refused message removes its worker.

    Raises:
        TypeError: if the rate is no `Rate`.
        ValueError: if a number or the word is wrong, or a worker is to be removed where the pool is
            full.
    """
    if removes and max_waiting is not None:
        raise ValueError(
            f"overflow must be 'refuse', not 'remove_worker', with max_waiting={max_waiting!r}: it"
            " is not the worker's mailbox that is full"
        )
    limits = Limits(max_waiting, when_full, rate, "go_on")
    ttl = None if message_ttl is None else check_seconds(message_ttl, "message_ttl", above=True)
    if rate is None and ttl is None and max_waiting is None:
        return None
    return PoolFlow(name, rate, ttl, max_waiting, wait=limits.when_full == "wait")


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
    """A lane that looks at times; beside its own class."""

    __slots__ = ()

    common: Any
    ahead: ClassVar[bool] = False

    def __init__(self, common: Any, key: Any, slots: Slots | None) -> None:  # noqa: ANN401 - as there
        lane: Any = self
        super().__init__(common, key, slots)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        lane.due = None
        lane.early = 0.0
        lane.fresh = True
        if common.flow.room is not None:
            lane.direct = None

    def renew(self, message: object) -> None:
        """Have a new life; its messages take room as before."""
        lane: Any = self
        base: Any = super()
        base.renew(message)
        if self.common.flow.room is not None:
            lane.direct = None

    def _work(self) -> int:
        self.common.flow.suspended.pop(self, None)
        base: Any = super()
        goes_on: int = base._work()  # noqa: SLF001 - its own
        return goes_on

    def _suspend(self) -> None:
        self.common.flow.suspended[self] = None
        base: Any = super()
        base._suspend()  # noqa: SLF001 - its own

    def put(self, message: Any) -> None:  # noqa: ANN401 - an M, or the marker
        """Put a message, with the time."""
        entry = message if message is Marker else (self.common.flow.now(), message)
        queue.SimpleQueue.put(self, entry)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def _take(self) -> Any:  # noqa: ANN401 - an entry
        lane: Any = self
        entry: Any = _get_nowait(lane)
        room = self.common.flow.room
        if room is not None and entry is not Marker:
            room.give_back()
        return entry

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
        if type(waits.wait) is not _Until:
            base: Any = super()
            return base._go_on(waits)  # noqa: SLF001 - its own
        generator = waits.generator
        waits.let_go()
        lane._generator = generator  # noqa: SLF001 - its own
        return self._run(generator)

    def schedule(self) -> None:
        """Give the lane a turn behind others: where many wait for their time, all come late."""
        self.common.threads.schedule(self)

    def deliver(self, message: Any, /, deadline: Deadline = NEVER) -> bool:  # noqa: ANN401 - an M
        """Put one message in, and wait for room in the pool, and in the mailbox."""
        base: Any = super()
        flow = self.common.flow
        if flow.room is None:
            return bool(base.deliver(message, deadline))
        if not flow.take_room(flow.room, self.common.threads, deadline):
            return False
        try:
            return bool(base.deliver(message, deadline))
        except MailboxClosed:
            # Before it was put. An interrupt may come after that, when it has room no more.
            flow.room.give_back()
            raise

    @property
    def room(self) -> Slots | None:
        """What a sender may have to wait for."""
        lane: Any = self
        room: Slots | None = self.common.flow.room
        return lane.slots if room is None else room

    def force(self, message: Any) -> bool | None:  # noqa: ANN401 - an M
        """Put one message in without waiting for room."""
        base: Any = super()
        room = self.common.flow.room
        if room is not None:
            room.overdraw()
        taken: bool | None = base.force(message)
        if room is not None and not taken:
            room.give_back()
        return taken

    @property
    def first_may_wait(self) -> bool:
        """Whether a first message may have to wait: for room in the pool."""
        return self.common.flow.room is not None

    def unseen(self) -> None:
        """Free the room of its first message."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._take()

    def handle_here(self, message: object, **_: object) -> bool:
        """Handle nothing: a call waits for its time, too."""
        del message
        return False


@functools.cache
def flowing(kind: type[GeneratorWorkers[Any, Any]]) -> type[GeneratorWorkers[Any, Any]]:
    """Return workers of a kind whose lanes look at times."""
    lane: type[GeneratorLane[Any, Any]] = kind._lane  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    members: dict[str, Any] = {"__slots__": ("due", "early", "fresh")}
    of_lane = type(f"Flowing{lane.__name__.lstrip('_')}", (_Flowing, lane), members)
    return type(f"Flowing{kind.__name__}", (kind,), {"__slots__": (), "_lane": of_lane})
