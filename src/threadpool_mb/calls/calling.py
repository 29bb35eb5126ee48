"""What a caller does: cast, call, call without waiting, hand a call on.

A call's life: `call` makes an `Answer` for itself and a `ReplyBox` for the receiver, and delivers
the command with the box. The receiver answers through the box. `call` keeps no reference to the
box, so that it is freed where the receiver drops it.
"""

from collections.abc import Callable
from typing import Any, Final, Never

from threadpool_mb.arguments import NEVER, Deadline, describe
from threadpool_mb.calls import unanswered
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.messages import Call, Cast, Command, Notice, ReplyBox, answer_of
from threadpool_mb.calls.reply import Reply
from threadpool_mb.calls.unanswered import Move
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import CallDeadlock, MailboxClosed
from threadpool_mb.line.adapting import adapted
from threadpool_mb.line.slots import Slots
from threadpool_mb.mailbox.using import no_input
from threadpool_mb.protocols import Input
from threadpool_mb.threads.here import Holder
from threadpool_mb.values import MISSING, Uncopied

__all__ = [
    "CallTarget",
    "ask",
    "begin_call",
    "call",
    "cast",
    "delegate",
    "rehold",
    "settle_refused",
]


class CallTarget[K, M](Uncopied):
    """The base class of an input that addresses a key, and knows which worker is to answer."""

    __slots__ = ("_dispatch", "_key")

    def __init__(self, key: K, dispatch: Callable[[K, M], bool]) -> None:
        """Address `key` through `dispatch`."""
        self._dispatch: Final = dispatch
        self._key: Final = key

    @property
    def key(self) -> K:
        """The key."""
        return self._key

    def deliver(self, message: M, /) -> bool:
        """Hand a message to the key's worker; blocks, returns, raises as the pool's `dispatch`."""
        return self._dispatch(self._key, message)

    def __repr__(self) -> str:
        """Show the key."""
        return f"<{type(self).__name__} {describe(self._key)}>"

    def _deliver_call(self, call: Any, answer: Answer[Any], *, inline: bool) -> bool:  # noqa: ANN401 - of any target
        """Deliver a call, until the answer's deadline, and name its worker in the answer.

        Args:
            call: the call.
            answer: what its caller waits for.
            inline: whether the call may be handled here, before this returns.

        Returns:
            `False` if it was not taken; the answer is there then.

        Raises:
            MailboxClosed: if what it belongs to is closed.
            CallDeadlock: if it would have to wait for room for ever.
        """
        raise NotImplementedError

    def _handle_on_loop(self, call: Any, answer: Answer[Any]) -> bool:  # noqa: ANN401 - of any target
        """Have a call handled here, on the thread of the loop that runs, if that was asked for.

        Returns:
            `False` if it was not taken.
        """
        raise NotImplementedError

    def _offer(
        self,
        message: Any,  # noqa: ANN401 - of any target
        *,
        last: bool = False,
        answer: Answer[Any] | None = None,
    ) -> bool | Slots:
        """Deliver a message, or a call, if that can be done without waiting; see `OwnInput.offer`.

        If it is a call, name its worker in its answer.
        """
        raise NotImplementedError


def cast(target: Input[Cast], notice: Notice, /) -> bool:
    """Send a notice, and expect no reply.

    Blocks: as `target.deliver` does.
    Threads: safe from any thread.

    Returns:
        `False` if the notice was refused, as `target.deliver` does.

    Raises:
        TypeError: if it is no `Notice`, or the target no input: a pool, say, or a key.
        MailboxClosed: if the mailbox is closed.

    From the original's `cast`.
    """
    if not isinstance(notice, Notice):  # pyright: ignore[reportUnnecessaryIsInstance]
        hint = ": mb.call and mb.ask send a command" if isinstance(notice, Command) else ""
        raise TypeError(f"a notice must be a Notice, not {describe(notice)}{hint}")
    try:
        return target.deliver(Cast(notice))
    except AttributeError:
        if hasattr(target, "deliver"):
            raise
    raise no_input(target)


def call[R](target: Input[Call[Any]], command: Command[R], /, *, timeout: float | None = None) -> R:
    """Send a command, wait for the reply, and return it.

    One deadline covers both: waiting for room in the mailbox, and for the reply. A call without a
    timeout to an idle generator worker of a pool is handled on the caller's thread; see
    `Pool(inline_calls=)`.

    Blocks: until the reply is there, at most `timeout` seconds (`None`: for ever). Where `target`
    is no input of this library, also as long as its `deliver` does.
    Threads: any thread, workers included.

    Args:
        target: what to ask: `pool.ref(key)`, a mailbox's or a broker's input.
        command: what to ask.
        timeout: seconds.

    Raises:
        CallNotDelivered: if nobody has the key, or the mailbox refused the call, or is closed.
        CallTimedOut: if the timeout ran out. The receiver is told: `reply_box.expired`.
        CallFailed: if the receiver said so, or raised; its exception is the `__cause__`.
        WorkerGone: if no worker is left that would answer.
        CallDeadlock: if the worker that is to answer waits for the worker that calls this.
        TypeError: if it is no `Command`, or the target no input: a pool, say, or a key.
        ValueError: if the timeout is no number of seconds.

    From the original's `call`, whose timeout does not cover the delivery.
    """
    own: Any = target
    if timeout is None and isinstance(own, CallTarget) and isinstance(command, Command):  # pyright: ignore[reportUnnecessaryIsInstance]
        # `begin_call` and `_deliver`, written out: where the call is handled here, a frame more is
        # one part in fifty.
        answer: Answer[R] = Answer(own._key)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownArgumentType]
        try:
            # The receiver holds the only reference, and can drop the call.
            own._deliver_call(Call(command, ReplyBox(answer)), answer, inline=True)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        except (MailboxClosed, CallDeadlock) as error:
            _not_delivered(answer, error)
        # `read`, written out. Nobody else has the answer: there is nothing in its log but outcomes.
        log: Any = answer._log  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if log:
            value, failed, _ = log[0]
            if failed is None:
                return value  # type: ignore[no-any-return]
        return answer.result_or_give_up()
    deadline = NEVER if timeout is None else Deadline(timeout)
    answer, message = begin_call(target, command, deadline)
    _deliver(target, message, answer)
    del message  # see above
    return answer.result_or_give_up()


def ask[R](target: Input[Call[Any]], command: Command[R], /) -> Reply[R]:
    """Send a command, and return its reply-to-be.

    Blocks: as `target.deliver` does; not for the reply.
    Threads: any thread, workers included.

    Returns:
        The reply, which raises `CallNotDelivered` if the call was not delivered.

    Raises:
        TypeError: if it is no `Command`, or the target no input.

    From the original's `callAsync`, which returns nothing where the call was not delivered.
    """
    answer, message = begin_call(target, command, NEVER)
    _deliver(target, message, answer)
    return Reply(answer)


def delegate[R](
    target: Input[Call[R]], received: Call[R], command: Command[R] | None = None, /
) -> bool:
    """Hand a call that was received on to another worker, which answers it.

    The worker that handed it on is not asked for the answer any more, and may end. The call is the
    other one's from now on: an answer through this box counts, and the other one's is then the
    second.

    Blocks: until there is room, as `target.deliver` does, or until the call's deadline.
    Threads: safe from any thread.

    Args:
        target: what is to answer: `pool.ref(key)`, a mailbox's or a broker's input.
        received: the call.
        command: what the other one is asked, in the place of what the call asks.

    Returns:
        `False` if it was not taken; its caller has been told.

    Raises:
        TypeError: if it is no `Call`, or no `Command`, or the target no input.

    From the original's `delegateCall`.
    """
    if not isinstance(received, Call):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"what is handed on must be a Call, not {describe(received)}")
    if command is not None:
        if not isinstance(command, Command):  # pyright: ignore[reportUnnecessaryIsInstance]
            _refuse_command(command)
        # Not another `Call`: it would be this thread's, and one that the next worker drops would be
        # kept, with the reply box, until this thread runs again; see `calls.answer`.
        received.command = command
    answer = answer_of(received.reply_box)
    before = answer.holder
    move = Move()
    try:
        answer.hand_on(move)
        taken = _deliver(target, received, answer)
    except BaseException:
        # A user's input: the call is still here.
        answer.holder = before
        answer.taken_back(move)
        raise
    answer.handed_on(move)
    return taken


def _refuse_command(command: object) -> Never:
    hint = ": mb.cast sends a notice" if isinstance(command, Notice) else ""
    raise TypeError(f"a command must be a Command, not {describe(command)}{hint}")


def begin_call[R](
    target: Input[Call[Any]], command: Command[R], deadline: Deadline
) -> tuple[Answer[R], Call[R]]:
    """Return what waits for the answer to a command, and what is to be delivered."""
    if not isinstance(command, Command):  # pyright: ignore[reportUnnecessaryIsInstance]
        _refuse_command(command)
    # A user's own input may have one, too: it is for the texts of errors.
    key: object = getattr(target, "key", MISSING)
    answer: Answer[R] = Answer(key, deadline)
    return answer, Call(command, ReplyBox(answer))


def settle_refused(answer: Answer[Any]) -> None:
    """Answer that the call was refused, or that its time ran out before there was room."""
    if answer.deadline.remaining() == 0:
        answer.settle_error(unanswered.not_delivered_in_time(answer.call_id, answer.key))
    else:
        answer.not_handled(answer.key, DeadLetterReason.REFUSED, started=False)


def rehold(message: object, holder: Holder) -> None:
    """Take note that a message, if it is a call, is about to be another worker's."""
    if isinstance(message, Call):
        answer: Answer[Any] = answer_of(message.reply_box)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType, reportUnknownVariableType]
        answer.holder = holder
        answer.watch()


def _deliver[R](target: Input[Call[R]], message: Call[R], answer: Answer[R]) -> bool:
    deadline = answer.deadline
    taken = False
    try:
        if isinstance(target, CallTarget):
            # Users see nothing of it.
            return target._deliver_call(message, answer, inline=False)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if not hasattr(target, "deliver"):
            raise no_input(target)
        answer.holder = None
        taken = (
            target.deliver(message)
            if deadline is NEVER
            else adapted(target).deliver_within(message, deadline)
        )
        if not taken:
            settle_refused(answer)
    except (MailboxClosed, CallDeadlock) as error:
        _not_delivered(answer, error)
    return taken


def _not_delivered(answer: Answer[Any], error: MailboxClosed | CallDeadlock) -> None:
    answer.settle_error(
        error
        if isinstance(error, CallDeadlock)
        else unanswered.not_delivered(answer.call_id, answer.key, error)
    )
