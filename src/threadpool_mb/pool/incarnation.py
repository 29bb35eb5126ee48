"""One worker's life under one key: its number, its mailbox, its place among those of the key."""

from contextlib import AbstractContextManager
from typing import Any, Final, Literal, Protocol, override

from threadpool_mb.arguments import describe
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason, TakesDisplaced
from threadpool_mb.envelopes import plain
from threadpool_mb.line.adapting import OwnInput
from threadpool_mb.line.inlet import Inlet
from threadpool_mb.protocols import MailboxStats
from threadpool_mb.threads.here import Awaited, Home

__all__ = ["HasReason", "Incarnation", "Leftovers", "State", "WorkerMailbox"]

_NONE: Final[list[object]] = []
_IN_KINDS: Final[tuple[str, ...]] = ()
"""No slots, by a name; see `line.inlet`."""


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


type State = Literal["pending", "running", "ended"]
"""Where a worker is in its life. Pending: it waits for its predecessor to end, or for the
dispatcher to start it. Running: it was started and has not ended. Ended: or it will never start.

Strings, as two threads that read one member of an enumeration share its reference count."""


class HasReason(Protocol):
    """What makes dead letters of what a worker has left in its mailbox."""

    reason: DeadLetterReason | None
    """Why messages are left over; the thread that ends the worker sets it first. An attribute that
    is set without a call; see `Roster.leave`.

    `None`: `WORKER_ENDED`. Threads that read one member of an enumeration share its reference
    count, so no lane is given one as it is made."""


def why_left(left: HasReason) -> DeadLetterReason:
    """Return why messages are left over."""
    return left.reason or DeadLetterReason.WORKER_ENDED


class Leftovers[K, M](TakesDisplaced):
    """What a mailbox calls with messages that its worker has left in it.

    An object of its own, so that a mailbox does not refer back to its incarnation: a cycle would
    keep both until the next garbage collection.
    """

    __slots__ = ("in_use", "key", "left_out", "office", "reason")

    def __init__(self, key: K, office: DeadLetterOffice[K, M]) -> None:
        self.key: Final = key
        self.office: Final = office
        self.reason: DeadLetterReason | None = None
        self.in_use: bool = False
        """Whether the worker runs, and what is left may still be for it; see `pool.keeping`."""
        self.left_out: list[object] = _NONE
        """The message of which no dead letter is made, once; see `Incarnation.bury_others`."""

    def __call__(self, message: M) -> None:
        """Make a dead letter of `message`."""
        if self.left_out and plain(message) is self.left_out[0]:
            self.left_out.clear()
            return
        # Not `why_left`: an interrupt in it would lose the message.
        self.office.take(self.key, message, self.reason or DeadLetterReason.WORKER_ENDED)

    @override
    def displaced(self, message: M) -> None:
        """Make a dead letter of a message that was displaced by a newer one."""
        self.office.take(self.key, message, DeadLetterReason.DISPLACED)


class Incarnation[K, M]:
    """A worker of a key, from `initialize` to its end; subclasses are its kinds.

    To its callers it is the `Holder` of their calls. A generator worker *is* its lane, by a second
    base class; so the `__slots__` are with the kinds (`line.inlet` says why).

    `number`, `state`, `current`, `predecessor` and `successor` belong to the roster, which guards
    them with its lock. `forked` writes `direct`, in the child, and so does a generator worker as it
    starts and ends; the end of the worker writes `end_error`, then `gone`; `watchers` and
    `waits_for` are guarded as `calls.unanswered` and `threads.circles` say.
    """

    __slots__ = _IN_KINDS

    key: K
    number: int
    """Given when it enters, not when it is made: later workers have greater ones."""
    state: State
    current: bool
    """Whether it is the one that gets its key's messages."""
    predecessor: "Incarnation[K, M] | None"
    """The worker of the key that must end before this one starts."""
    successor: "Incarnation[K, M] | None"
    """The worker of the key that waits for the end of this one."""
    direct: Inlet[M] | None
    """Where the mailbox has no limit: its inlet, for senders that do in their own frame what
    `deliver` does (which saves 25 ns of 140 on 3.14t and of 265 on 3.13t)."""
    end_error: BaseException | None
    """What it has raised, if it has failed. Its callers may have this for as long as they like: the
    locals of its frames are cleared first; see `unanswered.forget_locals`."""
    gone: bool
    watchers: dict[Awaited, None] | None
    waits_for: Awaited | None
    counted: int = 0
    """What it has handled in turns that did not count it; see `pool.census`."""
    dormant: bool = False

    def _be_new(self, key: K) -> None:
        """Be a worker that is not entered yet."""
        self.key = key
        self.number = 0
        self.state = "pending"
        self.current = self.gone = False
        self.predecessor = self.successor = None
        self.direct = self.end_error = self.watchers = self.waits_for = None

    @property
    def mailbox(self) -> WorkerMailbox:
        """What the control plane tells and asks."""
        raise NotImplementedError

    @property
    def input(self) -> OwnInput[M]:
        """Where its messages go in."""
        raise NotImplementedError

    @property
    def leftovers(self) -> HasReason:
        """What makes dead letters of what it leaves."""
        raise NotImplementedError

    @property
    def owner(self) -> str:
        """The name of the pool."""
        raise NotImplementedError

    def deliver(self, message: M, /) -> bool:
        """Put one message into its mailbox; see `Input.deliver`."""
        raise NotImplementedError

    def deliver_first(self, message: M) -> bool:
        """Put a message into its mailbox before another thread has it; as `deliver` does."""
        return self.deliver(message)

    @property
    def first_may_wait(self) -> bool:
        """Whether a first message may have to wait for room, as all others."""
        return False

    def unseen(self) -> None:
        """Take note that it was not entered, and that nobody has seen it, nor its message."""

    def not_entered(self, message: object) -> None:
        """Take note that entering it has raised, or what comes before: an interrupt, or its key.

        It may have entered all the same. Otherwise it may have been in the table for a moment: what
        others have sent is dead letters. `message` is its first one, whose sender is told by what
        was raised.
        """
        # Not of one that lives. Of one that has ended, nothing is left.
        if self.state == "ended":
            self.bury_others(message)
        elif not self.number:
            self.unseen()  # it was in no table yet

    def bury_others(self, message: object) -> None:
        """Make dead letters of what is in its mailbox, but of `message`; nobody will receive it."""
        raise NotImplementedError

    def handle_here(self, message: M, *, inline_calls: bool | None, on_loop: bool = False) -> bool:
        """Have a message handled on the caller's thread, if the worker is idle and can do that.

        `inline_calls` is what its pool was told; see `here.inner.allows`, also for `on_loop`.

        Blocks: as long as handling it takes.

        Returns:
            `False` if the message was not taken.
        """
        raise NotImplementedError

    def end_if_empty(self) -> bool:
        """Take no more messages, and do what `abandon` does, if nobody has to be told of it.

        On the worker's thread, once it has ended. Neither blocks nor runs user code.

        Returns:
            `False` if the mailbox is to be abandoned: a message is left, say.
        """
        raise NotImplementedError

    @property
    def inlet(self) -> Inlet[Any]:
        """Where a marker goes behind all messages that wait.

        Raises:
            TypeError: if there is none: they wait in a user's own kind of mailbox.
        """
        raise NotImplementedError

    @property
    def has_handled_all(self) -> bool:
        """Whether it is known without asking it that it has handled all that was taken before."""
        return False

    @property
    def told_to_stop(self) -> bool:
        """Whether it is to stop before its next message."""
        raise NotImplementedError

    @property
    def idle_since(self) -> int | None:
        """The tick at which it became idle; see `pool.keeping`.

        `None` if it is busy, or owes an answer to a caller that watches it.
        """
        return None

    @property
    def has_nothing_to_come(self) -> bool:
        """Whether its mailbox is closed and empty."""
        return self._stats_say_over()

    def _stats_say_over(self) -> bool:
        try:
            mailbox = self.mailbox.stats()
        except Exception:  # noqa: BLE001 - a user's mailbox
            return True
        return mailbox.closed and not mailbox.messages

    @property
    def idle(self) -> bool:
        """Whether it waits for its next message, once it has begun."""
        raise NotImplementedError

    def lie_down(self) -> int | None:
        """Be dormant, if it is idle; return what it has `counted`, which is no more.

        Under the lock of the roster, on the dispatcher's thread. `look_again` is called after it,
        outside of that lock.
        """
        return None

    def look_again(self) -> None:
        """Wake up, if a message has come as it lay down."""

    def force(self, message: M) -> bool | None:
        """Put a message into its mailbox without waiting for room; `False` if that is closed.

        Returns:
            `None` if that cannot be done: the mailbox is of a user's own kind.
        """
        raise NotImplementedError

    def ends_for_good(self, lock: AbstractContextManager[object]) -> bool:
        """Take no more messages; return whether none is left. On its thread, once it has ended.

        Under the lock of the roster it takes its last look.
        """
        raise NotImplementedError

    def bury(self) -> None:
        """Make dead letters of what is in its mailbox: nobody will receive it."""
        self.mailbox.abandon()

    def renew(self, message: object) -> None:
        """Be a worker that has not begun, with what is in the mailbox; see `Roster.again`.

        Args:
            message: what it is to handle before that; `MISSING` for nothing.
        """
        raise NotImplementedError

    def forked(self) -> None:
        """Get no message any more, from any sender; in a child of `os.fork`. Runs no user code."""
        raise NotImplementedError

    def expedite(self) -> None:
        """Have it take its turn before others, if it shares threads; see `Holder`."""
        raise NotImplementedError

    def nudge(self) -> None:
        """Have idle threads of its pool run for a moment, if it shares threads; see `Holder`."""
        raise NotImplementedError

    @property
    def home(self) -> Home | None:
        """The thread to which it is pinned, if it is; see `Holder`."""
        return None

    def receives_from(self, mailbox: object) -> bool:
        """Return whether `mailbox` is the one that its messages come out of; see `Holder`."""
        raise NotImplementedError

    def handler_raised(self, error: Exception) -> None:
        """Take note of what a server's handler has raised; see `Holder`. Only if it is observed."""

    @property
    def backlog(self) -> int:
        """How many messages wait in its mailbox."""
        return self.mailbox.stats().messages

    @property
    def title(self) -> str:
        """What it is called in an error's text."""
        return f"{self.owner} {describe(self.key)}"

    @property
    def end_reason(self) -> str:
        """Why it has ended, in a few words."""
        return why_left(self.leftovers)
