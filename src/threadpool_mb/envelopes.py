"""What carries a message that observers follow, and what they have said of it as it was sent.

Only pools, executors and brokers have envelopes whose observers have the message plane. What
is handed to a user's code is never an envelope: `plain` opens it.
"""

from typing import Any, Final, cast, final

__all__ = ["Observed", "again", "opened", "plain"]


@final
class Observed:
    """A message on its way, and what observers have returned as it was sent."""

    __slots__ = ("message", "sent")

    def __init__(self, message: object, sent: object) -> None:
        """Carry `message`."""
        self.message: Any = message
        self.sent: Final[Any] = sent

    def open(self) -> Any:  # noqa: ANN401 - the message
        """Return the message, and keep it no more, for the thread that is to handle it.

        On a free-threaded build the envelope, which the sender has made, lives on until the
        sender's thread runs again (gh-157838); a call that is dropped is to be gone before that.
        """
        message, self.message = self.message, None
        return message

    def __repr__(self) -> str:
        """Show the message."""
        return repr(self.message)


def plain[M](message: M) -> M:
    """Return the message itself, of one that is in an envelope, too."""
    carried: Any = message
    if type(carried) is Observed:
        opened: M = carried.message
        return opened
    return message


def again[M](message: M) -> M:
    """Return the message of an envelope in a new envelope."""
    carried: Any = message
    another: Any = Observed(carried.message, carried.sent)
    return cast("M", another)


def opened[M](message: M) -> tuple[M, Any]:
    """Return a message that was taken out of its envelope, if it was in one; and what came with it.

    That is `None` if there was none. See `Observed.open`.
    """
    carried: Any = message
    if type(carried) is Observed:
        return carried.open(), carried.sent
    return message, None
