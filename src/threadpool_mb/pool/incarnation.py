"""One worker's life under one key: its number, its mailbox, its place among those of the key."""

import enum
from typing import Final, Protocol, cast, final

from threadpool_mb.arguments import describe
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.line.adapting import OwnInput
from threadpool_mb.line.inlet import INPUT_OF_PARENT, Inlet
from threadpool_mb.line.lane import Lane
from threadpool_mb.mailbox.kinds import own_mailbox
from threadpool_mb.protocols import Mailbox, MailboxStats
from threadpool_mb.threads.here import Awaited

__all__ = ["HasReason", "Incarnation", "Leftovers", "State", "WorkerMailbox"]


class WorkerMailbox(Protocol):
    """What the control plane tells and asks a worker's mailbox, or lane."""

    def close(self) -> None:
        """Take no more messages; what is there is still handled."""
        ...

    def cancel(self) -> None:
        """Take no more messages, and stop before the next one."""
        ...

    def abandon(self) -> None:
        """Make dead letters of what is there: nobody will receive it."""
        ...

    def stats(self) -> MailboxStats:
        """Return a snapshot."""
        ...


class State(enum.Enum):
    """Where a worker is in its life."""

    PENDING = "pending"
    """Waits for its predecessor to end, or for the dispatcher to start it."""
    RUNNING = "running"
    """Was started and has not ended."""
    ENDED = "ended"
    """Has ended, or will never start."""


class HasReason(Protocol):
    """What makes dead letters of what a worker has left in its mailbox."""

    reason: DeadLetterReason
    """Why messages are left over; the thread that ends the worker sets it first."""

    @property
    def owner(self) -> str:
        """The name of the pool."""
        ...


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

    @property
    def owner(self) -> str:
        """The name of the pool."""
        return self._office.owner

    def __call__(self, message: M) -> None:
        """Make a dead letter of `message`."""
        self._office.take(self._key, message, self.reason)


@final
class Incarnation[K, M]:
    """A worker of a key, from `initialize` to its end.

    To its callers it is the `Holder` of their calls.

    `number`, `state`, `current`, `predecessor` and `successor` belong to the roster, which guards
    them with its lock. `forked` writes `input` and `direct`, in the child; the end of the worker
    writes `end_error`, then `gone`; `watchers` and `waits_for` are guarded as `calls.unanswered`
    and `threads.circles` say. The rest never changes.
    """

    __slots__ = (
        "current",
        "direct",
        "end_error",
        "gone",
        "input",
        "key",
        "leftovers",
        "mailbox",
        "number",
        "predecessor",
        "state",
        "successor",
        "waits_for",
        "watchers",
    )

    def __init__(
        self,
        key: K,
        leftovers: HasReason,
        mailbox: WorkerMailbox,
        sending: OwnInput[M],
        direct: Inlet[M] | None,
    ) -> None:
        """Make a worker that is not entered yet."""
        self.key: Final = key
        self.leftovers: Final = leftovers
        self.mailbox: Final = mailbox
        self.input: OwnInput[M] = sending
        self.direct: Inlet[M] | None = direct
        """Where the mailbox has no limit: its inlet, for senders that do in their own frame what
        `deliver` does (which saves 25 ns of 140 on 3.14t and of 265 on 3.13t)."""
        self.end_error: BaseException | None = None
        """What it has raised, if it has failed. Its callers may have this for as long as they like:
        the locals of its frames are cleared first; see `unanswered.forget_locals`."""
        self.gone: bool = False
        self.watchers: dict[Awaited, None] | None = None
        self.waits_for: Awaited | None = None
        self.number: int = 0
        """Given when it enters, not when it is made: later workers have greater ones."""
        self.state: State = State.PENDING
        self.current: bool = False
        """Whether it is the one that gets its key's messages."""
        self.predecessor: Incarnation[K, M] | None = None
        """The worker of the key that must end before this one starts."""
        self.successor: Incarnation[K, M] | None = None
        """The worker of the key that waits for the end of this one."""

    @property
    def backlog(self) -> int:
        """How many messages wait in its mailbox."""
        return self.mailbox.stats().messages

    def expedite(self) -> None:
        """Have it take its turn before others, if it shares threads; see `Holder`."""
        if (lane := self._lane) is not None:
            lane.expedite()

    def forked(self) -> None:
        """Get no message any more, from any sender; in a child of `os.fork`."""
        self.direct = None
        self.input = INPUT_OF_PARENT

    def nudge(self) -> None:
        """Have idle threads of its pool run for a moment, if it shares threads; see `Holder`."""
        if (lane := self._lane) is not None:
            lane.nudge()

    @property
    def _lane(self) -> Lane[M] | None:
        """What it shares threads by, if it is a generator worker."""
        mailbox = self.mailbox
        return None if not isinstance(mailbox, Lane) else cast("Lane[M]", mailbox)

    def receives_from(self, mailbox: object) -> bool:
        """Return whether `mailbox` is the one that its messages come out of; see `Holder`."""
        return mailbox is not None and mailbox is own_mailbox(cast("Mailbox[M]", self.mailbox))

    @property
    def title(self) -> str:
        """What it is called in an error's text."""
        return f"{self.leftovers.owner} {describe(self.key)}"

    @property
    def end_reason(self) -> str:
        """Why it has ended, in a few words."""
        return self.leftovers.reason
