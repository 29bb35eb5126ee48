"""Cancelling: the receiver hears of it at its next receive, whatever waits for it."""

import pytest

import threadpool_mb as mb
from tests.conformance.configs import fill
from tests.helpers import Running, until
from tests.mailbox.staging import Stage


def test_a_cancelled_mailbox_raises_cancelled_even_with_a_backlog(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    first = mailbox.receive()

    mailbox.cancel()

    assert first == 1
    for timeout in (None, 0, 60):
        with pytest.raises(mb.Cancelled):
            mailbox.receive(timeout=timeout)
    with pytest.raises(mb.Cancelled):
        mailbox.receive_many(2)
    assert len(mailbox) == 1


@pytest.mark.parametrize("timeout", [None, 60])
def test_cancelling_wakes_a_receiver_that_waits(
    config: mb.MailboxConfig, stage: Stage, timeout: float | None
) -> None:
    mailbox = config.create()
    receiver = Running(lambda: mailbox.receive(timeout=timeout))
    stage.until_receiver_waits()

    mailbox.cancel()

    with pytest.raises(mb.Cancelled):
        receiver.result()


def test_cancelling_raises_cancelled_out_of_a_for_loop(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    received: list[object] = []

    def receive() -> None:
        for message in mailbox:
            received.extend([message])
        received.append("a normal end")

    receiver = Running(receive)
    stage.until_receiver_waits()
    mailbox.new_input().deliver("hello")
    stage.until_receiver_waits()

    mailbox.cancel()

    with pytest.raises(mb.Cancelled):
        receiver.result()
    assert received == ["hello"]


def test_cancelling_within_a_for_loop_leaves_the_backlog(roomy: mb.MailboxConfig) -> None:
    dead: list[object] = []
    mailbox = roomy.create(on_dead_letter=dead.append)
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    received: list[object] = []

    with pytest.raises(mb.Cancelled):  # noqa: PT012 - the loop is what raises
        for message in mailbox:
            received.append(message)
            mailbox.cancel()
    mailbox.abandon()

    assert received == [1]
    assert dead == [2]


def test_delivering_to_a_cancelled_mailbox_raises_mailbox_closed(config: mb.MailboxConfig) -> None:
    mailbox = config.create()

    mailbox.cancel()

    with pytest.raises(mb.MailboxClosed):
        mailbox.new_input().deliver("late")


def test_cancelling_wakes_all_senders_that_wait(waiting: mb.MailboxConfig) -> None:
    mailbox = waiting.create()
    fill(mailbox, waiting)
    deliver = mailbox.new_input().deliver
    senders = [Running(lambda: deliver(99)) for _ in range(5)]
    until(lambda: mailbox.stats().senders_waiting == len(senders))

    mailbox.cancel()

    for sender in senders:
        with pytest.raises(mb.MailboxClosed):
            sender.result()


def test_a_mailbox_that_was_closed_can_be_cancelled(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    mailbox.close()
    first = mailbox.receive()

    mailbox.cancel()

    assert first == 1
    with pytest.raises(mb.Cancelled):
        mailbox.receive()


def test_a_mailbox_that_was_closed_and_drained_can_be_cancelled(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    mailbox.close()
    with pytest.raises(mb.MailboxClosed):
        mailbox.receive()

    mailbox.cancel()

    with pytest.raises(mb.Cancelled):
        mailbox.receive()


def test_closing_a_cancelled_mailbox_leaves_it_cancelled(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    mailbox.cancel()

    mailbox.close()

    for _ in range(3):
        with pytest.raises(mb.Cancelled):
            mailbox.receive()


def test_a_mailbox_says_that_it_is_cancelled(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    before = (mailbox.cancelled, mailbox.stats().cancelled)

    mailbox.cancel()

    assert before == (False, False)
    assert (mailbox.cancelled, mailbox.stats().cancelled) == (True, True)
    assert (mailbox.closed, mailbox.stats().closed) == (True, True)
