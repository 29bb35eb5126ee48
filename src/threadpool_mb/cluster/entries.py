"""What a client keeps of each message until its node says that it was handled.

**Guarantees.** Each message is settled once: what takes it out of its batch (an acknowledgement,
a dead letter, the loss of the node) has it, and nothing else. Methods are called under the lock of
the link.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, final

from threadpool_mb.cluster.wire import Asked

__all__ = ["Batch", "Entry", "Unsettled"]


@final
class Entry:
    """A message on its way."""

    __slots__ = ("asked", "body", "epoch", "key", "kind", "message")

    def __init__(  # noqa: PLR0917 - one is made for each message
        self, key: Any, message: Any, body: Any, kind: int, epoch: int, asked: Asked | None = None
    ) -> None:
        """A message, and `body`, which travels in its place."""
        self.key: Final = key
        self.message: Final = message
        self.body: Final = body
        self.kind: Final = kind
        self.epoch: Final = epoch
        """How many flushes were begun before it was sent."""
        self.asked: Final = asked

    def is_for(self, key: object, hashed: int) -> bool:
        """Return whether this is for a key, whose hash is given; as a dictionary has it.

        A key of this message that cannot be hashed or compared is another one.
        """
        try:
            return self.key is key or (hash(self.key) == hashed and bool(self.key == key))
        except Exception:  # noqa: BLE001 - of a user's class
            return False


@final
class Batch:
    """Messages that were sent to a node together."""

    __slots__ = ("_entries", "left")

    def __init__(self, entries: list[Entry]) -> None:
        """Nothing of it is settled."""
        self._entries: Final[list[Entry | None]] = list(entries)
        self.left: int = len(entries)
        """How many are not settled."""

    def take(self, index: int) -> Entry | None:
        """Take one out; `None` if it was taken out before."""
        entry = self._entries[index]
        if entry is not None:
            self._entries[index] = None
            self.left -= 1
        return entry

    def rest(self) -> Iterator[Entry]:
        """Yield those that are not settled, in their order."""
        return (entry for entry in self._entries if entry is not None)


@final
class Unsettled:
    """The batches of a node of which something is not settled."""

    __slots__ = ("_batches",)

    def __init__(self) -> None:
        """None was sent."""
        self._batches: Final[dict[int, Batch]] = {}

    def sent(self, number: int, entries: list[Entry]) -> None:
        """Take note that a batch is about to be sent."""
        self._batches[number] = Batch(entries)

    def take(self, number: int, index: int) -> Entry | None:
        """Take one message out; `None` if it is not there."""
        batch = self._batches.get(number)
        if batch is None:
            return None
        entry = batch.take(index)
        if not batch.left:
            del self._batches[number]
        return entry

    def done(self, number: int, indices: Iterable[int] | None) -> int:
        """Settle messages that were handled, `None`: all of the batch; return how many."""
        batch = self._batches.get(number)
        if batch is None:
            return 0
        before = batch.left
        if indices is None:
            del self._batches[number]
            return before
        for index in indices:
            batch.take(index)
        if not batch.left:
            del self._batches[number]
        return before - batch.left

    def take_all(self) -> list[Entry]:
        """Take out all that is left, in the order in which it was sent."""
        left = [entry for batch in self._batches.values() for entry in batch.rest()]
        self._batches.clear()
        return left

    def __iter__(self) -> Iterator[Entry]:
        """Yield what is left, in the order in which it was sent."""
        for batch in self._batches.values():
            yield from batch.rest()

    def __len__(self) -> int:
        """Return how many messages are not settled."""
        return sum(batch.left for batch in self._batches.values())
