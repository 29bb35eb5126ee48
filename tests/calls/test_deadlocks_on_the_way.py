"""Circles that are closed where a call is delivered or handed on, and the order of two who wait."""

import re
from typing import Any

import pytest

from tests.calls.doubles import (
    Do,
    Echo,
    FakeWorker,
    Kind,
    Note,
    Place,
    Tell,
    answer,
    answer_of,
    error_of,
    held_by,
    until_waits,
    value_or_error,
)
from tests.helpers import DEADLINE, Running, in_thread, until
from tests.insides import roster_of
from threadpool_mb import Blocking, Call, CallDeadlock, call, cast, delegate
from threadpool_mb.threads import circles
from threadpool_mb.threads.circles import waiting_for
from threadpool_mb.threads.here import here


def test_a_circle_through_a_full_mailbox_is_told(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a", "b", mailbox=Blocking(1), name="p", inline_calls=False)

    def fill_and_call_back(received: Call[Any]) -> None:
        # "a" waits for the reply to this, and its mailbox is full then.
        assert cast(pool.ref("a"), Note(lambda: None))
        # The last one who begins to wait is the one who is told.
        until_waits(pool, "a")
        received.reply_box.reply(error_of(lambda: call(pool.ref("a"), Echo("1"))))

    value = call(
        pool.ref("a"), answer(lambda: call(pool.ref("b"), Do(fill_and_call_back))), timeout=DEADLINE
    )

    assert type(value) is CallDeadlock
    assert re.search(r"p 'b' → p 'a' → p 'b'$", str(value))


def test_a_worker_that_calls_itself_through_its_own_full_mailbox_is_told(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a", mailbox=Blocking(1), inline_calls=False)

    def fill_and_call() -> type:
        assert cast(pool.ref("a"), Note(lambda: None))
        return type(error_of(lambda: call(pool.ref("a"), Echo("1"))))

    assert call(pool.ref("a"), answer(fill_and_call)) is CallDeadlock


@pytest.mark.parametrize("stopped_at", ["before", "after"])
def test_of_two_who_begin_to_wait_for_each_other_the_last_one_is_told(
    monkeypatch: pytest.MonkeyPatch, place: Place, stopped_at: str
) -> None:
    gate = place.gate()
    one, other = FakeWorker("one"), FakeWorker("other")
    for_other, box = held_by(other)
    for_one, _box = held_by(one)
    check = circles._check

    def check_and_stop(workers: Any, reply: Any) -> bool:  # noqa: ANN401 - as there
        doubtful = check(workers, reply)
        if reply is answer_of(for_other) and stopped_at == "after":
            gate()
        return doubtful

    monkeypatch.setattr(circles, "_check", check_and_stop)

    def wait_as(worker: FakeWorker, reply: Any) -> object:  # noqa: ANN401 - any reply
        here.inner.append(worker)
        if worker is one and stopped_at == "before":
            gate()
        try:
            return reply.result()
        except CallDeadlock as error:
            return error

    with in_thread(lambda: wait_as(one, for_other)) as first:
        gate.wait_until_reached()
        second = Running(lambda: wait_as(other, for_one))
        if stopped_at == "before":
            until(lambda: other.waits_for)
        gate.open()
        if stopped_at == "after":
            assert type(second.result()) is CallDeadlock
            box.reply("goes on")
            assert first.result() == "goes on"
        else:
            assert type(first.result()) is CallDeadlock
            _box.reply("goes on")
            assert second.result() == "goes on"


@pytest.mark.parametrize("through", ["delegate", "delegate twice"])
def test_a_call_that_is_handed_to_the_worker_that_waits_for_it_is_told(
    place: Place, kind: Kind, through: str
) -> None:
    pool = place.pool(kind, "a", "b", "c", name="p")

    passed: list[bool] = []

    def pass_on(received: Call[Any]) -> None:
        if not passed and through == "delegate twice":
            passed.append(True)
            delegate(pool.ref("c"), received)
        else:
            delegate(pool.ref("a"), received)

    error = call(pool.ref("a"), answer(lambda: error_of(lambda: call(pool.ref("b"), Do(pass_on)))))

    assert type(error) is CallDeadlock
    assert str(error).endswith("p 'a' → p 'a'")


def test_a_call_that_is_handed_to_one_who_waits_for_one_who_waits_for_it_is_told(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a", "b", "c", inline_calls=False)

    handed: list[Call[Any]] = []

    # "a" asks "b", who asks "c", who hands that call to "a".
    def hand_to_a(received: Call[Any]) -> None:
        if handed:
            received.reply_box.reply(None)
        else:
            handed.append(received)
            delegate(pool.ref("a"), received)

    def ask_c() -> object:
        until_waits(pool, "a")
        return value_or_error(lambda: call(pool.ref("c"), Do(hand_to_a)))

    # Either is told, whichever looks again first. If it is "a", "b" has its answer after that.
    error = call(
        pool.ref("a"), answer(lambda: value_or_error(lambda: call(pool.ref("b"), answer(ask_c))))
    )

    assert type(error) is CallDeadlock


def test_a_call_that_is_handed_to_the_full_mailbox_of_who_waits_for_it_is_told(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a", "b", mailbox=Blocking(1), inline_calls=False)
    gate = place.gate()

    def hand_back(received: Call[Any]) -> None:
        assert cast(pool.ref("a"), Tell(1))
        gate()
        delegate(pool.ref("a"), received)

    def ask_b() -> object:
        try:
            return call(pool.ref("b"), Do(hand_back))
        except CallDeadlock as error:
            return error

    caller = Running(lambda: call(pool.ref("a"), answer(ask_b)))
    gate.wait_until_reached()
    until_waits(pool, "a")
    gate.open()
    hands_on = roster_of(pool).routes["b"]
    until(lambda: not caller.running or hands_on.waits_for)
    told = hands_on.waits_for is None
    # So that it ends.
    if not told:
        pool.remove("a")
        pool.remove("b")
        with pytest.raises(Exception, match="will not be answered"):
            caller.result()

    assert told
    assert type(caller.result()) is CallDeadlock


def test_a_worker_that_has_its_answer_and_is_about_to_go_on_closes_no_circle(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # "x" asks "y", who answers, then asks "z", who hands that call to "x".
    x, y, z = FakeWorker("x"), FakeWorker("y"), FakeWorker("z")
    gate = place.gate()
    from_y, box_of_x = held_by(y)
    leave = waiting_for.__exit__

    def leave_late(self: Any, *error: object) -> None:  # noqa: ANN401 - as there
        if self._reply is answer_of(from_y):
            gate()
        leave(self, *error)

    monkeypatch.setattr(waiting_for, "__exit__", leave_late)

    def wait_as(worker: FakeWorker, reply: Any) -> object:  # noqa: ANN401 - any reply
        here.inner.append(worker)
        try:
            return reply.result()
        except CallDeadlock as error:
            return error

    with in_thread(lambda: wait_as(x, from_y)) as first:
        until(lambda: x.waits_for)
        box_of_x.reply("goes on")
        gate.wait_until_reached()
        to_z, box_of_y = held_by(z)
        with in_thread(lambda: wait_as(y, to_z)) as second:
            until(lambda: y.waits_for)

            answer_of(to_z).holder = x
            answer_of(to_z).handed_on(None)
            if answer_of(to_z).answered:
                answer_of(to_z).not_handled("z", "the test is over", started=False)
            else:
                box_of_y.reply("1")
            gate.open()

            assert first.result() == "goes on"
            assert second.result() == "1"
