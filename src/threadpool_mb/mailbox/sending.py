"""The sending half of a mailbox: its inlet, and the input that is handed out.

The interleavings are those of `line.inlet`. One step is added for `QueueInput`: its `deliver` looks
at copies of the inlet's two flags. The thread that changes a flag has the input look at it after
that (`look`). So `close` returns only when `deliver` refuses, and the receiver takes its last look
only when `deliver` knows of `DONE`. The input is made when it is first asked for, perhaps while
another thread ends the mailbox:

1. `new_input` enters the input, under `ending`.
2. It has the input look at the flags.
a. The owner sets `closed`.
b. It acquires `ending`, puts the marker, and releases it.
c. It has the input look, if there is one.

If (1) comes before (b), (c) finds the input. If (1) comes after (b), (2) finds the flag. `DONE`,
and the `IDLE` of a receiver that is a task of asyncio, are written under `ending`, and looked at in
the same way.
"""

import functools
import queue
from collections.abc import Callable
from typing import Any, Final, cast, final, override

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.dead_letters import (
    DeadLetterOffice,
    DeadLetterReason,
    TakesDisplaced,
    inform,
)
from threadpool_mb.line.adapting import OwnInput
from threadpool_mb.line.inlet import DONE, IDLE, Inlet, Marker, ending, refuse_in_child
from threadpool_mb.line.slots import Slots, refuse
from threadpool_mb.line.stores import Store, StoredQueue, unranked
from threadpool_mb.logs import Logger
from threadpool_mb.protocols import Input
from threadpool_mb.values import MISSING, Uncopied

__all__ = ["MailboxInlet", "QueueInput", "Sending"]

_logger = Logger(__name__)


@final
class MailboxInlet[T](Inlet[T]):
    """Where a mailbox's messages go in.

    It is apart from the mailbox, so that the two threads that use them do not write to one object's
    reference count. It has no reference to the mailbox, or to the input that is handed out, so that
    there is no cycle.
    """

    __slots__ = (
        "_on_dead_letter",
        "_take_swept",
        "_wakers",
        "closed",
        "marked",
        "put",
        "queue",
        "returned",
        "slots",
        "store",
        "unattended",
    )

    # Said again for `pyright --verifytypes`: what a subclass sets, it is to give a type.
    put: Callable[[T], object]
    unattended: int

    def __init__(
        self,
        on_dead_letter: Callable[[T], object] | None,
        slots: Slots | None = None,
        store: Store | None = None,
    ) -> None:
        """Make an empty queue, with a limit if there are `slots`.

        Its messages are in `store`, if there is one.
        """
        self._open(slots)
        self.store: Final[Store | None] = store
        stored = None if store is None else StoredQueue(store, _displaced_to(on_dead_letter))
        self.queue: Final[queue.SimpleQueue[T]] = queue.SimpleQueue() if stored is None else stored
        # What is swept may be for another mailbox.
        self._take_swept: Final = self.queue.get_nowait if stored is None else stored.get_prepared
        self.put = self.queue.put
        self.returned: Final[list[T]] = []
        """Messages that were given back; the queue holds a marker for each, in its place."""
        self._on_dead_letter: Final = on_dead_letter
        # Called for a receiver that waits elsewhere. The tuple is replaced as a whole, under
        # `ending`, since senders iterate over it.
        self._wakers: tuple[Callable[[], object], ...] = ()

    @property
    @override
    def marker_goes(self) -> tuple[Any, object]:
        return self.queue, Marker if self.store is None else self.store.marker

    @override
    def get_nowait(self) -> T:
        return self._take_swept()

    @override
    def attend(self) -> None:
        """Sweep, or call the wakers. Once set, `DONE` stays; a waker stays until it is stopped."""
        if self.unattended == DONE:
            self.sweep()
        else:
            for waker in self._wakers:
                waker()

    def wake_with(self, waker: Callable[[], object]) -> Callable[[], object]:
        """Call `waker` after each message that is put, and when the mailbox is shut."""
        with ending:
            self._wakers = (*self._wakers, waker)
            # No call stands between the two: a finalizer, which may end the mailbox, comes before.
            if self.unattended != DONE:
                self.unattended = IDLE

        def stop() -> None:
            with ending:
                self._wakers = tuple(each for each in self._wakers if each is not waker)

        return stop

    def give_back(self, message: T) -> None:
        """Put a message that was taken, but reached no receiver, back at the end of the queue.

        Also when the mailbox is shut or full: it takes no slot, and frees none when it is received.
        For finalizers: reentrant, takes no lock.
        """
        returned, marker = self.returned, cast("T", Marker)
        try:
            # No call stands between the two steps, `append` neither: an interrupt comes before both
            # or after both. The other way round, the marker could be taken for the end.
            returned += (message,)
            self.put(marker)
            if self.unattended:
                self.attend()
        except BaseException:
            # An interrupt: perhaps before the sweep, and, where there is a store, before the marker
            # was put. A second one does no harm; see `shut`.
            if self.store is not None:
                self.put(marker)
            if self.unattended:
                self.attend()
            raise

    @override
    def sweep(self, bury: Callable[[T], object] | None = None) -> None:
        """Make dead letters of all that is left; or what its owner has in mind for late messages.

        The owner is what was given as `on_dead_letter`, if it has the method `swept`: what is left
        of a worker that lives by itself (`pool.keeping`).
        """
        swept = getattr(self._on_dead_letter, "swept", None)
        if swept is None:
            super().sweep(bury)
        else:
            swept(super().sweep, self._bury)

    @override
    def behind_marker(self) -> T:
        message = self.returned_message()
        return super().behind_marker() if message is Marker else message

    def returned_message(self) -> T:
        """Return the message that was given back and has a marker in its place, or the marker."""
        try:
            return self.returned.pop(0)
        except IndexError:
            return cast("T", Marker)

    @override
    def _bury(self, message: T, /) -> None:
        message = unranked(message)
        if self._on_dead_letter is None:
            _logger.warning(
                "a message that a mailbox had accepted will not be received: dead letter"
            )
        else:
            try:
                self._on_dead_letter(message)
            except Exception:
                _logger.exception("on_dead_letter raised")
        # After the pool's own hook, which knows more of the message.
        inform(message, MISSING, "nobody receives from its mailbox any more")


def _displaced_to[T](on_dead_letter: Callable[[T], object] | None) -> Callable[[T], object]:
    """Return what makes dead letters of messages that newer ones have displaced."""
    if on_dead_letter is None:
        # For its log lines: it sums up those that follow each other.
        office: DeadLetterOffice[object, T] = DeadLetterOffice("a mailbox")
        return lambda message: office.take(MISSING, message, DeadLetterReason.DISPLACED)
    owner = cast("object", on_dead_letter)
    told = owner.displaced if isinstance(owner, TakesDisplaced) else on_dead_letter
    return functools.partial(_displaced, told)


def _displaced[T](on_dead_letter: Callable[[T], object], message: T) -> None:
    try:
        on_dead_letter(message)
    except Exception:
        _logger.exception("on_dead_letter raised")
    inform(message, MISSING, DeadLetterReason.DISPLACED)


@final
class QueueInput[T](Uncopied, OwnInput[T]):
    """What `new_input` hands out: delivers into an inlet. Threads: internally synchronized."""

    __slots__ = ("_slots", "deliver", "look")

    def __init__(self, inlet: MailboxInlet[T]) -> None:  # noqa: C901 - small closures over one state
        """Deliver into `inlet`; its flags are not looked at yet."""
        # Closures: reading a cell saves a third of `deliver`'s time on 3.13t against reading `self`
        # (119 ns for 174; none on 3.14t). `benchmarks/`, "never full, 1:1".
        slots = inlet.slots
        self._slots: Final = slots
        put: Callable[[T], object] = inlet.put
        attend = inlet.attend
        take: Callable[[], object] = refuse_in_child if slots is None else slots.take
        unattended = False

        def look(refusal: Callable[..., object] | None = None) -> None:
            nonlocal put, take, unattended
            if refusal is not None:
                put = take = refusal
            elif inlet.closed and put is not refuse_in_child:
                put = refuse
            if inlet.unattended:
                unattended = True

        self.look: Final[Callable[..., None]] = look
        """Look at the inlet's flags; or refuse with the function that is given, for good."""

        def deliver(message: T, /) -> bool:
            put(message)
            if unattended:
                attend()
            return True

        self.deliver: Callable[..., bool] = deliver  # pyright: ignore[reportIncompatibleMethodOverride]
        """Put one message into the mailbox; see `Input.deliver`."""
        prepare = None if inlet.store is None else inlet.store.prepare
        if slots is None:
            if prepare is not None:
                self.deliver = _prepared(prepare, deliver)
            return
        give_back, wait = slots.give_back, slots.wait

        def deliver_into_slot(message: T, /, deadline: Deadline = NEVER) -> bool:
            # Not a loop; see `Inlet.deliver`.
            while True:
                try:
                    take()
                    break
                except queue.Empty:
                    pass
                if wait(deadline):
                    break
                return False
            try:
                put(message)
            except BaseException:
                give_back()
                raise
            if unattended:
                attend()
            return True

        # Prepared before it waits for room.
        self.deliver = (
            deliver_into_slot if prepare is None else _prepared(prepare, deliver_into_slot)
        )

    @property
    @override
    def room(self) -> Slots | None:
        return self._slots

    @override
    def deliver_within(self, message: T, deadline: Deadline) -> bool:
        return self.deliver(message) if self._slots is None else self.deliver(message, deadline)


def _prepared[T](prepare: Callable[[T], T], deliver: Callable[..., bool]) -> Callable[..., bool]:
    """Return what delivers what `prepare` makes of a message."""

    def deliver_prepared(message: T, /, deadline: Deadline | None = None) -> bool:
        message = prepare(message)
        return deliver(message) if deadline is None else deliver(message, deadline)

    return deliver_prepared


class Sending[T]:
    """A mailbox as its senders see it: an inlet, and an input that follows the inlet's flags."""

    __slots__ = ("_input", "inlet")

    def __init__(self, inlet: MailboxInlet[T]) -> None:
        """Hand out what delivers into `inlet`."""
        self.inlet: Final = inlet
        """Where messages go in."""
        self._input: QueueInput[T] | None = None

    @property
    def closed(self) -> bool:
        """Whether the mailbox takes no more messages."""
        return self.inlet.closed

    @property
    def slots(self) -> Slots | None:
        """The slots of a mailbox with a limit."""
        return self.inlet.slots

    def new_input(self) -> Input[T]:
        """Return a sending end; see `Mailbox.new_input`."""
        if self._input is None:
            made = QueueInput(self.inlet)
            with ending:
                if self._input is None:
                    self._input = made
        if self.inlet.closed or self.inlet.unattended:
            self._input.look()
        # pyright takes a callable in a slot for a method and binds it; it is none.
        return cast("Input[T]", self._input)

    def wake_with(self, waker: Callable[[], object]) -> Callable[[], object]:
        """Call `waker` after each message that is delivered, and when the mailbox is closed.

        For a receiver that must not wait in `receive`. The waker is not called for messages that
        are there already: the receiver has to look for itself after this.

        Returns:
            A function that ends this.
        """
        stop = self.inlet.wake_with(waker)
        self._input_looks()
        return stop

    def _shut(self) -> None:
        """Take no more messages."""
        # The input looks before `shut` frees a slot for a sender that waits. That sender must be
        # refused: only then does it free the slot for the next one.
        self.inlet.closed = True
        self._input_looks()
        self.inlet.shut()
        self._input_looks()

    def _finish(self) -> None:
        """Say that nothing more is taken, unless one last look finds something."""
        self.inlet.finish()
        self._input_looks()

    def _input_looks(self) -> None:
        if self._input is not None:
            self._input.look()

    def _refuse_in_child(self) -> None:
        """Take no message any more: the receiver is not in this child of `os.fork`."""
        self.inlet.closed = True
        if self._input is None:
            self._input = QueueInput(self.inlet)
        self._input.look(refuse_in_child)
        if self.slots is not None:
            self.slots.forked()
        if self.inlet.store is not None:
            self.inlet.store.forked()
