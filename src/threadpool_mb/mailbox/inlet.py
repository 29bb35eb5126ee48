"""The sending half of every queue that has a receiver: a mailbox's, a lane's.

A sender touches nothing else. An inlet is a `queue.SimpleQueue` with two flags, one marker, and the
slots of a limit. The queue has no shutdown: the flags and the marker give it one, and leave sending
without a lock of its own. What receives may be a thread that parks in the queue, a task of
asyncio, or a lane's turn; each says by `unattended` what a sender has to do for it.

**Guarantees.** A message whose `deliver` returned `True`, or that was put as `Inlet` says, is
received, or becomes a dead letter, exactly once; none is forgotten. Once `shut` has returned,
`closed` is set for good. A receiver that has called itself idle is woken for what comes.

**Assumes.** Each method of a `SimpleQueue`, also of a subclass, is atomic, and is a synchronisation
point: what a thread wrote before its call is seen by the thread whose call on the same queue comes
after it (`tests/test_assumptions.py`).

The words:

- *shut*: `closed` was set, and the marker was put into the queue.
- *idle*: the receiver waits elsewhere than in the queue; a sender wakes it by `attend`.
- *done*: the receiver has found the queue empty behind the end marker, or has ended; it takes no
  more.
- *sweep*: take all that is in the queue and make dead letters of it. Any thread may.

The interleaving that must not lose a wake-up. The sender is (1) and (2), the receiver (a) and (b):

1. The sender puts its message.
2. It reads `unattended`, and attends if it is set.
a. The receiver, which has found the queue empty, writes `IDLE`.
b. It looks into the queue once more, and waits.

(1) and (b) are operations on one queue: one of them comes first. If (1) does, (b) finds the
message. If (b) does, (2) comes after (a): the sender wakes the receiver. Without (b), a message
that is put between the first look and (a) waits until the next one comes. A thread that parks in
the queue is handed what is put, and says nothing. A task stays `IDLE`: in the place of (a) it
forgets that it was told (`aio.signals`). A lane's turn has a lock to release after (a)
(`scheduling.lanes`). Their models: `tests/model/test_waking_model.py` and `test_lanes_model.py`.

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

A mailbox's inlet *has* its queue, and a lane *is* its queue. To be it saves 120 bytes a worker: an
object, and the bound `put` (`benchmarks/`, "million"). To have it saves 7 ns a message of 125 on
3.14t: the interpreter specializes a call of a bound method, but not of a subclass's.
"""

import queue
import threading
from collections.abc import Callable
from typing import Final, cast

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.forking import remade_in_children
from threadpool_mb.mailbox.slots import Slots, refuse

__all__ = ["DONE", "IDLE", "PUT", "TAKEN", "Inlet", "Marker", "ending"]

IDLE: Final = 1
"""The receiver waits elsewhere: a sender that has put a message wakes it."""
DONE: Final = 2
"""Nothing more will be received: a sender that has put a message sweeps."""

PUT: Final = 1
"""The marker of the end was put."""
TAKEN: Final = 2
"""The marker of the end was taken by a receiver that counts its messages by that."""

_IN_SUBCLASSES: Final[tuple[str, ...]] = ()
"""No slots. A name, as mypy would have a class whose slots it reads set nothing else."""

ending: Final = remade_in_children(threading.RLock())
"""Makes each step towards the end of an inlet happen once.

Guards `marked`, the step to `DONE`, and the wakers; no thread waits under it. One for all inlets:
it is held for some ten nanoseconds in an inlet's life, and a lock each would cost 48 bytes on
t-builds.
"""


class Marker:
    """The marker, the class itself: "look beside the queue: a message was given back, or the end".

    A class, because reading a module's global object from two threads makes them share its
    reference count on t-builds, which classes and functions are spared.
    """


class Inlet[M]:
    """Where messages go in.

    Subclasses say where the queue is, how the receiver is woken, and what becomes of a message that
    nobody receives. They have the slots, too: a class with slots cannot be a base beside a queue.
    Where there is no limit a sender may do in its own frame what `deliver` does: look at `closed`,
    `put`, look at `unattended`, and call `attend` if that is true.

    Threads: internally synchronized.
    """

    __slots__ = _IN_SUBCLASSES

    put: Callable[[M], object]
    """Put a message into the queue, whatever the flags say."""
    slots: Slots | None
    """The slots of a limit, if there is one."""
    closed: bool
    """Whether it takes no more messages."""
    marked: int
    """Whether the marker of the end was `PUT`, or `TAKEN`."""
    unattended: int
    """What a sender has to do about what it has put, by `attend`: `IDLE`, wake the receiver;
    `DONE`, sweep. 0: nothing, the receiver finds it."""

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
        # room. What interrupts the wait shall not begin with `queue.Empty`.
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

    def deliver_within(self, message: M, deadline: Deadline) -> bool:
        """Put one message in; see `QueueInput.deliver_within`."""
        return self.deliver(message, deadline)

    def get_nowait(self) -> M:
        """Take what comes next out of the queue; `queue.Empty` if there is nothing."""
        raise NotImplementedError

    def attend(self) -> None:
        """See to what was put when nobody would have looked at it: wake the receiver, or sweep."""
        raise NotImplementedError

    def shut(self) -> None:
        """Take no more messages, and put the marker behind those that were taken. Blocks: never."""
        self.closed = True
        with ending:
            if not self.marked:
                self.put(cast("M", Marker))
                if self.slots is not None:
                    self.slots.shut()
                # Last: what was interrupted is done again by the next `shut`. A second marker, or a
                # slot too many, does no harm then.
                self.marked = PUT
        # The marker is a message, too.
        if self.unattended == IDLE:
            self.attend()

    def finish(self) -> None:
        """Say that the receiver takes no more, unless it finds something in one last look."""
        with ending:
            self.unattended = DONE

    def sweep(self) -> None:
        """Make dead letters of all that is in the queue; only once its receiver is done.

        The marker of the end stays, for a receiver that comes yet. What is no `Exception` (an
        interrupt) passes, once all are dead letters.
        """
        end_found = False
        interrupt: BaseException | None = None
        while True:
            try:
                message = self.get_nowait()
                if message is Marker:
                    # Taken for the end's until it is known: an interrupt must not cost the marker.
                    before, end_found = end_found, True
                    message = self.behind_marker()
                    if message is Marker:
                        continue
                    end_found = before
                self._bury(message)
            except queue.Empty:
                break
            except BaseException as error:  # noqa: BLE001 - raised below
                interrupt = error
        if end_found:
            self.put(cast("M", Marker))
        if interrupt is not None:
            raise interrupt

    def behind_marker(self) -> M:
        """Return what a marker that was taken stands for; the marker, if it is for the end."""
        return cast("M", Marker)

    def _bury(self, message: M, /) -> None:
        """Make a dead letter of `message`."""
        raise NotImplementedError
