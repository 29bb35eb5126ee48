"""Generator workers whose messages are observed: each is in an envelope as it waits, if need be.

Only pools with an observer of the message plane have these lanes. Around the generator is an object
that tells when it begins with a message and when it is done. Where an observer is told what is
sent, the lane's own `put` tells that, on the sender's thread, and puts the message in an envelope;
its own `get` opens that. So whatever else touches messages sees what it always sees, but what
sweeps a lane, or makes dead letters: these open envelopes themselves, or hand them on to another
lane, as they are.

**Guarantees.** Each message that the generator gets is told as begun, and as done: when it comes to
its next `yield` for a message, ends, raises, or is closed. A wait in the midst of a message does
not end it.
"""

import functools
import types
from collections.abc import Callable, Generator
from typing import Any, Final, cast, final

from threadpool_mb.arguments import NEVER, Deadline, make_generator
from threadpool_mb.envelopes import Observed
from threadpool_mb.line.inlet import Marker
from threadpool_mb.line.stores import NOTHING, Ranked
from threadpool_mb.mailbox.observed import ObservedMailbox
from threadpool_mb.observing import Observers
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.generators import GeneratorFunction, WorkerGenerator
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.protocols import Mailbox
from threadpool_mb.threads.here import Inner, here

__all__ = ["observed", "observed_function", "observed_worker"]


@final
class _ObservedGenerator:
    """A worker's generator, and what it has in hand. For the thread that has the lane in hand."""

    __slots__ = ("_begin", "_begun", "_end", "_generator", "_lane", "_message")

    def __init__(
        self, generator: WorkerGenerator[Any], lane: "_ObservedLane", observers: Observers
    ) -> None:
        self._generator: Final = generator
        self._lane: Final[Any] = lane
        # Closures of the observers; see `guarding`.
        self._begin: Final = observers.begun
        self._end: Final = observers.done
        # `NOTHING`: it has no message in hand.
        self._message: Any = NOTHING
        self._begun: Any = None

    def send(self, message: Any) -> Any:  # noqa: ANN401 - of any pool
        lane = self._lane
        key = lane.key
        begun = self._begin(key, message, lane.sent)
        try:
            value = self._generator.send(message)
        except BaseException as error:
            self._message, self._begun = message, begun
            self._done(None if isinstance(error, StopIteration) else error)
            raise
        else:
            if value is not None:
                self._message, self._begun = message, begun
                return value
            # `_done`, written out: mostly the message is done.
            lane.sent = None
            if (handler_error := lane.handler_error) is not None:
                lane.handler_error = None
            self._end(key, message, begun, handler_error)
            return None

    def __next__(self) -> Any:  # noqa: ANN401 - what it waits for
        return self._went_on(self._generator.__next__)

    def throw(self, *error: Any) -> Any:  # noqa: ANN401 - as that of a generator
        return self._went_on(self._generator.throw, *error)

    def close(self) -> None:
        if self._message is NOTHING:
            self._generator.close()
            return
        try:
            self._generator.close()
        except BaseException as error:
            self._done(error)
            raise
        self._done(GeneratorExit("the worker was closed in the midst of the message"))

    def _went_on(self, go_on: Callable[..., Any], *error: Any) -> Any:  # noqa: ANN401 - see above
        """Have it go on, perhaps in the midst of a message."""
        if self._message is NOTHING:
            value = go_on(*error)
            self._lane.handler_error = None  # as it was set up: of no message
            return value
        try:
            value = go_on(*error)
        except StopIteration:
            self._done(None)
            raise
        except BaseException as raised:
            self._done(raised)
            raise
        else:
            if value is None:
                self._lane.sent = None
                self._done(None)
            return value

    def _done(self, error: BaseException | None) -> None:
        lane = self._lane
        if error is None:
            error = lane.handler_error
        lane.handler_error = None
        message, begun = self._message, self._begun
        self._message, self._begun = NOTHING, None
        self._end(lane.key, message, begun, error)

    def __iter__(self) -> Generator[None, Any, object]:
        return cast("Generator[None, Any, object]", self)

    # What a look at workers asks a generator.

    @property
    def gi_running(self) -> bool:
        return bool(getattr(self._generator, "gi_running", True))

    @property
    def gi_frame(self) -> types.FrameType | None:
        return getattr(self._generator, "gi_frame", None)

    @property
    def gi_yieldfrom(self) -> object:
        return getattr(self._generator, "gi_yieldfrom", None)


def observed_worker[K, M](
    worker: GeneratorFunction[K, M], observers: Observers
) -> GeneratorFunction[K, M]:
    """Return a worker that tells of its beginning, and of its messages if anybody asks."""

    def begin(key: K) -> WorkerGenerator[M]:
        # In a turn, of the lane that has it.
        lane: Any = here.workers()[-1]
        observers.started(key, cast("Incarnation[K, M]", lane).number)
        generator = make_generator(worker, key)
        if observers.messages:
            around: Any = _ObservedGenerator(generator, lane, observers)
            generator = around
        return generator

    return begin


def observed_function[K, M](
    worker: Callable[[K, Mailbox[M]], object], observers: Observers
) -> Callable[[K, Mailbox[M]], object]:
    """Return a function worker that tells of its beginning, and of its messages if anybody asks."""

    def live(key: K, mailbox: Mailbox[M]) -> object:
        own: Any = here.workers()[-1]
        observers.started(key, cast("Incarnation[K, M]", own).number)
        if not observers.messages:
            return worker(key, mailbox)
        given = ObservedMailbox(mailbox, observers, key)
        own.on_handler_raised = given.handler_raised
        try:
            result = worker(key, given)
        except BaseException as error:
            given.done(error)
            raise
        finally:
            own.on_handler_raised = None
        given.done()
        return result

    return live


class _ObservedLane:
    """A lane whose messages are observed; beside its own class, which has its slots.

    `sent` is what observers have said of the message that the lane has in hand, until it was
    handled well: one that is tried again is told with it again.
    `handler_error` is what a server's handler has raised for that message, whose caller has got it.
    """

    __slots__ = ()

    common: Any
    key: Any
    sent: Any
    handler_error: Any

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - as its class has them
        self.sent = self.handler_error = None
        base: Any = super()
        base.__init__(*arguments)

    def handler_raised(self, error: Exception) -> None:
        """Take note of what a server's handler has raised; see `Holder.handler_raised`."""
        self.handler_error = error


class _EnvelopingLane(_ObservedLane):
    """The same, where an observer is told what is sent: messages are in envelopes.

    `tell_sent` is what tells it: its own, so that a sender and the thread that runs the lane share
    as few objects as can be (`guarding`).
    """

    __slots__ = ()

    tell_sent: Any

    def __init__(self, common: Any, *arguments: Any) -> None:  # noqa: ANN401 - as its class has them
        self.tell_sent = common.office.observers.sent
        super().__init__(common, *arguments)

    def envelope(self, message: Any) -> Any:  # noqa: ANN401 - an M
        """Return a message in its envelope, and tell that it is sent; see `Observers.enveloped`."""
        if type(message) is Observed:
            return message
        return Observed(message, self.tell_sent(self.key, message))

    def deliver(self, message: Any, /, deadline: Deadline = NEVER) -> bool:  # noqa: ANN401 - an M
        """Put one message in. It is told before it has room: an observer may raise."""
        base: Any = super()
        return bool(base.deliver(self.envelope(message), deadline))

    def force(self, message: Any) -> bool | None:  # noqa: ANN401 - an M
        """Put one message in without waiting for room."""
        base: Any = super()
        taken: bool | None = base.force(self.envelope(message))
        return taken

    def _handle(self, message: Any, inner: Inner) -> bool:  # noqa: ANN401 - an M
        self.sent = self.tell_sent(self.key, message)
        base: Any = super()
        goes_on: bool = base._handle(message, inner)  # noqa: SLF001 - its own
        return goes_on


class _EnvelopingStoredLane(_EnvelopingLane):
    """The same, with its messages in a store."""

    __slots__ = ()

    store: Any

    def envelope(self, message: Any) -> Any:  # noqa: ANN401 - an M
        """Return a message in its envelope; one whose priority is known is in one."""
        base: Any = super()
        return message if type(message) is Ranked else base.envelope(message)

    def put(self, message: Any) -> None:  # noqa: ANN401 - an M, or the marker
        """Put a message in its envelope, with its priority, or the marker."""
        base: Any = super(_EnvelopingLane, self)
        if message is not Marker:
            prepare = self.store.prepare
            if prepare is not None:
                if type(message) is not Ranked:
                    message = prepare(message)  # it may raise: then nothing was sent
                message = Ranked(self.envelope(message.message), message.priority)
            else:
                message = self.envelope(message)
        base.put(message)


class _EnvelopingForeignLane(_EnvelopingLane):
    """The same, where messages wait in a user's own kind of mailbox, which gets no envelopes."""

    __slots__ = ()

    def put(self, message: Any) -> None:  # noqa: ANN401 - a token, or the marker
        """Put a token, or the marker."""
        base: Any = super(_EnvelopingLane, self)
        base.put(message)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401, FBT001, FBT002 - as there
        """Take the next message."""
        self.sent = None
        base: Any = super(_EnvelopingLane, self)
        return base.get(block, timeout)

    def deliver(self, message: Any, /, deadline: Deadline = NEVER) -> bool:  # noqa: ANN401 - an M
        """Put one message into the mailbox."""
        if type(message) is Observed:
            message = message.message
        else:
            self.tell_sent(self.key, message)
        base: Any = super(_EnvelopingLane, self)
        return bool(base.deliver(message, deadline))

    def force(self, message: Any) -> bool | None:  # noqa: ANN401 - an M
        """Put one message in, or not; see `ForeignLane.force`."""
        base: Any = super(_EnvelopingLane, self)
        taken: bool | None = base.force(message)
        return taken


@functools.cache
def observed(
    kind: type[GeneratorWorkers[Any, Any]], *, enveloping: bool
) -> type[GeneratorWorkers[Any, Any]]:
    """Return workers of a kind whose messages are observed.

    Those are in envelopes only where an observer is told what is sent.
    """
    lane, foreign, stored = kind._lane, kind._foreign_lane, kind._stored_lane  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    lanes: dict[str, Any]
    if enveloping:
        lanes = {
            "_lane": _lane_of(_EnvelopingLane, lane, put=_putting(lane), get=_getting(lane)),
            "_foreign_lane": _lane_of(_EnvelopingForeignLane, foreign),
            "_stored_lane": _lane_of(_EnvelopingStoredLane, stored, get=_getting(stored)),
        }
    else:
        lanes = {
            "_lane": _lane_of(_ObservedLane, lane),
            "_foreign_lane": _lane_of(_ObservedLane, foreign),
            "_stored_lane": _lane_of(_ObservedLane, stored),
        }
    return type(f"Observed{kind.__name__}", (kind,), {"__slots__": (), **lanes})


def _lane_of(
    mixin: type[_ObservedLane], lane: type[GeneratorLane[Any, Any]], **methods: Callable[..., Any]
) -> type[GeneratorLane[Any, Any]]:
    slots = ["handler_error", "sent"]
    if issubclass(mixin, _EnvelopingLane):
        slots.append("tell_sent")
    name = f"Observed{lane.__name__.lstrip('_')}"
    return type(name, (mixin, lane), {"__slots__": tuple(slots), **methods})


# No `super()`, which looks through the base classes for each message.


def _putting(lane: type[GeneratorLane[Any, Any]]) -> Callable[..., None]:
    """Return the `put` of a lane whose messages are put into envelopes."""
    base_put: Callable[..., Any] = lane.put

    def put(self: Any, message: Any) -> None:  # noqa: ANN401 - an M, or the marker
        """Put a message in its envelope, or the marker."""
        # `envelope`, written out.
        if message is not Marker and type(message) is not Observed:
            message = Observed(message, self.tell_sent(self.key, message))
        base_put(self, message)

    return put


def _getting(lane: type[GeneratorLane[Any, Any]]) -> Callable[..., Any]:
    """Return the `get` of a lane whose messages are taken out of their envelopes."""
    base_get: Callable[..., Any] = lane.get

    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401, FBT001, FBT002 - as there
        """Take the next message out of its envelope."""
        carried: Any = base_get(self, block, timeout)
        if type(carried) is not Observed:
            return carried
        # `open`, written out.
        message, carried.message = carried.message, None
        self.sent = carried.sent
        return message

    return get
