"""Timeouts of receiving: seconds, `0` and less for not at all, `None` and infinity for ever."""

import math
import re
import threading

import pytest

import threadpool_mb as mb
from tests.helpers import Running
from tests.mailbox.staging import Stage

FOR_EVER = [None, math.inf, threading.TIMEOUT_MAX, threading.TIMEOUT_MAX - 1, 10**12]
BAD = [math.nan, True, False, "1", [1], 1j]


@pytest.mark.parametrize("timeout", [-math.inf, -1, 0, 0.0, 1e-9, 0.001, 1])
def test_a_message_that_is_there_is_received_whatever_the_timeout(
    config: mb.MailboxConfig, timeout: float
) -> None:
    mailbox = config.create()
    mailbox.new_input().deliver("hello")

    received = mailbox.receive(timeout=timeout)

    assert received == "hello"


@pytest.mark.parametrize("timeout", [-math.inf, -1, 0, 0.0, 1e-9, 0.001])
def test_an_empty_mailbox_raises_mailbox_empty_after_the_timeout(
    config: mb.MailboxConfig, timeout: float
) -> None:
    mailbox = config.create()

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=timeout)

    mailbox.new_input().deliver("hello")
    assert mailbox.receive(timeout=timeout) == "hello"


@pytest.mark.parametrize("timeout", FOR_EVER, ids=repr)
def test_a_receiver_that_waits_for_ever_gets_its_message(
    config: mb.MailboxConfig, stage: Stage, timeout: float | None
) -> None:
    mailbox = config.create()
    receiver = Running(lambda: mailbox.receive(timeout=timeout))
    stage.until_receiver_waits()

    mailbox.new_input().deliver("hello")

    assert receiver.result() == "hello"


@pytest.mark.parametrize("timeout", BAD, ids=repr)
def test_a_timeout_that_is_no_number_of_seconds_is_refused_by_its_value(
    config: mb.MailboxConfig, timeout: float
) -> None:
    mailbox = config.create()
    mailbox.new_input().deliver("hello")
    future = mailbox.try_receive()
    text = rf"^timeout must be .*, not {re.escape(repr(timeout))}$"

    with pytest.raises(ValueError, match=text):
        mailbox.receive(timeout=timeout)
    with pytest.raises(ValueError, match=text):
        mailbox.receive_many(2, timeout=timeout)
    with pytest.raises(ValueError, match=text):
        future.result(timeout=timeout)

    assert future.result(timeout=0) == "hello"


def test_a_future_whose_timeout_has_run_out_gives_the_message_if_it_is_there(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    future = mailbox.try_receive()

    with pytest.raises(mb.MailboxEmpty):
        future.result(timeout=-1)
    mailbox.new_input().deliver("hello")

    assert future.result(timeout=-1) == "hello"


def test_a_timeout_of_a_mailbox_that_was_closed_raises_mailbox_closed(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    mailbox.close()

    for timeout in (-1, 0, 0.001, None):
        with pytest.raises(mb.MailboxClosed):
            mailbox.receive(timeout=timeout)
