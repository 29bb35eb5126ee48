"""`NonBlocking`: what does not fit is refused at once."""

import gc

import pytest

import threadpool_mb as mb
from tests.helpers import Running
from tests.mailbox.staging import Stage


@pytest.mark.behaviour("LimitedMessageBoxTest 16")
def test_only_delivery_does_not_block_and_receiving_waits(stage: Stage) -> None:
    mailbox = mb.NonBlocking(16).create()
    receiver = Running(mailbox.receive)
    stage.until_receiver_waits()

    waits = receiver.running
    mailbox.new_input().deliver("at last")

    assert waits
    assert receiver.result() == "at last"


@pytest.mark.behaviour("LimitedMessageBoxTest 17")
def test_a_full_mailbox_refuses_and_goes_on_refusing() -> None:
    mailbox = mb.NonBlocking(16).create()
    deliver = mailbox.new_input().deliver

    delivered = [deliver(message) for message in range(19)]

    assert delivered == [True] * 16 + [False] * 3


@pytest.mark.behaviour("LimitedMessageBoxTest 18")
def test_of_more_messages_than_three_limits_exactly_the_first_limit_is_taken() -> None:
    mailbox = mb.NonBlocking(128).create()
    deliver = mailbox.new_input().deliver

    delivered = [deliver(message) for message in range(128 + 256 + 123)]

    assert delivered == [True] * 128 + [False] * (256 + 123)
    assert mailbox.receive_many(1000) == list(range(128))


@pytest.mark.behaviour("LimitedMessageBoxTest 19")
def test_a_sender_five_times_as_fast_as_the_receiver_is_refused_when_the_mailbox_is_full() -> None:
    mailbox = mb.NonBlocking(128).create()
    deliver = mailbox.new_input().deliver
    delivered, there_was_room, received = [], [], []

    waiting = 0
    for message in range(5 * 100):
        there_was_room.append(waiting < 128)
        delivered.append(deliver(message))
        waiting += delivered[-1]
        if message % 5 == 4:
            received.append(mailbox.receive())
            waiting -= 1

    assert delivered == there_was_room
    assert delivered[:128] == [True] * 128
    assert not all(delivered[-128:])
    assert received == list(range(100))


def test_a_refused_message_leaves_the_mailbox_as_it_was() -> None:
    dead: list[object] = []
    mailbox = mb.NonBlocking(1).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver
    deliver("in")

    refused = [deliver("out") for _ in range(3)]

    assert refused == [False] * 3
    assert mailbox.receive_many(5) == ["in"]
    assert dead == []


def test_a_message_that_a_dropped_future_gave_back_does_not_raise_the_limit() -> None:
    mailbox = mb.NonBlocking(1).create()
    deliver = mailbox.new_input().deliver
    for _ in range(3):
        assert deliver("given back")
        future = mailbox.try_receive()
        assert future.done()
        del future
        gc.collect()
        assert mailbox.receive(timeout=0) == "given back"

    delivered = [deliver(1), deliver(2)]

    assert delivered == [True, False]
