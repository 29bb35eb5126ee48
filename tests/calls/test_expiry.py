"""Calls whose callers have given up: their receivers need not work the answer out."""

from typing import Any

import pytest

from tests.calls.doubles import (
    Do,
    Echo,
    FakeWorker,
    Place,
    answer_of,
    asked,
    error_of,
    held_by,
    keep,
)
from tests.helpers import Running, until
from threadpool_mb import Call, CallTimedOut, Reply, ReplyBox, Unlimited, ask, call
from threadpool_mb.arguments import Deadline
from threadpool_mb.calls.answer import Answer


def test_a_call_without_a_timeout_does_not_expire() -> None:
    _reply, box = asked()

    assert not box.expired


def test_a_call_expires_at_its_deadline_though_nobody_looks() -> None:
    soon: Answer[object] = Answer(deadline=Deadline(60))
    over: Answer[object] = Answer(deadline=Deadline(0))

    assert not ReplyBox(soon).expired
    assert ReplyBox(over).expired


def test_a_box_that_is_dropped_after_the_deadline_says_that_the_time_is_over() -> None:
    answer: Answer[object] = Answer("a", Deadline(0))

    # By a receiver that looks at the deadline before the caller does.
    ReplyBox(answer)

    error = error_of(Reply(answer).try_result)
    assert (type(error), error.key) == (CallTimedOut, "a")


def test_a_call_that_was_answered_is_expired() -> None:
    reply, box = asked()

    box.reply(1)

    assert box.expired
    assert answer_of(reply).expired


def test_a_call_whose_caller_was_told_of_the_workers_end_is_expired() -> None:
    worker = FakeWorker()
    reply, box = held_by(worker)
    worker.end()

    assert not answer_of(reply).expired
    error_of(reply.try_result)

    assert box.expired


def test_who_looks_at_a_reply_and_times_out_does_not_make_the_call_expire() -> None:
    mailbox = Unlimited().create()
    reply = ask(mailbox.new_input(), Echo("1"))
    received = mailbox.receive()

    error_of(lambda: reply.result(timeout=0.001))

    assert not received.reply_box.expired


def test_a_worker_sees_that_a_call_in_its_mailbox_has_expired(place: Place, kind: str) -> None:
    expired: list[bool] = []
    pool = place.pool(kind, "a")
    gate = place.hold(pool.ref("a"))

    error = error_of(
        lambda: call(
            pool.ref("a"), Do(lambda got: expired.append(got.reply_box.expired)), timeout=0.001
        )
    )
    gate.open()
    until(lambda: expired)

    assert type(error) is CallTimedOut
    assert expired == [True]


def test_a_caller_that_was_interrupted_has_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Call[Any]] = []
    target = place.served()

    def interrupted(self: Answer[object], deadline: object) -> None:
        until(lambda: kept)
        raise KeyboardInterrupt

    monkeypatch.setattr(Answer, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Running(lambda: call(target, keep(kept))).result()

    assert kept[0].reply_box.expired
