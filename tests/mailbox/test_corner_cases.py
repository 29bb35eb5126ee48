"""One end of the mailbox is gone: its thread has ended and its objects are collected."""

import gc
from typing import Any

import pytest

import threadpool_mb as mb
from tests.helpers import Running, until
from threadpool_mb.mailbox import sending


@pytest.mark.behaviour(
    "CornerCaseTests 1", "CornerCaseTests 2", "CornerCaseTests 3", "CornerCaseTests 4"
)
@pytest.mark.parametrize(
    "config",
    [mb.Unlimited(), mb.Blocking(16), mb.Waiting(16, deliver_timeout=1), mb.NonBlocking(16)],
    ids=repr,
)
def test_the_message_of_a_sender_that_has_ended_is_received_and_then_nothing_comes(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    Running(lambda: mailbox.new_input().deliver("the last words")).result()
    gc.collect()

    received = mailbox.receive(timeout=3)

    assert received == "the last words"
    gc.collect()
    for timeout in (0, 0.01):
        with pytest.raises(mb.MailboxEmpty):
            mailbox.receive(timeout=timeout)


def input_of_a_receiver_that_has_ended(config: mb.MailboxConfig) -> mb.Input[int]:
    """Let a thread create a mailbox and receive one message, end, and drop the mailbox."""

    def receive_one() -> mb.Input[int]:
        mailbox: mb.Mailbox[int] = config.create()
        mailbox.new_input().deliver(-1)
        mailbox.receive()
        return mailbox.new_input()

    left = Running(receive_one).result()
    gc.collect()
    return left


@pytest.mark.behaviour("CornerCaseTests 5")
def test_messages_to_a_dead_receiver_go_into_an_unlimited_mailbox() -> None:
    deliver = input_of_a_receiver_that_has_ended(mb.Unlimited()).deliver

    assert [deliver(message) for message in range(100)] == [True] * 100


@pytest.mark.behaviour("CornerCaseTests 6")
def test_messages_to_a_dead_receiver_fill_a_blocking_mailbox_and_then_their_sender_waits() -> None:
    mailbox: mb.Mailbox[int] = mb.Blocking(16).create()
    deliver = mailbox.new_input().deliver
    deliver(-1)
    Running(mailbox.receive).result()
    gc.collect()
    delivered: list[bool] = []
    sender = Running(lambda: delivered.extend(deliver(message) for message in range(100)))

    until(lambda: mailbox.stats().senders_waiting == 1)
    waits = (sender.running, len(mailbox))
    mailbox.abandon()

    assert waits == (True, 16)
    with pytest.raises(mb.MailboxClosed):
        sender.result()
    assert delivered == [True] * 16


@pytest.mark.behaviour("CornerCaseTests 7")
def test_messages_to_a_dead_receiver_fill_a_non_blocking_mailbox_and_are_then_refused() -> None:
    deliver = input_of_a_receiver_that_has_ended(mb.NonBlocking(16)).deliver

    delivered = [deliver(message) for message in range(100)]

    assert delivered == [True] * 16 + [False] * 84


@pytest.mark.behaviour("CornerCaseTests 8")
def test_messages_to_a_dead_receiver_fill_a_waiting_mailbox_and_then_time_out() -> None:
    deliver = input_of_a_receiver_that_has_ended(mb.Waiting(16, deliver_timeout=0.001)).deliver

    delivered = [deliver(message) for message in range(20)]

    assert delivered == [True] * 16 + [False] * 4


def test_of_inputs_that_two_threads_make_at_once_both_get_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mailbox: mb.Mailbox[int] = mb.Unlimited().create()
    others: list[object] = []

    made = sending.QueueInput

    class Raced(made[int]):
        """Another thread makes one while this one is made."""

        def __init__(self, inlet: Any) -> None:  # noqa: ANN401 - of some kind
            super().__init__(inlet)
            monkeypatch.undo()
            others.append(mailbox.new_input())

    monkeypatch.setattr(sending, "QueueInput", Raced)

    assert mailbox.new_input() is others[0]
    assert mailbox.new_input() is others[0]
