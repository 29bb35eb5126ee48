"""`receive_many`: at least one message, at most as many as were asked for, oldest first."""

import pytest

import threadpool_mb as mb
from tests.helpers import Running
from tests.mailbox.staging import Stage


def test_all_that_is_there_is_received_oldest_first(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    received = mailbox.receive_many(10)

    assert received == [1, 2]
    assert len(mailbox) == 0


def test_no_more_is_received_than_was_asked_for(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    received = [mailbox.receive_many(1), mailbox.receive_many(1, timeout=0)]

    assert received == [[1], [2]]


def test_receiving_many_waits_for_one_message(config: mb.MailboxConfig, stage: Stage) -> None:
    mailbox = config.create()
    receiver = Running(lambda: mailbox.receive_many(10))
    stage.until_receiver_waits()

    mailbox.new_input().deliver("hello")

    assert receiver.result() == ["hello"]


def test_receiving_many_from_an_empty_mailbox_raises_after_its_timeout(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()

    for timeout in (0, 0.001):
        with pytest.raises(mb.MailboxEmpty):
            mailbox.receive_many(10, timeout=timeout)


def test_receiving_many_stops_at_the_end_of_a_closed_mailbox(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    mailbox.close()

    received = mailbox.receive_many(10)

    assert received == [1, 2]
    with pytest.raises(mb.MailboxClosed):
        mailbox.receive_many(10)


def test_receiving_many_makes_room_for_as_many(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    deliver = mailbox.new_input().deliver
    rounds = 3 * (roomy.limit or 2) // 2

    received = []
    for number in range(rounds):
        assert deliver(2 * number)
        assert deliver(2 * number + 1)
        received += mailbox.receive_many(10)

    assert received == list(range(2 * rounds))


@pytest.mark.parametrize("bad", [0, -1, True, 2.0, "3", None], ids=repr)
def test_a_number_that_is_no_number_of_messages_is_refused_by_its_value(
    config: mb.MailboxConfig, bad: int
) -> None:
    mailbox = config.create()
    mailbox.new_input().deliver("hello")

    with pytest.raises(ValueError, match=r"^max_messages .*, not " + repr(bad)):
        mailbox.receive_many(bad)

    assert mailbox.receive(timeout=0) == "hello"
