"""Hammers of calls: every one is answered once, whatever happens at the same time."""

import logging

import pytest

from tests.helpers import DEADLINE, run_together, until
from tests.racing.answers import Answers
from threadpool_mb import Blocking, MailboxConfig, NonBlocking, Unlimited, Waiting

pytestmark = pytest.mark.racing

MAILBOXES = [Unlimited(), Blocking(2), NonBlocking(2), Waiting(2, deliver_timeout=0.0001)]


@pytest.fixture(params=["function", "generator", "not inline"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the kind of the workers."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _planned_failures_are_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def options(kind: str) -> dict[str, bool]:
    """Return what makes a pool of this kind."""
    return {"inline_calls": kind != "not inline"}


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=repr)
def test_every_call_is_answered_once_beside_ends_failures_removals_and_hand_overs(
    kind: str, mailbox: MailboxConfig
) -> None:
    answers = Answers(kind, "abc")
    with answers.pool(mailbox=mailbox, **options(kind)):
        run_together(
            answers.calls(0, 60),
            answers.calls(100, 60, timeout=DEADLINE),
            answers.calls_at_once(200, 60),
            answers.removes(30),
            answers.initializes(60),
        )

    answers.check(180)


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=repr)
@pytest.mark.parametrize("end", ["close", "cancel"])
def test_every_call_is_answered_once_beside_the_end_of_the_pool(
    kind: str, mailbox: MailboxConfig, end: str
) -> None:
    answers = Answers(kind, "abc")
    with answers.pool(mailbox=mailbox, **options(kind)) as pool:

        def end_in_the_middle() -> None:
            until(lambda: answers.told >= 10)
            getattr(pool, end)()

        run_together(
            answers.calls(0, 40),
            answers.calls_at_once(100, 40),
            answers.initializes(30),
            answers.removes(10),
            end_in_the_middle,
        )

    answers.check(80)


@pytest.mark.parametrize("timeout", [0, 0.0002, 0.002])
def test_every_reply_is_read_by_its_caller_or_is_counted_as_late(kind: str, timeout: float) -> None:
    answers = Answers(kind, "ab", plain=True, may_time_out=True)
    with answers.pool(**options(kind)):
        run_together(
            answers.calls(0, 100, timeout=timeout),
            answers.calls(100, 100, timeout=timeout),
            answers.calls(200, 100),
        )

    answers.check(300)


def test_workers_that_all_call_each_other_are_answered_or_told_of_a_circle(kind: str) -> None:
    answers = Answers(kind, "abc", plain=True, nested=True)
    limit = {} if kind == "function" else {"max_threads": 2}
    with answers.pool(**limit, **options(kind)):
        run_together(answers.calls(0, 50), answers.calls(100, 50), answers.calls(200, 50))

    answers.check(150)


def test_workers_that_call_each_other_are_answered_beside_removals(kind: str) -> None:
    answers = Answers(kind, "abc", plain=True, nested=True)
    limit = {} if kind == "function" else {"max_threads": 2}
    with answers.pool(**limit, **options(kind)):
        run_together(
            answers.calls(0, 50),
            answers.calls(100, 50),
            answers.removes(20),
            answers.initializes(30),
        )

    answers.check(100)
