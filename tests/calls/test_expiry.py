"""Calls whose callers have given up: their receivers need not work the answer out."""

import asyncio
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from tests.calls.doubles import (
    Boom,
    Do,
    Echo,
    FakeWorker,
    Note,
    Place,
    answer_of,
    asked,
    error_of,
    held_by,
    keep,
)
from tests.helpers import DEADLINE, Running, until
from threadpool_mb import (
    Call,
    CallError,
    CallTimedOut,
    Cast,
    Command,
    Mailbox,
    Pool,
    Reply,
    ReplyBox,
    Unlimited,
    WorkerExit,
    WorkerGone,
    aio,
    ask,
    call,
    server,
)
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


def expired_at(worker: FakeWorker) -> tuple[Reply[object], ReplyBox[object]]:
    """Return both ends of a call that `worker` has, and whose time is over."""
    answer: Answer[object] = Answer("a", Deadline(0))
    answer.holder = worker
    return Reply(answer), ReplyBox(answer)


@pytest.mark.parametrize("error", [None, Boom()])
def test_a_call_that_was_found_expired_has_timed_out_however_its_worker_ends(
    error: Exception | None,
) -> None:
    worker = FakeWorker()
    reply, box = expired_at(worker)
    assert box.expired

    worker.end_error = error
    worker.end()

    assert type(error_of(reply.try_result)) is CallTimedOut


def test_a_call_whose_time_was_over_before_its_worker_ended_has_timed_out() -> None:
    worker = FakeWorker()
    reply, _box = expired_at(worker)

    worker.end()

    assert type(error_of(reply.try_result)) is CallTimedOut


def test_what_a_worker_has_raised_is_told_though_the_time_was_over() -> None:
    worker = FakeWorker()
    reply, _box = expired_at(worker)
    worker.end_error = Boom()

    worker.end()

    error = error_of(reply.try_result)
    assert type(error) is WorkerGone
    assert error.__cause__ is worker.end_error


class Ask(Command[int]):
    """Asks for a number."""


def skips(_key: object) -> Generator[None, Any]:
    """Skip calls whose callers have given up."""
    while True:
        match (yield):
            case Call(_, box) if box.expired:
                pass
            case Call(_, box):
                box.reply(1)
            case Cast(Note(function)):
                function()


def skips_in_a_loop(_key: object, mailbox: Mailbox[Any]) -> None:
    """Do the same, as a function."""
    for message in mailbox:
        match message:
            case Call(_, box) if box.expired:
                pass
            case Call(_, box):
                box.reply(1)
            case Cast(Note(function)):
                function()


def serves(_key: object) -> dict[type, Any]:
    """Return the handlers of a server, which skips them itself."""
    return {Ask: lambda _: 1, Note: lambda note: note.function()}


@pytest.mark.parametrize("worker", [skips, skips_in_a_loop, server(serves)])
@pytest.mark.parametrize("how", ["idle", "drained", "removed", "cancelled"])
def test_the_caller_on_a_late_loop_of_a_call_that_was_skipped_is_told_of_the_time(
    worker: Any,  # noqa: ANN401 - of any kind
    how: str,
    place: Place,
) -> None:
    gate = place.gate()
    exits = list[WorkerExit[str]]()
    ended = threading.Event()
    options: dict[str, Any] = {"idle_timeout": 0.01} if how == "idle" else {}

    def hook(worker_exit: WorkerExit[str]) -> None:
        exits.append(worker_exit)
        ended.set()

    pool: Pool[str, Any] = Pool(worker, start="on_demand", on_worker_exit=hook, **options)
    place.pools.append(pool)

    def end() -> None:
        gate.open()
        if how != "idle":
            assert pool.flush("a", timeout=DEADLINE)
        if how == "cancelled":
            pool.cancel()
        elif how != "idle":
            pool.remove("a", drain=how == "drained")

    async def main() -> CallError | int:
        pool.dispatch("a", Cast(Note(gate)))
        gate.wait_until_reached()
        task = asyncio.create_task(aio.call(pool.ref("a"), Ask(), timeout=0.001))
        await asyncio.sleep(0)
        sent = time.monotonic()
        until(lambda: time.monotonic() > sent + 0.001)
        # The loop is late: its thread runs nothing, so that it frees no box that others drop.
        ending = Running(end)
        assert ended.wait(DEADLINE)
        ending.result()
        try:
            return await task
        except CallError as error:
            return error

    told = asyncio.run(main())

    assert type(told) is CallTimedOut
    assert [each.cause for each in exits] == [how]
