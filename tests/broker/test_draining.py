"""`Broker.drain`: shutting down within a grace period."""

import pytest

import threadpool_mb as mb
from tests.broker.doubles import Callbacks, Gate, Stop, brokering, outcome, raising
from tests.helpers import Running, until
from tests.insides import loop_of


def dead(callbacks: Callbacks) -> list[object]:
    """Return what became a dead letter, with its address or without it."""
    messages = [letter.message for letter in callbacks.dead]
    return [getattr(message, "message", message) for message in messages]


def test_a_drain_handles_the_backlog_cleans_and_says_that_it_has_finished() -> None:
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        broker.input.deliver(mb.Initialize("key"))
        for number in range(100):
            broker.input.deliver(mb.Dispatch("key", number))
        broker.input.deliver(mb.Dispatch("nobody", "lost"))

        report = broker.drain(timeout=None)

        with pytest.raises(mb.MailboxClosed):
            broker.input.deliver(mb.Dispatch("key", 100))

    assert [message for _, message, _ in callbacks.of("handle")] == list(range(100))
    assert callbacks.of("clean") == [("key", "initial key")]
    dead_letters = {mb.DeadLetterReason.UNKNOWN_KEY: 1}
    assert report == mb.BrokerDrainReport(
        finished=True, messages=0, resources=0, error=None, dead_letters=dead_letters
    )


def test_what_is_left_when_the_timeout_runs_out_is_reported_and_cancelled() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks) as broker:
        broker.input.deliver(mb.Initialize("key"))
        for number in range(10):
            broker.input.deliver(mb.Dispatch("key", number))
        gate.wait_until_reached()
        until(lambda: loop_of(broker).waiting == 9)
        report = broker.drain(timeout=0.01)
        state = loop_of(broker).state
        gate.open()
        outcome(broker)
        later = broker.drain(timeout=None)

    assert (report.finished, report.messages, report.resources) == (False, 9, 1)
    assert (report.error, report.dead_letters, state) == (None, {}, "cancelling")
    assert dead(callbacks) == list(range(1, 10))
    assert callbacks.of("clean") == [("key", "initial key")]
    assert (later.finished, later.messages, later.resources, later.error) == (True, 0, 0, None)
    assert later.dead_letters == {mb.DeadLetterReason.POOL_CLOSED: 9}


def test_what_has_stopped_the_broker_is_in_the_report_and_not_raised() -> None:
    error = Stop()
    with brokering(Callbacks(clean=raising(error))) as broker:
        broker.input.deliver(mb.Initialize("key"))

        report = broker.drain(timeout=None)

    assert (report.finished, report.error) == (True, error)


def test_a_drain_on_a_thread_of_the_broker_is_refused_and_changes_nothing() -> None:
    refused: list[str] = []

    def handle(*_: object) -> None:
        with pytest.raises(RuntimeError, match="cannot be drained from its own thread") as caught:
            broker.drain(timeout=1)
        refused.append(str(caught.value))

    with brokering(Callbacks(handle=handle)) as broker:
        broker.input.deliver(mb.Initialize("key", 1))
        broker.input.deliver(mb.Dispatch("key", 2))
        until(lambda: len(refused) == 2)

    assert broker.name in refused[0]


@pytest.mark.parametrize("timeout", [float("nan"), "1", True])
def test_a_bad_timeout_is_refused_before_the_broker_is_closed(timeout: object) -> None:
    with brokering(Callbacks()) as broker:
        with pytest.raises(ValueError, match="timeout"):
            broker.drain(timeout=timeout)  # type: ignore[arg-type]
        assert broker.input.deliver(mb.Initialize("key"))


def test_two_threads_may_drain_at_once() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks) as broker:
        broker.input.deliver(mb.Initialize("key", 1))
        gate.wait_until_reached()
        drains = [Running(lambda: broker.drain(timeout=None).finished) for _ in range(2)]
        until(lambda: loop_of(broker).closing)
        gate.open()

        assert [drain.result() for drain in drains] == [True, True]


def test_an_interrupt_while_it_drains_cancels_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks) as broker:
        broker.input.deliver(mb.Initialize("key", 1))
        broker.input.deliver(mb.Dispatch("key", 2))
        gate.wait_until_reached()
        with monkeypatch.context() as patched:
            patched.setattr(type(broker._loop), "wait", raising(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                broker.drain(timeout=None)
        gate.open()
        outcome(broker)

    assert dead(callbacks) == [2]
