"""Being told when a receiver has come to a certain place in its queue.

The place is a marker, as the end has one (`line.inlet`), and what is to be opened there waits
beside the queue: so a receiver pays nothing for it before it meets a marker.

**Guarantees.** A flush is over only when each of its receivers has taken all that was put before,
and has come back for more, or has ended. It is over once that is so.

Which of two markers is which cannot be told. Where the end's marker is in the queue, the first one
that is taken counts as the end: the receiver goes on until the queue is empty all the same. So a
flush may be told later than its own marker is taken, never earlier.

1. The flush is written down for the receiver's inlet, and its marker is put: one step, under the
   lock, so that as many markers are in a queue as flushes are written down.
2. The receiver is woken; if it has ended, the queue is swept, as with a message.
a. The receiver takes a marker, and opens what is written down; or it has ended, and opens all.

If (1) comes after the end, (2) finds `DONE`, and sweeps: that opens it. A flush that nobody waits
for any more stays written down, as long as its marker is in the queue.
"""

import collections
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, cast, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.forking import remade_in_children
from threadpool_mb.interrupts import after
from threadpool_mb.threads.waiting import parked

__all__ = ["Flush", "holds_only_markers", "open_all", "open_next", "waiting_at"]

_lock: Final = remade_in_children(threading.RLock())
"""Guards the table. No thread waits under it."""

_put_into: Final[Callable[..., object]] = queue.SimpleQueue[Any].put
"""A function of C: see `interrupts`."""

_flushes: Final[dict[object, "Flush | collections.deque[Flush]"]] = {}
"""What the receivers of inlets are to open, by inlets: mostly one flush, else several in order;
only those for which there is any."""


@final
class Flush:
    """Waits until several receivers have come to a place in their queues.

    Only the last one of them wakes the thread that waits. A list has one entry for that thread, and
    above it one for each receiver that is not there yet. A receiver takes the uppermost entry as it
    comes there, and the thread takes one once it has entered all receivers. The last entry tells
    which of them was the last. A receiver's entry is there before the receiver can take the marker
    (`tests/model/test_flushing_model.py`).
    """

    __slots__ = ("_left", "_opened")

    def __init__(self) -> None:
        """Wait for none yet."""
        self._left: Final = [True]
        self._opened: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()

    def enter(self, inlet: object, into: "queue.SimpleQueue[Any]", marker: object) -> None:
        """Wait for the receiver of `inlet`, too; the caller wakes it after this.

        `into` is its queue, and `marker` what is a marker there. A flush that is interrupted is
        written down where its marker was put, and only there.
        """
        with _lock:
            put = False
            self._left.append(False)
            try:
                if inlet in _flushes:
                    earlier = _flushes[inlet]
                    if type(earlier) is not collections.deque:
                        earlier = _flushes[inlet] = collections.deque((cast("Flush", earlier),))
                    earlier.append(self)
                else:
                    _flushes[inlet] = self
                # No interrupt comes between the call and the assignment; see `interrupts`.
                for _ in after(_put_into, into, marker):
                    put = True
            except BaseException:
                if not put:
                    self._forget_locked(inlet)
                raise

    def _forget_locked(self, inlet: object) -> None:
        """Have it not written down, if it is."""
        if inlet in _flushes:
            written = _flushes[inlet]
            if written is self:
                del _flushes[inlet]
            elif type(written) is collections.deque and written[-1] is self:
                written.pop()

    def open(self) -> None:
        """Take note that one of the receivers is there."""
        # No interrupt comes between the two calls; see `interrupts`.
        for last in after(self._left.pop):
            if last:
                self._opened.put(None)

    def wait(self, deadline: Deadline) -> bool:
        """Wait for all of them; once. `False` if the deadline came first."""
        if self._left.pop():
            return True
        with parked() as wait:
            opened = wait.source(self._opened, deadline)
            while True:
                try:
                    opened.get(timeout=wait.at_most(deadline.remaining()))
                except queue.Empty:
                    if deadline.remaining() == 0:
                        return False
                    wait.go_on()
                else:
                    return True


def waiting_at(inlet: Any) -> int:  # noqa: ANN401 - an inlet of any messages
    """Return how many flushes wait for an inlet's receiver: as many markers are no messages."""
    if not _flushes:
        return 0
    with _lock:
        return _written_down_locked(inlet)


def holds_only_markers(inlet: Any, qsize: Callable[[], int], others: int) -> bool:  # noqa: ANN401
    """Return whether nothing is in an inlet's queue but flushes' markers and `others`.

    Both are looked at under the lock: otherwise a message could be taken for the marker of a flush
    that is written down between the two looks. Without the lock, where there is no flush: a marker
    that is put after that makes the queue longer.
    """
    if not _flushes:
        return qsize() == others
    with _lock:
        return qsize() == others + _written_down_locked(inlet)


def _written_down_locked(inlet: object) -> int:
    # Not `get`: on 3.13t that waits for itself, for 20 µs and more, where it finds what another
    # thread has made and no thread has looked up since (`pool.routes`).
    if inlet not in _flushes:
        return 0
    flushes = _flushes[inlet]
    return len(flushes) if type(flushes) is collections.deque else 1


def open_next(inlet: Any) -> None:  # noqa: ANN401
    """Open the oldest flush of an inlet, if there is one; its receiver has taken a marker."""
    if not _flushes:
        return
    with _lock:
        if inlet not in _flushes:  # not `get`; see above
            return
        flush = _flushes[inlet]
        if type(flush) is Flush:
            del _flushes[inlet]
        else:
            flushes = flush
            flush = flushes.popleft()
            if not flushes:
                del _flushes[inlet]
    flush.open()


def open_all(inlet: Any) -> None:  # noqa: ANN401
    """Open all flushes of an inlet: its receiver has ended."""
    while waiting_at(inlet):
        open_next(inlet)
