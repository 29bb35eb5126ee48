"""Reply boxes that are dropped without a reply: the caller is told, though nobody said a word."""

import asyncio
import gc
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.calls.doubles import Boom, Do, Echo, Kind, Place, asked, error_of
from tests.helpers import Running, until
from tests.pool.witness import Gate
from threadpool_mb import (
    Call,
    Cancelled,
    Mailbox,
    Unlimited,
    WorkerGone,
    aio,
    ask,
    call,
    handles_call,
    serve,
    server,
)
from threadpool_mb.calls.messages import ReplyBox
from threadpool_mb.originals import Request, handle_message


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
    forgotten = ask(pool.ref("a"), Do(forget))
    assert not forgotten.done()

    assert call(pool.ref("a"), Echo("next")) == "next"

    assert type(error_of(forgotten.result)) is WorkerGone


def from_a_loop(mailbox: Mailbox[Request], gate: Gate) -> None:
    """Drop the call in the midst of a loop."""
    for request in mailbox:
        del request
        gate()


def from_receive(mailbox: Mailbox[Request], gate: Gate) -> None:
    """Drop the call behind `receive`."""
    request = mailbox.receive()
    del request
    gate()


def from_receive_many(mailbox: Mailbox[Request], gate: Gate) -> None:
    """Drop the call in a batch."""
    requests = mailbox.receive_many(8)
    del requests
    gate()


def from_handle_message(mailbox: Mailbox[Request], gate: Gate) -> None:
    """Drop the call in a callback."""

    def drop(request: Request) -> None:
        del request
        gate()

    handle_message(mailbox, drop)


def from_a_task(mailbox: Mailbox[Request], gate: Gate) -> None:
    """Drop the call in a task of asyncio."""

    async def run() -> None:
        async for request in aio.messages(mailbox):
            del request
            gate()

    asyncio.run(run())


@pytest.mark.parametrize(
    "receive", [from_a_loop, from_receive, from_receive_many, from_handle_message, from_a_task]
)
@pytest.mark.parametrize("waits_first", [False, True])
def test_the_caller_of_a_worker_that_drops_his_call_and_works_on_is_told_before_that_ends(
    place: Place,
    receive: Callable[[Mailbox[Request], Gate], None],
    waits_first: bool,  # noqa: FBT001
) -> None:
    gate = place.gate()
    mailbox = Unlimited().create()
    receiver = Running(lambda: receive(mailbox, gate)) if waits_first else None
    caller = Running(lambda: error_of(lambda: call(mailbox.new_input(), Do(forget))))
    if receiver is None:
        until(lambda: len(mailbox) == 1)
        receiver = Running(lambda: receive(mailbox, gate))

    gate.wait_until_reached()
    try:
        until(lambda: not caller.running)
    finally:
        mailbox.close()
        gate.open()
    receiver.result()
    error = caller.result()

    assert type(error) is WorkerGone
    assert error.reason == "its reply box was dropped"


def dropping(gate: Gate) -> Callable[[object], Generator[None, Request]]:
    """Return a generator worker that drops its call and works on."""

    def worker(key: object) -> Generator[None, Request]:
        while True:
            request = yield
            del request
            gate()

    return worker


class Drops:
    """A server that drops its call and works on."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @handles_call(Do)
    def drop(self, received: Call[Any]) -> None:
        """Drop the call."""
        del received
        self._gate()


def test_the_caller_of_a_generator_worker_or_a_server_that_drops_his_call_is_told_at_its_next_yield(
    place: Place,
) -> None:
    # The thread that runs a generator holds what it sends. The day that this fails, say more.
    for number in range(2):
        gate = place.gate()
        worker = dropping(gate) if number else server(lambda _key, gate=gate: Drops(gate))
        pool = place.pool("generator", "a", worker=worker)
        reply = ask(pool.ref("a"), Do(forget))
        gate.wait_until_reached()
        before = reply.done()
        gate.open()

        assert type(error_of(reply.result)) is WorkerGone
        assert not before


@pytest.mark.parametrize("waiting", ["call", "callback", "future"])
def test_whoever_asks_learns_of_a_box_that_another_thread_has_dropped(
    place: Place, waiting: str
) -> None:
    told: list[object] = []
    target = place.served()

    if waiting == "call":
        told.append(error_of(lambda: call(target, Do(forget))))
    elif waiting == "callback":
        ask(target, Do(forget)).add_done_callback(told.append)
    else:
        future = ask(target, Do(forget)).as_future()
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
