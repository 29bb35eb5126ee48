"""What is the same for the four kinds with a limit; the limit is exact."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from tests.helpers import Running, until
from tests.mailbox.hammering import receive_all_of_many_senders

WITH_LIMIT = pytest.mark.parametrize(
    "with_limit",
    [
        mb.Blocking,
        mb.NonBlocking,
        lambda limit: mb.Waiting(limit, deliver_timeout=5),
        lambda limit: mb.Waiting(limit, deliver_timeout=5, receive_timeout=48 * 3600),
    ],
    ids=["Blocking", "NonBlocking", "Waiting-None-5s", "Waiting-48h-5s"],
)
type WithLimit = Callable[[int], mb.MailboxConfig]


def refused_or_waits(mailbox: mb.Mailbox[int], config: mb.MailboxConfig) -> tuple[str, int]:
    """Deliver to a full mailbox; return what became of it, and how many messages waited then."""
    deliver = mailbox.new_input().deliver
    if isinstance(config, mb.NonBlocking):
        return ("in" if deliver(-1) else "refused"), len(mailbox)
    sender = Running(lambda: deliver(-1))
    until(lambda: mailbox.stats().senders_waiting == 1)
    length = len(mailbox)
    mailbox.receive()
    return ("waited" if sender.result() else "refused"), length


@WITH_LIMIT
@pytest.mark.behaviour("LimitedMessageBoxTest 20")
@settings(max_examples=30, deadline=None)
@given(limit=st.integers(1, 128))
def test_as_many_messages_as_the_limit_says_go_in(with_limit: WithLimit, limit: int) -> None:
    mailbox = with_limit(limit).create()
    deliver = mailbox.new_input().deliver

    delivered = [deliver(message) for message in range(limit)]

    assert delivered == [True] * limit
    assert len(mailbox) == limit


@WITH_LIMIT
@pytest.mark.behaviour("LimitedMessageBoxTest 21")
@settings(max_examples=20, deadline=None)
@given(limit=st.integers(1, 128))
def test_not_one_message_more_than_the_limit_goes_in(with_limit: WithLimit, limit: int) -> None:
    config = with_limit(limit)
    mailbox: mb.Mailbox[int] = config.create()
    delivered = [mailbox.new_input().deliver(message) for message in range(limit)]

    outcome, length = refused_or_waits(mailbox, config)

    assert delivered == [True] * limit
    assert outcome in {"refused", "waited"}
    assert length == limit


@WITH_LIMIT
@pytest.mark.behaviour("LimitedMessageBoxTest 22")
def test_a_limit_of_two_lets_two_messages_in(with_limit: WithLimit) -> None:
    mailbox = with_limit(2).create()
    deliver = mailbox.new_input().deliver

    assert [deliver(1), deliver(2)] == [True, True]


@WITH_LIMIT
@pytest.mark.behaviour("LimitedMessageBoxTest 23")
@pytest.mark.parametrize("limit", [1, 2, 3, 64])
def test_an_empty_mailbox_takes_a_message(with_limit: WithLimit, limit: int) -> None:
    mailbox = with_limit(limit).create()

    assert mailbox.new_input().deliver("hello") is True


@WITH_LIMIT
@pytest.mark.behaviour("LimitedMessageBoxTest 24")
def test_a_full_mailbox_refuses_or_makes_its_sender_wait(with_limit: WithLimit) -> None:
    config = with_limit(64)
    mailbox: mb.Mailbox[int] = config.create()
    for message in range(64):
        assert mailbox.new_input().deliver(message)

    outcome, length = refused_or_waits(mailbox, config)

    assert outcome == ("refused" if isinstance(config, mb.NonBlocking) else "waited")
    assert length == 64


@WITH_LIMIT
@pytest.mark.behaviour("LimitedMessageBoxTest 25")
@settings(max_examples=20, deadline=None)
@given(data=st.data(), limit=st.integers(1, 100))
def test_as_many_messages_as_were_received_go_in_again_and_all_come_out_in_order(
    with_limit: WithLimit, data: st.DataObject, limit: int
) -> None:
    count = data.draw(st.integers(0, limit))
    mailbox = with_limit(limit).create()
    deliver = mailbox.new_input().deliver
    delivered = [deliver(message) for message in range(limit)]

    received = [mailbox.receive() for _ in range(count)]
    delivered += [deliver(message) for message in range(limit, limit + count)]
    received += [mailbox.receive(timeout=0) for _ in range(limit)]

    assert delivered == [True] * (limit + count)
    assert received == list(range(limit + count))


@WITH_LIMIT
@pytest.mark.behaviour("LimitedMessageBoxTest 26")
def test_all_messages_of_512_contending_senders_are_received(with_limit: WithLimit) -> None:
    receive_all_of_many_senders(with_limit(512))


@WITH_LIMIT
def test_a_limit_is_never_rounded(with_limit: WithLimit) -> None:
    limits = [1, 3, 5, 7, 100, 10**9, 10**30]

    assert [with_limit(limit).limit for limit in limits] == limits


@WITH_LIMIT
def test_a_huge_limit_costs_nothing_until_messages_wait(with_limit: WithLimit) -> None:
    mailbox = with_limit(10**9).create()
    deliver = mailbox.new_input().deliver

    delivered = [deliver(message) for message in range(100)]

    assert delivered == [True] * 100
    assert mailbox.receive_many(1000) == list(range(100))
