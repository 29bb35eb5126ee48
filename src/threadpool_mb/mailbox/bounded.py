"""`Blocking`, `NonBlocking`, `Waiting`: mailboxes with a limit.

Like `Unlimited`, and a second `SimpleQueue` of free slots beside that of the messages (`slots`).

**Guarantees.** Never more than `limit` messages wait; one that a dropped future gives back may come
on top.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import final

from threadpool_mb.arguments import check_duration, check_limit
from threadpool_mb.mailbox.protocols import Mailbox
from threadpool_mb.mailbox.receiving import QueueMailbox
from threadpool_mb.mailbox.sending import MailboxInlet
from threadpool_mb.mailbox.slots import Slots

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
        return _create(self.limit, None, None, on_dead_letter)


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
        return _create(self.limit, 0, None, on_dead_letter)


@final
@functools.total_ordering
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
        for name in ("deliver_timeout", "receive_timeout"):
            # What is longer than can be waited is no timeout, and equal to it.
            if check_duration(getattr(self, name), name) is None:
                object.__setattr__(self, name, None)

    def _numbers(self) -> tuple[int, float, float]:
        for_ever = float("inf")
        return (
            self.limit,
            for_ever if self.deliver_timeout is None else self.deliver_timeout,
            for_ever if self.receive_timeout is None else self.receive_timeout,
        )

    def __lt__(self, other: object) -> bool:
        """Order by the limit, then the timeouts; no timeout is the longest."""
        return self._numbers() < other._numbers() if isinstance(other, Waiting) else NotImplemented

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        return _create(self.limit, self.deliver_timeout, self.receive_timeout, on_dead_letter)


def _create[T](
    limit: int,
    deliver_timeout: float | None,
    receive_timeout: float | None,
    on_dead_letter: Callable[[T], object] | None,
) -> Mailbox[T]:
    return QueueMailbox(
        MailboxInlet(on_dead_letter, Slots(limit, deliver_timeout)), receive_timeout
    )
