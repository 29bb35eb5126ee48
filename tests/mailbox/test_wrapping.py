"""A mailbox around another one does what that does, but for what it overrides."""

import pytest

import threadpool_mb as mb
from threadpool_mb.mailbox.wrapping import WrappedMailbox


def wrapped(config: mb.MailboxConfig, *messages: int) -> WrappedMailbox[int]:
    """Return a wrapper that overrides nothing, with messages that were sent through it."""
    mailbox = WrappedMailbox[int](config.create())
    for message in messages:
        assert mailbox.new_input().deliver(message)
    return mailbox


def test_what_is_sent_through_it_is_in_the_mailbox_and_comes_out_of_both_in_order() -> None:
    mailbox = wrapped(mb.Unlimited(), *range(6))

    assert mailbox.receive(timeout=0) == 0
    assert mailbox.wrapped.receive(timeout=0) == 1
    assert mailbox.receive_many(2) == [2, 3]
    assert mailbox.try_receive().try_now() == 4
    assert len(mailbox) == len(mailbox.wrapped) == 1
    assert mailbox.stats() == mailbox.wrapped.stats()
    mailbox.close()
    assert list(mailbox) == [5]


def test_what_the_mailbox_refuses_it_refuses() -> None:
    mailbox = wrapped(mb.NonBlocking(2), 1, 2)

    assert not mailbox.new_input().deliver(3)

    assert mailbox.stats().messages == 2
    mailbox.receive_many(2)
    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=0)


def test_its_end_is_the_end_of_the_mailbox() -> None:
    closed, cancelled, abandoned = (wrapped(mb.Unlimited(), 1) for _ in range(3))

    closed.close()
    cancelled.cancel()
    abandoned.abandon()

    assert [each.closed for each in (closed, cancelled, abandoned)] == [True] * 3
    assert [each.cancelled for each in (closed, cancelled)] == [False, True]
    assert [len(each.wrapped) for each in (closed, abandoned)] == [1, 0]
    assert closed.receive(timeout=0) == 1
    with pytest.raises(mb.MailboxClosed):
        closed.new_input().deliver(2)
    with pytest.raises(mb.Cancelled):
        cancelled.receive(timeout=0)
