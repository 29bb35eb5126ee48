"""Replies: read as often as one likes, and waited for only if need be."""

from collections.abc import Callable

import pytest

from tests.calls.doubles import (
    Boom,
    Echo,
    FakeWorker,
    Place,
    answer_of,
    asked,
    error_of,
    held_by,
)
from tests.helpers import DEADLINE, Running, in_thread, until
from threadpool_mb import (
    MISSING,
    CallFailed,
    CallTimedOut,
    DuplicateReply,
    Reply,
    Unlimited,
    WorkerGone,
    ask,
)
from threadpool_mb.calls.cell import Gate
from threadpool_mb.originals import late_replies
from threadpool_mb.threads.here import here


def waiters(reply: Reply[object]) -> int:
    """Return how many gates there are for those who wait."""
    return sum(type(entry) is Gate for entry in answer_of(reply)._log)


def until_waited_for(reply: Reply[object]) -> None:
    """Wait until somebody has made the gate at which he waits."""
    until(lambda: waiters(reply))


@pytest.mark.behaviour("CommandTest 11", "CommandTest 13")
def test_the_reply_to_a_call_that_was_delivered_is_pending_and_trying_does_not_wait() -> None:
    mailbox = Unlimited().create()

    reply = ask(mailbox.new_input(), Echo("1"))

    assert len(mailbox) == 1
    assert not reply.done()
    assert reply.try_result() is MISSING


@pytest.mark.behaviour("CommandTest 12")
def test_waiting_for_a_reply_that_does_not_come_times_out() -> None:
    reply, _box = asked()

    error = error_of(lambda: reply.result(timeout=0.001))

    assert type(error) is CallTimedOut
    assert error.call_id == reply.call_id
    assert error.reason == "no reply in time"


def test_a_reply_whose_waiter_has_timed_out_can_come_yet() -> None:
    reply, box = asked()
    assert type(error_of(lambda: reply.result(timeout=0.001))) is CallTimedOut

    before = late_replies()
    box.reply("later")

    assert not answer_of(reply).expired or answer_of(reply).answered
    assert reply.result() == "later"
    assert late_replies() == before


@pytest.mark.behaviour("CommandTest 14")
def test_a_reply_that_was_sent_is_returned_to_who_waits(place: Place) -> None:
    reply = ask(place.served(), Echo("1"))

    assert reply.result(timeout=DEADLINE) == "1"


@pytest.mark.behaviour("CommandTest 15")
def test_a_reply_that_was_sent_is_there_soon_without_waiting(place: Place) -> None:
    reply = ask(place.served(), Echo("1"))

    until(reply.done)

    assert reply.try_result() == "1"


READINGS: list[Callable[[Reply[str]], object]] = [
    lambda reply: reply.result(),
    lambda reply: reply.result(timeout=0),
    lambda reply: reply.try_result(),
    lambda reply: reply.as_future().result(0),
]


@pytest.mark.behaviour("CommandTest 16", "CommandTest 17", "CommandTest 18", "CommandTest 21")
@pytest.mark.parametrize("first", READINGS, ids=["result", "at once", "try", "future"])
@pytest.mark.parametrize("second", READINGS, ids=["result", "at once", "try", "future"])
def test_a_reply_is_read_and_never_consumed(
    first: Callable[[Reply[str]], object], second: Callable[[Reply[str]], object]
) -> None:
    reply, box = asked()
    before = reply.try_result()
    box.reply("1")

    read = [first(reply), second(reply), first(reply)]

    assert before is MISSING
    assert read == ["1"] * 3


def test_an_error_is_read_and_never_consumed() -> None:
    reply, box = asked()
    box.fail(Boom())

    errors = [error_of(reply.result), error_of(reply.try_result), error_of(reply.result)]

    assert {type(error) for error in errors} == {CallFailed}
    assert reply.done()


def test_none_is_a_reply_like_any_other() -> None:
    reply, box = asked()
    box.reply(None)

    assert reply.done()
    assert reply.try_result() is None
    assert reply.result() is None


@pytest.mark.behaviour("CommandTest 22")
def test_a_reply_shows_its_id_and_whether_it_is_there() -> None:
    pending, _box = asked()
    replied, box = asked()
    box.reply(1)
    failed, box_of_failed = asked()
    box_of_failed.fail(Boom())

    assert repr(pending) == f"<Reply {pending.call_id} [pending]>"
    assert repr(replied) == f"<Reply {replied.call_id} [replied]>"
    assert repr(failed) == f"<Reply {failed.call_id} [failed]>"


def test_who_does_not_wait_makes_no_gate() -> None:
    reply, box = asked()

    for timeout in (0, -1):
        with pytest.raises(CallTimedOut):
            reply.result(timeout=timeout)

    reply.done()
    reply.try_result()
    box.reply("1")
    reply.result()

    assert waiters(reply) == 0


def test_a_reply_that_is_there_is_returned_whatever_the_timeout() -> None:
    reply, box = asked()
    box.reply("1")

    assert [reply.result(timeout=timeout) for timeout in (-1, 0, 0.001, None)] == ["1"] * 4


@pytest.mark.parametrize("timeout", [float("nan"), "1", True, [0]])
def test_a_timeout_that_is_no_number_of_seconds_is_named(timeout: object) -> None:
    reply, box = asked()
    box.reply("1")

    with pytest.raises(ValueError, match="timeout must be seconds") as raised:
        reply.result(timeout=timeout)

    assert repr(timeout) in str(raised.value)


@pytest.mark.usefixtures("_nobody_looks_again")
def test_all_who_wait_for_one_reply_are_woken() -> None:
    reply, box = asked()
    workers = [FakeWorker(str(number)) for number in range(5)]

    def wait_as(worker: FakeWorker) -> object:
        here.inner.append(worker)
        return reply.result()

    waiting = [Running(lambda worker=worker: wait_as(worker)) for worker in workers]
    until(lambda: all(worker.waits_for for worker in workers))

    box.reply("1")

    assert [each.result() for each in waiting] == ["1"] * 5


def test_of_two_who_wait_the_one_who_times_out_leaves_the_other_waiting() -> None:
    reply, box = asked()
    with in_thread(reply.result) as patient:
        until_waited_for(reply)

        assert type(error_of(lambda: reply.result(timeout=0.001))) is CallTimedOut
        assert patient.running
        box.reply("1")

        assert patient.result() == "1"


def test_all_who_wait_share_one_gate() -> None:
    reply, box = asked()
    first = Running(reply.result)
    until_waited_for(reply)

    error_of(lambda: reply.result(timeout=0.001))
    gates = waiters(reply)
    box.reply("1")

    assert (gates, first.result()) == (1, "1")


@pytest.mark.behaviour("CommandTest 20")
def test_the_second_reply_through_one_box_raises_and_the_first_stands() -> None:
    reply, box = asked()
    box.reply("first")

    for second in (lambda: box.reply("second"), lambda: box.fail(Boom())):
        with pytest.raises(DuplicateReply) as raised:
            second()
        assert raised.value.call_id == reply.call_id

    assert reply.result() == "first"


def test_a_reply_after_a_failure_raises_and_the_failure_stands() -> None:
    reply, box = asked()
    box.fail(Boom())

    with pytest.raises(DuplicateReply):
        box.reply("second")

    assert type(error_of(reply.result)) is CallFailed


def test_a_reply_that_comes_late_is_dropped_and_counted_once_and_a_second_one_raises() -> None:
    reply, box = asked()
    answer_of(reply).give_up()
    before = late_replies()

    box.reply("late")
    assert late_replies() == before + 1
    with pytest.raises(DuplicateReply):
        box.reply("later still")

    assert late_replies() == before + 1
    assert type(error_of(reply.result)) is CallTimedOut


def test_a_failure_that_comes_late_is_counted_too() -> None:
    worker = FakeWorker()
    reply, box = held_by(worker)
    worker.end()
    assert type(error_of(reply.try_result)) is WorkerGone
    before = late_replies()

    box.fail(Boom())

    assert late_replies() == before + 1


def test_whether_a_worker_has_ended_is_seen_without_waiting() -> None:
    worker = FakeWorker()
    reply, _box = held_by(worker)
    before = reply.done()

    worker.end()

    assert (before, reply.done()) == (False, True)
    assert type(error_of(reply.try_result)) is WorkerGone


def test_who_has_stopped_waiting_is_told_no_more_of_the_workers_end() -> None:
    worker = FakeWorker()
    reply, box = held_by(worker)
    with in_thread(reply.result) as waits:
        until(lambda: worker.watched)

        box.reply("1")

        assert waits.result() == "1"
    assert not worker.watched


def test_who_has_waited_a_while_nudges_the_threads_of_the_worker_that_has_the_call() -> None:
    worker = FakeWorker()
    reply, box = held_by(worker)
    with in_thread(reply.result) as waits:
        until(lambda: worker.nudged)
        box.reply("1")

        assert waits.result() == "1"


def test_who_is_answered_soon_nudges_nobody() -> None:
    worker = FakeWorker()
    reply, box = held_by(worker)
    with in_thread(reply.result) as waits:
        until_waited_for(reply)
        box.reply("1")

        assert waits.result() == "1"
    assert worker.nudged == 0
