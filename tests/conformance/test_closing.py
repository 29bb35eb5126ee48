"""Closing: what was delivered is received, nothing more goes in, and nobody waits any more."""

import pytest

import threadpool_mb as mb
from tests.conformance.configs import fill
from tests.helpers import Running, until
from tests.mailbox.staging import Stage


def test_a_closed_mailbox_gives_out_what_it_holds_and_then_raises(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    mailbox.close()

    assert [mailbox.receive(), mailbox.receive(timeout=0)] == [1, 2]
    for timeout in (None, 0, 60):
        with pytest.raises(mb.MailboxClosed):
            mailbox.receive(timeout=timeout)


def test_delivering_to_a_closed_mailbox_raises_and_puts_nothing_in(
    config: mb.MailboxConfig,
) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)
    before = mailbox.new_input()
    mailbox.close()

    for late in (before, mailbox.new_input()):
        for _ in range(3):
            with pytest.raises(mb.MailboxClosed):
                late.deliver("late")

    assert len(mailbox) == 0
    with pytest.raises(mb.MailboxClosed):
        mailbox.receive(timeout=0)
    assert dead == []


def test_delivering_to_a_full_mailbox_that_is_closed_raises(waiting: mb.MailboxConfig) -> None:
    mailbox = waiting.create()
    messages = fill(mailbox, waiting)
    mailbox.close()

    for _ in range(3):
        with pytest.raises(mb.MailboxClosed):
            mailbox.new_input().deliver(99)

    assert list(mailbox) == messages


@pytest.mark.parametrize("config", [mb.NonBlocking(1), mb.Waiting(1, deliver_timeout=0)], ids=repr)
def test_a_full_mailbox_that_refuses_at_once_raises_when_it_is_closed(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    messages = fill(mailbox, config)
    refused = mailbox.new_input().deliver(99)
    mailbox.close()

    for _ in range(3):
        with pytest.raises(mb.MailboxClosed):
            mailbox.new_input().deliver(99)

    assert refused is False
    assert list(mailbox) == messages


def test_a_for_loop_ends_when_the_mailbox_is_closed_and_empty(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    mailbox.close()

    received = list(mailbox)

    assert received == [1, 2]
    assert list(mailbox) == []


def test_closing_ends_a_for_loop_that_waits(config: mb.MailboxConfig, stage: Stage) -> None:
    mailbox = config.create()
    receiver = Running(lambda: list(mailbox))
    stage.until_receiver_waits()
    mailbox.new_input().deliver("hello")

    mailbox.close()

    assert receiver.result() == ["hello"]


@pytest.mark.parametrize("timeout", [None, 60])
def test_closing_wakes_a_receiver_that_waits(
    config: mb.MailboxConfig, stage: Stage, timeout: float | None
) -> None:
    mailbox = config.create()
    receiver = Running(lambda: mailbox.receive(timeout=timeout))
    stage.until_receiver_waits()

    mailbox.close()

    with pytest.raises(mb.MailboxClosed):
        receiver.result()


def test_closing_wakes_all_senders_that_wait(waiting: mb.MailboxConfig) -> None:
    mailbox = waiting.create()
    messages = fill(mailbox, waiting)
    deliver = mailbox.new_input().deliver
    senders = [Running(lambda: deliver(99)) for _ in range(5)]
    until(lambda: mailbox.stats().senders_waiting == len(senders))

    mailbox.close()

    for sender in senders:
        with pytest.raises(mb.MailboxClosed):
            sender.result()
    assert list(mailbox) == messages
    assert mailbox.stats().senders_waiting == 0


def test_closing_twice_is_closing_once(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    for _ in range(3):
        mailbox.close()
        assert len(mailbox) == 2

    assert list(mailbox) == [1, 2]
    mailbox.close()
    assert list(mailbox) == []


def test_a_mailbox_says_that_it_is_closed(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    before = (mailbox.closed, mailbox.stats().closed)

    mailbox.close()

    assert before == (False, False)
    assert (mailbox.closed, mailbox.stats().closed) == (True, True)
    assert (mailbox.cancelled, mailbox.stats().cancelled) == (False, False)


def test_what_is_left_in_a_mailbox_that_was_closed_and_drained_is_no_dead_letter(
    config: mb.MailboxConfig,
) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)
    mailbox.new_input().deliver("hello")
    mailbox.close()

    received = list(mailbox)
    mailbox.abandon()

    assert received == ["hello"]
    assert dead == []
