"""The sending half of every queue that has a receiver: a mailbox's, a lane's.

A sender touches nothing else. An inlet is a `queue.SimpleQueue` with two flags, one marker, and the
slots of a limit. The queue has no shutdown: the flags and the marker give it one, and leave sending
without a lock of its own. What receives may be a thread that parks in the queue, a task of
asyncio, or a lane's turn; each says by `unattended` what a sender has to do for it.

**Guarantees.** A message for which `deliver` returned `True`, or that was put as `Inlet` says, is
received, or becomes a dead letter, exactly once; none is forgotten. Once `shut` has returned,
`closed` is set for good. A receiver that has called itself idle is woken for what comes.

**Assumes.** Each method of a `SimpleQueue`, also of a subclass, is atomic, and is a synchronisation
point: what a thread wrote before its call is seen by a thread that calls a method of the same queue
after it (`tests/test_assumptions.py`).

The words:

- *shut*: `closed` was set, and the marker was put into the queue.
- *idle*: the receiver waits elsewhere than in the queue; a sender wakes it by `attend`.
- *done*: the receiver has found the queue empty behind the end marker, or has ended; it takes no
  more.
- *sweep*: take all messages that are in the queue and make dead letters of them. Any thread may.

The interleaving that must not lose a wake-up. The sender is (1) and (2), the receiver (a) and (b):

1. The sender puts its message.
2. It reads `unattended`, and attends if it is set.
a. The receiver, which has found the queue empty, writes `IDLE`.
b. It looks into the queue once more, and waits.

(1) and (b) are operations on one queue: one of them comes first. If (1) does, (b) finds the
message. If (b) does, (2) comes after (a): the sender wakes the receiver. Without (b), a message
that is put between the first look and (a) waits until the next one comes. A thread that parks in
the queue is handed what is put, and writes no `IDLE`. A task stays `IDLE`: in the place of (a) it
forgets that it was told (`aio.waking`). A lane's turn has a lock to release after (a)
(`line.lane`). Their models: `tests/model/test_waking_model.py` and `test_lanes_model.py`.

The interleaving that must not lose a message:

1. The sender finds `closed` unset.
2. The owner shuts the inlet: sets `closed`, puts the marker.
3. The receiver takes the marker, goes on until the queue is empty, writes `DONE`, and looks once
   more.
4. The sender puts its message.
5. The sender reads `unattended`.

If 4 comes before the receiver's last look, that look finds the message. If it comes after, so does
5, and `DONE` was written before that look: the sender sees it and sweeps. Nothing is swept before
`DONE`, so that no message that was delivered before the end is stolen from a receiver that is still
draining. `tests/model/test_closing_model.py` runs through every interleaving of it.

A mailbox's inlet *has* its queue, as an attribute; a lane *is* its queue, as a subclass. To be a
subclass saves 120 bytes a worker: an object, and the bound `put` (`benchmarks/`, "million"). To
have the attribute saves 7 ns a message of 125 on 3.14t: the interpreter specializes a call of a
bound method, but not of a subclass's.

After a fork the receiver is in the parent: `refuse_in_child` takes the place of the child's `put`.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, Final, Never, cast, final, override

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.forking import MADE_BEFORE_FORK, remade_in_children
from threadpool_mb.line.adapting import OwnInput
from threadpool_mb.line.flushing import open_next
from threadpool_mb.line.slots import Slots, refuse

__all__ = [
    "DONE",
    "IDLE",
    "INPUT_OF_PARENT",
    "PUT",
    "TAKEN",
    "Inlet",
    "Marker",
    "ending",
    "refuse_in_child",
]

IDLE: Final = 1
"""The receiver waits elsewhere: a sender that has put a message wakes it."""
DONE: Final = 2
"""Nothing more will be received: a sender that has put a message sweeps."""

PUT: Final = 1
"""The marker of the end was put."""
TAKEN: Final = 2
"""The marker of the end was taken, by a receiver that counts its messages with this state."""

_IN_SUBCLASSES: Final[tuple[str, ...]] = ()
"""No slots. It is a name, because mypy lets a class set nothing but the slots that it can read."""

ending: Final = remade_in_children(threading.RLock())
"""Makes each step towards the end of an inlet happen once.

Guards `marked`, the step to `DONE`, and the wakers of a mailbox; no thread waits under it. There is
one for all inlets: it is held for some ten nanoseconds in an inlet's life, and a lock for each
inlet would cost 48 bytes on t-builds.
"""


class Marker:
    """The marker, the class itself: "look beside the queue: a message was given back, or the end".

    It is a class, because two threads that read one global object of a module share its reference
    count on t-builds. They do not share that of a class or a function.
    """


class Inlet[M](OwnInput[M]):
    """Where messages go in.

    Subclasses say where the queue is, how the receiver is woken, and what becomes of a message that
    no receiver takes. They also define the `__slots__`: a class with slots cannot be a base beside
    a queue. Where there is no limit, `Pool.dispatch` does not call `deliver`: it looks at
    `closed`, puts, looks at `unattended`, and calls `attend` if that is true, as `deliver` does.

    Threads: internally synchronized.
    """

    __slots__ = _IN_SUBCLASSES

    put: Callable[[M], object]
    """Put a message into the queue, whatever the flags say. Markers are put by it, too."""
    slots: Slots | None
    """The slots of a limit, if there is one."""
    closed: bool
    """Whether it takes no more messages."""
    marked: int
    """Whether the marker of the end was `PUT`, or `TAKEN`."""
    unattended: int
    """What a sender has to do, by `attend`, after it has put a message. `IDLE`: wake the receiver.
    `DONE`: sweep. 0: nothing, as the receiver finds the message."""

    def _open(self, slots: Slots | None) -> None:
        """Be open from now on, with a limit if there are `slots`."""
        self.slots = slots
        self.closed = False
        self.marked = 0
        self.unattended = 0

    def deliver(self, message: M, /, deadline: Deadline = NEVER) -> bool:
        """Put one message in, and wait for room at most until the deadline; see `Input.deliver`."""
        slots = self.slots
        # Not a loop: a way out of the handler before the wait, which costs nothing where there is
        # room. What interrupts the wait must not have `queue.Empty` as its context.
        while slots is not None:
            try:
                slots.take()
                break
            except queue.Empty:
                pass
            if slots.wait(deadline):
                break
            return False
        if self.closed:
            if slots is not None:
                slots.free(None)
            refuse(message)
        self.put(message)
        if self.unattended:
            self.attend()
        return True

    @property
    @override
    def room(self) -> Slots | None:
        return self.slots

    @override
    def deliver_within(self, message: M, deadline: Deadline) -> bool:
        return self.deliver(message, deadline)

    def force(self, message: M) -> bool | None:
        """Put one message in without waiting for room, if need be; `False` if it is closed.

        For a message that has been taken before; see `Slots.overdraw`. Blocks: never.
        """
        if self.closed:
            return False
        if self.slots is not None:
            self.slots.overdraw()
        self.put(message)
        if self.unattended:
            self.attend()
        return True

    def get_nowait(self) -> M:
        """Take what comes next out of the queue; `queue.Empty` if there is nothing."""
        raise NotImplementedError

    def attend(self) -> None:
        """See to a message that the receiver would not look at: wake the receiver, or sweep."""
        raise NotImplementedError

    def shut(self) -> None:
        """Take no more messages, and put the marker behind those that were taken. Blocks: never."""
        self.closed = True
        with ending:
            if not self.marked:
                self.put(cast("M", Marker))
                if self.slots is not None:
                    self.slots.shut()
                # Last: after an interrupt, the next thread that shuts the inlet does all of it
                # again. A second marker, or a slot too many, does no harm then.
                self.marked = PUT
        # The marker is a message, too.
        if self.unattended == IDLE:
            self.attend()

    def put_marker(self) -> None:
        """Put a marker that is not for the end; the caller attends; see `flushing`."""
        self.put(cast("M", Marker))

    @property
    def marker_goes(self) -> "tuple[queue.SimpleQueue[Any], object]":
        """The queue into which a marker goes, and what is a marker there; see `flushing`."""
        raise NotImplementedError

    def finish(self) -> None:
        """Say that the receiver takes no more, unless it finds something in one last look."""
        with ending:
            self.unattended = DONE

    def sweep(self, bury: Callable[[M], object] | None = None) -> None:
        """Make dead letters of all that is in the queue; only once its receiver is done.

        `bury` is called with each message, if it is given.

        The marker of the end stays, for a receiver that is still to come. What is no `Exception`
        (an interrupt) passes, once all messages are dead letters.
        """
        end_found = False
        interrupt: BaseException | None = None
        bury = bury or self._bury
        while True:
            try:
                message = self.get_nowait()
                if message is Marker:
                    # Taken for the marker of the end until it is known: an interrupt must not lose
                    # that marker.
                    before, end_found = end_found, True
                    message = self.behind_marker()
                    if message is Marker:
                        continue
                    end_found = before
                bury(message)
            except queue.Empty:
                break
            except BaseException as error:  # noqa: BLE001 - raised below
                interrupt = error
        if end_found:
            try:
                self.put(cast("M", Marker))
            except BaseException:
                # An interrupt, where there is a store; a second marker does no harm.
                self.put(cast("M", Marker))
                raise
        if interrupt is not None:
            raise interrupt

    def behind_marker(self) -> M:
        """Return what a marker stands for that was swept; the marker, if it is no message."""
        open_next(self)
        return cast("M", Marker)

    def _bury(self, message: M, /) -> None:
        """Make a dead letter of `message`."""
        raise NotImplementedError


def refuse_in_child(*_: object) -> Never:
    """Stand in the place of a function that would put a message, or take a slot for one.

    Raises:
        MailboxClosed: always.
    """
    raise MailboxClosed(f"the mailbox was {MADE_BEFORE_FORK}: its receiver is not in this process")


@final
class _InputOfParent(OwnInput[Any]):
    """Refuses each message."""

    __slots__ = ()

    @property
    @override
    def room(self) -> Slots | None:
        return None

    @override
    def deliver(self, message: object, /) -> bool:
        refuse_in_child(message)

    @override
    def deliver_within(self, message: object, deadline: Deadline) -> bool:
        refuse_in_child(message)


INPUT_OF_PARENT: Final = _InputOfParent()
"""The input of whatever is the parent's."""
