"""Abandoning: what nobody will receive becomes dead letters, each once."""

import logging

import pytest

import threadpool_mb as mb
from tests.conformance.configs import fill
from tests.helpers import Running, in_thread, until
from tests.mailbox.staging import Stage


def test_the_backlog_of_an_abandoned_mailbox_becomes_dead_letters_oldest_first(
    roomy: mb.MailboxConfig,
) -> None:
    dead: list[object] = []
    mailbox = roomy.create(on_dead_letter=dead.append)
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    mailbox.abandon()

    assert dead == [1, 2]
    assert len(mailbox) == 0
    assert mailbox.closed


def test_abandoning_twice_makes_no_dead_letter_twice(config: mb.MailboxConfig) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)
    mailbox.new_input().deliver("hello")

    for _ in range(3):
        mailbox.abandon()

    assert dead == ["hello"]
    assert len(mailbox) == 0


def test_delivering_to_an_abandoned_mailbox_raises(config: mb.MailboxConfig) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)

    mailbox.abandon()

    for _ in range(3):
        with pytest.raises(mb.MailboxClosed):
            mailbox.new_input().deliver("late")
    assert dead == []


def test_receiving_from_an_abandoned_mailbox_raises(config: mb.MailboxConfig) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)
    mailbox.new_input().deliver("hello")

    mailbox.abandon()

    for timeout in (None, 0, 60):
        with pytest.raises(mb.MailboxClosed):
            mailbox.receive(timeout=timeout)
    assert list(mailbox) == []
    assert dead == ["hello"]


def test_abandoning_a_cancelled_mailbox_makes_dead_letters_of_its_backlog(
    config: mb.MailboxConfig,
) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)
    mailbox.new_input().deliver("hello")
    mailbox.cancel()

    mailbox.abandon()

    assert dead == ["hello"]
    with pytest.raises(mb.Cancelled):
        mailbox.receive()


def test_abandoning_a_mailbox_that_was_closed_makes_dead_letters_of_what_was_not_received(
    roomy: mb.MailboxConfig,
) -> None:
    dead: list[object] = []
    mailbox = roomy.create(on_dead_letter=dead.append)
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    mailbox.close()
    first = mailbox.receive()

    mailbox.abandon()

    assert first == 1
    assert dead == [2]


def test_abandoning_wakes_a_receiver_that_waits(config: mb.MailboxConfig, stage: Stage) -> None:
    mailbox = config.create()
    receiver = Running(mailbox.receive)
    stage.until_receiver_waits()

    mailbox.abandon()

    with pytest.raises(mb.MailboxClosed):
        receiver.result()


def test_abandoning_wakes_all_senders_that_wait(waiting: mb.MailboxConfig) -> None:
    dead: list[int] = []
    mailbox = waiting.create(on_dead_letter=dead.append)
    messages = fill(mailbox, waiting)
    deliver = mailbox.new_input().deliver
    senders = [Running(lambda: deliver(99)) for _ in range(5)]
    until(lambda: mailbox.stats().senders_waiting == len(senders))

    mailbox.abandon()

    for sender in senders:
        with pytest.raises(mb.MailboxClosed):
            sender.result()
    assert dead == messages


def test_without_a_hook_each_dead_letter_is_logged_at_warning(
    roomy: mb.MailboxConfig, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    mailbox.abandon()

    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING]
    assert all("dead letter" in record.getMessage() for record in caplog.records)


def test_a_hook_that_raises_is_logged_and_the_other_messages_still_reach_it(
    roomy: mb.MailboxConfig, caplog: pytest.LogCaptureFixture
) -> None:
    dead: list[object] = []

    def hook(message: object) -> None:
        dead.append(message)
        error = LookupError(message)
        raise error

    mailbox = roomy.create(on_dead_letter=hook)
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    mailbox.abandon()

    assert dead == [1, 2]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]
    assert all("on_dead_letter raised" in record.getMessage() for record in caplog.records)
    assert all("LookupError" in str(record.exc_text) for record in caplog.records)


def test_abandoning_an_empty_mailbox_logs_nothing(
    config: mb.MailboxConfig, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox = config.create()

    mailbox.abandon()

    assert caplog.records == []


def test_the_hook_may_use_the_mailbox_that_it_is_called_for(config: mb.MailboxConfig) -> None:
    seen: list[tuple[object, mb.MailboxStats]] = []

    def hook(message: object) -> None:
        mailbox.close()
        with pytest.raises(mb.MailboxClosed):
            mailbox.new_input().deliver("again")
        seen.append((message, mailbox.stats()))

    mailbox: mb.Mailbox[object] = config.create(on_dead_letter=hook)
    mailbox.new_input().deliver("hello")

    mailbox.abandon()

    [(message, stats)] = seen
    assert message == "hello"
    assert stats.closed


def test_abandoning_ends_a_loop_that_has_more_to_come(roomy: mb.MailboxConfig) -> None:
    dead: list[object] = []
    mailbox = roomy.create(on_dead_letter=dead.append)
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    received = []

    for message in mailbox:
        received.append(message)
        mailbox.abandon()

    assert (received, dead) == ([1], [2])


def test_abandoning_takes_nothing_from_a_receiver_of_many_that_has_taken_it(
    roomy: mb.MailboxConfig, stage: Stage
) -> None:
    dead: list[object] = []
    mailbox = roomy.create(on_dead_letter=dead.append)
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    timed = getattr(getattr(roomy, "config", roomy), "receive_timeout", None) is not None
    before_second = stage.stop("before get", skip=1) if timed else stage.stop("before get_nowait")

    with in_thread(lambda: mailbox.receive_many(10)) as receiver:
        before_second.wait()
        mailbox.abandon()
        before_second.go()

        assert receiver.result() == [1]
    assert dead == [2]
