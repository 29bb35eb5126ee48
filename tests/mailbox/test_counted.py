"""A mailbox that counts says the same as the one in it, however its receiver takes messages."""

import pytest

from tests.helpers import DEADLINE
from threadpool_mb import MISSING, Cancelled, MailboxEmpty, Unlimited
from threadpool_mb.mailbox.counted import CountedMailbox


@pytest.fixture
def counted() -> CountedMailbox[int]:
    mailbox = CountedMailbox(Unlimited().create())
    for number in range(4):
        mailbox.new_input().deliver(number)
    return mailbox


def _counts(mailbox: CountedMailbox[int]) -> tuple[int, int]:
    return mailbox.asked, mailbox.taken


def test_what_is_received_is_counted_once_it_is_there(counted: CountedMailbox[int]) -> None:
    assert counted.receive() == 0
    assert _counts(counted) == (1, 1)
    assert counted.receive_many(2) == [1, 2]
    assert _counts(counted) == (2, 3)
    assert counted.receive() == 3

    with pytest.raises(MailboxEmpty):
        counted.receive(timeout=0)

    assert _counts(counted) == (4, 4)


def test_an_iterator_counts_a_message_as_it_gives_it(counted: CountedMailbox[int]) -> None:
    counted.close()

    seen = [(number, _counts(counted)) for number in counted]

    assert seen == [(0, (0, 1)), (1, (1, 2)), (2, (2, 3)), (3, (3, 4))]
    assert _counts(counted) == (4, 4)


def test_a_future_counts_its_message_once_however_it_is_asked(counted: CountedMailbox[int]) -> None:
    future = counted.try_receive()
    assert _counts(counted) == (1, 0)

    assert future.done()
    assert future.try_now() == 0
    assert future.result(timeout=DEADLINE) == 0

    assert _counts(counted) == (1, 1)


def test_a_future_without_a_message_counts_none() -> None:
    counted = CountedMailbox(Unlimited().create())
    future = counted.try_receive()

    assert future.try_now() is MISSING
    assert not future.done()
    assert _counts(counted) == (1, 0)

    counted.new_input().deliver(7)
    assert future.result(timeout=DEADLINE) == 7
    assert _counts(counted) == (1, 1)


def test_it_is_closed_cancelled_and_abandoned_as_the_one_in_it(
    counted: CountedMailbox[int],
) -> None:
    assert (len(counted), counted.closed) == (4, False)

    counted.close()
    assert counted.closed
    assert counted.receive() == 0

    counted.cancel()
    with pytest.raises(Cancelled):
        counted.receive()

    counted.abandon()
    assert len(counted) == 0
