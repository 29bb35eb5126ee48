"""The stores of `Sliding` and `Prioritized`: interrupts and call backs in a method's middle."""

from collections.abc import Callable
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.points import at_each_point, interrupted_at_each_point
from threadpool_mb.line.flushing import Flush

ONE_AFTER_THE_OTHER: Final = mb.Prioritized(mb.Unlimited(), lambda message: message % 10)
CONFIGS: Final = [mb.Sliding(2), mb.Sliding(3), ONE_AFTER_THE_OTHER]
EACH = pytest.mark.parametrize("config", CONFIGS, ids=["Sliding(2)", "Sliding(3)", "Prioritized"])

type Scene = tuple[mb.Mailbox[int], list[int]]


def scenes_of(config: mb.MailboxConfig, *messages: int) -> Callable[[], Scene]:
    """Return what prepares a mailbox that holds messages, and the list of its dead letters."""

    def prepare() -> Scene:
        dead: list[int] = []
        mailbox = config.create(on_dead_letter=dead.append)
        for message in messages:
            mailbox.new_input().deliver(message)
        return mailbox, dead

    return prepare


@EACH
def test_an_interrupt_of_a_sender_loses_no_message_and_wakes_the_receiver_for_all(
    config: mb.MailboxConfig,
) -> None:
    outcomes = set()

    def act(scene: Scene) -> None:
        scene[0].new_input().deliver(3)

    for mailbox, dead in interrupted_at_each_point(scenes_of(config, 1, 2), act):
        came = [mailbox.receive(timeout=0)]
        while True:
            try:
                came.append(mailbox.receive(timeout=0))
            except mb.MailboxEmpty:
                break
        assert dead + came in ([1, 2], [1, 2, 3])
        outcomes.add(tuple(came))
        mailbox.new_input().deliver(7)
        assert mailbox.receive(timeout=0) == 7
        mailbox.close()
        assert list(mailbox) == []

    assert len(outcomes) >= 2


@EACH
def test_an_interrupt_of_a_receiver_costs_at_most_the_message_in_hand(
    config: mb.MailboxConfig,
) -> None:
    outcomes = set()

    def act(scene: Scene) -> None:
        scene[0].receive(timeout=0)

    for mailbox, dead in interrupted_at_each_point(scenes_of(config, 1, 2), act):
        mailbox.new_input().deliver(0 if config is ONE_AFTER_THE_OTHER else 3)
        mailbox.close()
        left = list(mailbox)
        assert dead + left in ([1, 2, 3], [2, 3], [0, 1, 2], [0, 2])
        outcomes.add(len(dead + left))

    assert outcomes == {2, 3}


@EACH
@pytest.mark.parametrize("many", [1, 4])
def test_a_call_back_that_delivers_in_the_middle_of_delivering_breaks_no_limit(
    config: mb.MailboxConfig, many: int
) -> None:
    def act(scene: Scene) -> None:
        assert scene[0].new_input().deliver(3)

    def again(scene: Scene) -> None:
        for number in range(4, 4 + many):
            assert scene[0].new_input().deliver(number)

    for mailbox, dead in at_each_point(scenes_of(config, 1, 2), act, again):
        waiting = len(mailbox)
        mailbox.close()
        left = list(mailbox)
        assert len(left) == waiting == min(config.limit or 99, len(dead) + len(left))
        assert sorted(dead + left)[:3] == [1, 2, 3]
        assert len(set(dead + left)) == len(dead + left) >= 3


@EACH
@pytest.mark.parametrize("how", ["receive", "abandon"])
def test_a_call_back_that_takes_in_the_middle_of_anything_loses_and_doubles_nothing(
    config: mb.MailboxConfig, how: str
) -> None:
    def act(scene: Scene) -> None:
        scene[0].new_input().deliver(3)
        scene[1].append(scene[0].receive(timeout=0))

    def take(scene: Scene) -> None:
        if how == "abandon":
            scene[0].abandon()
        else:
            scene[1].append(scene[0].receive(timeout=0))

    def act_or_end(scene: Scene) -> None:
        try:
            act(scene)
        except (mb.MailboxClosed, mb.MailboxEmpty):
            scene[0].abandon()

    for mailbox, gone in at_each_point(scenes_of(config, 1, 2), act_or_end, take):
        mailbox.abandon()
        assert sorted(gone) in ([1, 2], [1, 2, 3])


@EACH
def test_a_flush_is_opened_when_all_is_gone_that_was_put_before_its_marker(
    config: mb.MailboxConfig,
) -> None:
    mailbox: Any = scenes_of(config, 5, 6)()[0]
    first, second = Flush(), Flush()
    for flush, later in ((first, 1), (second, 9)):
        flush.enter(mailbox.inlet, mailbox.inlet.put_marker)
        mailbox.new_input().deliver(later)
    opened = []

    while len(mailbox):
        message = mailbox.receive(timeout=0)
        opened.append((message, first._opened.qsize(), second._opened.qsize()))

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=0)
    opened.append((0, first._opened.qsize(), second._opened.qsize()))
    assert opened == {
        # The first two were displaced: what came after the markers has their tokens.
        "Sliding(limit=2)": [(1, 0, 0), (9, 0, 0), (0, 1, 1)],
        "Sliding(limit=3)": [(6, 0, 0), (1, 0, 0), (9, 1, 0), (0, 1, 1)],
    }.get(repr(config), [(1, 0, 0), (5, 0, 0), (6, 0, 0), (9, 1, 1), (0, 1, 1)])
