"""The kinds of mailbox: `Unlimited`, and with a limit `Blocking`, `NonBlocking`, `Waiting`.

The fifth, `CatchAll`, wraps one of another kind (`mailbox.catch_all`).

An `Unlimited` mailbox is a `queue.SimpleQueue`, and as little as possible around it. A limit is a
second `SimpleQueue`, of free slots (`line.slots`).

**Guarantees.** Never more than `limit` messages wait; a message that a dropped future gives back
may be added to these.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import final

from threadpool_mb.arguments import check_duration, check_limit
from threadpool_mb.line.slots import Slots
from threadpool_mb.mailbox.catch_all import CatchAll, CatchAllMailbox
from threadpool_mb.mailbox.receiving import QueueMailbox
from threadpool_mb.mailbox.sending import MailboxInlet
from threadpool_mb.protocols import Mailbox, MailboxConfig

__all__ = ["Blocking", "NonBlocking", "Unlimited", "Waiting", "own_mailbox", "slots_maker"]


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Unlimited:
    """Mailboxes without a limit: `deliver` never waits and never refuses.

    From the original's `BlockingUnlimited`.
    """

    @property
    def limit(self) -> None:
        """No limit."""
        return None

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        return QueueMailbox(MailboxInlet(on_dead_letter))


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Blocking:
    """Mailboxes of at most `limit` messages; a sender waits for room.

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
    """Mailboxes of at most `limit` messages; senders, and the receiver, wait for a time.

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
            # A timeout that is longer than the platform can wait is `None`, and equal to it.
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


def slots_maker(config: MailboxConfig) -> Callable[[], Slots | None] | None:
    """Return what makes the slots of one lane (`None`: it has no limit); `None` for a user's kind.

    A lane takes the place of the mailbox: of a config it has the limit and the time to wait for
    room, and nothing else. `CatchAll`s are taken off first: only around a user's own kind do they
    catch anything, and there they are in the mailbox that is created.

    Raises:
        ValueError: if the config has a `receive_timeout`: a lane's receiver does not wait.
    """
    while isinstance(config, CatchAll):
        config = config.config
    match config:
        case Unlimited():
            return lambda: None
        case Blocking(limit):
            return functools.partial(Slots, limit, None)
        case NonBlocking(limit):
            return functools.partial(Slots, limit, 0)
        case Waiting(limit, deliver_timeout=timeout, receive_timeout=None):
            return functools.partial(Slots, limit, timeout)
        case Waiting():
            raise ValueError(
                f"a generator worker's mailbox can have no receive_timeout, as in {config!r}:"
                " it gives its thread back while it waits"
            )
        # A kind of this library that is missing above would be taken for a user's: its messages
        # would wait in a second queue, beside the lane.
        case _:
            return None


def own_mailbox[T](mailbox: Mailbox[T]) -> QueueMailbox[T] | None:
    """Return the mailbox, without the `CatchAll`s around it; `None` for a user's own kind."""
    while isinstance(mailbox, CatchAllMailbox):
        mailbox = mailbox.wrapped
    return mailbox if isinstance(mailbox, QueueMailbox) else None
