"""The server is gone: it has taken the call and ended, without a reply."""

import gc
from typing import Any

import pytest

from tests.calls.doubles import ENDED, Do, Place, end, error_of
from tests.helpers import Running
from threadpool_mb import (
    Blocking,
    Call,
    Mailbox,
    MailboxConfig,
    NonBlocking,
    Unlimited,
    Waiting,
    WorkerGone,
    call,
)

CONFIGS = [Unlimited(), Blocking(16), NonBlocking(16), Waiting(16, deliver_timeout=0.123)]


@pytest.mark.behaviour(
    "CornerCaseTests 9", "CornerCaseTests 10", "CornerCaseTests 11", "CornerCaseTests 12"
)
@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_the_caller_of_a_thread_that_drops_the_call_and_ends_is_told_at_once(
    config: MailboxConfig,
) -> None:
    mailbox: Mailbox[Call[Any]] = config.create()
    target = mailbox.new_input()
    server = Running(lambda: (mailbox.receive(), None)[1])

    error = error_of(lambda: call(target, Do(end)))

    server.result()
    gc.collect()
    assert type(error) is WorkerGone
    assert error.reason == "its reply box was dropped"


@pytest.mark.behaviour("CommandTest 31")
@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_the_caller_of_a_worker_that_takes_the_call_and_ends_is_told_at_once(
    place: Place, kind: str, config: MailboxConfig
) -> None:
    pool = place.pool(kind, "a", mailbox=config)

    error = error_of(lambda: call(pool.ref("a"), Do(end)))

    assert type(error) is WorkerGone
    assert error.reason in ENDED
