"""`Unlimited`: never full."""

import pytest

import threadpool_mb as mb
from tests.mailbox.hammering import receive_all_of_many_senders


@pytest.mark.behaviour("UnlimitedMessageBoxTest 1")
def test_all_messages_of_512_contending_senders_are_received() -> None:
    receive_all_of_many_senders(mb.Unlimited())


def test_an_unlimited_mailbox_says_that_it_has_no_limit() -> None:
    assert mb.Unlimited().limit is None


def test_an_unlimited_mailbox_takes_a_hundred_thousand_messages_nobody_receives() -> None:
    mailbox = mb.Unlimited().create()
    deliver = mailbox.new_input().deliver

    delivered = {deliver(message) for message in range(100_000)}

    assert delivered == {True}
    assert mailbox.receive_many(200_000) == list(range(100_000))


def test_nobody_ever_waits_for_room_in_an_unlimited_mailbox() -> None:
    mailbox = mb.Unlimited().create()

    mailbox.new_input().deliver(1)

    assert mailbox.stats().senders_waiting == 0
