"""`Waiting`: senders, and the receiver, wait for a time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from tests.helpers import Running, run_together, until
from tests.mailbox.staging import Stage

SHORT = 0.000_234


@pytest.mark.behaviour("LimitedMessageBoxTest 5", "LimitedMessageBoxTest 15")
def test_without_a_receive_timeout_receiving_waits_until_there_is_a_message(stage: Stage) -> None:
    mailbox = mb.Waiting(16, deliver_timeout=SHORT).create()
    receiver = Running(mailbox.receive)
    stage.until_receiver_waits()

    waits = receiver.running
    mailbox.new_input().deliver("at last")

    assert waits
    assert receiver.result() == "at last"


@pytest.mark.behaviour("LimitedMessageBoxTest 6", "LimitedMessageBoxTest 14")
@pytest.mark.parametrize("timeout", [0, 0.000_010, SHORT])
def test_after_its_receive_timeout_receiving_raises_mailbox_empty(timeout: float) -> None:
    mailbox = mb.Waiting(16, deliver_timeout=60, receive_timeout=timeout).create()

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive()
    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive_many(3)
    with pytest.raises(mb.MailboxEmpty):
        next(iter(mailbox))


@pytest.mark.behaviour("LimitedMessageBoxTest 7")
def test_a_message_that_comes_after_the_receive_timeout_is_still_taken_in() -> None:
    mailbox = mb.Waiting(16, deliver_timeout=60, receive_timeout=SHORT).create()

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive()
    delivered = Running(lambda: mailbox.new_input().deliver("late")).result()

    assert delivered is True
    assert mailbox.receive() == "late"


@pytest.mark.behaviour("LimitedMessageBoxTest 8")
def test_a_message_that_comes_before_the_receive_timeout_is_received(stage: Stage) -> None:
    mailbox = mb.Waiting(16, deliver_timeout=60, receive_timeout=60).create()
    receiver = Running(mailbox.receive)
    stage.until_receiver_waits()

    mailbox.new_input().deliver("in time")

    assert receiver.result() == "in time"


@pytest.mark.behaviour("LimitedMessageBoxTest 9")
@pytest.mark.parametrize("receive_timeout", [None, 60])
def test_a_future_from_an_empty_mailbox_has_nothing_and_does_not_block(
    receive_timeout: float | None,
) -> None:
    mailbox = mb.Waiting(16, deliver_timeout=60, receive_timeout=receive_timeout).create()

    assert mailbox.try_receive().try_now() is mb.MISSING


@pytest.mark.behaviour("LimitedMessageBoxTest 10", "LimitedMessageBoxTest 13")
@pytest.mark.parametrize("timeout", [0, 0.000_123])
@pytest.mark.parametrize("limit", [1, 32])
def test_a_full_mailbox_refuses_after_the_deliver_timeout_and_goes_on_refusing(
    limit: int, timeout: float
) -> None:
    mailbox = mb.Waiting(limit, deliver_timeout=timeout).create()
    deliver = mailbox.new_input().deliver

    delivered = [deliver(message) for message in range(limit + 3)]

    assert delivered == [True] * limit + [False] * 3
    assert mailbox.receive_many(limit + 3) == list(range(limit))


@pytest.mark.behaviour("LimitedMessageBoxTest 11")
@settings(max_examples=20, deadline=None)
@given(limit=st.integers(1, 300))
def test_all_of_256_messages_are_received_from_a_sender_that_is_faster_than_the_receiver(
    limit: int,
) -> None:
    mailbox = mb.Waiting(limit, deliver_timeout=60).create()
    deliver = mailbox.new_input().deliver
    delivered: list[bool] = []
    received: list[int] = []

    run_together(
        lambda: delivered.extend(deliver(message) for message in range(256)),
        lambda: received.extend(mailbox.receive() for _ in range(256)),
    )

    assert delivered == [True] * 256
    assert received == list(range(256))


@pytest.mark.behaviour("LimitedMessageBoxTest 12")
def test_a_limit_of_two_lets_two_messages_in() -> None:
    mailbox = mb.Waiting(2, deliver_timeout=0).create()
    deliver = mailbox.new_input().deliver

    assert [deliver(1), deliver(2), deliver(3)] == [True, True, False]


def test_a_sender_that_waits_delivers_when_there_is_room_in_time() -> None:
    mailbox = mb.Waiting(1, deliver_timeout=60).create()
    deliver = mailbox.new_input().deliver
    deliver("first")
    sender = Running(lambda: deliver("second"))
    until(lambda: mailbox.stats().senders_waiting == 1)

    received = [mailbox.receive(), mailbox.receive()]

    assert received == ["first", "second"]
    assert sender.result() is True


def test_a_sender_that_timed_out_leaves_the_room_to_others() -> None:
    mailbox = mb.Waiting(1, deliver_timeout=SHORT).create()
    deliver = mailbox.new_input().deliver
    deliver("first")
    refused = deliver("refused")

    first = mailbox.receive()
    delivered = [deliver("second"), deliver("refused again")]

    assert refused is False
    assert first == "first"
    assert delivered == [True, False]
    assert mailbox.receive() == "second"
    assert mailbox.stats().senders_waiting == 0


def test_a_timeout_given_to_receive_takes_the_place_of_the_configured_one(stage: Stage) -> None:
    mailbox = mb.Waiting(1, deliver_timeout=0, receive_timeout=SHORT).create()
    receiver = Running(lambda: mailbox.receive(timeout=60))
    stage.until_receiver_waits()

    mailbox.new_input().deliver("in time")

    assert receiver.result() == "in time"


def test_a_timeout_given_to_receive_may_be_shorter_than_the_configured_one() -> None:
    mailbox = mb.Waiting(1, deliver_timeout=0, receive_timeout=60).create()

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=0)


def test_a_future_waits_for_ever_whatever_the_configured_receive_timeout(stage: Stage) -> None:
    mailbox = mb.Waiting(1, deliver_timeout=0, receive_timeout=0).create()
    receiver = Running(mailbox.try_receive().result)
    stage.until_receiver_waits()

    mailbox.new_input().deliver("at last")

    assert receiver.result() == "at last"
