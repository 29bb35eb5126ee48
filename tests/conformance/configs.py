"""The configurations of mailboxes that one conformance suite runs over."""

from collections.abc import Sequence
from typing import Final, final

import threadpool_mb as mb


@final
class Alike:
    """Gives every message the same priority: then the order is that of the other kinds."""

    def __call__(self, message: object) -> int:
        return 0

    def __repr__(self) -> str:
        return "alike"


_ALIKE: Final = Alike()

SLIDING: Final = mb.Sliding(100_000)
"""More than any test delivers: it displaces nothing."""

ORIGINAL: Final[Sequence[mb.MailboxConfig]] = (
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

STORED: Final[Sequence[mb.MailboxConfig]] = (
    SLIDING,
    mb.CatchAll(SLIDING),
    mb.Prioritized(mb.Unlimited(), _ALIKE),
    mb.CatchAll(mb.Prioritized(mb.Unlimited(), _ALIKE)),
    mb.Prioritized(mb.Blocking(1), _ALIKE),
    mb.Prioritized(mb.Blocking(256), _ALIKE),
    mb.Prioritized(mb.NonBlocking(64), _ALIKE),
    mb.Prioritized(mb.Waiting(64, deliver_timeout=60, receive_timeout=60), _ALIKE),
)
"""Those whose messages are in a store beside the queue."""

EVERY: Final = (*ORIGINAL, *STORED)

ROOM_FOR_TWO: Final = tuple(config for config in EVERY if config.limit != 1)
"""Those whose mailboxes hold two messages."""

SENDERS_WAIT: Final = (
    mb.Blocking(1),
    mb.Blocking(2),
    mb.CatchAll(mb.Blocking(2)),
    mb.Waiting(1, deliver_timeout=60),
    mb.Waiting(2, deliver_timeout=None),
    mb.CatchAll(mb.Waiting(2, deliver_timeout=60)),
    mb.Prioritized(mb.Blocking(1), _ALIKE),
    mb.Prioritized(mb.Waiting(2, deliver_timeout=60), _ALIKE),
    mb.CatchAll(mb.Prioritized(mb.Blocking(2), _ALIKE)),
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
