"""`Unlimited`: a `queue.SimpleQueue`, and as little as possible around it."""

import dataclasses
from collections.abc import Callable
from typing import final

from threadpool_mb.mailbox.protocols import Mailbox
from threadpool_mb.mailbox.receiving import QueueMailbox
from threadpool_mb.mailbox.sending import MailboxInlet

__all__ = ["Unlimited"]


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
