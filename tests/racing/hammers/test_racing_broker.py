"""Senders against cancelling, closing and failing: nothing is lost, nothing is cleaned twice."""

import collections
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.broker.doubles import Boom, Callbacks, Stop, brokering, outcome
from tests.helpers import run_together
from threadpool_mb import (
    Blocking,
    Dispatch,
    Initialize,
    MailboxClosed,
    MailboxConfig,
    NonBlocking,
    Unlimited,
)
from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import RemoveResource, ResourceUpdate, UpdateResource

pytestmark = pytest.mark.racing

SENDERS = 3
MESSAGES = 24
KEYS = 3

type AnyBroker = Broker[Any, Any, Any, Any]


def handle(_key: int, message: tuple[int, int], resource: object) -> ResourceUpdate[object]:
    """Update, remove, fail or keep, as the message's number says."""
    match message[1] % 8:
        case 1:
            return UpdateResource(resource)
        case 3:
            return RemoveResource()
        case 5:
            raise Boom
        case _:
            return None


def work(sender: int, number: int) -> Initialize[int, Any] | Dispatch[int, Any]:
    """Return a sender's message; every third initializes its key."""
    kind = Dispatch if number % 3 else Initialize
    return kind(number % KEYS if sender else number % 2, (sender, number))


def payload(message: Any) -> tuple[int, int]:  # noqa: ANN401 - with or without an address
    """Return what a dead letter carried: it may never have been demultiplexed."""
    return message.message if isinstance(message, (Initialize, Dispatch)) else message


def close(broker: AnyBroker) -> None:
    broker.close()


def cancel(broker: AnyBroker) -> None:
    broker.cancel()


def stop_by_message(broker: AnyBroker) -> None:
    broker.input.deliver("stop")


@pytest.mark.parametrize("max_threads", [None, 3])
@pytest.mark.parametrize("stop", [close, cancel, stop_by_message])
@pytest.mark.parametrize("mailbox", [Unlimited(), Blocking(2), NonBlocking(2)], ids=str)
def test_each_accepted_message_is_handled_or_dead_once_and_each_resource_cleaned_once(
    mailbox: MailboxConfig, stop: Callable[[AnyBroker], None], max_threads: int | None
) -> None:
    def demultiplex(message: object) -> object:
        if message == "stop":
            raise error
        return message

    def sending(sender: int) -> Callable[[], None]:
        def send() -> None:
            for number in range(MESSAGES):
                try:
                    if broker.input.deliver(work(sender, number)):
                        accepted[sender].append((sender, number))
                except MailboxClosed:
                    return

        return send

    error = Stop()
    accepted: list[list[tuple[int, int]]] = [[] for _ in range(SENDERS)]
    callbacks = Callbacks(
        demultiplex=demultiplex,
        create=lambda _key, message: ("resource", message),
        handle=handle,
    )
    with brokering(callbacks, mailbox=mailbox, max_threads=max_threads) as broker:
        run_together(*(sending(sender) for sender in range(SENDERS)), lambda: stop(broker))
        broker.close()
        stopped_by = outcome(broker)

    handled = [message for _, message, _ in callbacks.of("handle")]
    dead = [payload(letter.message) for letter in callbacks.dead if letter.message != "stop"]
    created = [(key, ("resource", message)) for key, message in callbacks.of("create")]
    assert collections.Counter(handled + dead) == collections.Counter(itertools.chain(*accepted))
    assert collections.Counter(callbacks.of("clean")) == collections.Counter(created)
    for sender, key in itertools.product(range(SENDERS), range(KEYS)):
        numbers = [
            message[1]
            for of, message, _ in callbacks.of("handle")
            if message[0] == sender and of == key
        ]
        assert numbers == sorted(numbers)
    assert stopped_by in (None, error) or stop is cancel


@pytest.mark.parametrize("max_threads", [None, 3])
def test_stopping_joining_and_showing_from_many_threads_agree_on_the_end(
    max_threads: int | None,
) -> None:
    callbacks = Callbacks()
    with brokering(callbacks, max_threads=max_threads) as broker:
        broker.input.deliver(Initialize(1, (0, 0)))

        run_together(
            broker.close,
            broker.cancel,
            broker.cancel,
            lambda: repr(broker),
            broker.join,
            broker.join,
        )

        assert repr(broker).endswith(("| ended]>", "| cancelled]>"))
    assert len(callbacks.of("create")) == len(callbacks.of("clean"))
    assert len(callbacks.of("handle")) + len(callbacks.dead) == 1
