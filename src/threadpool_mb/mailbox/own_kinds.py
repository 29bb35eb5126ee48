"""What others need to know of the library's own kinds of mailbox, beyond the protocols."""

import functools
from collections.abc import Callable

from threadpool_mb.mailbox.bounded import Blocking, NonBlocking, Waiting
from threadpool_mb.mailbox.catch_all import CatchAll, CatchAllMailbox
from threadpool_mb.mailbox.protocols import Mailbox, MailboxConfig
from threadpool_mb.mailbox.receiving import QueueMailbox
from threadpool_mb.mailbox.slots import Slots
from threadpool_mb.mailbox.unlimited import Unlimited

__all__ = ["own_mailbox", "slots_maker"]


def slots_maker(config: MailboxConfig) -> Callable[[], Slots | None] | None:
    """Return what makes the slots of one lane (`None`: it has no limit); `None` for a user's kind.

    `CatchAll` around one of ours catches nothing.

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
        case _:
            return None


def own_mailbox[T](mailbox: Mailbox[T]) -> QueueMailbox[T] | None:
    """Return the mailbox, without the `CatchAll`s around it; `None` for a user's own kind."""
    while isinstance(mailbox, CatchAllMailbox):
        mailbox = mailbox.wrapped
    return mailbox if isinstance(mailbox, QueueMailbox) else None
