"""Calls into a broker: who demultiplexes and handles them has them, and may fail."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.broker.doubles import Boom, Callbacks, brokering, raising
from tests.calls.doubles import Do, Echo, Place, answer, error_of, keep
from tests.helpers import DEADLINE, Running, until
from threadpool_mb import (
    Blocking,
    Broker,
    BrokerConfig,
    Call,
    CallNotDelivered,
    CallTimedOut,
    Dispatch,
    Initialize,
    WorkerGone,
    ask,
    call,
    delegate,
)


@pytest.fixture(params=[None, 2], ids=["one thread", "two threads"])
def max_threads(request: pytest.FixtureRequest) -> int | None:
    """Return how many threads handle the messages, `None` for the broker's own."""
    return request.param


def to_a(message: object) -> Dispatch[str, object]:
    """Address everything to one key."""
    return Dispatch("a", message)


def initializing(message: object) -> Initialize[str, object] | Dispatch[str, object]:
    """Create a resource for a key, or address a call to key "a"."""
    return Initialize(message) if isinstance(message, str) else to_a(message)


def handle(_key: object, received: Call[Any], _resource: object) -> None:
    """Obey."""
    match received:
        case Call(Do(function)):
            function(received)
        case Call(Echo(text), box):
            box.reply(text)


@pytest.fixture
def broker(max_threads: int | None) -> Iterator[Broker[Any, Any, Any, Any]]:
    """Return a broker with a resource that handles calls."""
    callbacks = Callbacks(demultiplex=initializing, handle=handle)
    with brokering(callbacks, max_threads=max_threads) as broker:
        broker.input.deliver("a")
        yield broker


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_call_is_answered_by_who_handles_it(
    broker: Broker[Any, Any, Any, Any], timeout: float | None
) -> None:
    assert call(broker.input, Echo("1"), timeout=timeout) == "1"


def test_a_call_to_an_idle_broker_is_not_handled_on_the_callers_thread(
    broker: Broker[Any, Any, Any, Any],
) -> None:
    threads: set[int] = set()

    def call_often() -> int:
        for _ in range(20):
            threads.add(call(broker.input, answer(threading.get_ident)))
        return threading.get_ident()

    caller = Running(call_often).result()

    assert threads
    assert caller not in threads


def test_what_a_sender_delivered_before_its_call_is_handled_before_the_call(
    broker: Broker[Any, Any, Any, Any],
) -> None:
    handled: list[int] = []

    def note(number: int) -> Do:
        return Do(lambda got: got.reply_box.reply(handled.append(number)))

    for number in range(0, 60, 3):
        ask(broker.input, note(number))
        ask(broker.input, note(number + 1))
        call(broker.input, note(number + 2))

    assert handled == list(range(60))


def test_a_call_may_be_handed_on_by_who_handles_it(
    broker: Broker[Any, Any, Any, Any], place: Place
) -> None:
    target = place.served()
    passed: list[bool] = []

    def once(received: Call[Any]) -> None:
        if passed:
            received.reply_box.reply("from the other")
        else:
            passed.append(True)
            delegate(target, received)

    assert call(broker.input, Do(once)) == "from the other"


def test_a_handler_may_call_a_worker_of_a_pool(
    broker: Broker[Any, Any, Any, Any], place: Place
) -> None:
    pool = place.pool("generator", "a")

    assert call(broker.input, answer(lambda: call(pool.ref("a"), Echo("1")))) == "1"


def test_the_caller_whose_call_has_no_resource_is_told(max_threads: int | None) -> None:
    with brokering(Callbacks(demultiplex=to_a), max_threads=max_threads) as broker:
        error = error_of(lambda: call(broker.input, Echo("1")))

    assert type(error) is CallNotDelivered
    assert (error.key, error.reason) == ("a", "unknown key")


@pytest.mark.parametrize("where", ["demultiplex", "handle", "create"])
def test_the_caller_is_told_though_what_was_to_handle_his_call_raises(
    max_threads: int | None, where: str
) -> None:
    functions: dict[str, Callable[..., Any]] = {
        "demultiplex": initializing if where == "handle" else lambda got: Initialize("a", got),
        where: raising(Boom()),
    }

    with brokering(Callbacks(**functions), max_threads=max_threads) as broker:
        if where == "handle":
            broker.input.deliver("a")
        error = error_of(lambda: call(broker.input, Echo("1"), timeout=DEADLINE))

    assert type(error) is WorkerGone, error


def test_the_caller_is_told_though_demultiplex_returns_no_address() -> None:
    with brokering(Callbacks(demultiplex=lambda got: None)) as broker:
        error = error_of(lambda: call(broker.input, Echo("1"), timeout=DEADLINE))

    assert type(error) is WorkerGone, error


def test_the_caller_whose_call_initializes_a_key_that_has_a_resource_is_told(
    max_threads: int | None,
) -> None:
    callbacks = Callbacks(
        demultiplex=lambda got: Initialize("a") if got == "a" else Initialize("a", got)
    )
    with brokering(callbacks, max_threads=max_threads) as broker:
        broker.input.deliver("a")
        error = error_of(lambda: call(broker.input, Echo("1")))

    assert (type(error), error.reason) == (CallNotDelivered, "duplicate initialize")


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_the_caller_whose_call_waits_is_told_of_the_brokers_end(
    broker: Broker[Any, Any, Any, Any], place: Place, end: str
) -> None:
    gate = place.gate()
    first = ask(broker.input, Do(lambda got: (gate(), got.reply_box.reply("first"))))
    gate.wait_until_reached()
    waiting = ask(broker.input, Echo("waiting"))

    getattr(broker, end)()
    late = error_of(lambda: call(broker.input, Echo("late")))
    gate.open()
    broker.join(timeout=DEADLINE)

    assert first.result(timeout=DEADLINE) == "first"
    assert type(late) is CallNotDelivered
    if end == "close":
        assert waiting.result(timeout=DEADLINE) == "waiting"
    else:
        error = error_of(lambda: waiting.result(timeout=DEADLINE))
        assert (type(error), error.reason) == (WorkerGone, "pool closed")


def test_the_caller_whose_call_a_handler_keeps_waits_until_it_is_answered(
    broker: Broker[Any, Any, Any, Any],
) -> None:
    kept: list[Call[Any]] = []
    caller = Running(lambda: call(broker.input, keep(kept)))
    until(lambda: kept)

    kept[0].reply_box.reply("later")

    assert caller.result() == "later"


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_one_deadline_covers_the_delivery_to_a_broker_whose_mailbox_is_full(
    place: Place, timeout: float
) -> None:
    gate = place.gate()
    callbacks = Callbacks(demultiplex=initializing, handle=handle)
    with brokering(callbacks, mailbox=Blocking(1)) as broker:
        broker.input.deliver("a")
        ask(broker.input, Do(lambda got: gate()))
        gate.wait_until_reached()
        broker.input.deliver("b")

        error = error_of(lambda: call(broker.input, Echo("1"), timeout=timeout))
        gate.open()

    assert (type(error), error.reason) == (CallTimedOut, "not delivered in time")


def test_the_caller_of_a_broker_whose_handle_raises_gets_the_error_and_learns_that_it_had_begun(
    broker: Broker[Any, Any, Any, Any],
) -> None:
    def fail(received: Call[Any]) -> None:
        raise Boom

    error = error_of(lambda: call(broker.input, Do(fail), timeout=DEADLINE))

    assert isinstance(error, WorkerGone)
    assert isinstance(error.__cause__, Boom)
    assert (error.key, error.started) == ("a", True)


def test_the_caller_of_a_broker_that_is_cancelled_first_learns_that_nobody_had_begun(
    place: Place, broker: Broker[Any, Any, Any, Any]
) -> None:
    gate = place.gate()
    in_hand = ask(broker.input, answer(gate))
    gate.wait_until_reached()
    waiting = ask(broker.input, Echo("1"))

    broker.cancel()
    gate.open()

    assert in_hand.result(timeout=DEADLINE) is None
    error = error_of(lambda: waiting.result(timeout=DEADLINE))
    assert isinstance(error, WorkerGone)
    assert (error.__cause__, error.started) == (None, False)


@pytest.mark.parametrize("address", [Dispatch, Initialize])
@pytest.mark.parametrize("max_threads", [None, 1, 2])
def test_the_caller_of_a_dropped_call_is_told_while_the_broker_is_idle(
    max_threads: int | None, address: type[Dispatch[Any, Any]] | type[Initialize[Any, Any]]
) -> None:
    """A free-threaded build frees what another thread has made when that one runs (gh-157838)."""
    config: BrokerConfig[Any, Any, Any, int] = BrokerConfig(
        demultiplex=lambda message: Initialize(0) if message is None else address(0, message),
        create=lambda _key, _message: 1,
        handle=lambda _key, _message, _resource: None,
        clean=lambda _key, _resource: None,
    )
    with Broker(config, max_threads=max_threads) as broker:
        if address is Dispatch:
            broker.input.deliver(None)

        error = error_of(lambda: call(broker.input, Echo("dropped"), timeout=DEADLINE))

    assert type(error) is WorkerGone
    assert error.reason == "its reply box was dropped"
