"""What stands in the place of an input whose receiver a fork has left in the parent."""

from typing import Final, Never, final

from threadpool_mb.errors import MailboxClosed
from threadpool_mb.forking import MADE_BEFORE_FORK

__all__ = ["INPUT_OF_PARENT", "refuse_in_child"]


def refuse_in_child(*_: object) -> Never:
    """Stand in the place of what would put a message, or take a slot for one.

    Raises:
        MailboxClosed: always.
    """
    raise MailboxClosed(f"the mailbox was {MADE_BEFORE_FORK}: its receiver is not in this process")


@final
class _InputOfParent:
    """Refuses each message."""

    __slots__ = ()

    def deliver(self, message: object, /) -> bool:
        """Refuse it."""
        refuse_in_child(message)


INPUT_OF_PARENT: Final = _InputOfParent()
"""The input of all that is the parent's."""
