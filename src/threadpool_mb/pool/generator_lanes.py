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

import _thread
import contextvars
import itertools
import queue
from typing import Any, Final, Literal, Self, override

from threadpool_mb.arguments import describe, make_generator
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import Cancelled
from threadpool_mb.line.inlet import IDLE, TAKEN, Inlet, Marker
from threadpool_mb.line.lane import Lane
from threadpool_mb.line.slots import Slots
from threadpool_mb.logs import Logger
from threadpool_mb.pool.generators import (
    GeneratorFunction,
    WorkerGenerator,
    close_drained,
    refuse,
    stop,
)
from threadpool_mb.pool.incarnation import HasReason, Incarnation
from threadpool_mb.pool.reports import ExitCause, WorkerState
from threadpool_mb.pool.workers import Ended, stop_cause
from threadpool_mb.threads.here import Home, here
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.values import MISSING, Missing

__all__ = ["Common", "GeneratorLane"]

_logger = Logger(__name__)

type _Failure = tuple[BaseException, object]
"""What a worker has raised, and the message that it had in hand, `MISSING` if it had none."""

type _WellEnded = Literal["returned", "drained", "stopped"]

type _Outcome = _Failure | _WellEnded
"""How a worker has ended."""

type _Over[M] = tuple[_Failure | Literal["returned"], WorkerGenerator[M]]
"""A generator that ended, or was interrupted, in a call on its caller's thread, behind its outcome;
the next turn ends the worker."""


_ENDED: Final[Any] = ()  # in the place of a generator, once the worker has ended


class Common[K, M]:
    """What the workers of a pool have in common."""

    __slots__ = ("ended", "office", "threads", "throughput", "worker")

    def __init__(
        self,
        worker: GeneratorFunction[K, M],
        office: DeadLetterOffice[K, M],
        threads: SharedThreads,
        *,
        throughput: int,
        ended: Ended[K, M],
    ) -> None:
        """Run `worker` on `threads`, with at most `throughput` messages in a turn."""
        self.worker: Final = worker
        self.office: Final = office
        self.threads: Final = threads
        self.throughput: Final = throughput
        self.ended: Final = ended


class GeneratorLane[K, M](Lane[M], Incarnation[K, M]):
    """One generator worker: its lane, its generator, and its place among the workers of its key."""

    __slots__ = (
        "_context",
        "_generator",
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
    direct: Inlet[M] | None  # said again, as in `Lane`
    unattended: int

    def __init__(self, common: Common[K, M], key: K, slots: Slots | None) -> None:
        super().__init__(common, slots)
        self._be_new(key)
        self.reason: DeadLetterReason = DeadLetterReason.WORKER_ENDED
        # `_ENDED` from the end on, also if it has never begun.
        self._generator: WorkerGenerator[M] | _Over[M] | None = None
        # The worker's; `None` while there is nothing in it. Written by the thread that has the
        # lane in hand, before it lets go of it.
        self._context: contextvars.Context | None = None
        if slots is None:
            self.direct = self  # a cycle, which the end breaks
        else:
            slots.holder = self

    @property
    def holder(self) -> Incarnation[K, M] | None:
        """The worker itself, which has the calls that are handled in its turns; see `Serving`.

        Not once it has ended: what runs on the thread then is none of its turns.
        """
        return None if self._generator is _ENDED else self

    @property
    @override
    def mailbox(self) -> Self:
        return self

    @property
    @override
    def input(self) -> Self:
        return self

    @property
    @override
    def leftovers(self) -> HasReason:
        return self

    @property
    @override
    def owner(self) -> str:
        return self.common.office.owner

    @override
    def forked(self) -> None:
        self.direct = None
        super().forked()

    @override
    def abandon(self) -> None:
        """Make dead letters of what is left; of a worker that never starts, too."""
        self._generator, self.direct = _ENDED, None
        super().abandon()

    @property
    @override
    def home(self) -> Home | None:
        return self.common.threads.home

    @override
    def receives_from(self, mailbox: object) -> bool:
        return False  # nobody but a turn receives from it

    @override
    def _work(self) -> bool:
        """Do a turn's work in the worker's context; see `Lane._work`."""
        context = self._context
        if context is None:
            context = contextvars.Context()
            goes_on = context.run(self._work_in_context)
            # Also once it has ended: then nobody reads it.
            if len(context):
                self._context = context
            return goes_on
        # Once there was something in it, it is kept: a token of it may be left.
        return context.run(self._work_in_context)

    def _work_in_context(self) -> bool:
        over = self._generator
        if isinstance(over, tuple):
            # It still waits for a message if it was the caller that was interrupted.
            self._close(over[1])
            outcome: _Outcome | None = over[0]
        else:
            outcome = self._run(over)
        del over
        if outcome is None:
            return True
        if isinstance(outcome, str):
            self._end(outcome)
        else:
            # What was raised is handed over, and held by nobody else: its traceback holds the
            # worker's frames, and what these hold ends with them, before the successor starts.
            handed: list[Any] = list(outcome)
            del outcome
            self._fail(handed)
        return False

    @override
    def deliver_first(self, message: M) -> bool:
        if self.direct is None:
            return self.deliver(message)
        self.put(message)
        return True

    @override
    def handle_here(  # noqa: C901 - a call costs 4 µs in all
        self, message: M, *, inline_calls: bool | None, on_loop: bool = False
    ) -> bool:
        """Have one message handled on the caller's thread; see `Incarnation.handle_here`.

        The order is kept, because an idle lane has no other message. One thread at a time still
        runs the lane, because the caller acquires the lock, as a thread that schedules it does.

        The caller may be the main thread, where an interrupt comes between any two calls. `held`
        says whether this thread has yet to let go of the lane. No interrupt comes between letting
        go and the writing of `held`. So what an interrupt has left undone is done all the same.
        """
        if self.unattended != IDLE or not here.allows(inline_calls=inline_calls, on_loop=on_loop):
            return False
        busy: Any = self._busy
        # Loops; see `Lane.attend`.
        for got in map(busy.acquire, (False,)):
            if not got:
                break
            self.unattended = 0
            held = True
            taken = False
            try:
                taken = not (self.closed or self.qsize())
                if not taken or self._handle(message):
                    # As in `_let_go`. A message that has come meanwhile is for a shared thread.
                    self.unattended = IDLE
                    for _ in iter(busy.release, 0):
                        held = False
                        break
                    if self.qsize():
                        self.attend()
                else:
                    for _ in map(self.common.threads.put, (self,)):
                        held = False
                    self.common.threads.grow_if_needed()
            except BaseException:
                if held:
                    self.unattended = 0
                    # Not `schedule`: the next interrupt could come before its `put`.
                    self.common.threads.put(self)
                    self.common.threads.grow_if_needed()
                else:
                    self.common.threads.grow_if_needed()
                    if self.qsize():
                        self.attend()
                raise
            return taken
        return False

    def _handle(self, message: M) -> bool:
        """Handle one message that is in no queue; `False` if a turn has to end the worker."""
        # There is a generator: an idle lane has had the turn that sets the worker up.
        generator: Any = self._generator
        context = self._context
        is_new = context is None
        if context is None:
            # Kept before it is used: an interrupt must not lose what the worker has set.
            context = self._context = contextvars.Context()
        inner = here.inner
        depth = len(inner)
        try:
            inner.append(self)
            if (value := context.run(generator.send, message)) is not None:
                refuse(generator, value)
        # Whatever comes next: no interrupt comes between an `except` and a tuple that is built.
        except StopIteration:
            self._generator = ("returned", generator)
            return False
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            self._generator = ((error, message), generator)
            if isinstance(error, KeyboardInterrupt) and here.is_main:
                # It was meant for the thread that calls: it comes again there.
                _thread.interrupt_main()
            return False
        finally:
            del inner[depth:]
        if is_new and not len(context):
            self._context = None
        return True

    def _end(self, outcome: _WellEnded) -> None:
        """Report that the worker has ended well."""
        self._generator, self.direct = _ENDED, None
        cause: ExitCause = stop_cause(self.leftovers.reason) if outcome == "stopped" else outcome
        self.common.ended(self, None, cause, MISSING)

    def _fail(self, handed: list[Any]) -> None:
        """Report that the worker has raised, unless its own mailbox has ended it."""
        stopped = self._stopped_by(handed[0])
        if stopped is not None:
            handed.clear()
            self._end(stopped)
            return
        self._generator, self.direct = _ENDED, None
        # Each `pop` is the last reference of this thread.
        self.common.ended(self, handed.pop(0), "failed", handed.pop())

    def _stopped_by(self, error: BaseException) -> Literal["stopped", "drained"] | None:
        """Return how its own mailbox has ended it, if it has."""
        return "stopped" if isinstance(error, Cancelled) and self.cancelled else None

    def _run(  # noqa: C901, PLR0912 - few calls a message
        self, generator: WorkerGenerator[M] | None
    ) -> _Outcome | None:
        """Run the worker for a turn; return how it has ended, `None` if it goes on."""
        message: M | Missing = MISSING
        try:
            generator = generator or self._set_up()
            send, get, qsize, marker = generator.send, self.get, self.qsize, Marker
            slots = self.slots
            free = None if slots is None else slots.free
            askers = () if slots is None else slots.askers
            left = self.common.throughput
            # `qsize` rather than `Empty`, which costs as much as handling a message or two.
            while left and not self.cancelled and (waiting := qsize()):
                waiting = min(waiting, left)
                left -= waiting
                for _ in itertools.repeat(None, waiting):
                    if self.cancelled:
                        break
                    try:
                        message = get(False)
                    except queue.Empty:
                        continue  # of a user's mailbox
                    except BaseException:
                        message = MISSING  # of a user's mailbox: nothing is in hand
                        raise
                    if message is marker:
                        self._marker_was_taken()
                        continue
                    if free is not None:
                        free(None)
                        if askers and slots is not None:
                            slots.tell()
                    if (value := send(message)) is not None:
                        refuse(generator, value)
            message = MISSING
            # In a child that it has forked it is not closed: in the parent it goes on.
            if (
                self.cancelled or (self.marked == TAKEN and not qsize())
            ) and not self.common.threads.in_child:
                return stop(generator) if self.cancelled else close_drained(generator)
        except StopIteration:
            return "returned"
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            # It still waits for a message if it was a user's mailbox that has raised.
            if generator is not None:
                self._close(generator)
            return (error, message)
        return None

    def _close(self, generator: WorkerGenerator[M]) -> None:
        """Close the generator of a worker whose outcome is known."""
        try:
            generator.close()
        except BaseException:
            _logger.exception(
                "%s: the worker of key %s raised while it was closed",
                self.owner,
                describe(self.key),
            )

    @property
    def activity(self) -> WorkerState:
        """What the worker does; see `WorkerStats.state`."""
        if self.unattended == IDLE:
            return "idle"
        generator = self._generator
        if generator is _ENDED:
            return "busy"  # its end is being reported
        # Before its set-up, and between two messages of a turn, it counts as waiting. What is no
        # generator of the interpreter's does not say whether it runs.
        waits = generator is None or not getattr(generator, "gi_running", True)
        return "waiting" if waits else "busy"

    @override
    def _bury(self, message: M, /) -> None:
        self.common.office.take(self.key, message, self.reason)

    def _set_up(self) -> WorkerGenerator[M]:
        """Run the worker to its first `yield`."""
        generator = self._generator = make_generator(self.common.worker, self.key)
        if (value := next(generator)) is not None:
            refuse(generator, value)
        return generator
