"""What is to be sent to a node, and what was sent and is not settled; credits.

**Guarantees.** Messages of one thread are taken out in the order in which it has put them in. At
most `credits` messages are in and not settled, but for those that come from another node (`push`).
Each is settled once, or is among what `stop` returns; its credit comes back once.
`tests/model/test_acknowledging_model.py` runs through every interleaving of senders, batches,
acknowledgements and the loss of the node.
"""

import itertools
import threading
from collections.abc import Iterable
from typing import Final, final

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.cluster.entries import Entry, Unsettled
from threadpool_mb.cluster.wire import MOVE

__all__ = ["FULL", "STALE", "TAKEN", "Outbox", "again_and_dead", "any_left"]

TAKEN: Final = 0
"""The message is in the outbox."""
STALE: Final = 1
"""The sender has looked in a table that is not in force any more."""
FULL: Final = 2
"""There are as many messages as there are credits."""

_MOST_BYTES: Final = 8_000_000
"""The size of a batch, of more than one message."""
_SIZED: Final = frozenset({bytes, str})


@final
class Outbox:
    """The messages of one node. Threads: internally synchronized."""

    def __init__(self, batch: int, batch_time: float, credits: int) -> None:
        """Hold no message, and take none before `use`."""
        self._batch: Final = batch
        self._batch_time: Final = batch_time
        self._credits: Final = credits
        # Guards what follows.
        self._lock: Final = threading.Lock()
        # Notified when there is something to send, or the link is stopped.
        self._ready: Final = threading.Condition(self._lock)
        # Notified when messages were settled, the table has changed, or the link is stopped.
        self._room: Final = threading.Condition(self._lock)
        self._waiters = 0
        self.table: object = None
        """The table by which messages may be put here."""
        self._outbox: list[Entry] = []
        self._urgent = False
        self._unsettled: Final = Unsettled()
        self.outstanding: int = 0
        """How many messages were taken and are not settled."""
        self._number = 0
        self.asked: Final[set[int]] = set()
        """The numbers of what was asked and is not answered."""
        self.stopped: bool = False
        """Whether nothing is sent or asked for any more: the node is lost, or has ended."""

    def offer(self, entry: Entry, table: object, *, limited: bool = True) -> int:
        """Take a message, if the table is still in force and there is room, or need not be."""
        with self._lock:
            if self.table is not table:
                return STALE
            if limited and self.outstanding >= self._credits:
                return FULL
            self._put_locked(entry)
        return TAKEN

    def push(self, entries: Iterable[Entry]) -> None:
        """Take messages, whether there is room or not."""
        with self._lock:
            for entry in entries:
                self._put_locked(entry)

    def _put_locked(self, entry: Entry) -> None:
        outbox = self._outbox
        outbox.append(entry)
        self.outstanding += 1
        count = len(outbox)
        if entry.asked is not None or entry.kind == MOVE:
            self._urgent = True
            self._ready.notify()
        elif count in {1, self._batch}:
            self._ready.notify()

    def use(self, table: object, *, first: Entry | None = None) -> None:
        """Have a table in force from now on; with `first`, put that in before."""
        with self._lock:
            self.table = table
            if first is not None:
                self._put_locked(first)
            self._room.notify_all()

    def wait_for_room(self, table: object, deadline: Deadline = NEVER) -> bool:
        """Wait until there may be room, or the table has changed; `False` at the deadline."""
        with self._lock:
            self._waiters += 1
            try:
                while True:  # see `interrupts` on loops
                    if self.table is not table or self.outstanding < self._credits:
                        return True
                    left = deadline.remaining()
                    if left == 0:
                        return False
                    self._room.wait(left)
            finally:
                self._waiters -= 1

    def hurry(self) -> None:
        """Send what there is without waiting for more."""
        with self._lock:
            self._urgent = True
            self._ready.notify()

    def stop(self) -> tuple[list[Entry], list[Entry]]:
        """Send nothing any more; return what was sent and is not settled, and what was not sent."""
        with self._lock:
            self.stopped = True
            self.table = None
            sent, unsent = self._unsettled.take_all(), self._outbox
            self._outbox = []
            self.outstanding = 0
            self._ready.notify_all()
            self._room.notify_all()
        return sent, unsent

    @property
    def unsent(self) -> int:
        """How many messages were not sent yet."""
        return len(self._outbox)

    def take_unsent(self) -> list[Entry]:
        """Take out what was not sent."""
        with self._lock:
            unsent, self._outbox = self._outbox, []
            self.outstanding -= len(unsent)
        return unsent

    def left(self, epoch: int, key: object, *, of_all: bool) -> bool:
        """Return whether a message is left that was sent by then; of one key, or of all."""
        hashed = None if of_all else hash(key)
        with self._lock:
            if not self.outstanding:
                return False
            entries = itertools.chain(self._unsettled, self._outbox)
            return any_left(entries, epoch, key, hashed)

    # For the thread that sends.

    def take(self, *, wait: bool) -> tuple[int, list[Entry]] | None:
        """Take out the next batch; an empty one if there is none yet, and this is not to wait.

        While others are under way a batch that is not full waits for more: to send one costs as
        much as some hundred messages.
        """
        with self._lock:
            self._wait_locked(wait=wait)
            if self.stopped:
                return None
            if not wait and self._may_grow_locked():
                return self._number, []
            if wait:
                self._wait_for_more_locked()
            if self._is_stopped():
                return None
            count = _fitting(self._outbox, self._batch)
            entries = self._outbox[:count]
            self._outbox = self._outbox[count:]
            self._urgent = self._urgent and bool(self._outbox)
            if entries:
                self._number += 1
                self._unsettled.sent(self._number, entries)
                self.asked.update(_asked(entries))
            return self._number, entries

    def _wait_locked(self, *, wait: bool) -> None:
        while not self._outbox and not self.stopped and wait:
            self._ready.wait()

    def _wait_for_more_locked(self) -> None:
        deadline = Deadline(self._batch_time, real=True)
        while self._may_grow_locked() and (left := deadline.remaining()):
            self._ready.wait(left)

    def _is_stopped(self) -> bool:
        return self.stopped

    def _may_grow_locked(self) -> bool:
        """Return whether what there is to send may wait for more."""
        return len(self._outbox) < self._batch and not (self._urgent or self.stopped)

    # For the thread that learns what was settled.

    def dead(
        self, dead: Iterable[tuple[int, int, str]], answered: Iterable[int]
    ) -> list[tuple[Entry, str]] | None:
        """Settle messages that will not be handled, and what was answered.

        Returns:
            The messages and the reasons; `None` if the outbox was stopped, and has given them out.
        """
        with self._lock:
            if self.stopped:
                return None
            taken = self._take_dead_locked(dead)
            self.asked.difference_update(answered)
        return taken

    def _take_dead_locked(self, dead: Iterable[tuple[int, int, str]]) -> list[tuple[Entry, str]]:
        taken: list[tuple[Entry, str]] = []
        for number, index, reason in dead:
            entry = self._unsettled.take(number, index)
            if entry is not None:
                self.outstanding -= 1
                taken.append((entry, reason))
        return taken

    def done(self, done: Iterable[tuple[int, Iterable[int] | None]]) -> None:
        """Settle messages that were handled: batches, and which of each; `None`: all."""
        with self._lock:
            for number, indices in done:
                self.outstanding -= self._unsettled.done(number, indices)
            if self._waiters and self.outstanding < self._credits:
                self._room.notify_all()

    def wait_until_stopped(self, seconds: float) -> None:
        """Wait for a time, or until it is stopped."""
        with self._lock:
            if not self.stopped:
                self._room.wait(seconds)


def any_left(entries: Iterable[Entry], epoch: int, key: object, hashed: int | None) -> bool:
    """Return whether one of them was sent by then; of one key, or of all: `hashed` is `None`."""
    return any(
        entry.epoch <= epoch and (hashed is None or entry.is_for(key, hashed)) for entry in entries
    )


def _asked(entries: list[Entry]) -> list[int]:
    return [entry.asked.number for entry in entries if entry.asked is not None]


def _fitting(entries: list[Entry], most: int) -> int:
    """Return how many of the first messages are a batch: by their number, and their size."""
    size = 0
    for count, entry in enumerate(entries[:most]):
        if type(entry.body) in _SIZED:
            size += len(entry.body)
            if size > _MOST_BYTES:
                return max(count, 1)
    return min(len(entries), most)


def again_and_dead(
    sent: list[Entry], unsent: list[Entry], *, redeliver: bool
) -> tuple[list[Entry], list[Entry]]:
    """Return what is sent once more of what was at a node that is lost, and what is dead."""
    again: list[Entry] = []
    dead: list[Entry] = []
    for entry in sent:
        goes_again = redeliver and entry.asked is None and entry.kind != MOVE
        (again if goes_again else dead).append(entry)
    return again + [entry for entry in unsent if entry.kind != MOVE], dead
