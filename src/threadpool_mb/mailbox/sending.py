"""Closing a mailbox without losing a message: the sending half that all kinds share.

Purpose: `queue.SimpleQueue` has no shutdown. A method that can be swapped, two flags and one marker
give it one, and leave `deliver` without a lock of its own.

**Guarantees.** After `shut` has returned, every `deliver` raises `MailboxClosed`. A message whose
`deliver` returned `True` is received, or becomes a dead letter, exactly once; none is forgotten.

**Assumes.** Each method of a `SimpleQueue` is atomic, and is a synchronisation point: what a thread
wrote before its call is seen by the thread whose call on the same queue comes after it
(`tests/test_assumptions.py`).

The words:

- *shut*: `closed` was set, `deliver`'s `put` was replaced by a function that raises, and the marker
  was put into the queue.
- *done*: the receiver has found the queue empty behind the end marker, or has ended; it takes no
  more.
- *sweep*: take all that is in the queue and make dead letters of it. Any thread may.

The interleaving that must not lose a message:

1. The sender finds the mailbox open: `deliver` by its `put`, which is still the queue's own; who
   puts directly (`QueueInput.put`), by `closed`.
2. The owner shuts the mailbox: sets `closed`, swaps `deliver`'s `put`, puts the marker.
3. The receiver takes the marker, goes on until the queue is empty, sets `done`, and looks once
   more.
4. The sender puts its message.
5. The sender reads `done`.

If 4 comes before the receiver's last look, that look finds the message. If it comes after, so does
5, and `done` was written before that look: the sender sees it and sweeps. Nothing is swept before
`done`, so that no message that was delivered before the mailbox was shut is stolen from a receiver
that is still draining. `tests/model/test_closing_model.py` runs through every interleaving of it.
"""

import functools
import queue
import threading
from collections.abc import Callable
from typing import Final, cast, final

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline
from threadpool_mb.copying import Uncopied
from threadpool_mb.forking import remade_in_children
from threadpool_mb.informed import inform
from threadpool_mb.logs import logger_of
from threadpool_mb.mailbox.of_parent import refuse_in_child
from threadpool_mb.mailbox.slots import Slots, refuse, worth_waiting_for
from threadpool_mb.markers import MISSING

__all__ = ["Marker", "QueueInput", "sweep"]

_logger = logger_of(__name__)

_shutting: Final = remade_in_children(threading.RLock())
"""Makes shutting happen once for each mailbox.

Guards the step from open to shut, and who is woken; nobody waits under it. One for all mailboxes:
it is held for some ten nanoseconds in a mailbox's life, and a lock each would cost 48 bytes a
mailbox on t-builds.
"""


class Marker:
    """The marker, the class itself: "look beside the queue: a message was given back, or the end".

    A class, because reading a module's global object from two threads makes them share its
    reference count on t-builds, which classes and functions are spared.
    """


def sweep[T](
    messages: "queue.SimpleQueue[T]",
    returned: list[T],
    on_dead_letter: Callable[[T], object] | None,
) -> None:
    """Make dead letters of all that is in the queue; only once its receiver is done.

    The marker of the end stays, for a receiver that comes yet. What is no `Exception` (an
    interrupt) passes, once all are dead letters.
    """
    end_found = False
    interrupt: BaseException | None = None
    while True:
        try:
            message = messages.get_nowait()
            if message is Marker:
                try:
                    message = returned.pop(0)
                except IndexError:
                    end_found = True
                    continue
            _bury(message, on_dead_letter)
        except queue.Empty:
            break
        except BaseException as error:  # noqa: BLE001 - raised below
            interrupt = error
    if end_found:
        messages.put(cast("T", Marker))
    if interrupt is not None:
        raise interrupt


def _bury[T](message: T, on_dead_letter: Callable[[T], object] | None) -> None:
    if on_dead_letter is None:
        _logger.warning("a message that a mailbox had accepted will not be received: dead letter")
    else:
        try:
            on_dead_letter(message)
        except Exception:
            _logger.exception("on_dead_letter raised")
    # After the pool's own, which knows more of it.
    inform(message, MISSING, "nobody receives from its mailbox any more")


def _delivering[T](  # noqa: C901 - small closures over one state
    messages: "queue.SimpleQueue[T]",
    attend: Callable[[], None],
    slots: Slots | None,
) -> tuple[Callable[[T], bool], Callable[..., None], Callable[[], None]]:
    """Return `deliver`, what makes it refuse, and what makes it call `attend` after it has put."""
    # Closures: reading a cell saves a third of `deliver`'s time on 3.13t against reading `self`
    # (108 ns for 164; none on 3.14t). `benchmarks/`, "never full, 1:1".
    put: Callable[[T], object] = messages.put
    take: Callable[[], object] = refuse_in_child if slots is None else slots.take
    unattended = False

    def shut(refusal: Callable[..., object] = refuse) -> None:
        nonlocal put, take
        put = refusal
        if refusal is not refuse:
            take = refusal

    def leave() -> None:
        nonlocal unattended
        unattended = True

    def deliver(message: T, /) -> bool:
        put(message)
        if unattended:
            attend()
        return True

    if slots is None:
        return deliver, shut, leave
    give_back, wait = slots.give_back, slots.wait

    def deliver_into_slot(message: T, /, deadline: Deadline = NEVER) -> bool:
        # Not a loop: a way out of the handler before the wait, which costs nothing where there is
        # room. What interrupts the wait shall not begin with `queue.Empty`.
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

    return deliver_into_slot, shut, leave


@final
class _Unattended:
    """What is to be done with what was put when no receiver waits for it.

    Apart from the input, which refers to it, so that there is no cycle.
    """

    __slots__ = ("_sweep", "done", "wakers")

    def __init__(self, sweep_all: Callable[[], None]) -> None:
        self._sweep: Final = sweep_all
        self.done: bool = False
        """Whether the receiver takes no more."""
        self.wakers: tuple[Callable[[], object], ...] = ()
        """Called for a receiver that waits elsewhere. Replaced as a whole, since senders go through
        it; under `_shutting`."""

    def attend(self) -> None:
        """Sweep, or call the receiver. Neither `done` nor a waker is unset before its end."""
        if self.done:
            self._sweep()
        else:
            self.wake()

    def wake(self) -> None:
        """Call the receiver, if it waits elsewhere."""
        for waker in self.wakers:
            waker()


@final
class QueueInput[T](Uncopied):
    """Where messages go in.

    Apart from the mailbox, so that the two threads that use them do not write to one object's
    reference count; and without a reference to it, so that there is no cycle.
    """

    __slots__ = (
        "_leave",
        "_shut",
        "_state",
        "attend",
        "closed",
        "deliver",
        "marked",
        "put",
        "queue",
        "returned",
        "slots",
        "sweep",
        "unattended",
    )

    def __init__(
        self, on_dead_letter: Callable[[T], object] | None, slots: Slots | None = None
    ) -> None:
        """Make an empty queue, with a limit if there are `slots`."""
        self.queue: Final[queue.SimpleQueue[T]] = queue.SimpleQueue()
        self.returned: Final[list[T]] = []
        """Messages that were given back; the queue holds a marker for each, in its place."""
        self.slots: Final = slots
        self.put: Final[Callable[[T], object]] = self.queue.put
        """For senders who do in their own frame what `deliver` does where there are no slots: look
        at `closed`, `put`, look at `unattended`, and call `attend` if that is true."""
        self.closed: bool = False
        self.marked: bool = False
        """Whether the marker of the end was put."""
        self.unattended: bool = False
        """Whether nobody will look at what is put now, unless `attend` is called: the receiver is
        done, or does not wait in `receive` but to be called."""
        self.sweep: Final = functools.partial(sweep, self.queue, self.returned, on_dead_letter)
        """Make dead letters of all that is in the queue; only once it is done."""
        self._state: Final = _Unattended(self.sweep)
        self.attend: Final[Callable[[], None]] = self._state.attend
        """See to what was put when nobody would have looked at it."""
        deliver, self._shut, self._leave = _delivering(self.queue, self.attend, slots)
        self.deliver: Callable[[T], bool] = deliver
        """Put one message into the mailbox; see `Input.deliver`."""

    def deliver_within(self, message: T, deadline: Deadline) -> bool:
        """Put one message into the mailbox, and wait for room at most until the deadline.

        Returns and raises what `deliver` does; `False` also if the deadline came first.
        """
        deliver: Callable[..., bool] = self.deliver
        return deliver(message) if self.slots is None else deliver(message, deadline)

    def offer(self, message: T, *, last: bool = False, **_: object) -> bool | Slots:
        """Put one message into the mailbox, if that can be done without waiting; for `aio`.

        Returns:
            What `deliver` does; or the slots for which it would wait, unless it is the last time.
        """
        taken = self.deliver_within(message, AT_ONCE)
        return taken or worth_waiting_for(self.slots, last=last) or False

    def shut(self) -> None:
        """Take no more messages, and put the marker behind those that were taken."""
        self.closed = True
        self._shut()
        with _shutting:
            if not self.marked:
                self.queue.put(cast("T", Marker))
                if self.slots is not None:
                    self.slots.shut()
                # Last: what was interrupted is done again by the next one who shuts the mailbox. A
                # second marker, or a slot too many, does no harm then.
                self.marked = True
        self._state.wake()

    def forked(self) -> None:
        """Take no message any more: the receiver is not in this child of `os.fork`.

        Nobody else is told, nor does what waits become dead letters: all that is the parent's.
        """
        self.closed = True
        self._shut(refuse_in_child)
        if self.slots is not None:
            self.slots.forked()

    def finish(self) -> None:
        """Say that the receiver takes no more, unless it finds something in one last look."""
        self._state.done = True
        self.unattended = True
        self._leave()

    def wake_with(self, waker: Callable[[], object]) -> Callable[[], object]:
        """Call `waker` after each message that is put, and when the mailbox is shut."""
        state = self._state
        with _shutting:
            state.wakers = (*state.wakers, waker)
        self.unattended = True
        self._leave()

        def stop() -> None:
            with _shutting:
                state.wakers = tuple(each for each in state.wakers if each is not waker)

        return stop

    def give_back(self, message: T) -> None:
        """Put a message that was taken, but reached nobody, back at the end of the queue.

        Also when the mailbox is shut or full: it takes no slot, and frees none when it is received.
        For finalizers: reentrant, takes no lock.
        """
        returned, marker = self.returned, cast("T", Marker)
        try:
            # No call stands between the two steps, `append` neither: an interrupt comes before both
            # or after both. The other way round, the marker could be taken for the end.
            returned += (message,)
            self.queue.put(marker)
            if self.unattended:
                self.attend()
        except BaseException:
            # An interrupt, perhaps before the sweep.
            if self.unattended:
                self.attend()
            raise
