"""`join`, `exception` and the `with` block."""

import math
from collections.abc import Callable

import pytest

from tests.broker.doubles import (
    Boom,
    Callbacks,
    Gate,
    Intercepting,
    Stop,
    brokering,
    raising,
    settle,
)
from tests.helpers import Running, until
from threadpool_mb import Cancelled, Dispatch, Initialize
from threadpool_mb.broker.broker import Broker


def test_join_returns_after_a_normal_end_and_there_is_no_exception() -> None:
    broker = Broker(Callbacks().config())

    broker.close()
    broker.join()

    assert broker.exception() is None


def test_join_returns_after_cancel_and_the_exception_is_cancelled() -> None:
    broker = Broker(Callbacks().config())

    broker.cancel()
    broker.join()

    assert isinstance(broker.exception(), Cancelled)


def test_closing_after_cancelling_changes_nothing() -> None:
    broker = Broker(Callbacks().config())

    broker.cancel()
    broker.close()
    broker.join()

    assert isinstance(broker.exception(), Cancelled)


@pytest.mark.parametrize("stop", [Broker.close, Broker.cancel])
def test_stopping_a_broker_that_has_ended_changes_nothing(
    stop: Callable[[Broker[int, int, int, int]], None],
) -> None:
    broker = Broker(Callbacks().config())
    broker.close()
    broker.join()

    stop(broker)
    broker.join()

    assert broker.exception() is None


def test_every_join_raises_what_stopped_the_broker() -> None:
    error = Boom()
    with brokering(Callbacks(), mailbox=Intercepting(receive=raising(error))) as broker:
        joins = [Running(broker.join) for _ in range(3)]

        for join in joins:
            with pytest.raises(Boom) as caught:
                join.result()
            assert caught.value is error


def test_join_waits_for_the_last_cleaning() -> None:
    gate = Gate()
    with brokering(Callbacks(clean=lambda *_: gate.pass_through())) as broker:
        broker.input.deliver(Initialize(1))
        broker.close()
        gate.wait_until_reached()

        with pytest.raises(TimeoutError):
            broker.join(timeout=0)

        gate.open()
        broker.join()


def test_a_join_that_times_out_names_the_broker_which_goes_on() -> None:
    callbacks = Callbacks()
    with brokering(callbacks, name="files") as broker:
        with pytest.raises(
            TimeoutError, match=r"<Broker 'files' .* did not end within the timeout"
        ):
            broker.join(timeout=0.001)

        broker.input.deliver(Initialize(1, "still there"))
        settle(broker)

        assert callbacks.of("handle") == [(1, "still there", "initial 1")]
        assert broker.exception() is None


@pytest.mark.parametrize("timeout", [math.nan, "1", True])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(timeout: float) -> None:
    with brokering(Callbacks()) as broker:
        with pytest.raises(ValueError, match="timeout must be seconds"):
            broker.join(timeout=timeout)

        assert broker.exception() is None


def test_a_timeout_that_has_run_out_waits_for_nothing() -> None:
    with brokering(Callbacks()) as broker:
        with pytest.raises(TimeoutError):
            broker.join(timeout=-1)

        broker.cancel()
        broker.join()
        broker.join(timeout=-1)


def test_the_exception_is_none_while_the_broker_still_cleans() -> None:
    gate = Gate()
    with brokering(Callbacks(clean=lambda *_: gate.pass_through())) as broker:
        broker.input.deliver(Initialize(1))
        settle(broker)
        broker.cancel()
        gate.wait_until_reached()

        assert broker.exception() is None
        gate.open()


def test_a_callback_that_joins_its_own_broker_is_told_so() -> None:
    errors: list[Exception] = []

    def handle(*_: object) -> None:
        try:
            broker.join()
        except RuntimeError as error:
            errors.append(error)

    with brokering(Callbacks(handle=handle), name="files") as broker:
        broker.input.deliver(Initialize(1, "join yourself"))
        settle(broker)

    [error] = errors
    assert str(error).startswith("<Broker 'files' [1 resource | ")
    assert str(error).endswith(" cannot be joined from its own thread: that would wait for itself")


def test_leaving_the_block_drains_and_joins() -> None:
    callbacks = Callbacks()

    with Broker(callbacks.config()) as broker:
        for key in range(20):
            broker.input.deliver(Initialize(key))

    assert broker.exception() is None
    assert sorted(callbacks.of("clean")) == [(key, f"initial {key}") for key in range(20)]


def test_leaving_the_block_with_an_exception_cancels_and_joins() -> None:
    def block() -> None:
        with Broker(callbacks.config()) as broker:
            brokers.append(broker)
            broker.input.deliver(Initialize(1))
            settle(broker)
            raise Boom

    callbacks = Callbacks()
    brokers: list[Broker[object]] = []

    with pytest.raises(Boom):
        block()

    assert isinstance(brokers[0].exception(), Cancelled)
    assert callbacks.of("clean") == [(1, "initial 1")]


def test_leaving_the_block_raises_what_stopped_the_broker() -> None:
    def block() -> None:
        with Broker(callbacks.config()) as broker:
            broker.input.deliver("stop")
            until(lambda: broker.exception() is error)

    error = Stop()
    callbacks = Callbacks(demultiplex=raising(error))

    with pytest.raises(Stop) as caught:
        block()

    assert caught.value is error


def test_an_exception_of_the_block_is_not_replaced_by_what_stopped_the_broker() -> None:
    def block() -> None:
        with Broker(callbacks.config()) as broker:
            broker.input.deliver("stop")
            until(lambda: broker.exception() is stopped_by)
            raise error

    error = Boom()
    stopped_by = Stop()
    callbacks = Callbacks(demultiplex=raising(stopped_by))

    with pytest.raises(Boom) as caught:
        block()

    assert caught.value is error


def test_a_block_that_is_left_with_an_exception_waits_for_the_cleaning() -> None:
    def block() -> None:
        with Broker(callbacks.config()) as broker:
            broker.input.deliver(Initialize(1))
            settle(broker)
            raise Boom

    callbacks = Callbacks()

    with pytest.raises(Boom):
        block()

    assert callbacks.of("clean") == [(1, "initial 1")]


def test_a_dead_letter_hook_that_raises_is_logged_and_the_broker_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = Callbacks()
    hook = raising(Boom("no post"))

    with Broker(callbacks.config(), name="files", on_dead_letter=hook) as broker:
        broker.input.deliver(Dispatch(1, "nobody"))
        broker.input.deliver(Initialize(1, "still there"))
        settle(broker)

    assert callbacks.of("handle") == [(1, "still there", "initial 1")]
    assert "<Broker 'files'>: on_dead_letter raised" in caplog.messages
    assert "Boom: no post" in caplog.text


def test_without_a_hook_dead_letters_are_logged_and_their_sum_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = Broker(Callbacks().config(), name="files")
    for number in range(3):
        broker.input.deliver(Dispatch(7, number))

    broker.close()
    broker.join()

    assert caplog.messages == [
        "<Broker 'files'>: dead letter for key 7: unknown key",
        "<Broker 'files'>: 2 more dead letters: unknown key",
    ]
