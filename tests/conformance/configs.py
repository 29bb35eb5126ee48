"""The configurations of mailboxes that one conformance suite runs over."""

from collections.abc import Sequence
from typing import Final

import threadpool_mb as mb

EVERY: Final[Sequence[mb.MailboxConfig]] = (
    mb.Unlimited(),
    mb.CatchAll(mb.Unlimited()),
    mb.Blocking(256),
    mb.CatchAll(mb.Blocking(256)),
    mb.Blocking(1),
    mb.Blocking(2),
    mb.NonBlocking(1),
    mb.NonBlocking(64),
    mb.Waiting(1, deliver_timeout=60),
    mb.Waiting(64, deliver_timeout=60),
    mb.Waiting(64, deliver_timeout=60, receive_timeout=60),
)
"""The eleven of the original's conformance suite."""

ROOM_FOR_TWO: Final = tuple(config for config in EVERY if config.limit != 1)
"""Those whose mailboxes hold two messages."""

SENDERS_WAIT: Final = (
    mb.Blocking(1),
    mb.Blocking(2),
    mb.CatchAll(mb.Blocking(2)),
    mb.Waiting(1, deliver_timeout=60),
    mb.Waiting(2, deliver_timeout=None),
    mb.CatchAll(mb.Waiting(2, deliver_timeout=60)),
)
"""Those whose senders wait for room, with limits that are soon reached."""


def fill(mailbox: mb.Mailbox[int], config: mb.MailboxConfig) -> list[int]:
    """Deliver as many messages as the limit allows, and return them."""
    assert config.limit is not None
    deliver = mailbox.new_input().deliver
    messages = list(range(config.limit))
    for message in messages:
        assert deliver(message)
    return messages
