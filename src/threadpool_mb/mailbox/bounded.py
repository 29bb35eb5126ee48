"""`Blocking`, `NonBlocking`, `Waiting`: mailboxes with a limit.

Two `SimpleQueue`s: one of messages, one of *free slots*. A sender takes a slot before it puts a
message; the receiver puts a slot back after it took one. Slots are issued when they are first
needed, so that a limit of a million costs nothing until a million messages wait.

**Guarantees.** Never more than `limit` messages wait (one that a dropped future gives back may come
on top). Room wakes the sender that has waited longest. Closing wakes every sender.

**Assumes.** What `sending` says of `SimpleQueue`. A `KeyboardInterrupt` that hits the main thread
between taking a slot and putting its message costs the mailbox that slot.

Why no wake-up is lost: a slot is not a signal but a thing. One that nobody waits for stays in the
queue; a sender that times out or is interrupted has not taken one. Closing puts one more slot, and
each sender that finds the mailbox closed with a slot in its hand puts the slot back, for the next
sender that waits.

The other designs that were tried, and their figures: `docs/performance.md`.
"""

import dataclasses
import queue
import threading
from collections.abc import Callable
from typing import Final, cast, final

from threadpool_mb.arguments import check_limit, check_timeout
from threadpool_mb.mailbox.protocols import Input, Mailbox
from threadpool_mb.mailbox.receiving import ReceivingEnd
from threadpool_mb.mailbox.sending import End, SendingEnd, refuse

__all__ = ["Blocking", "NonBlocking", "Waiting"]


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Blocking:
    """Mailboxes of at most `limit` messages whose senders wait for room.

    From the original's `BlockingBoxLimit`.
    """

    limit: int
    """The most messages that may wait; at least 1, exact."""

    def __post_init__(self) -> None:
        """Check the limit."""
        check_limit(self.limit)

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        return _BoundedMailbox(_BoundedInput(self.limit, None, on_dead_letter), None)


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class NonBlocking:
    """Mailboxes of at most `limit` messages that refuse what does not fit, at once.

    From the original's `NonBlockingBoxLimit`.
    """

    limit: int
    """The most messages that may wait; at least 1, exact."""

    def __post_init__(self) -> None:
        """Check the limit."""
        check_limit(self.limit)

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        return _BoundedMailbox(_BoundedInput(self.limit, 0, on_dead_letter), None)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """Mailboxes of at most `limit` messages whose senders, and receiver, wait for a time.

    From the original's `WaitingBoxLimit`.
    """

    limit: int
    """The most messages that may wait; at least 1, exact."""
    _: dataclasses.KW_ONLY
    deliver_timeout: float | None
    """Seconds that `deliver` waits for room; `None` for ever."""
    receive_timeout: float | None = None
    """Seconds that `receive` waits where it is called without a timeout; `None` for ever."""

    def __post_init__(self) -> None:
        """Check the limit and the timeouts."""
        check_limit(self.limit)
        check_timeout(self.deliver_timeout, "deliver_timeout")
        check_timeout(self.receive_timeout, "receive_timeout")

    def _numbers(self) -> tuple[int, float, float]:
        """Return what configs are ordered by: no timeout is the longest."""
        for_ever = float("inf")
        return (
            self.limit,
            for_ever if self.deliver_timeout is None else self.deliver_timeout,
            for_ever if self.receive_timeout is None else self.receive_timeout,
        )

    def __lt__(self, other: "Waiting") -> bool:
        """Order by the limit, then the timeouts."""
        return self._numbers() < other._numbers()

    def __le__(self, other: "Waiting") -> bool:
        """Order by the limit, then the timeouts."""
        return self._numbers() <= other._numbers()

    def __gt__(self, other: "Waiting") -> bool:
        """Order by the limit, then the timeouts."""
        return self._numbers() > other._numbers()

    def __ge__(self, other: "Waiting") -> bool:
        """Order by the limit, then the timeouts."""
        return self._numbers() >= other._numbers()

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        sending = _BoundedInput(self.limit, self.deliver_timeout, on_dead_letter)
        return _BoundedMailbox(sending, self.receive_timeout)


@final
class _BoundedInput[T](SendingEnd[T]):
    __slots__ = ("_free", "_limit", "_lock", "_take_free", "_timeout", "_unissued")

    def __init__(
        self,
        limit: int,
        timeout: float | None,
        on_dead_letter: Callable[[T], object] | None,
    ) -> None:
        super().__init__(on_dead_letter)
        self._limit: Final = limit
        self._timeout: Final = check_timeout(timeout)
        self._free: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self._take_free: Final = self._free.get_nowait
        # Guards the number of slots that were never issued, and `waiting`. Nobody waits under it.
        self._lock: Final = threading.RLock()
        self._unissued = limit

    def deliver(self, message: T, /) -> bool:
        """Put one message into the mailbox.

        Blocks: until there is room, as the mailbox's config says.
        Threads: any number may deliver; messages of one thread keep their order.

        Returns:
            `True` once the message is in, `False` if the limit refused it.

        Raises:
            MailboxClosed: if the mailbox was closed, before or during the wait.
        """
        try:
            self._take_free()
        except queue.Empty:
            if not self._issue() and not self._wait():
                return False
        try:
            self.put(message)
        except BaseException:
            self.free_slot()
            raise
        if self.done:
            self.sweep()
        return True

    def free_slot(self) -> None:
        """Make room for one message."""
        self._free.put(None)

    def shut(self) -> None:
        super().shut()
        self.free_slot()

    def _issue(self) -> bool:
        """Issue slots that were never used, as many as there are already, and keep one of them."""
        with self._lock:
            if not self._unissued:
                return False
            batch = min(self._unissued, max(1, self._limit - self._unissued))
            self._unissued -= batch
        for _ in range(batch - 1):
            self.free_slot()
        return True

    def _wait(self) -> bool:
        """Wait for a slot; `False` if none came in time."""
        if not self.closed and self._timeout == 0:
            return False
        try:
            with self._lock:
                self.waiting += 1
            if not self.closed:
                self._free.get(timeout=self._timeout)
                return True
        except queue.Empty:
            if not self.closed:
                return False
        finally:
            with self._lock:
                self.waiting -= 1
        # The slot that `shut` has put is in another sender's hand just now.
        return refuse(None)


@final
class _BoundedMailbox[T](ReceivingEnd[T]):
    __slots__ = ("_free_slot", "_input", "_timeout")

    def __init__(self, sending: _BoundedInput[T], receive_timeout: float | None) -> None:
        super().__init__(sending)
        self._input: Final = sending
        self._free_slot: Final = sending.free_slot
        self._timeout: Final = receive_timeout

    def new_input(self) -> Input[T]:
        """Return a sending end; see `Mailbox.new_input`."""
        return self._input

    def receive(self, *, timeout: float | None = None) -> T:
        """Take the oldest message; see `Mailbox.receive`."""
        if timeout is None:
            if self._timeout is None and self._plain:
                message = self._get()
                if message is not End:
                    self._free_slot()
                    return cast("T", message)
                self._take_end()
            timeout = self._timeout
        return super().receive(timeout=timeout)

    def _taken(self, count: int) -> None:
        for _ in range(count):
            self._free_slot()
