"""The lane of a generator worker: its generator, its turns, its end, its context.

**Guarantees.** One thread at a time runs a worker's generator: its set-up, its messages and its end
are turns of one lane (`line.lane`), or one message is a call that is handled on its caller's
thread. Set-up comes before the first message. A worker's end is reported on a shared thread, once
its generator is closed or has come to its end; one that comes to its end in a call on its caller's
thread runs its `finally` blocks there.

A worker that has handled its backlog is closed: its `yield` raises `GeneratorExit`. One that is to
stop before its next message is told so by `Cancelled`, which its `yield` raises.

**Contexts.** Each worker has a `contextvars.Context` of its own, in force in each of its turns and
calls, whichever thread runs it. A lane keeps the context once there is something in it after a
turn: one that is empty would cost every idle worker 64 bytes and more.
"""

import contextvars
import queue
import threading
from collections.abc import Callable
from operator import length_hint
from types import GeneratorType
from typing import Any, Final, Literal, cast, override

from threadpool_mb.arguments import make_generator
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import Cancelled
from threadpool_mb.line.inlet import IDLE, TAKEN, Inlet, Marker
from threadpool_mb.line.lane import INIT_MAKES_QUEUE, Lane
from threadpool_mb.line.slots import Slots
from threadpool_mb.pool.called_here import CalledHere
from threadpool_mb.pool.common import Common
from threadpool_mb.pool.generators import (
    WorkerGenerator,
    close_drained,
    close_failed,
    stop,
    suspended,
)
from threadpool_mb.pool.incarnation import Incarnation, State, why_left
from threadpool_mb.pool.lane_lives import Retry
from threadpool_mb.pool.reports import ExitCause, WorkerState
from threadpool_mb.pool.waits import Suspended
from threadpool_mb.pool.workers import clean_cause, stop_cause
from threadpool_mb.threads.here import Awaited
from threadpool_mb.values import MISSING

__all__ = ["GeneratorLane"]

type _Failure = tuple[BaseException | Literal["stopped"], object]
"""What a worker has raised, and the message that it had in hand, `MISSING` if it had none; or that
it was stopped in the midst of that message."""

type _WellEnded = Literal["returned", "drained", "stopped"]

type _Outcome = _Failure | _WellEnded | Retry | Literal["suspended"]
"""How a worker has ended, a `Retry` if it was not given that; or that it waits within a message."""

type _Over[M] = tuple[_Failure | Literal["returned"], WorkerGenerator[M]]
"""A generator that ended, or was interrupted, in a call in place, behind its outcome."""


_ENDED: Final[Any] = ()  # in the place of a generator, once the worker has ended


class GeneratorLane[K, M](CalledHere[K, M]):
    """One generator worker: its lane, its generator, and its place among the workers of its key."""

    __slots__ = (
        "_context",
        "_generator",
        "counted",
        "current",
        "direct",
        "end_error",
        "gone",
        "key",
        "number",
        "predecessor",
        "reason",
        "state",
        "successor",
        "waits_for",
        "watchers",
    )

    common: Common[K, M]
    # Said again, as in `Lane`.
    direct: Inlet[M] | None
    cancelled: bool
    closed: bool
    counted: int
    current: bool
    dormant: bool
    end_error: BaseException | None
    gone: bool
    key: K
    marked: int
    number: int
    predecessor: Incarnation[K, M] | None
    reason: DeadLetterReason | None
    slots: Slots | None
    state: State
    successor: Incarnation[K, M] | None
    unattended: int
    waits_for: Awaited | None
    watchers: dict[Awaited, None] | None
    _busy: threading.Lock | None

    freed: Any = Lane.slots
    """Where a turn frees slots, or `None`: an alias of `slots`, in `pool.flowing` of `stripe`."""

    def __init__(self, common: Common[K, M], key: K, slots: Slots | None) -> None:
        # What `Lane` and `_be_new` do, written out: each call costs a life one part in fifty.
        if INIT_MAKES_QUEUE:  # pragma: no branch - with gevent or eventlet alone
            queue.SimpleQueue.__init__(self)  # pyright: ignore[reportUnknownMemberType]
        self.common = common
        self.key = key
        self.slots = slots
        self.state = "pending"
        self.closed = self.cancelled = self.dormant = self.current = self.gone = False
        self.marked = self.unattended = self.number = self.counted = 0
        self.predecessor = self.successor = None
        self.end_error = self.watchers = self.waits_for = None
        self._busy = self.reason = None
        # `_ENDED` from the end on, also if it has never begun.
        self._generator: WorkerGenerator[M] | _Over[M] | Suspended | Retry | None = None
        # `None` while there is nothing in it. Written by a thread before it lets go of the lane.
        self._context: contextvars.Context | None = None
        if slots is None:
            self.direct = self  # a cycle, which the end breaks
        else:
            self.direct = None
            slots.holder = self

    @property
    def holder(self) -> Incarnation[K, M] | None:
        """The worker itself, which has the calls that are handled in its turns; see `Serving`.

        Not once it has ended: what runs on the thread then is none of its turns.
        """
        return None if self._generator is _ENDED else self

    @override
    def forked(self) -> None:
        self.direct = None
        super().forked()

    @override
    def abandon(self) -> None:
        """Make dead letters of what is left; of a worker that never starts, too."""
        over, self.direct = self._generator, None
        self._generator = _ENDED
        if type(over) is Retry:
            self._bury(cast("M", over.message))
        super().abandon()

    @override
    def cancel(self) -> None:
        super().cancel()
        self.qsize()  # (b), also where it was closed before
        # If it waits in the midst of a message; see `waits`.
        if isinstance(waits := self._generator, Suspended):
            waits.wake()

    @override
    def _suspend(self) -> None:
        waits: Any = self._generator
        waits.begin(self, self.common.timers)

    @override
    def _work(self) -> int:
        """Do a turn's work in the worker's context; see `Lane._work`."""
        context = self._context
        if context is None:
            context = contextvars.Context()
            goes_on = context.run(_work_in_context, self)
            # Not once it has ended: another thread may have begun its next life.
            if goes_on >= 0 and len(context):
                self._context = context
            return goes_on
        # Once there was something in it, it is kept: a token of it may be left.
        return context.run(_work_in_context, self)

    def _work_in_context(self) -> int:
        over = self._generator
        outcome: Any  # an `_Outcome`, or an `int`
        if over is None or type(over) is GeneratorType:  # first: it is so in most turns
            outcome = self._run(over)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]
        elif isinstance(over, Suspended):
            outcome = self._go_on(over) if over.begun else "suspended"
        elif isinstance(over, tuple):
            # It still waits for a message if it was the caller that was interrupted.
            close_failed(over[1], self.owner, self.key)
            outcome = over[0]
        elif type(over) is Retry:
            outcome = self._run(None, over.message)
        else:
            outcome = self._run(over)
        del over
        if type(outcome) is int:
            if outcome < 0:
                # `_end("returned")`, written out: the usual end, whose cause nothing else changes.
                self._generator, self.direct = _ENDED, None
                common = self.common
                roster = common.quiet
                if roster is None or not roster.end(self, "returned", True):  # noqa: FBT003 - quietly
                    common.ended(self, None, "returned", MISSING)
            return outcome
        if outcome == "suspended":
            return 0
        if isinstance(outcome, str | Retry):
            self._end(cast("_WellEnded | Retry", outcome))
        else:
            # Held by nothing else: the traceback of what was raised holds the worker's frames, and
            # what these hold ends with them, before the successor starts.
            handed: list[Any] = list(outcome)
            del outcome
            self._end_with(handed)
        return -1  # what was handled is `counted`

    def _end(self, outcome: _WellEnded | Retry) -> None:
        """Report that it has ended well; where that is a `Retry`, its message is left."""
        self._generator, self.direct = _ENDED, None
        if isinstance(outcome, Retry):
            self._generator, outcome = outcome, "returned"
        self.common.ended(self, None, self._cause(outcome), MISSING)

    def _cause(self, outcome: _WellEnded) -> ExitCause:
        reason = why_left(self.leftovers)
        return stop_cause(reason) if outcome == "stopped" else clean_cause(outcome, reason)

    def _end_with(self, handed: list[Any]) -> None:
        """Report that the worker has raised, or was stopped, with a message in hand."""
        raised = type(handed[0]) is not str
        ended_by = self._stopped_by(handed[0]) if raised else "stopped"
        self._generator, self.direct = _ENDED, None
        # Each `pop` is the last reference of this thread.
        if ended_by is None:
            self.common.ended(self, handed.pop(0), "failed", handed.pop())
            return
        del handed[0]  # its own mailbox has ended it
        if ended_by == "drained":
            handed[0] = MISSING
        self.common.ended(self, None, self._cause(ended_by), handed.pop())

    def _stopped_by(self, error: BaseException) -> Literal["stopped", "drained"] | None:
        """Return how its own mailbox has ended it, if it has."""
        return "stopped" if isinstance(error, Cancelled) and self.cancelled else None

    def _run(  # noqa: C901, PLR0911, PLR0912, PLR0915 - few calls a message
        self,
        generator: WorkerGenerator[M] | None,
        first: Any = Marker,  # noqa: ANN401 - an M, or the marker
    ) -> _Outcome | int:
        """Run the worker for a turn; return how it has ended.

        `first` is the message that one which is to be set up gets before all others. The marker
        stands for none: all threads would share the reference count of `MISSING`.

        Returns:
            Where it goes on: one more than it has handled; where it has returned: the same below 0.
            What it has handled in other turns is added to `counted`.
        """
        message: Any = Marker  # what is in hand, an `M`
        common = self.common
        # Read once: a `SeededPool` draws another one for each turn.
        left = throughput = common.throughput
        # What was taken and is no message, less one.
        others = -1
        turns: Any = ()
        try:
            if generator is None:
                message = first  # it has that in hand already: it is not lost where set-up fails
                begin = common.begin
                # A generator function makes nothing else, and raises no `StopIteration`.
                generator = self._generator = (
                    make_generator(common.worker, self.key) if begin is None else begin(self.key)
                )
                if (value := next(generator)) is not None:
                    self._generator = suspended(
                        generator, value, MISSING if message is Marker else message, sets_up=True
                    )
                    return "suspended"
                if first is not Marker:
                    if self.cancelled:
                        self._bury(first)
                        first = Marker
                    else:
                        self.counted += 1
                        first = Marker  # the worker has had it
                        if (value := generator.send(message)) is not None:
                            self._generator = suspended(generator, value, message)
                            return "suspended"
                    message = Marker
            send, get, marker = generator.send, self.get, Marker
            slots: Any = self.freed
            free = askers = slots
            if slots is not None:
                free, askers = slots.free, slots.askers
            # `qsize` rather than `Empty`, which costs as much as handling a message or two.
            while left and not self.cancelled and (waiting := self.qsize()):
                if waiting > left:  # noqa: PLR1730 - `min` is a call
                    waiting = left
                left -= waiting
                turns = common.repeat(None, waiting)
                for _ in turns:
                    if self.cancelled:
                        others += 1
                        break
                    try:
                        message = get(False)
                    except queue.Empty:
                        others += 1
                        continue  # of a user's mailbox
                    except BaseException:
                        message = marker  # of a user's mailbox: nothing is in hand
                        raise
                    if message is marker:
                        others += 1
                        self._marker_was_taken()
                        continue
                    if free is not None:
                        free(True)  # noqa: FBT003 - a slot
                        if askers:
                            slots.tell()  # pyright: ignore[reportOptionalMemberAccess] - of slots
                    if (value := send(message)) is not None:
                        self._generator = suspended(generator, value, message)
                        self.counted += throughput - left - others - 1 - length_hint(turns)
                        return "suspended"
            message = marker
            # In a child that it has forked it is not closed: in the parent it goes on.
            if (
                self.cancelled or (self.marked == TAKEN and not self.qsize())
            ) and not common.threads.in_child:
                outcome = stop(generator) if self.cancelled else close_drained(generator)
                self.counted += throughput - left - others - 1 - length_hint(turns)
                return outcome
        except StopIteration:
            if first is not Marker:
                return Retry(first)  # it has returned before it was given that
            return left + others + length_hint(turns) - throughput
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            # It still waits for a message if it was a user's mailbox that has raised.
            if generator is not None:
                close_failed(generator, self.owner, self.key)
            self.counted += throughput - left - others - 1 - length_hint(turns)
            return (error, MISSING if message is Marker else message)
        return throughput - left - others

    def _go_on(self, waits: Suspended) -> _Outcome | int:
        """Go on in a worker whose wait is over; return what `_run` does."""
        generator: WorkerGenerator[M] = waits.generator
        message, error = waits.message, waits.error
        waits.generator = waits.message = None  # `let_go`, written out
        self._generator = generator
        try:
            if self.cancelled and not self.common.threads.in_child:
                if waits.sets_up and message is not MISSING:
                    self._bury(cast("M", message))
                    message = MISSING
                return stop(generator), message
            value: object = next(generator) if error is None else generator.throw(error)
            if value is None and waits.sets_up and message is not MISSING:
                waits.sets_up = False
                self.counted += 1
                value = generator.send(cast("M", message))
            if value is not None:
                self._generator = suspended(generator, value, message, sets_up=waits.sets_up)
                return "suspended"
        except StopIteration:
            return Retry(message) if waits.sets_up and message is not MISSING else "returned"
        except BaseException as raised:  # noqa: BLE001 - reported, whatever it is
            close_failed(generator, self.owner, self.key)
            return (raised, message)
        finally:
            del waits, error
        del message
        if self.ahead and not (self.qsize() or self.cancelled or self.marked):
            return 1  # nothing has come meanwhile; what `_run` returns then
        return self._run(generator)

    @property
    def activity(self) -> WorkerState:
        """What the worker does; see `WorkerStats.state`."""
        if self.unattended == IDLE:
            return "idle"
        generator = self._generator
        if generator is _ENDED:
            return "busy"  # its end is being reported
        if isinstance(generator, Suspended):
            return "waiting"
        # Before its set-up, and between two messages of a turn, it counts as waiting. What is no
        # generator of the interpreter's does not say whether it runs.
        waits = generator is None or not getattr(generator, "gi_running", True)
        return "waiting" if waits else "busy"


_work_in_context: Final[Callable[[Any], int]] = GeneratorLane._work_in_context  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
"""The function: to bind it for each turn takes longer than to call it."""
