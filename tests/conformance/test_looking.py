"""`len` and `stats`: what a mailbox looks like from outside."""

import contextlib
import dataclasses

import pytest

import threadpool_mb as mb
from tests.conformance.configs import fill
from tests.helpers import Running, until
from threadpool_mb.line.slots import Slots


def test_the_length_is_the_number_of_messages_that_wait(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    lengths = [len(mailbox)]

    for message in (1, 2):
        mailbox.new_input().deliver(message)
        lengths.append(len(mailbox))
    for _ in range(2):
        mailbox.receive()
        lengths.append(len(mailbox))

    assert lengths == [0, 1, 2, 1, 0]


def test_the_length_of_a_mailbox_that_was_closed_counts_messages_only(
    roomy: mb.MailboxConfig,
) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    mailbox.close()
    lengths = [len(mailbox)]
    lengths.extend(len(mailbox) for _ in mailbox)

    assert lengths == [2, 1, 0]
    assert len(mailbox) == 0


def test_a_message_that_a_future_holds_waits_no_longer(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    mailbox.new_input().deliver("hello")

    future = mailbox.try_receive()
    before = len(mailbox)
    message = future.try_now()

    assert (before, message, len(mailbox)) == (1, "hello", 0)


def test_statistics_are_a_snapshot(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    empty = mailbox.stats()

    mailbox.new_input().deliver("hello")
    one = mailbox.stats()
    mailbox.close()
    closed = mailbox.stats()
    mailbox.cancel()

    start = mb.MailboxStats(messages=0, senders_waiting=0, closed=False, cancelled=False)
    assert empty == start
    assert one == dataclasses.replace(start, messages=1)
    assert closed == dataclasses.replace(start, messages=1, closed=True)
    assert mailbox.stats() == dataclasses.replace(closed, cancelled=True)


def test_statistics_cannot_be_changed(config: mb.MailboxConfig) -> None:
    stats = config.create().stats()

    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.messages = 7  # type: ignore[misc]


def test_statistics_count_the_senders_that_wait(waiting: mb.MailboxConfig) -> None:
    mailbox = waiting.create()
    fill(mailbox, waiting)
    deliver = mailbox.new_input().deliver
    senders = [Running(lambda: deliver(99)) for _ in range(3)]

    until(lambda: mailbox.stats().senders_waiting == 3)
    mailbox.receive()
    until(lambda: mailbox.stats().senders_waiting == 2 and len(mailbox) == waiting.limit)
    mailbox.close()
    until(lambda: mailbox.stats().senders_waiting == 0)

    outcomes = []
    for sender in senders:
        try:
            outcomes.append(sender.result())
        except mb.MailboxClosed:
            outcomes.append(None)
    assert sorted(outcomes, key=bool) == [None, None, True]


def test_senders_that_wake_while_the_mailbox_is_being_closed_wake_the_others(
    waiting: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    shut = Slots.shut

    def shut_and_wait(slots: Slots) -> None:
        shut(slots)
        until(lambda: len(ended) > 0)

    monkeypatch.setattr(Slots, "shut", shut_and_wait)
    mailbox = waiting.create()
    fill(mailbox, waiting)
    deliver = mailbox.new_input().deliver

    def send() -> None:
        taken = False
        with contextlib.suppress(mb.MailboxClosed):
            taken = deliver(99)
        ended.append(taken)

    senders = [Running(send) for _ in range(3)]
    until(lambda: mailbox.stats().senders_waiting == 3)

    mailbox.close()

    for sender in senders:
        sender.result()
    assert ended == [False, False, False]


def test_an_empty_mailbox_is_falsy_only_by_its_length(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    before = bool(mailbox)

    mailbox.new_input().deliver(None)

    assert (before, bool(mailbox)) == (False, True)


def test_the_length_is_right_behind_an_iterator_that_was_cancelled(
    config: mb.MailboxConfig,
) -> None:
    dead: list[str] = []
    mailbox: mb.Mailbox[str] = config.create(on_dead_letter=dead.append)
    mailbox.new_input().deliver("first")
    messages = iter(mailbox)
    assert next(messages) == "first"
    mailbox.new_input().deliver("second")

    mailbox.cancel()
    with pytest.raises(mb.Cancelled):
        next(messages)

    assert len(mailbox) == mailbox.stats().messages == 1
    mailbox.abandon()
    assert dead == ["second"]
