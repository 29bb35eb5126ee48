"""What the original's suite asserts of delivering and receiving, over every configuration."""

import time
from collections.abc import Callable, Iterable

import pytest

import threadpool_mb as mb
from tests.conformance.configs import EVERY
from tests.helpers import Running, run_together
from tests.mailbox.staging import Stage

SENDERS = 6
INPUTS = 237
MESSAGES = 113
NARROW = [config for config in EVERY if config.limit is not None and config.limit <= 2]


@pytest.mark.behaviour("MessageBoxClassTest 3")
def test_a_future_from_an_empty_mailbox_without_inputs_has_nothing_and_does_not_block(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()

    future = mailbox.try_receive()

    assert future.try_now() is mb.MISSING


@pytest.mark.behaviour("MessageBoxClassTest 4")
def test_a_delivered_message_is_received_by_the_same_thread(config: mb.MailboxConfig) -> None:
    mailbox = config.create()

    delivered = mailbox.new_input().deliver("hello")

    assert delivered is True
    assert mailbox.receive(timeout=0) == "hello"


@pytest.mark.behaviour("MessageBoxClassTest 5")
def test_a_receiver_that_waits_gets_the_first_of_two_messages(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    deliver = mailbox.new_input().deliver
    receiver = Running(lambda: mailbox.receive(timeout=60))
    stage.until_receiver_waits()

    first = deliver(1)
    received = receiver.result()
    second = deliver(2)

    assert (first, second) == (True, True)
    assert received == 1


@pytest.mark.behaviour("MessageBoxClassTest 6")
def test_a_receiver_that_waits_for_ever_gets_the_message_of_another_thread(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    deliver = mailbox.new_input().deliver
    receiver = Running(mailbox.receive)
    stage.until_receiver_waits()
    assert receiver.running

    delivered = Running(lambda: deliver("hello")).result()

    assert delivered is True
    assert receiver.result() == "hello"


@pytest.mark.behaviour("MessageBoxClassTest 7")
def test_two_messages_are_received_in_the_order_of_delivery(
    roomy: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = roomy.create()
    deliver = mailbox.new_input().deliver
    receiver = Running(lambda: [mailbox.receive(), mailbox.receive()])
    stage.until_receiver_waits()

    delivered = [deliver(1), deliver(2)]

    assert delivered == [True, True]
    assert receiver.result() == [1, 2]


def receive_all(config: mb.MailboxConfig, each: int) -> None:
    """Assert that `each` messages of each of 237 inputs are received, in order."""
    mailbox = config.create()
    inputs = {number: mailbox.new_input() for number in range(INPUTS)}
    received: dict[int, list[int]] = {number: [] for number in inputs}

    def receive() -> None:
        for _ in range(INPUTS * each):
            number, message = mailbox.receive()
            received[number].append(message)

    def send_from(numbers: Iterable[int]) -> Callable[[], None]:
        def send() -> None:
            for message in range(each):
                for number in numbers:
                    while not inputs[number].deliver((number, message)):
                        time.sleep(0)

        return send

    run_together(receive, *(send_from(range(s, INPUTS, SENDERS)) for s in range(SENDERS)))

    assert received == {number: list(range(each)) for number in inputs}
    assert len(mailbox) == 0


@pytest.mark.behaviour("MessageBoxClassTest 8")
@pytest.mark.parametrize("config", [each for each in EVERY if each not in NARROW], ids=repr)
def test_all_113_messages_of_all_237_inputs_are_received_each_inputs_in_order(
    config: mb.MailboxConfig,
) -> None:
    receive_all(config, MESSAGES)


@pytest.mark.parametrize("config", NARROW, ids=repr)
def test_all_messages_of_all_237_inputs_are_received_also_where_each_waits_for_room(
    config: mb.MailboxConfig,
) -> None:
    """With few messages: each one waits for a turn on the processor, however long those are."""
    receive_all(config, 9)


def test_every_input_of_a_mailbox_delivers_to_it(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    one, other = mailbox.new_input(), mailbox.new_input()

    delivered = [one.deliver(1), other.deliver(2)]

    assert delivered == [True, True]
    assert mailbox.receive_many(2, timeout=0) == [1, 2]


def test_two_mailboxes_of_one_config_share_nothing(config: mb.MailboxConfig) -> None:
    one, other = config.create(), config.create()

    one.new_input().deliver("for one")
    one.close()

    assert other.new_input().deliver("for the other") is True
    assert other.receive(timeout=0) == "for the other"
    assert one.receive(timeout=0) == "for one"
