"""The kinds of mailbox: `Unlimited`; with a limit `Blocking`, `NonBlocking`, `Waiting`, `Sliding`.

`Prioritized` sorts the messages of another of these kinds. `CatchAll` wraps any kind
(`mailbox.catch_all`).

An `Unlimited` mailbox is a `queue.SimpleQueue`, and as little as possible around it. A limit is a
second `SimpleQueue`, of free slots (`line.slots`). The messages of a `Sliding` or `Prioritized` one
are in a store beside the queue (`line.stores`).

**Guarantees.** Never more than `limit` messages wait; a message that a dropped future gives back
may be added to these.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Final, cast, final

from threadpool_mb.arguments import check_callable, check_duration, check_limit, describe
from threadpool_mb.line.sliding import SlidingStore
from threadpool_mb.line.slots import Slots
from threadpool_mb.line.sorting import PriorityStore
from threadpool_mb.line.stores import Store
from threadpool_mb.mailbox.catch_all import CatchAll
from threadpool_mb.mailbox.receiving import QueueMailbox
from threadpool_mb.mailbox.sending import MailboxInlet
from threadpool_mb.mailbox.wrapping import WrappedMailbox
from threadpool_mb.protocols import Mailbox, MailboxConfig

__all__ = [
    "Blocking",
    "NonBlocking",
    "Prioritized",
    "Sliding",
    "Unlimited",
    "Waiting",
    "is_own_kind",
    "no_slots",
    "own_mailbox",
    "slots_maker",
    "store_maker",
]


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


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Sliding:
    """Mailboxes of the latest `limit` messages: `deliver` never waits and never refuses.

    A message that is delivered to a full one takes the place of the oldest message, which becomes a
    dead letter with the reason "displaced", on the sender's thread. `Sliding(1)` keeps the latest
    message.
    """

    limit: int
    """The most messages that may wait; at least 1, exact."""

    def __post_init__(self) -> None:
        """Check the limit."""
        check_limit(self.limit)

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`.

        `on_dead_letter` is called with messages that were displaced, too, on the thread of the
        sender.
        """
        return QueueMailbox(MailboxInlet(on_dead_letter, None, SlidingStore(self.limit)))


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Prioritized:
    """Mailboxes that give out the message with the lowest priority first, as `PriorityQueue` does.

    Of messages with equal priorities, the one that came first. Limit and waiting are those of
    `config`; what a dropped future gives back comes after all that waits then.
    """

    config: Unlimited | Blocking | NonBlocking | Waiting
    """The config that says what a sender does where the mailbox is full. Not `Sliding`: its oldest
    message, which it drops, may be the most urgent one."""
    priority: Callable[[Any], float]
    """Returns a message's priority, an `int` or a `float` that is not NaN. What it raises, the
    sender gets, and so a `TypeError` or a `ValueError` for what is no such number: nothing was
    taken then.

    It is called on the sender's thread before the sender waits for room, with no lock held, once or
    more for each message; of a call, it gets the `Call`.
    """

    def __post_init__(self) -> None:
        """Check config and priority."""
        config = cast("object", self.config)
        if not isinstance(config, Unlimited | Blocking | NonBlocking | Waiting):
            hint = " (put the CatchAll around it)" if isinstance(config, CatchAll) else ""
            raise TypeError(
                "config must be Unlimited(), or a Blocking, NonBlocking or Waiting,"
                f" not {describe(config)}{hint}"
            )
        check_callable(self.priority, "priority", "message")

    @property
    def limit(self) -> int | None:
        """The most messages that may wait; `None` for no limit."""
        return self.config.limit

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        config = self.config
        slots = None
        if not isinstance(config, Unlimited):
            slots = Slots(config.limit, _deliver_timeout(config))
        timeout = config.receive_timeout if isinstance(config, Waiting) else None
        return QueueMailbox(
            MailboxInlet(on_dead_letter, slots, PriorityStore(self.priority)), timeout
        )


def _deliver_timeout(config: Blocking | NonBlocking | Waiting) -> float | None:
    """Return how long a sender waits for room."""
    if isinstance(config, Waiting):
        return config.deliver_timeout
    return 0 if isinstance(config, NonBlocking) else None


def _create[T](
    limit: int,
    deliver_timeout: float | None,
    receive_timeout: float | None,
    on_dead_letter: Callable[[T], object] | None,
) -> Mailbox[T]:
    return QueueMailbox(
        MailboxInlet(on_dead_letter, Slots(limit, deliver_timeout)), receive_timeout
    )


_OWN_KINDS: Final = (Unlimited, Blocking, NonBlocking, Waiting, Sliding, Prioritized)


def _without_catch_all(config: MailboxConfig) -> MailboxConfig:
    """Return the config inside of `CatchAll`s."""
    while isinstance(config, CatchAll):
        config = config.config
    return config


def no_slots() -> None:
    """Make the slots of a lane that has no limit."""


def slots_maker(config: MailboxConfig) -> Callable[[], Slots | None] | None:
    """Return what makes the slots of one lane (`None`: it has no limit); `None` for a user's kind.

    A lane takes the place of the mailbox: of a config it has the limit and the time to wait for
    room, and nothing else. `CatchAll`s are taken off first: only around a user's own kind do they
    catch anything, and there they are in the mailbox that is created.

    Raises:
        ValueError: if the config has a `receive_timeout`: a lane's receiver does not wait.
    """
    config = _without_catch_all(config)
    if isinstance(config, Prioritized):
        config = config.config
    match config:
        case Unlimited() | Sliding():
            return no_slots
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


def store_maker(config: MailboxConfig) -> Callable[[], Store] | None:
    """Return what makes the store of one lane; `None` where its messages are in its queue."""
    match _without_catch_all(config):
        case Sliding(limit):
            return functools.partial(SlidingStore, limit)
        case Prioritized(_, priority):
            caught = isinstance(config, CatchAll)
            return functools.partial(PriorityStore, priority, caught=caught)
        case _:
            return None


def is_own_kind(config: MailboxConfig) -> bool:
    """Return whether a config makes mailboxes of this library, `CatchAll`s around them or not."""
    return isinstance(_without_catch_all(config), _OWN_KINDS)


def own_mailbox[T](mailbox: Mailbox[T]) -> QueueMailbox[T] | None:
    """Return the mailbox, without what is around it; `None` for a user's own kind."""
    while isinstance(mailbox, WrappedMailbox):
        mailbox = mailbox.wrapped
    return mailbox if isinstance(mailbox, QueueMailbox) else None
