"""`Prioritized`: the lowest priority first, and within one what came first."""

import enum
import math
import random
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

import threadpool_mb as mb
from tests.helpers import Running, run_together, until
from tests.mailbox.staging import Stage

type Message = tuple[float, str]

UNLIMITED: Final = mb.Unlimited()


class Level(enum.IntEnum):
    """Priorities with names."""

    HIGH = 1
    LOW = 9


class Backwards(int):
    """A number that compares as it should not."""

    def __lt__(self, other: object) -> bool:
        raise AssertionError("it was compared")

    __gt__ = __lt__


def first(message: Message) -> float:
    """Return a message's priority."""
    return message[0]


def prioritized(config: mb.Unlimited | mb.Blocking | mb.NonBlocking = UNLIMITED) -> mb.Prioritized:
    """Return a config that sorts by the first item."""
    return mb.Prioritized(config, first)


@given(st.lists(st.sampled_from([-1, 0, 1, 2.5, True, math.inf, -math.inf, 10**400])))
def test_messages_come_out_sorted_and_stable(priorities: list[float]) -> None:
    mailbox: mb.Mailbox[tuple[float, int]] = mb.Prioritized(
        mb.Unlimited(), lambda message: message[0]
    ).create()
    messages = [(priority, number) for number, priority in enumerate(priorities)]
    for message in messages:
        mailbox.new_input().deliver(message)
    mailbox.close()

    assert list(mailbox) == sorted(messages, key=lambda message: message[0])


@given(
    st.lists(st.one_of(st.integers(0, 3), st.none(), st.just("many")), max_size=60),
)
def test_what_comes_between_two_receives_is_sorted_in(steps: list[int | str | None]) -> None:
    mailbox: mb.Mailbox[tuple[int, int]] = mb.Prioritized(
        mb.Unlimited(), lambda message: message[0]
    ).create()
    waiting: list[tuple[int, int]] = []
    for number, step in enumerate(steps):
        waiting.sort(key=lambda message: message[0])
        if isinstance(step, int):
            waiting.append((step, number))
            mailbox.new_input().deliver((step, number))
        elif waiting:
            count = 1 if step is None else 3
            assert mailbox.receive_many(count) == waiting[:count]
            del waiting[:count]
    assert len(mailbox) == len(waiting)


def test_messages_are_not_compared() -> None:
    mailbox: mb.Mailbox[object] = mb.Prioritized(mb.Unlimited(), lambda message: 0).create()
    messages = [object(), {}, None, "x", 3]
    for message in messages:
        mailbox.new_input().deliver(message)
    mailbox.close()

    assert list(mailbox) == messages


def test_priorities_of_a_users_own_type_of_number_are_compared_as_numbers() -> None:
    mailbox: mb.Mailbox[Any] = mb.Prioritized(mb.Unlimited(), lambda message: message).create()
    for message in (Level.LOW, Backwards(5), 2.5, True, Level.HIGH, Backwards(3)):
        mailbox.new_input().deliver(message)
    mailbox.close()

    assert list(map(float, mailbox)) == [1, 1, 2.5, 3, 5, 9]


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (math.nan, ValueError, r"^priority must return a number that can be compared, not nan$"),
        (None, TypeError, r"^priority must return an int or a float, not None$"),
        ("7", TypeError, r"^priority must return an int or a float, not '7'$"),
        ((1, 2), TypeError, r"^priority must return an int or a float, not \(1, 2\)$"),
        (Decimal(1), TypeError, r"^priority must return an int or a float, not Decimal\('1'\)$"),
        (1j, TypeError, r"^priority must return an int or a float, not 1j$"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("limit", [None, 1])
def test_what_is_no_priority_is_refused_to_its_sender_and_nothing_was_taken(
    bad: Any,  # noqa: ANN401 - anything
    error: type[Exception],
    text: str,
    limit: int | None,
) -> None:
    config = mb.Unlimited() if limit is None else mb.NonBlocking(limit)
    dead: list[Message] = []
    mailbox: mb.Mailbox[Message] = prioritized(config).create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver

    for _ in range(3):
        with pytest.raises(error, match=text):
            deliver((bad, "bad"))

    assert len(mailbox) == 0
    assert deliver((1, "good"))  # there is room: none was taken
    assert mailbox.receive(timeout=0) == (1, "good")
    assert dead == []


def test_what_the_priority_raises_reaches_the_sender_before_it_waits_for_room() -> None:
    mailbox: mb.Mailbox[Any] = mb.Prioritized(mb.Blocking(1), lambda message: message[0]).create()
    mailbox.new_input().deliver((0, "fills it"))

    with pytest.raises(LookupError):
        mailbox.new_input().deliver({})

    assert mailbox.stats() == mb.MailboxStats(1, 0, closed=False, cancelled=False)


def test_a_catch_all_around_it_refuses_what_has_no_priority(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mailbox: mb.Mailbox[Message] = mb.CatchAll(prioritized()).create()

    delivered = [
        mailbox.new_input().deliver((1, "a")),
        mailbox.new_input().deliver((math.nan, "b")),
    ]

    assert delivered == [True, False]
    assert "cannot be compared" not in caplog.text
    assert "a number that can be compared, not nan" in caplog.text
    assert mailbox.receive(timeout=0) == (1, "a")


def test_the_limit_counts_all_that_wait_and_a_slot_is_free_when_a_message_is_taken() -> None:
    mailbox: mb.Mailbox[Message] = prioritized(mb.NonBlocking(2)).create()
    deliver = mailbox.new_input().deliver

    delivered = [deliver((priority, "")) for priority in (3, 2, 1)]
    taken = mailbox.receive(timeout=0)
    delivered += [deliver((priority, "")) for priority in (0, 4)]

    assert delivered == [True, True, False, True, False]
    assert taken == (2, "")
    assert mailbox.receive_many(5) == [(0, ""), (3, "")]


def test_a_sender_that_waits_for_room_gets_the_slot_of_what_was_taken(stage: Stage) -> None:
    mailbox: mb.Mailbox[Message] = prioritized(mb.Blocking(1)).create()
    deliver = mailbox.new_input().deliver
    deliver((5, "first"))
    sender = Running(lambda: deliver((1, "second")))
    until(lambda: mailbox.stats().senders_waiting == 1)

    taken = [mailbox.receive(timeout=0)]

    assert sender.result() is True
    assert [*taken, mailbox.receive(timeout=0)] == [(5, "first"), (1, "second")]


def test_closing_lets_what_was_taken_come_out_in_order_and_what_is_late_too(stage: Stage) -> None:
    mailbox: mb.Mailbox[Message] = prioritized().create()
    for priority in (3, 1, 2):
        mailbox.new_input().deliver((priority, ""))
    stop = stage.stop("before put (0, 'late')")
    late: mb.Mailbox[Message] = prioritized().create()
    for priority in (3, 1):
        late.new_input().deliver((priority, ""))
    sender = Running(lambda: late.new_input().deliver((0, "late")))
    stop.wait()

    mailbox.close()
    late.close()
    stop.go()

    assert sender.result() is True
    assert list(late) == [(0, "late"), (1, ""), (3, "")]
    assert [priority for priority, _ in mailbox] == [1, 2, 3]


def test_what_is_left_at_the_end_dies_once() -> None:
    dead: list[Message] = []
    mailbox: mb.Mailbox[Message] = prioritized(mb.Blocking(9)).create(on_dead_letter=dead.append)
    for priority in (3, 1, 2):
        mailbox.new_input().deliver((priority, ""))

    mailbox.abandon()

    assert dead == [(1, ""), (2, ""), (3, "")]
    with pytest.raises(mb.MailboxClosed):
        mailbox.new_input().deliver((1, ""))


def test_futures_are_filled_in_the_order_in_which_messages_come_out() -> None:
    mailbox: mb.Mailbox[Message] = prioritized().create()
    one, two = mailbox.try_receive(), mailbox.try_receive()
    for priority in (2, 1):
        mailbox.new_input().deliver((priority, ""))

    assert two.result(timeout=0) == (2, "")
    assert one.try_now() == (1, "")


def test_what_a_dropped_future_gives_back_comes_behind_all_that_waits_then() -> None:
    mailbox: mb.Mailbox[Message] = prioritized().create()
    deliver = mailbox.new_input().deliver
    future = mailbox.try_receive()
    deliver((0, "given back"))
    assert future.done()
    deliver((2, "waits"))
    deliver((3, "waits"))

    del future
    deliver((1, "later"))
    deliver((9, "later"))

    assert mailbox.receive_many(9) == [
        (1, "later"),
        (2, "waits"),
        (3, "waits"),
        (0, "given back"),
        (9, "later"),
    ]


@pytest.mark.racing
def test_eight_senders_lose_nothing_and_each_sees_its_order_within_one_priority() -> None:
    mailbox: mb.Mailbox[tuple[int, int, int]] = mb.Prioritized(
        mb.Blocking(16), lambda message: message[0]
    ).create()
    chance = random.Random(7)  # noqa: S311 - no secret
    sent = {
        sender: [(chance.randrange(3), sender, number) for number in range(150)]
        for sender in range(8)
    }
    received: list[tuple[int, int, int]] = []

    def send(sender: int) -> None:
        deliver = mailbox.new_input().deliver
        for message in sent[sender]:
            assert deliver(message)

    receiver = Running(lambda: received.extend(mailbox))
    run_together(*(lambda sender=sender: send(sender) for sender in sent))
    mailbox.close()
    receiver.result()

    for sender, messages in sent.items():
        for priority in range(3):
            assert [m for m in received if m[:2] == (priority, sender)] == [
                m for m in messages if m[0] == priority
            ]
    assert len(received) == 8 * 150
