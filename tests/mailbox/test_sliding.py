"""`Sliding`: the latest messages; a full mailbox drops its oldest for a new one."""

import logging
from typing import Any

import pytest

import threadpool_mb as mb
from tests.helpers import Running, run_together
from tests.mailbox.staging import Stage
from threadpool_mb.line.stores import displaced_later


def test_a_full_mailbox_drops_its_oldest_message_and_takes_the_new_one() -> None:
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(3).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver

    delivered = [deliver(message) for message in range(5)]

    assert delivered == [True] * 5
    assert dead == [0, 1]
    assert len(mailbox) == 3
    assert mailbox.receive_many(10) == [2, 3, 4]


def test_a_mailbox_of_one_keeps_the_latest_message() -> None:
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(1).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver

    for message in range(100):
        deliver(message)

    assert dead == list(range(99))
    assert mailbox.receive(timeout=0) == 99
    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=0)


def test_nothing_is_dropped_where_there_is_room_again() -> None:
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(2).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver

    received = []
    for message in range(0, 20, 2):
        deliver(message)
        deliver(message + 1)
        received += mailbox.receive_many(2)

    assert received == list(range(20))
    assert dead == []


@pytest.mark.parametrize("same", [None, 0, "x"])
def test_a_message_may_be_displaced_by_itself(same: object) -> None:
    dead: list[object] = []
    mailbox: mb.Mailbox[object] = mb.Sliding(1).create(on_dead_letter=dead.append)

    for _ in range(3):
        mailbox.new_input().deliver(same)

    assert dead == [same, same]
    assert mailbox.receive(timeout=0) is same


def test_a_closed_mailbox_takes_nothing_drops_nothing_and_gives_out_what_it_holds() -> None:
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(2).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver
    for message in range(3):
        deliver(message)
    mailbox.close()

    with pytest.raises(mb.MailboxClosed):
        deliver(3)

    assert list(mailbox) == [1, 2]
    assert dead == [0]


def test_what_is_left_at_the_end_dies_after_what_was_displaced_and_once() -> None:
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(2).create(on_dead_letter=dead.append)
    for message in range(4):
        mailbox.new_input().deliver(message)
    mailbox.cancel()

    mailbox.abandon()
    mailbox.abandon()

    assert dead == [0, 1, 2, 3]


def test_a_receiver_that_waits_gets_what_comes_next(stage: Stage) -> None:
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(1).create(on_dead_letter=dead.append)
    receiver = Running(lambda: mailbox.receive(timeout=60))
    stage.until_receiver_waits()

    mailbox.new_input().deliver(1)

    assert receiver.result() == 1
    assert dead == []


def test_what_a_dropped_future_gives_back_is_not_displaced() -> None:
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(1).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver
    future = mailbox.try_receive()
    deliver(1)
    assert future.done()

    del future
    for message in (2, 3):
        deliver(message)

    assert dead == [2]
    assert len(mailbox) == 2
    assert mailbox.receive_many(3) == [1, 3]


def test_a_dead_letter_function_that_raises_is_logged_and_the_new_message_is_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raising(message: int) -> None:
        raise LookupError(message)

    mailbox: mb.Mailbox[int] = mb.Sliding(1).create(on_dead_letter=raising)

    assert mailbox.new_input().deliver(1)
    assert mailbox.new_input().deliver(2)

    assert [record.getMessage() for record in caplog.records] == ["on_dead_letter raised"]
    assert "LookupError: 1" in caplog.text
    assert mailbox.receive(timeout=0) == 2


def test_what_is_displaced_without_a_dead_letter_function_is_logged_and_summed_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mailbox: mb.Mailbox[int] = mb.Sliding(1).create()

    for message in range(50):
        mailbox.new_input().deliver(message)

    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert 1 <= len(caplog.records) < 10
    assert caplog.messages[0] == "a mailbox: dead letter for key MISSING: displaced"


def test_a_dead_letter_function_may_deliver_and_receive() -> None:
    again: list[int] = []

    def send_again(message: int) -> None:
        if len(again) < 3:
            again.append(message)
            deliver(message)

    mailbox: mb.Mailbox[int] = mb.Sliding(1).create(on_dead_letter=send_again)
    deliver = mailbox.new_input().deliver

    deliver(1)
    deliver(2)

    assert again == [1, 2, 1]
    assert len(mailbox) == 1


@pytest.mark.racing
@pytest.mark.parametrize("limit", [1, 2, 7])
def test_eight_senders_lose_nothing_and_the_last_message_is_never_displaced(limit: int) -> None:
    dead: list[tuple[int, int]] = []
    mailbox: mb.Mailbox[tuple[int, int]] = mb.Sliding(limit).create(on_dead_letter=dead.append)
    received: list[tuple[int, int]] = []
    depths: list[int] = []
    sent = {sender: list(range(200)) for sender in range(8)}

    def send(sender: int) -> None:
        deliver = mailbox.new_input().deliver
        for message in sent[sender]:
            assert deliver((sender, message))

    def receive() -> None:
        for message in mailbox:
            received.append(message)
            depths.append(len(mailbox))

    receiver = Running(receive)
    run_together(*(lambda sender=sender: send(sender) for sender in sent))
    mailbox.new_input().deliver((9, 0))
    mailbox.close()
    receiver.result()

    assert received[-1] == (9, 0)
    assert max(depths) <= limit + 1  # the end marker is put before it is counted as one
    for sender, messages in sent.items():
        in_order = [number for by, number in received if by == sender]
        assert in_order == sorted(in_order)
        assert sorted(in_order + [number for by, number in dead if by == sender]) == messages


def test_a_receiver_inside_of_a_sender_that_displaces_has_it_told_at_the_end() -> None:
    # As where a finalizer receives, or delivers, under the lock of a pool.
    dead: list[int] = []
    mailbox: mb.Mailbox[int] = mb.Sliding(1).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver
    deliver(1)

    with displaced_later():
        with displaced_later():
            deliver(2)
        assert dead == []
        deliver(3)
        assert dead == []

    assert sorted(dead) == [1, 2]
    assert mailbox.receive(timeout=0) == 3


def test_what_is_put_back_where_there_is_no_room_any_more_is_displaced_once() -> None:
    dead: list[int] = []
    mailbox: Any = mb.Sliding(1).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver
    store, queue = mailbox.inlet.store, mailbox.inlet.queue
    deliver(2)

    store._put_back(1, queue)
    assert dead == [1]
    with displaced_later():
        store._put_back(0, queue)
        assert dead == [1]

    assert dead == [1, 0]
    assert mailbox.receive(timeout=0) == 2
