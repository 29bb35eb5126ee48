"""What a mailbox keeps alive: the messages that wait in it, and nothing else."""

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

import threadpool_mb as mb
from tests.helpers import Running
from tests.mailbox.staging import Stage


class Message:
    """Something that can be watched."""


@pytest.fixture
def _no_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def by_receiving(mailbox: mb.Mailbox[Message]) -> None:
    while True:
        mailbox.receive()


def by_receiving_with_a_timeout(mailbox: mb.Mailbox[Message]) -> None:
    while True:
        mailbox.receive(timeout=60)


def by_receiving_many(mailbox: mb.Mailbox[Message]) -> None:
    while True:
        mailbox.receive_many(10)


def by_looping(mailbox: mb.Mailbox[Message]) -> None:
    for message in mailbox:
        del message  # what the loop's own variable holds is the user's
    raise mb.MailboxClosed


def by_futures(mailbox: mb.Mailbox[Message]) -> None:
    while True:
        mailbox.try_receive().result()


def by_handling(mailbox: mb.Mailbox[Message]) -> None:
    while True:
        mb.originals.handle_message(mailbox, lambda message: None)


@pytest.mark.parametrize(
    "receive",
    [
        by_receiving,
        by_receiving_with_a_timeout,
        by_receiving_many,
        by_looping,
        by_futures,
        by_handling,
    ],
)
def test_the_last_message_is_not_kept_alive_by_a_receiver_that_waits(
    config: mb.MailboxConfig, stage: Stage, receive: Callable[[mb.Mailbox[Message]], None]
) -> None:
    mailbox: mb.Mailbox[Message] = config.create()
    receiver = Running(lambda: receive(mailbox))
    stage.until_receiver_waits()
    message = Message()
    alive = weakref.ref(message)

    mailbox.new_input().deliver(message)
    del message
    stage.until_receiver_waits()
    gc.collect()

    assert alive() is None
    mailbox.close()
    with pytest.raises(mb.MailboxClosed):
        receiver.result()


def test_the_message_of_a_future_lives_as_long_as_the_future(config: mb.MailboxConfig) -> None:
    mailbox: mb.Mailbox[Message] = config.create()
    message = Message()
    alive = weakref.ref(message)
    mailbox.new_input().deliver(message)
    future = mailbox.try_receive()

    del message
    future.result()
    with_future = alive() is not None
    del future

    gc.collect()
    assert with_future
    assert alive() is None


def use(config: mb.MailboxConfig, message: Message) -> None:
    """Do with a mailbox what can be done with one, and drop it with the message in it."""
    mailbox: mb.Mailbox[Message] = config.create(on_dead_letter=lambda dead: None)
    deliver = mailbox.new_input().deliver
    for _ in range(2):
        deliver(message)
        mailbox.receive(timeout=0)
        deliver(message)
        mailbox.try_receive().try_now()
    waiting = mailbox.try_receive()
    waiting.try_now()
    deliver(message)
    mailbox.stats()


@pytest.mark.usefixtures("_no_gc")
def test_a_mailbox_is_free_of_reference_cycles(config: mb.MailboxConfig) -> None:
    message = Message()
    alive = weakref.ref(message)

    use(config, message)
    del message
    freed_at_once = alive() is None

    assert freed_at_once
    assert gc.collect() == 0


@pytest.mark.usefixtures("_no_gc")
def test_a_mailbox_that_ended_is_free_of_reference_cycles(config: mb.MailboxConfig) -> None:
    def use_up() -> None:
        mailbox: mb.Mailbox[Message] = config.create(on_dead_letter=lambda dead: None)
        mailbox.new_input().deliver(Message())
        mailbox.close()
        for _ in mailbox:
            pass
        mailbox.cancel()
        mailbox.abandon()

    use_up()

    assert gc.collect() == 0


def test_an_input_that_outlives_its_mailbox_still_delivers(config: mb.MailboxConfig) -> None:
    outliving = config.create().new_input()
    gc.collect()

    delivered = outliving.deliver("into the void")

    assert delivered is True
