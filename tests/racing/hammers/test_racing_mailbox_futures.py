"""Hammers: futures that are awaited and dropped while messages come. None is lost or doubled."""

import gc
import time
from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.conformance.configs import EVERY
from tests.helpers import run_together

pytestmark = pytest.mark.racing

type Message = tuple[int, int]
EACH = pytest.mark.parametrize("config", EVERY, ids=repr)
SENDERS = 2
MESSAGES = 60


def sender(mailbox: mb.Mailbox[Message], number: int) -> Callable[[], None]:
    def send() -> None:
        deliver = mailbox.new_input().deliver
        for message in range(MESSAGES):
            while not deliver((number, message)):
                time.sleep(0)

    return send


ALL = [(number, message) for number in range(SENDERS) for message in range(MESSAGES)]


@EACH
def test_futures_that_are_dropped_while_messages_come_lose_and_double_none(
    config: mb.MailboxConfig,
) -> None:
    mailbox: mb.Mailbox[Message] = config.create()
    received: list[Message] = []

    def receive() -> None:
        turn = 0
        while len(received) < len(ALL):
            turn += 1
            future = mailbox.try_receive()
            if turn % 3 == 0:
                del future  # unfilled
            elif turn % 3 == 1:
                future.done()  # dropped filled, perhaps
                del future
            elif (message := future.try_now()) is not mb.MISSING:
                received.append(message)
            else:
                time.sleep(0)

    run_together(receive, *(sender(mailbox, number) for number in range(SENDERS)))

    assert sorted(received) == ALL
    assert len(mailbox) == 0


@EACH
def test_futures_that_two_threads_await_and_drop_lose_and_double_no_message(
    config: mb.MailboxConfig,
) -> None:
    mailbox: mb.Mailbox[Message] = config.create()
    received: dict[str, list[Message]] = {"patient": [], "fickle": []}
    patient = [mailbox.try_receive() for _ in range(MESSAGES)]
    fickle = [mailbox.try_receive() for _ in range(MESSAGES)]

    def await_all() -> None:
        received["patient"].extend(future.result() for future in patient)

    def await_some() -> None:
        while fickle:
            future = fickle.pop()
            if len(fickle) % 2 and (message := future.try_now()) is not mb.MISSING:
                received["fickle"].append(message)

    run_together(await_all, await_some, *(sender(mailbox, number) for number in range(SENDERS - 1)))
    del patient[:]
    gc.collect()
    mailbox.close()
    rest = list(mailbox)

    found = received["patient"] + received["fickle"] + rest
    assert sorted(found) == ALL[:MESSAGES]


@EACH
@pytest.mark.parametrize("end", ["close", "cancel"])
def test_threads_that_wait_for_futures_all_wake_at_the_end(
    config: mb.MailboxConfig, end: str
) -> None:
    mailbox: mb.Mailbox[Message] = config.create()
    futures = [mailbox.try_receive() for _ in range(4)]
    outcomes: list[object] = []

    def wait_for(future: mb.MessageFuture[Message]) -> Callable[[], None]:
        def run() -> None:
            try:
                outcomes.append(future.result())
            except (mb.MailboxClosed, mb.Cancelled) as error:
                outcomes.append(type(error))

        return run

    mailbox.new_input().deliver((0, 0))
    run_together(*(wait_for(future) for future in futures), getattr(mailbox, end))

    expected = mb.MailboxClosed if end == "close" else mb.Cancelled
    messages = [outcome for outcome in outcomes if outcome == (0, 0)]
    assert len(outcomes) == 4
    assert len(messages) == 1 if end == "close" else len(messages) <= 1
    assert {outcome for outcome in outcomes if outcome != (0, 0)} == {expected}
