"""Hammers: senders, a receiver and an end. Every accepted message is received or dead, once."""

import heapq
import time
from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.conformance.configs import EVERY, SENDERS_WAIT
from tests.helpers import run_together, until

pytestmark = pytest.mark.racing

type Message = tuple[int, int]
EACH = pytest.mark.parametrize("config", EVERY, ids=repr)

SENDERS = 3
MOST = 300
"""Messages that one sender delivers at most; the end comes before that, as a rule."""


class Traffic:
    """A mailbox with its senders, its receiver, and the ends that messages find."""

    def __init__(self, config: mb.MailboxConfig) -> None:
        self.dead: list[Message] = []
        self.received: list[Message] = []
        self.accepted: dict[int, list[int]] = {sender: [] for sender in range(SENDERS)}
        self.mailbox: mb.Mailbox[Message] = config.create(on_dead_letter=self.dead.append)

    def send_as(self, sender: int) -> Callable[[], None]:
        """Return what delivers one sender's messages, until they were enough or the end comes."""

        def send() -> None:
            deliver = self.mailbox.new_input().deliver
            for message in range(MOST):
                try:
                    while not deliver((sender, message)):
                        time.sleep(0)
                except mb.MailboxClosed:
                    return
                self.accepted[sender].append(message)

        return send

    def senders(self) -> list[Callable[[], None]]:
        """Return what all senders do."""
        return [self.send_as(sender) for sender in range(SENDERS)]

    def receive(self) -> None:
        """Receive until the mailbox ends, and abandon it, as a worker's thread does."""
        try:
            self.received.extend(self.mailbox)
        except mb.Cancelled:
            pass
        finally:
            self.mailbox.abandon()

    def after(self, count: int, end: Callable[[], None]) -> Callable[[], None]:
        """Return what calls `end` once `count` messages were received."""

        def run() -> None:
            until(lambda: len(self.received) >= count)
            end()

        return run

    def received_of(self, sender: int) -> list[int]:
        """Return the messages of one sender that were received, as they came."""
        return [number for by, number in self.received if by == sender]

    def dead_of(self, sender: int) -> list[int]:
        """Return the messages of one sender that died, sorted: several threads bury them."""
        return sorted(number for by, number in self.dead if by == sender)

    def received_then_dead(self) -> dict[int, list[int]]:
        """Return each sender's messages: those received as they came, then the dead."""
        return {by: self.received_of(by) + self.dead_of(by) for by in self.accepted}

    def received_in_order_and_dead(self) -> dict[int, list[int]]:
        """Return each sender's messages, the dead put in where they belong."""
        return {
            by: list(heapq.merge(self.received_of(by), self.dead_of(by))) for by in self.accepted
        }


@EACH
@pytest.mark.parametrize("end", ["close", "cancel"])
def test_at_the_end_every_accepted_message_is_received_in_order_or_then_dead_and_once(
    config: mb.MailboxConfig, end: str
) -> None:
    traffic = Traffic(config)

    run_together(
        *traffic.senders(),
        traffic.receive,
        traffic.after(10, getattr(traffic.mailbox, end)),
    )

    assert traffic.received_then_dead() == traffic.accepted


@EACH
def test_a_mailbox_that_is_abandoned_under_its_receiver_loses_and_doubles_nothing(
    config: mb.MailboxConfig,
) -> None:
    traffic = Traffic(config)

    run_together(*traffic.senders(), traffic.receive, traffic.after(10, traffic.mailbox.abandon))

    assert traffic.received_in_order_and_dead() == traffic.accepted


@EACH
def test_ends_of_all_sorts_at_once_lose_and_double_nothing(config: mb.MailboxConfig) -> None:
    traffic = Traffic(config)
    mailbox = traffic.mailbox

    run_together(
        *traffic.senders(),
        traffic.receive,
        *(traffic.after(5, end) for end in (mailbox.close, mailbox.cancel, mailbox.abandon)),
    )

    assert traffic.received_in_order_and_dead() == traffic.accepted


@EACH
def test_a_mailbox_that_is_closed_at_once_loses_and_doubles_nothing(
    config: mb.MailboxConfig,
) -> None:
    traffic = Traffic(config)

    run_together(*traffic.senders(), traffic.receive, traffic.mailbox.close)

    assert traffic.received_then_dead() == traffic.accepted


@pytest.mark.parametrize("config", SENDERS_WAIT, ids=repr)
def test_every_sender_that_waits_wakes_when_the_mailbox_is_closed_while_others_come(
    config: mb.MailboxConfig,
) -> None:
    dead: list[int] = []
    mailbox = config.create(on_dead_letter=dead.append)
    accepted: list[int] = []
    raised: list[int] = []

    def send(number: int) -> Callable[[], None]:
        def run() -> None:
            try:
                mailbox.new_input().deliver(number)
                accepted.append(number)
            except mb.MailboxClosed:
                raised.append(number)

        return run

    def close() -> None:
        until(lambda: mailbox.stats().senders_waiting >= 2)
        mailbox.close()

    run_together(*(send(number) for number in range(6)), close)
    received = list(mailbox)

    assert len(accepted) <= (config.limit or 0)
    assert sorted(received) == sorted(accepted)
    assert sorted(accepted + raised) == list(range(6))
    assert (dead, mailbox.stats().senders_waiting) == ([], 0)


def test_timeouts_of_senders_and_of_the_receiver_lose_no_message_and_no_room() -> None:
    config = mb.Waiting(2, deliver_timeout=0.000_05, receive_timeout=0.000_05)
    mailbox: mb.Mailbox[Message] = config.create()
    accepted: dict[int, list[int]] = {sender: [] for sender in range(SENDERS)}
    received: dict[int, list[int]] = {sender: [] for sender in range(SENDERS)}

    def send_as(sender: int) -> Callable[[], None]:
        def send() -> None:
            deliver = mailbox.new_input().deliver
            accepted[sender] = [number for number in range(50) if deliver((sender, number))]

        return send

    def receive() -> None:
        for _ in range(100):
            try:
                sender, number = mailbox.receive()
            except mb.MailboxEmpty:
                continue
            received[sender].append(number)

    run_together(*(send_as(sender) for sender in range(SENDERS)), receive)
    while len(mailbox):
        sender, number = mailbox.receive()
        received[sender].append(number)
    room = [mailbox.new_input().deliver((0, 0)) for _ in range(4)]

    assert received == accepted
    assert room == [True, True, False, False]


@pytest.mark.parametrize(
    "config", [mb.NonBlocking(3), mb.Blocking(3), mb.Waiting(3, deliver_timeout=60)], ids=repr
)
def test_never_more_messages_wait_than_the_limit_says(config: mb.MailboxConfig) -> None:
    traffic = Traffic(config)
    lengths: set[int] = set()

    def look() -> None:
        while not traffic.mailbox.closed:
            length = len(traffic.mailbox)
            if not traffic.mailbox.closed:  # closing at this moment, it is not exact
                lengths.add(length)

    run_together(
        *traffic.senders(),
        traffic.receive,
        look,
        traffic.after(30, traffic.mailbox.close),
    )

    assert lengths <= {0, 1, 2, 3}
    assert traffic.received_then_dead() == traffic.accepted


@pytest.mark.parametrize("limit", [1, 3, 64])
def test_senders_that_stop_when_they_are_refused_leave_the_mailbox_exactly_full(
    limit: int,
) -> None:
    mailbox: mb.Mailbox[int] = mb.NonBlocking(limit).create()

    def send() -> None:
        deliver = mailbox.new_input().deliver
        while deliver(0):
            pass

    run_together(send, send, send)

    assert len(mailbox) == limit
