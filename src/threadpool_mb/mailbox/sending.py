"""Closing a mailbox without losing a message: the sending half that all kinds share.

Purpose: `queue.SimpleQueue` has no shutdown. A swapped method, one flag and one marker give it one,
and leave `deliver` without a lock of its own.

**Guarantees.** After `shut` has returned, every `deliver` raises `MailboxClosed`. A message whose
`deliver` returned `True` is received, or becomes a dead letter, exactly once; none is forgotten.

**Assumes.** Each method of a `SimpleQueue` is atomic, and is a synchronisation point: what a thread
wrote before its call is seen by the thread whose call on the same queue comes after it
(`tests/test_assumptions.py`).

The words:

- *shut*: `put` was replaced by a function that raises, and the end marker was put into the queue.
- *done*: the receiver has found the queue empty behind the end marker, or has ended; it takes no
  more.
- *sweep*: take all that is in the queue and make dead letters of it. Any thread may.

The interleaving that must not lose a message:

1. The sender reads `put`; it is still the queue's own.
2. The owner shuts the mailbox: swaps `put`, puts the end marker.
3. The receiver takes the end marker, goes on until the queue is empty, sets `done`, and looks once
   more.
4. The sender puts its message.
5. The sender reads `done`.

If 4 comes before the receiver's last look, that look finds the message. If it comes after, so does
5, and `done` was written before that look: the sender sees it and sweeps. Nothing is swept before
`done`, so that no message that was delivered before the mailbox was shut is stolen from a receiver
that is still draining. `tests/model/test_closing_model.py` runs through every interleaving of it.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final, Never, cast

from threadpool_mb.errors import MailboxClosed

__all__ = ["End", "SendingEnd", "refuse", "sweep"]

_logger = logging.getLogger(__name__)

_shutting: Final = threading.RLock()
"""Makes shutting happen once for each mailbox.

Guards the step from open to shut; nobody waits under it. One for all mailboxes: it is held for some
ten nanoseconds in a mailbox's life, and a lock each would cost 48 bytes a mailbox on t-builds.
"""


class End:
    """The end marker, the class itself: "look at the flags, the mailbox was closed or cancelled".

    A class, because reading a module's global object from two threads makes them share its
    reference count on t-builds, which classes and functions are spared.
    """


def refuse(_message: object, /) -> Never:
    """Stand in the place of a shut queue's `put`.

    Raises:
        MailboxClosed: always.
    """
    msg = "the mailbox is closed"
    raise MailboxClosed(msg)


def sweep[T](
    messages: "queue.SimpleQueue[T | type[End]]", on_dead_letter: Callable[[T], object] | None
) -> None:
    """Make dead letters of all that is in the queue; only once its receiver is done.

    The end marker stays, for a receiver that comes yet.
    """
    end_found = False
    while True:
        try:
            message = messages.get_nowait()
        except queue.Empty:
            break
        if message is End:
            end_found = True
        else:
            _bury(cast("T", message), on_dead_letter)
    if end_found:
        messages.put(End)


def _bury[T](message: T, on_dead_letter: Callable[[T], object] | None) -> None:
    if on_dead_letter is None:
        _logger.warning("a message that a mailbox had accepted will not be received: dead letter")
        return
    try:
        on_dead_letter(message)
    except Exception:
        _logger.exception("on_dead_letter raised")


class SendingEnd[T]:
    """Where messages go in; every kind's input derives from it and adds `deliver`.

    Apart from the receiving end, so that the two threads that use a mailbox do not write to one
    object's reference count.
    """

    __slots__ = ("_on_dead_letter", "closed", "done", "put", "queue", "waiting")

    def __init__(self, on_dead_letter: Callable[[T], object] | None) -> None:
        """Make an empty queue; what will not be received goes to `on_dead_letter`."""
        self.queue: Final[queue.SimpleQueue[T | type[End]]] = queue.SimpleQueue()
        self.put: Callable[[T], object] = self.queue.put
        self.closed = False
        self.done = False
        self.waiting = 0
        """The number of threads that wait for room."""
        self._on_dead_letter: Final = on_dead_letter

    def shut(self) -> None:
        """Take no more messages, and put the end marker behind those that were taken."""
        with _shutting:
            first = not self.closed
            self.put = refuse
            self.closed = True
        if first:
            self.queue.put(End)

    def finish(self) -> None:
        """Say that the receiver takes no more, unless it finds something in one last look."""
        self.done = True

    def give_back(self, message: T) -> None:
        """Put a message that was taken, but reached nobody, back at the end of the queue.

        Also when the mailbox is shut. For finalizers: reentrant, takes no lock.
        """
        self.queue.put(message)
        if self.done:
            self.sweep()

    def sweep(self) -> None:
        """Make dead letters of all that is in the queue; only once it is done."""
        sweep(self.queue, self._on_dead_letter)
