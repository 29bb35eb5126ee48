"""`Blocking`: senders wait for room."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from tests.helpers import Running, run_together, until
from tests.mailbox.staging import Stage


@pytest.mark.behaviour("LimitedMessageBoxTest 1")
def test_receiving_from_an_empty_mailbox_waits_until_there_is_a_message(stage: Stage) -> None:
    mailbox = mb.Blocking(16).create()
    receiver = Running(mailbox.receive)
    stage.until_receiver_waits()

    waits = receiver.running
    mailbox.new_input().deliver("at last")

    assert waits
    assert receiver.result() == "at last"


@pytest.mark.behaviour("LimitedMessageBoxTest 2")
def test_a_future_from_an_empty_mailbox_has_nothing_and_does_not_block() -> None:
    mailbox = mb.Blocking(16).create()

    assert mailbox.try_receive().try_now() is mb.MISSING


@pytest.mark.behaviour("LimitedMessageBoxTest 3")
def test_a_full_mailbox_makes_its_sender_wait_and_never_refuses() -> None:
    mailbox = mb.Blocking(16).create()
    deliver = mailbox.new_input().deliver
    sender = Running(lambda: [deliver(message) for message in range(17)])

    until(lambda: mailbox.stats().senders_waiting == 1)
    waits = (sender.running, len(mailbox))
    first = mailbox.receive()

    assert waits == (True, 16)
    assert first == 0
    assert sender.result() == [True] * 17


@pytest.mark.behaviour("LimitedMessageBoxTest 4")
@settings(max_examples=20, deadline=None)
@given(limit=st.integers(1, 300))
def test_all_of_256_messages_are_received_from_a_sender_that_is_faster_than_the_receiver(
    limit: int,
) -> None:
    mailbox = mb.Blocking(limit).create()
    deliver = mailbox.new_input().deliver
    delivered: list[bool] = []
    received: list[int] = []

    run_together(
        lambda: delivered.extend(deliver(message) for message in range(256)),
        lambda: received.extend(mailbox.receive() for _ in range(256)),
    )

    assert delivered == [True] * 256
    assert received == list(range(256))


def test_a_sender_that_waits_goes_on_when_a_message_is_received() -> None:
    mailbox = mb.Blocking(1).create()
    deliver = mailbox.new_input().deliver
    deliver("first")
    sender = Running(lambda: deliver("second"))
    until(lambda: mailbox.stats().senders_waiting == 1)

    received = [mailbox.receive(), mailbox.receive()]

    assert received == ["first", "second"]
    assert sender.result() is True
    assert mailbox.stats().senders_waiting == 0


@pytest.mark.parametrize("take", ["receive", "receive_many", "future", "loop"])
def test_every_way_of_receiving_makes_room(take: str) -> None:
    mailbox: mb.Mailbox[int] = mb.Blocking(1).create()
    ways = {
        "receive": lambda: mailbox.receive(timeout=60),
        "receive_many": lambda: mailbox.receive_many(5)[0],
        "future": lambda: mailbox.try_receive().result(),
        "loop": lambda: next(iter(mailbox)),
    }
    deliver = mailbox.new_input().deliver

    received = []
    for message in range(5):
        deliver(message)
        received.append(ways[take]())

    assert received == list(range(5))
    assert deliver(5)
    sender = Running(lambda: deliver(6))
    until(lambda: mailbox.stats().senders_waiting == 1)
    assert ways[take]() == 5
    assert sender.result() is True


def test_as_many_waiting_senders_go_on_as_messages_are_received() -> None:
    mailbox = mb.Blocking(4).create()
    deliver = mailbox.new_input().deliver
    for _ in range(4):
        deliver("early")
    senders = [Running(lambda: deliver("late")) for _ in range(6)]
    until(lambda: mailbox.stats().senders_waiting == 6)

    received = mailbox.receive_many(4)
    until(lambda: mailbox.stats().senders_waiting == 2)
    until(lambda: len(mailbox) == 4)
    received += mailbox.receive_many(2)
    until(lambda: mailbox.stats().senders_waiting == 0)

    assert received == ["early"] * 4 + ["late"] * 2
    assert [sender.result() for sender in senders] == [True] * 6
    assert len(mailbox) == 4


def test_a_huge_limit_costs_no_memory_when_the_mailbox_is_created() -> None:
    mailbox = mb.Blocking(10**9).create()

    delivered = [mailbox.new_input().deliver(message) for message in range(1000)]

    assert delivered == [True] * 1000
    assert mailbox.receive_many(1000) == list(range(1000))
