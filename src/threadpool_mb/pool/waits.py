"""Waits of a generator worker that hold no thread: for a time, for a reply, for a future.

A worker yields what it waits for, `yield from sleep(0.5)`, and its lane is *suspended*: busy, and
not scheduled. Its own messages wait meanwhile; its thread takes turns of others. What ends the wait
schedules the lane. The turn that follows goes on in the worker.

**Guarantees.** A wait ends once: at its time, or with the answer, or when the worker is to stop,
whatever comes first. One thread at a time runs the worker: the turn that begins the wait does that
as the last thing that it does. A worker that waits for a reply is part of the circles that
`threads.circles` finds, as one that waits in a call.

The race of a wait that begins and a worker that is to stop. The turn is (1) to (3), the thread that
stops it (a) to (c):

1. The turn writes the wait to the lane, in the place of its generator, and the lane to the wait.
2. It calls a method of the lane's queue.
3. It reads `cancelled`, and wakes the lane if it is set.
a. The thread writes `cancelled`.
b. It puts the marker into the lane's queue, or looks how long that is.
c. It reads the lane's wait, and wakes the lane if there is one.

(2) and (b) are operations on one queue: one of them comes first. If (2) does, so does (1), and (c)
finds the wait. If (b) does, (3) finds the flag. If both wake it, or the answer comes as well, or
its time does, one does: each takes the lane out of the wait, under one lock of all waits. (1) does
not take it: so a thread that has found no lane in the wait writes nothing to it.

Very many may sleep until the same time. So the timers fire such waits in one loop, and schedule
their lanes together. A lane that was taken out of its wait, and is not scheduled yet, still counts
as suspended: a thread that stops its worker finds nothing to wake, and the lane's next turn finds
`cancelled`.
"""

import operator
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, ClassVar, Final, Protocol, Self, cast, final, override

from threadpool_mb.arguments import check_seconds, describe
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.reply import Reply
from threadpool_mb.forking import remade_in_children
from threadpool_mb.interrupts import after
from threadpool_mb.pool.forgotten import noticed_if_forgotten
from threadpool_mb.threads.circles import would_wait
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.here import Awaited, Holder
from threadpool_mb.threads.timers import Timers
from threadpool_mb.threads.turns import Turn

__all__ = ["Sleep", "Suspended", "Wait", "schedule_ahead", "sleep", "wait"]

_FIRST_LOOK: Final = 0.05
"""Seconds until a worker that waits for a reply looks for circles again; each next pause is twice
as long. See `threads.circles` on why it has to."""
_LONGEST_PAUSE: Final = 10.0

_LONGEST: Final = threading.TIMEOUT_MAX

_claiming: Final = remade_in_children(threading.RLock())
"""Guards the lanes of all waits; no thread waits under it. A list of one entry for each wait would
do as well; it would be one more object that the garbage collector counts."""


class Wait:
    """What a worker yields to wait."""

    __slots__ = ()

    def begin(self, suspended: "Suspended") -> None:
        """Have `suspended.wake` called when the wait is over; it may be over at once."""
        raise NotImplementedError

    def due(self, suspended: "Suspended") -> None:
        """Do what is to be done at the time that was given to `suspended.wake_at`."""
        raise NotImplementedError


class _Result[R](Protocol):
    """A `Reply`; or a `concurrent.futures.Future`: that module is imported with the first one."""

    def done(self) -> bool: ...
    def result(self, *, timeout: float | None = None) -> R: ...


class _Future(Protocol):
    def add_done_callback(self, function: Callable[[Any], object], /) -> object: ...


class _Lane(Turn, Holder, Protocol):
    ahead: ClassVar[bool]

    @property
    def cancelled(self) -> bool: ...
    def qsize(self) -> int: ...
    def schedule(self, turns: Iterator[Turn], /) -> None: ...


class Suspended(Entry):
    """A generator in the midst of a wait; in its place in the lane.

    Threads: any, but for what the lane's turn alone reads and writes: all but `wake` and `fire`.
    """

    __slots__ = ("_lane", "_timers", "begun", "error", "generator", "message", "sets_up", "wait")

    quick = True

    def __init__(  # pyright: ignore[reportMissingSuperCall] - see there
        self,
        generator: Generator[Any, Any, object],
        wait: Wait,
        message: object,
        *,
        sets_up: bool,
    ) -> None:
        """Wait for `wait`, with a message in hand."""
        # `Entry.__init__`, written out; `number` is below 0 from being added on.
        self.when: float = 0.0
        self.number: int = 0
        self.generator: Any = generator
        self.wait: Wait = wait
        self.message: object = message
        """The message that is being handled; `MISSING` if there is none."""
        self.sets_up: bool = sets_up
        """Whether it is still being set up; it gets that message after that."""
        self.begun: bool = False
        """Whether the wait has begun; once that is so, a turn of the lane says that it is over."""
        self.error: Exception | None = None
        """What is raised in the worker in the place of a wait that would never end."""
        # Set while nothing has ended the wait; taken under the lock.
        self._lane: _Lane | None = None
        self._timers: Timers  # set before the lane is

    def let_go(self) -> None:
        """Keep nothing of the worker alive: what was waited for may keep this for long."""
        self.generator = self.message = None

    def begin(self, lane: _Lane, timers: Timers) -> None:
        """Begin the wait. Nothing may touch the lane after this, on this thread."""
        self.begun = True
        self._timers = timers
        self._lane = lane
        try:
            lane.qsize()  # (2)
            if lane.cancelled:
                self.wake()
            else:
                self._begin()
        except BaseException:
            self.wake()
            raise

    def _begin(self) -> None:
        """Have something wake it. Nothing is to be done after this."""
        self.wait.begin(self)

    def wake(self) -> None:
        """End the wait, unless it was ended; on any thread. Blocks: never."""
        lane: _Lane | None = None
        turns: Iterator[_Lane] | None = None
        try:
            # Not `with`: an interrupt as that is entered may leave the lock held on 3.14.
            for _ in after(_claiming.acquire):
                try:
                    if (lane := self._lane) is not None:
                        self._lane = None
                        if lane.waits_for is not None:
                            lane.waits_for = None
                finally:
                    _claiming.release()
            if lane is None:
                return
            turns = iter((lane,))
            lane.schedule(turns)
        except BaseException:  # an interrupt: a lane that was taken out is scheduled all the same
            if lane is not None:
                lane.schedule(iter((lane,)) if turns is None else turns)
            raise
        if self.number:
            self._timers.cancelled()

    def wake_at(self, when: float) -> None:
        """Have the wait's `due` called at a time, by the clock of the timers."""
        self.when = when
        self.number = -1
        self._timers.add(self)

    def wake_in(self, seconds: float) -> None:
        """Have the wait's `due` called after some seconds."""
        timers = self._timers
        self.when = timers.now() + seconds
        self.number = -1
        timers.add(self)

    def follow(self, awaited: Awaited, again_in: float) -> None:
        """Be seen by others to wait for a reply, and look for circles; after a time, again."""
        lane = self._lane
        if lane is None:
            return
        self.error = would_wait(lane, awaited)
        if self._lane is None and lane.waits_for is awaited:
            lane.waits_for = None  # it was woken meanwhile
        if self.error is not None:
            self.wake()
        else:
            self.wake_in(again_in)

    @property
    @override
    def cancelled(self) -> bool:
        return self._lane is None

    @override
    def fire(self) -> Turn | None:
        self.number = 0  # it is in the heap no more
        self.wait.due(self)
        return None

    @override
    def drop(self) -> None:
        self.wake()  # the pool has ended; the lane's thread finds that out


_threads_of: Final[Callable[[Turn], Any]] = operator.attrgetter("common.threads")


def schedule_ahead(lanes: list[Turn]) -> None:
    """Give the lanes of workers that have slept a turn before others. Blocks: never."""
    for threads in (of := set(map(_threads_of, lanes))):
        # Of several, where workers are pinned.
        its = lanes if len(of) == 1 else [lane for lane in lanes if _threads_of(lane) is threads]
        threads.schedule_ahead(its)


@final
class Sleep(Suspended):
    """A wait for a time: what a worker yields, an iterator over that, and what is suspended.

    It is one object, as the garbage collector counts those that are new: very many may sleep, and
    all threads stand still while it looks at them.
    """

    __slots__ = ("given",)

    def __init__(self, seconds: float) -> None:  # pyright: ignore[reportMissingSuperCall] - see there
        """Wait for some seconds, once a worker has yielded it."""
        # As in `Suspended`; `when` is a time from being begun on.
        self.when: float = seconds
        self.number: int = 0
        self.begun = False
        self.sets_up: bool = False
        self.error: Exception | None = None
        self.generator: Any = None
        self.message: object = None
        self._lane = None
        self.given: bool = False
        """Whether a worker has it, by `yield from`."""

    def __iter__(self) -> Self:
        """Return itself: `yield from` asks for it."""
        return self

    def __next__(self) -> Self:
        """Return itself, once: then a worker has it."""
        if self.given:
            raise StopIteration
        self.given = True
        return self

    def of(self, generator: Any, message: object, *, sets_up: bool) -> Self:  # noqa: ANN401 - as above
        """Be in the place of a worker's generator, with a message in hand."""
        self.generator = generator
        self.message = message
        self.sets_up = sets_up
        return self

    @override
    def _begin(self) -> None:
        timers = self._timers
        self.when += timers.now()
        self.number = -1
        timers.add(self)

    @override
    def fire(self) -> Turn | None:
        self.number = 0
        with _claiming:  # the beginning of `wake`, written out
            lane, self._lane = self._lane, None
        if lane is None or lane.ahead:
            return lane
        lane.schedule(iter((lane,)))
        return None


@final
class _ForAnswer(Wait):
    __slots__ = ("_answer", "_pause")

    def __init__(self, answer: Answer[Any]) -> None:
        self._answer: Final = answer
        self._pause = _FIRST_LOOK

    @override
    def begin(self, suspended: Suspended) -> None:
        suspended.follow(self._answer, self._pause)
        self._answer.when_answered(suspended.wake)

    @override
    def due(self, suspended: Suspended) -> None:
        if (holder := self._answer.holder) is not None:
            holder.nudge()
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        suspended.follow(self._answer, self._pause)


@final
class _ForFuture(Wait):
    __slots__ = ("_future",)

    def __init__(self, future: _Future) -> None:
        self._future: Final = future

    @override
    def begin(self, suspended: Suspended) -> None:
        self._future.add_done_callback(lambda _: suspended.wake())

    @override
    def due(self, suspended: Suspended) -> None:
        """Not called: no time was given."""


_slept: Final = noticed_if_forgotten("sleep(…)")(Sleep)


def sleep(seconds: float, /) -> Iterator[Any]:
    """Wait in a generator worker without holding its thread: `yield from mb.sleep(0.5)`.

    The worker's messages wait meanwhile, so that it handles them in their order, one at a time;
    other workers have the thread. `sleep(0)` lets the others have their turn. Without `yield from`
    it does nothing; Python's development mode (`-X dev`) warns of that.

    Blocks: never the thread; the worker for that many seconds, and until a thread is free.

    Raises:
        ValueError: at once, if that is no number of seconds of at least 0.
        Cancelled: in the worker, if it was removed or cancelled meanwhile.
    """
    # What is mostly given is not checked by three calls.
    if type(seconds) is not float or not 0.0 <= seconds < _LONGEST:
        seconds = check_seconds(seconds, "the time to sleep")
    return _slept(seconds)


def wait[R](source: _Result[R], /) -> Generator[Any, Any, R]:
    """Wait in a generator worker for a result: `value = yield from mb.wait(mb.ask(ref, Get()))`.

    As `source.result()` does, but the thread takes turns of other workers. The worker's messages
    wait meanwhile, as in `sleep`.

    Blocks: never the thread.

    Returns:
        The value of the reply, or of the future.

    Raises:
        TypeError: at once, if it is neither.
        CallDeadlock: in the worker, if the worker that is to answer waits for this one.
        Cancelled: in the worker, if it was removed or cancelled meanwhile.
        BaseException: in the worker, what `source.result()` raises.
    """
    answer: object
    if isinstance(source, Reply):
        # Users see nothing of it.
        answer = source._awaited()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    else:
        # The program that has made a future has imported it.
        module = sys.modules.get("concurrent.futures")
        if module is None or not isinstance(source, module.Future):
            hint = ""
            if hasattr(source, "__await__"):
                hint = "; asyncio.run_coroutine_threadsafe(coroutine, loop) returns such a future"
            raise TypeError(
                "a worker can wait for a Reply or a concurrent.futures.Future, not"
                f" {describe(source)}{hint}"
            )
        answer = getattr(source, "answer", None)  # of a reply's future
    wait_for = _ForAnswer(answer) if isinstance(answer, Answer) else None  # pyright: ignore[reportUnknownArgumentType]
    return _waiting(source, wait_for)


@noticed_if_forgotten("wait(…)")
def _waiting[R](source: _Result[R], wait_for: Wait | None) -> Generator[Any, Any, R]:
    if not source.done():
        yield wait_for or _ForFuture(cast("_Future", source))
    try:
        return source.result(timeout=0)
    finally:
        # What is raised has a traceback, which holds this frame.
        del source, wait_for
