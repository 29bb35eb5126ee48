"""Mailboxes of every kind, alone: made, filled, closed, dropped; and claims on their messages."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

import threadpool_mb as mb
from benchmarks.measuring import scaled
from leakcheck.waiting import PATIENCE

COUNT: Final = 150
FUTURES: Final = 1000


class Message:
    """Something that can be counted."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Carry a text."""
        self.text = text


def _priority(message: Message) -> float:
    return len(message.text)


CONFIGS: Final[tuple[mb.MailboxConfig, ...]] = (
    mb.Unlimited(),
    mb.Blocking(8),
    mb.NonBlocking(4),
    mb.Waiting(4, deliver_timeout=0.0, receive_timeout=0.0),
    mb.CatchAll(mb.Unlimited()),
    mb.CatchAll(mb.NonBlocking(4)),
    mb.Sliding(4),
    mb.Prioritized(mb.Unlimited(), _priority),
    mb.Prioritized(mb.NonBlocking(4), _priority),
    mb.CatchAll(mb.Prioritized(mb.Blocking(8), _priority)),
)
_FILL: Final = 4


def _ignore(_message: Message) -> None:
    pass


def _full(config: mb.MailboxConfig) -> mb.Mailbox[Message]:
    mailbox: mb.Mailbox[Message] = config.create(on_dead_letter=_ignore)
    sender = mailbox.new_input()
    for number in range(_FILL):
        sender.deliver(Message(f"message {number}"))
    if config.limit == _FILL:
        sender.deliver(Message("refused"))
    return mailbox


def _ends(config: mb.MailboxConfig) -> None:
    """Bring a mailbox to each of its ends."""
    _full(config)  # dropped with its messages

    closed = _full(config)
    sender = closed.new_input()
    closed.close()
    with contextlib.suppress(mb.MailboxClosed):
        sender.deliver(Message("too late"))
    for _ in closed:
        pass

    closed_full = _full(config)
    closed_full.close()

    cancelled = _full(config)
    cancelled.receive(timeout=0)
    cancelled.cancel()
    with contextlib.suppress(mb.Cancelled):
        cancelled.receive(timeout=0)

    abandoned = _full(config)
    abandoned.receive_many(2, timeout=0)
    abandoned.abandon()

    empty: mb.Mailbox[Message] = config.create()
    with contextlib.suppress(mb.MailboxEmpty):
        empty.receive(timeout=0)

    outlived = _full(config).new_input()
    outlived.deliver(Message("nobody receives"))


@contextlib.contextmanager
def mailboxes(scale: float) -> Iterator[Callable[[], object]]:
    """Mailboxes of every kind made, filled, closed, cancelled, abandoned and dropped.

    With messages in them and without, also by a sender that waits in another thread while the
    mailbox is closed.
    """
    count = scaled(COUNT, scale)

    def work() -> None:
        for config in CONFIGS:
            for _ in range(count):
                _ends(config)
        _close_over_a_sender()

    yield work


def _close_over_a_sender() -> None:
    mailbox: mb.Mailbox[Message] = mb.Blocking(1).create(on_dead_letter=_ignore)
    sender = mailbox.new_input()
    sender.deliver(Message("first"))
    thread = threading.Thread(target=_deliver_until_closed, args=(sender,))
    thread.start()
    mailbox.close()
    thread.join(PATIENCE)


def _deliver_until_closed(sender: mb.Input[Message]) -> None:
    with contextlib.suppress(mb.MailboxClosed):
        while True:
            sender.deliver(Message("more"))


@contextlib.contextmanager
def futures(scale: float) -> Iterator[Callable[[], object]]:
    """Futures of `try_receive` dropped: unfilled, filled and unread, read, and waited for in vain.

    On mailboxes that live over all rounds, and on some of each round.
    """
    count = scaled(FUTURES, scale)
    lasting: list[mb.Mailbox[Message]] = [config.create() for config in CONFIGS]

    def work() -> None:
        for mailbox in lasting:
            _claim(mailbox, count)
        for config in CONFIGS:
            _claim(config.create(), count // 10)

    yield work


def _claim(mailbox: mb.Mailbox[Message], count: int) -> None:
    sender = mailbox.new_input()
    for number in range(count):
        mailbox.try_receive()  # dropped unfilled, at once
        first, second = mailbox.try_receive(), mailbox.try_receive()
        first.try_now()
        sender.deliver(Message(f"for {number}"))
        del first  # behind it the second one gets the message
        second.result(timeout=PATIENCE)
        unread = mailbox.try_receive()
        sender.deliver(Message("put back"))
        unread.done()
        del unread  # filled, and not read: the message goes back
        mailbox.receive(timeout=PATIENCE)
    waiting = mailbox.try_receive()
    thread = threading.Thread(target=_wait_in_vain, args=(waiting,))
    thread.start()
    thread.join(PATIENCE)


def _wait_in_vain(future: mb.MessageFuture[Message]) -> None:
    with contextlib.suppress(mb.MailboxEmpty):
        future.result(timeout=0.001)
