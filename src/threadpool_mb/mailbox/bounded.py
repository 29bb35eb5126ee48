"""`Blocking`, `NonBlocking`, `Waiting`: mailboxes with a limit.

A `SimpleQueue` holds the messages. A sender holds a lock while it looks at the queue's size and puts,
so that the limit is exact; the receiver takes messages without that lock, as in an unlimited
mailbox, and only looks whether a sender waits.

**Guarantees.** Never more than `limit` messages wait (a message that a dropped future gives back may
be one more). A sender that waits for room gets it as soon as there is some, in the order of waiting
unless a running sender comes first; closing wakes all. After `shut` has returned no message comes in,
not even late.

**Assumes.** What `sending` says of `SimpleQueue`; `deque.popleft` is atomic.

Why no wake-up is lost:

1. The sender, under the lock, finds the queue full.
2. It joins `_waiters`, and looks at the queue's size again.
3. The receiver takes a message, then looks at `_waiters`.

The queue's own lock puts the look of 2 and the taking of 3 in an order. If the look comes first, the
sender has joined before the receiver looks, and is woken. If the taking comes first, the sender sees
the room. A woken sender that does not use the room (it timed out, was interrupted, or another sender
was faster) wakes the next if there is still room.

The designs that were tried, and their figures: `docs/performance.md`, `benchmarks/bounded_designs.py`.
"""

import collections
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Final, final

from threadpool_mb.arguments import Deadline, check_limit, check_timeout
from threadpool_mb.mailbox.protocols import Input, Mailbox
from threadpool_mb.mailbox.receiving import ReceivingEnd
from threadpool_mb.mailbox.sending import End, SendingEnd

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
    """Seconds that `receive` waits for a message where it is called without a timeout; `None` for ever."""

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
    __slots__ = ("_limit", "_lock", "_size", "_timeout", "waiters")

    def __init__(
        self,
        limit: int,
        timeout: float | None,
        on_dead_letter: Callable[[T], object] | None,
    ) -> None:
        super().__init__(on_dead_letter)
        self._limit: Final = limit
        self._timeout: Final = timeout
        self._size: Final = self.queue.qsize
        # Guards putting and shutting: a sender holds it from looking at the size to putting.
        self._lock: Final = threading.Lock()
        # One locked lock for each sender that waits, oldest first. Senders add under the lock; whoever
        # makes room takes one off and releases it, which wakes its sender. Never used twice.
        self.waiters: Final[collections.deque[threading.Lock]] = collections.deque()

    @property
    def waiting(self) -> int:
        """The number of threads that wait for room."""
        return len(self.waiters)

    def deliver(self, message: T, /) -> bool:
        """Put one message into the mailbox.

        Blocks: until there is room, as the mailbox's config says.
        Threads: any number may deliver; messages of one thread keep their order.

        Returns:
            `True` once the message is in, `False` if the limit refused it.

        Raises:
            MailboxClosed: if the mailbox was closed, before or during the wait.
        """
        with self._lock:
            if self._size() < self._limit or self.closed:
                self._put(message)
                return True
        return self._timeout != 0 and self._deliver_when_room(message)

    def _deliver_when_room(self, message: T) -> bool:
        deadline = Deadline(self._timeout)
        while True:
            waiter = threading.Lock()
            waiter.acquire()
            with self._lock:
                self.waiters.append(waiter)
                if self._size() < self._limit or self.closed:
                    self._leave_locked(waiter)
                    self._put(message)
                    return True
            try:
                woken = deadline.acquire(waiter)
            except BaseException:
                with self._lock:
                    self._leave_locked(waiter)
                raise
            if not woken:
                return self._deliver_at_last(message, waiter)

    ...
