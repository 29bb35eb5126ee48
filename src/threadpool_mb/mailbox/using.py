"""What is the same for every mailbox, a user's own included."""

from collections.abc import Callable
from typing import cast

from threadpool_mb.arguments import describe
from threadpool_mb.protocols import Mailbox, MailboxConfig

__all__ = ["check_mailbox_config", "handle_message", "no_input"]


def handle_message[T, R](
    mailbox: Mailbox[T], callback: Callable[[T], R], /, *, timeout: float | None = None
) -> R:
    """Receive one message and return `callback(message)`.

    Blocks: until there is a message, as `mailbox.receive(timeout=timeout)` does; then as long as
    the callback does. What the callback raises passes.

    Raises:
        MailboxEmpty: if the timeout ran out; the callback was not called.
        MailboxClosed: if the mailbox is closed and empty; the callback was not called.
        Cancelled: if the receiver was asked to stop; the callback was not called.

    From the original's `handleMessage`.
    """
    return callback(mailbox.receive(timeout=timeout))


def no_input(target: object) -> TypeError:
    """Return the error to raise where no input was given; its text says what to give instead."""
    if callable(getattr(target, "ref", None)):
        meant = "pool.ref(key), which addresses one of its workers"
    elif callable(getattr(target, "new_input", None)):
        meant = "mailbox.new_input()"
    elif hasattr(target, "input"):
        meant = "broker.input"
    else:
        meant = "pool.ref(key), mailbox.new_input() or broker.input"
    return TypeError(f"it goes to an input such as {meant}, not to {describe(target)}")


def check_mailbox_config(config: object, name: str = "mailbox") -> MailboxConfig:
    """Return `config` if it can create mailboxes.

    Raises:
        TypeError: if it cannot, with the value in the text.
    """
    if isinstance(config, type) or not callable(getattr(config, "create", None)):
        msg = f"{name} must be a mailbox config such as Unlimited(), not {describe(config)}"
        raise TypeError(msg)
    return cast("MailboxConfig", config)
