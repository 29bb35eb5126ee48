"""One worker's life under one key: its number, its mailbox, its place among those of the key."""

import enum
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.mailbox.protocols import Mailbox, MailboxConfig
from threadpool_mb.mailbox.sending import QueueInput

__all__ = ["Incarnation", "State"]


class State(enum.Enum):
    """Where a worker is in its life."""

    PENDING = "pending"
    """Waits for its predecessor to end, or for the dispatcher to start it."""
    RUNNING = "running"
    """Was started and has not ended."""
    ENDED = "ended"
    """Has ended, or will never start."""


@final
class Leftovers[K, M]:
    """What a mailbox calls with messages that its worker has left in it.

    An object of its own, so that a mailbox does not refer back to its incarnation: a cycle would
    keep both until the next garbage collection.
    """

    __slots__ = ("_key", "_office", "reason")

    def __init__(self, key: K, office: DeadLetterOffice[K, M]) -> None:
        self._key: Final = key
        self._office: Final = office
        self.reason: DeadLetterReason = DeadLetterReason.WORKER_ENDED
        """Why messages are left over; whoever ends the worker sets it first."""

    def __call__(self, message: M) -> None:
        """Make a dead letter of `message`."""
        self._office.take(self._key, message, self.reason)


@final
class Incarnation[K, M]:
    """A worker of a key, from `initialize` to its end.

    `number`, `state`, `current`, `predecessor` and `successor` belong to the roster, which guards
    them with its lock; the rest never changes.
    """

    __slots__ = (
        "current",
        "deliver",
        "direct",
        "key",
        "leftovers",
        "mailbox",
        "number",
        "predecessor",
        "state",
        "successor",
    )

    def __init__(self, key: K, config: MailboxConfig, office: DeadLetterOffice[K, M]) -> None:
        """Create the worker's mailbox; what `config.create` or `new_input` raise passes."""
        self.key: Final = key
        self.leftovers: Final = Leftovers(key, office)
        self.mailbox: Final[Mailbox[M]] = config.create(on_dead_letter=self.leftovers)
        sending = self.mailbox.new_input()
        self.deliver: Final[Callable[[M], bool]] = sending.deliver
        self.direct: Final[QueueInput[M] | None] = (
            sending if isinstance(sending, QueueInput) and sending.slots is None else None
        )
        """Where the mailbox has no limit: its input, for senders who do in their own frame what
        `deliver` does."""
        self.number: int = 0
        """Given when it enters, not when it is made: later workers have greater ones."""
        self.state: State = State.PENDING
        self.current: bool = False
        """Whether it is the one that gets its key's messages."""
        self.predecessor: Incarnation[K, M] | None = None
        """The worker of the key that must end before this one starts."""
        self.successor: Incarnation[K, M] | None = None
        """The worker of the key that waits for the end of this one."""
