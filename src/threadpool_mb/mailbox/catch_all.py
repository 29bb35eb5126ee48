"""`CatchAll`: a mailbox that turns faults into "refused" and "nothing came"."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Final, Literal, final, override

from threadpool_mb.arguments import Deadline, check_limit, check_timeout
from threadpool_mb.errors import MailboxClosed, MailboxEmpty
from threadpool_mb.line.adapting import OwnInput, adapted
from threadpool_mb.line.slots import Slots
from threadpool_mb.logs import Logger
from threadpool_mb.mailbox.using import check_mailbox_config
from threadpool_mb.mailbox.wrapping import WrappedMailbox
from threadpool_mb.protocols import (
    Input,
    Mailbox,
    MailboxConfig,
    MessageFuture,
)
from threadpool_mb.values import MISSING, Missing

__all__ = ["CatchAll", "CatchAllMailbox", "log_refusal"]

_logger = Logger(__name__)

_NOTHING_CAME: Final = "no message came within the timeout, or the wrapped mailbox raised"


@final
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class CatchAll:
    """Wraps the mailboxes of another config: what they raise becomes `False`, or `MailboxEmpty`.

    Each exception is logged with its traceback, never printed. `MailboxEmpty`, `MailboxClosed` and
    `Cancelled` are no faults and pass: a loop over a closed mailbox must end. So does an exception
    of `create`, for then there is no mailbox.

    From the original's `CatchAllArg`, which prints.
    """

    config: MailboxConfig
    """The config that creates the wrapped mailboxes."""

    def __post_init__(self) -> None:
        """Check the config."""
        check_mailbox_config(self.config, "config")

    @property
    def limit(self) -> int | None:
        """The most messages that may wait; `None` for no limit."""
        return self.config.limit

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        """Create a mailbox; see `MailboxConfig.create`."""
        return CatchAllMailbox(self.config.create(on_dead_letter=on_dead_letter))


@final
class _CatchAllInput[T](OwnInput[T]):
    __slots__ = ("_input",)

    def __init__(self, wrapped: Input[T]) -> None:
        self._input: Final = adapted(wrapped)

    def deliver(self, message: T, /) -> bool:
        """Deliver, `False` if the wrapped input raises; see `Input.deliver`."""
        try:
            return self._input.deliver(message)
        except MailboxClosed:
            raise
        except Exception:  # noqa: BLE001 - logged
            return log_refusal()

    @override
    def deliver_within(self, message: T, deadline: Deadline) -> bool:
        try:
            return self._input.deliver_within(message, deadline)
        except MailboxClosed:
            raise
        except Exception:  # noqa: BLE001 - logged
            return log_refusal()

    @property
    @override
    def room(self) -> Slots | None:
        return self._input.room


@final
class _CatchAllFuture[T]:
    __slots__ = ("_future",)

    def __init__(self, wrapped: MessageFuture[T] | None) -> None:
        self._future: Final = wrapped

    def try_now(self) -> T | Missing:
        """Return the message, `MISSING` if the wrapped future raises; see `MessageFuture`."""
        return MISSING if self._future is None else _caught(self._future.try_now, MISSING)

    def result(self, *, timeout: float | None = None) -> T:
        """Return the message, or raise `MailboxEmpty`; see `MessageFuture`."""
        check_timeout(timeout)
        future = self._future
        message = (
            MISSING if future is None else _caught(lambda: future.result(timeout=timeout), MISSING)
        )
        if message is MISSING:
            raise MailboxEmpty(_NOTHING_CAME)
        return message

    def done(self) -> bool:
        """Return whether the message is there; see `MessageFuture`."""
        return self._future is not None and _caught(self._future.done, otherwise=False)


@final
class CatchAllMailbox[T](WrappedMailbox[T]):
    """The mailbox of a `CatchAll`."""

    __slots__ = ()

    @override
    def new_input(self) -> Input[T]:
        """Return a sending end that raises only `MailboxClosed`; see `Mailbox.new_input`."""
        return _CatchAllInput(self.wrapped.new_input())

    @override
    def receive(self, *, timeout: float | None = None) -> T:
        """Take the oldest message, `MailboxEmpty` if the wrapped mailbox raises; see `Mailbox`."""
        check_timeout(timeout)
        message = _caught(lambda: self.wrapped.receive(timeout=timeout), MISSING)
        if message is MISSING:
            raise MailboxEmpty(_NOTHING_CAME)
        return message

    @override
    def receive_many(self, max_messages: int, *, timeout: float | None = None) -> list[T]:
        """Take what is there, `MailboxEmpty` if the wrapped mailbox raises; see `Mailbox`."""
        check_limit(max_messages, "max_messages")
        check_timeout(timeout)
        messages = _caught(
            lambda: self.wrapped.receive_many(max_messages, timeout=timeout), MISSING
        )
        if messages is MISSING:
            raise MailboxEmpty(_NOTHING_CAME)
        return messages

    @override
    def try_receive(self) -> MessageFuture[T]:
        """Claim the next message; a future for ever unfilled if the wrapped mailbox raises."""
        return _CatchAllFuture(_caught(self.wrapped.try_receive, None))

    @override
    def __iter__(self) -> Iterator[T]:
        """Receive message after message; see `Mailbox.__iter__`."""
        try:
            while True:
                yield self.receive()
        except MailboxClosed:
            return


def log_refusal() -> Literal[False]:
    """Log what `deliver` has raised; in the handler of that."""
    _logger.exception("CatchAll: deliver raised; the message counts as refused")  # noqa: LOG004
    return False


def _caught[T, D](function: Callable[[], T], otherwise: D) -> T | D:
    """Return what `function` returns; if it raises a fault, log it and return `otherwise`."""
    try:
        return function()
    except (MailboxClosed, MailboxEmpty):
        raise
    except Exception:
        _logger.exception("CatchAll: the wrapped mailbox raised; it counts as empty")
        return otherwise
