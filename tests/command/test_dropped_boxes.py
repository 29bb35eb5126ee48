"""Reply boxes that are dropped without a reply: the caller is told, though nobody said a word."""

import gc
from collections.abc import Generator
from typing import Any

import pytest

from tests.command.doubles import Boom, Do, Echo, Kind, Place, asked, error_of
from tests.helpers import Running, until
from threadpool_mb import Call, Cancelled, Request, Unlimited, WorkerGone, call, call_async, serve
from threadpool_mb.command.boxes import ReplyBox


def forget(received: Call[Any]) -> None:
    """Drop the call, and go on."""


def test_a_box_that_its_own_thread_drops_answers_at_once() -> None:
    reply, box = asked()

    del box
    gc.collect()

    error = error_of(lambda: reply.result(timeout=0))
    assert type(error) is WorkerGone
    assert error.reason == "its reply box was dropped"
    assert str(error) == (
        f"the call {reply.call_id} will not be answered: its reply box was dropped"
    )


def test_a_box_that_is_dropped_after_its_reply_says_no_more() -> None:
    reply, box = asked()
    box.reply(1)

    del box
    gc.collect()

    assert reply.result() == 1


def test_a_box_whose_making_was_interrupted_says_nothing() -> None:
    box = ReplyBox.__new__(ReplyBox)

    box.__del__()


def test_the_caller_of_a_worker_that_drops_his_call_and_goes_on_is_told(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a")

    error = error_of(lambda: call(pool.ref("a"), Do(forget)))

    assert type(error) is WorkerGone
    assert (error.key, error.reason) == ("a", "its reply box was dropped")
    assert call(pool.ref("a"), Echo("it lives")) == "it lives"


def test_the_caller_of_a_thread_that_drops_his_call_and_goes_on_is_told(place: Place) -> None:
    target = place.served()

    error = error_of(lambda: call(target, Do(forget)))

    assert type(error) is WorkerGone
    assert call(target, Echo("it lives")) == "it lives"


def test_a_worker_that_keeps_its_last_message_in_a_variable_tells_when_the_next_one_comes(
    place: Place,
) -> None:
    def keeping(key: object) -> Generator[None, Request]:
        while True:
            request = yield
            if isinstance(request.command, Echo):
                request.reply_box.reply(request.command.text)

    pool = place.pool("generator", "a", worker=keeping)
    forgotten = call_async(pool.ref("a"), Do(forget))
    assert not forgotten.done()

    assert call(pool.ref("a"), Echo("next")) == "next"

    assert type(error_of(forgotten.result)) is WorkerGone


@pytest.mark.parametrize("waiting", ["call", "callback", "future"])
def test_whoever_asks_learns_of_a_box_that_another_thread_has_dropped(
    place: Place, waiting: str
) -> None:
    told: list[object] = []
    target = place.served()

    if waiting == "call":
        told.append(error_of(lambda: call(target, Do(forget))))
    elif waiting == "callback":
        call_async(target, Do(forget)).add_done_callback(told.append)
    else:
        future = call_async(target, Do(forget)).as_future()
        future.add_done_callback(told.append)

    until(lambda: told)


def test_a_box_in_a_cycle_answers_when_the_cycle_is_collected() -> None:
    reply, box = asked()
    cycle: list[object] = [box]
    cycle.append(cycle)
    del box
    pending = not reply.done()

    del cycle
    gc.collect()

    assert pending
    assert reply.done()


def test_a_call_that_waits_when_a_server_is_cancelled_is_answered_once_that_is_abandoned() -> None:
    mailbox = Unlimited().create()
    caller = Running(lambda: error_of(lambda: call(mailbox.new_input(), Echo("1"))))
    until(lambda: len(mailbox) == 1)
    mailbox.cancel()

    with pytest.raises(Cancelled):
        serve(mailbox, lambda command: None)
    mailbox.abandon()

    assert type(caller.result()) is WorkerGone


def test_the_caller_of_a_thread_that_raises_is_told() -> None:
    mailbox = Unlimited().create()

    def raise_boom() -> None:
        mailbox.receive()
        raise Boom

    server = Running(raise_boom)
    error = error_of(lambda: call(mailbox.new_input(), Echo("1")))

    with pytest.raises(Boom):
        server.result()
    assert type(error) is WorkerGone
