"""The store of a `Sliding` mailbox: the latest messages; a new one takes the place of the oldest.

**Guarantees.** It never holds more than its limit. It drops a message only where more would be
there, and never the one that was put last. It takes and loses no marker.

The messages are in the store, under its lock. The queue holds a *token* for each, and the markers.
The sender is (1) to (3), the receiver (a) and (b):

1. The sender acquires the lock, and puts its message into the store.
2. Were there `limit` others, it takes the oldest out, and puts no token: the new message has the
   token of the old one. Otherwise it puts a token.
3. It releases the lock.
a. The receiver takes a token.
b. Under the lock it takes the oldest message out of the store.

A token comes after its message: so (b) finds one. Between (a) and (b) the store holds one message
more than there are tokens; a sender that finds it full then drops the message that (b) would have
taken, and (b) finds the one behind it. Whether the store is full is decided under the lock, by one
thread at a time: so two senders do not drop two messages where one is too many, and the receiver
takes none between a sender's look and its dropping. A sender that drops takes no token, and so no
marker. `tests/model/test_sliding_model.py` runs through every interleaving of it.

**Markers.** Of the `n` tokens before a marker each has taken the oldest message, or a sender has.
So the `n` messages that were put before the marker are gone when it is taken. Where senders have
taken some of them, it comes later than it could, by as many messages: a flush may wait for messages
that came after it, at most `limit`.

**Interrupts.** One may leave a token too many, never one too few. A receiver passes over a token
for which there is nothing.
"""

import collections
import threading
from typing import Any, ClassVar, Final, final, override

from threadpool_mb.forking import remake
from threadpool_mb.interrupts import after
from threadpool_mb.line.inlet import Marker
from threadpool_mb.line.stores import NOTHING, Store, Stored, displaced_here, get_from, put_into

__all__ = ["SlidingStore"]


@final
class SlidingStore(Store):
    """Holds the latest messages, at most `limit`. Threads: internally synchronized."""

    __slots__ = ("_limit", "_lock", "_messages")

    marker: ClassVar[object] = Marker

    def __init__(self, limit: int) -> None:
        """Hold at most so many."""
        self._limit: Final = limit
        # Guards the messages, and which token is whose. No thread waits under it. Reentrant: a
        # finalizer may run under it, and deliver.
        self._lock: Final = threading.RLock()
        self._messages: Final[collections.deque[Any]] = collections.deque()

    @override
    def put(self, message: Any, into: Stored[Any]) -> None:
        if message is Marker:
            put_into(into, Marker)
            return
        messages = self._messages
        dropped: list[Any] = []
        later: list[tuple[Stored[Any], Any]] | None = None
        try:
            with self._lock:
                messages.append(message)
                # A finalizer that delivers here, in between, does all of this by itself.
                if len(messages) > self._limit:
                    later = displaced_here()  # before it is out: an interrupt in there loses none
                    dropped.extend(after(messages.popleft))
                else:
                    put_into(into, None)
        except BaseException:
            # An interrupt, perhaps after the first step.
            with self._lock:
                if len(messages) > self._limit:
                    later = displaced_here()  # before it is out: an interrupt in there loses none
                    dropped.extend(after(messages.popleft))
                else:
                    put_into(into, None)
            raise
        finally:
            # Not under the lock: dead letters have hooks.
            for each in dropped:
                if later is None:
                    into.displaced(each)
                else:
                    later.append((into, each))

    @override
    def get(self, out_of: Stored[Any], block: bool, timeout: float | None) -> Any:
        message: Any = NOTHING
        while message is NOTHING:  # a second time only after an interrupt of a sender
            for token in after(get_from, out_of, block, timeout):
                if token is Marker:
                    return Marker
                try:
                    with self._lock:
                        if self._messages:
                            for message in after(self._messages.popleft):  # noqa: B007
                                pass
                except IndexError:
                    pass  # a finalizer has taken it
                except BaseException:
                    put_into(out_of, None)
                    if message is not NOTHING:
                        self._put_back(message, out_of)
                    raise
        return message

    def _put_back(self, message: object, into: Stored[Any]) -> None:
        """Have a message again whose receiver was interrupted."""
        later = displaced_here()
        with self._lock:
            back = len(self._messages) < self._limit
            if back:
                self._messages.appendleft(message)
        if not back and later is None:
            into.displaced(message)
        elif not back and later is not None:
            later.append((into, message))

    @override
    def forked(self) -> None:
        remake(self._lock)
