"""How a broker ends: what is cleaned, in which order, and what becomes of what was not handled."""

import random

import pytest

from tests.broker.doubles import (
    Boom,
    Callbacks,
    Gate,
    Intercepting,
    Stop,
    brokering,
    initial,
    outcome,
    raising,
    settle,
)
from threadpool_mb import (
    MISSING,
    Cancelled,
    DeadLetter,
    DeadLetterReason,
    Dispatch,
    Initialize,
    MailboxClosed,
    MailboxEmpty,
    Waiting,
)
from threadpool_mb.broker.config import RemoveResource

THREE_CLEANED = [(1, "initial 1"), (2, "initial 2"), (3, "initial 3")]


class AfterMessages:
    """A hook that raises when the mailbox gave out so many messages."""

    def __init__(self, messages: int, error: BaseException) -> None:
        self._left = messages
        self._error = error

    def __call__(self) -> None:
        if not self._left:
            raise self._error
        self._left -= 1


@pytest.mark.behaviour("BrokerTest 4")
def test_what_receive_raises_ends_the_broker_and_leaves_join() -> None:
    error = Boom()
    with brokering(Callbacks(), mailbox=Intercepting(receive=raising(error))) as broker:
        with pytest.raises(Boom) as caught:
            broker.join()

        assert caught.value is error
        assert broker.exception() is error


@pytest.mark.behaviour("BrokerTest 6")
def test_what_is_no_exception_in_demultiplex_ends_the_broker() -> None:
    error = Stop()
    callbacks = Callbacks(demultiplex=raising(error))
    with brokering(callbacks) as broker:
        broker.input.deliver("first")

        assert outcome(broker) is error

    assert callbacks.calls == [("demultiplex", "first")]


@pytest.mark.behaviour("BrokerTest 7")
def test_cancelling_ends_a_broker_that_waits_for_its_first_message() -> None:
    gate = Gate()
    gate.open()
    callbacks = Callbacks()
    with brokering(callbacks, mailbox=Intercepting(receive=gate.pass_through)) as broker:
        gate.wait_until_reached()

        broker.cancel()

        assert isinstance(outcome(broker), Cancelled)

    assert callbacks.calls == []


@pytest.mark.behaviour("BrokerTest 11")
def test_cancelling_cleans_all_resources_the_one_being_initialized_included() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1))
        broker.input.deliver(Initialize(2))
        settle(broker)
        broker.input.deliver(Initialize(3, "stop here"))
        gate.wait_until_reached()

        broker.cancel()
        gate.open()

        assert isinstance(outcome(broker), Cancelled)

    assert callbacks.of("clean") == THREE_CLEANED


@pytest.mark.behaviour("BrokerTest 12")
def test_every_resource_is_cleaned_though_each_cleaning_raises() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through(), clean=raising(Boom()))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1))
        broker.input.deliver(Initialize(2))
        settle(broker)
        broker.input.deliver(Initialize(3, "stop here"))
        gate.wait_until_reached()

        broker.cancel()
        gate.open()

        assert isinstance(outcome(broker), Cancelled)

    assert callbacks.of("clean") == THREE_CLEANED


@pytest.mark.behaviour("BrokerTest 13")
def test_what_is_no_exception_while_a_resource_is_initialized_cleans_all() -> None:
    error = Stop()
    callbacks = Callbacks(handle=raising(error))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1))
        broker.input.deliver(Initialize(2))
        settle(broker)
        broker.input.deliver(Initialize(3, "stop"))

        assert outcome(broker) is error

    assert callbacks.of("clean") == THREE_CLEANED


def test_what_is_no_exception_in_create_leaves_a_dead_letter_and_cleans_the_others() -> None:
    def create(key: int, _message: object) -> str:
        if key == 3:
            raise error
        return initial(key)

    error = Stop()
    callbacks = Callbacks(create=create)
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1))
        broker.input.deliver(Initialize(2))
        settle(broker)
        broker.input.deliver(Initialize(3, "stop"))

        assert outcome(broker) is error

    assert callbacks.of("clean") == THREE_CLEANED[:2]
    assert callbacks.dead == [DeadLetter(3, "stop", DeadLetterReason.WORKER_FAILED)]


def test_what_is_no_exception_in_clean_ends_the_broker_and_cleans_the_others_once() -> None:
    def clean(key: int, _resource: str) -> None:
        if key == 2:
            raise error

    error = Stop()
    callbacks = Callbacks(handle=lambda *_: RemoveResource(), clean=clean)
    with brokering(callbacks) as broker:
        for key in (1, 2, 3):
            broker.input.deliver(Initialize(key))
        settle(broker)
        broker.input.deliver(Dispatch(2, "remove"))

        assert outcome(broker) is error

    assert callbacks.of("clean") == [(2, "initial 2"), (1, "initial 1"), (3, "initial 3")]


def test_what_is_no_exception_in_a_cleaning_at_the_end_outranks_the_cancelling() -> None:
    error = Stop()
    callbacks = Callbacks(clean=raising(error))
    with brokering(callbacks) as broker:
        for key in (1, 2, 3):
            broker.input.deliver(Initialize(key))
        settle(broker)

        broker.cancel()

        assert outcome(broker) is error

    assert callbacks.of("clean") == THREE_CLEANED


def test_the_first_error_is_kept_and_the_others_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = Stop("in handle")
    callbacks = Callbacks(handle=raising(first), clean=raising(Stop("in clean")))
    with brokering(callbacks, name="files") as broker:
        broker.input.deliver(Initialize(1, "stop"))

        assert outcome(broker) is first

    stopped = [record for record in caplog.records if "stopped by an error" in record.message]
    assert [record.message for record in stopped] == ["<Broker 'files'>: stopped by an error"] * 2
    assert [str(record.exc_info[1]) for record in stopped if record.exc_info] == [
        "in handle",
        "in clean",
    ]


@pytest.mark.runs_once
@pytest.mark.behaviour("BrokerTest 21")
def test_what_receive_raises_cleans_all_and_no_further_message_is_handled() -> None:
    error = Boom()
    gate = Gate()

    def receive() -> None:
        gate.pass_through()
        after_three()

    after_three = AfterMessages(3, error)
    callbacks = Callbacks()
    with brokering(callbacks, mailbox=Intercepting(receive=receive)) as broker:
        for key in (1, 2, 3, 4):
            broker.input.deliver(Initialize(key, "message"))
        gate.open()

        assert outcome(broker) is error

    assert callbacks.of("clean") == THREE_CLEANED
    assert [key for key, _ in callbacks.of("create")] == [1, 2, 3]
    assert callbacks.dead == [
        DeadLetter(MISSING, Initialize(4, "message"), DeadLetterReason.POOL_CLOSED)
    ]


@pytest.mark.behaviour("BrokerTest 22")
@pytest.mark.parametrize("end", [MailboxEmpty(), MailboxClosed()])
def test_a_receive_that_ends_cleans_all_and_is_no_error(end: Exception) -> None:
    callbacks = Callbacks()
    with brokering(callbacks, mailbox=Intercepting(receive=AfterMessages(3, end))) as broker:
        for key in (1, 2, 3):
            broker.input.deliver(Initialize(key))

        broker.join()

        assert broker.exception() is None
    assert callbacks.of("clean") == THREE_CLEANED


def test_a_broker_ends_when_its_waiting_mailbox_has_waited_long_enough() -> None:
    mailbox = Waiting(8, deliver_timeout=0, receive_timeout=0.001)
    with brokering(Callbacks(), mailbox=mailbox) as broker:
        broker.join()

        assert broker.exception() is None
        with pytest.raises(MailboxClosed):
            broker.input.deliver(Initialize(1))


@pytest.mark.parametrize("seed", range(4))
def test_resources_are_cleaned_in_ascending_order_of_their_keys(seed: int) -> None:
    keys = random.Random(seed).sample(range(100), 20)  # noqa: S311 - no secret
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        for key in keys:
            broker.input.deliver(Initialize(key))
        broker.close()
        broker.join()

    assert callbacks.of("clean") == [(key, initial(key)) for key in sorted(keys)]


def test_resources_whose_keys_have_no_order_are_cleaned_as_they_were_created() -> None:
    keys = [3, "three", 1, (2,), 2, "one"]
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        for key in keys:
            broker.input.deliver(Initialize(key))
            settle(broker)
        broker.close()
        broker.join()

    assert callbacks.of("clean") == [(key, initial(key)) for key in keys]


def test_closing_finishes_the_backlog() -> None:
    gate = Gate()
    callbacks = Callbacks(
        handle=lambda _key, message, _: gate.pass_through() if message == 0 else None
    )
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, 0))
        gate.wait_until_reached()
        for number in range(1, 5):
            broker.input.deliver(Dispatch(1, number))

        broker.close()
        gate.open()
        broker.join()

        assert broker.exception() is None
    assert [message for _, message, _ in callbacks.of("handle")] == [0, 1, 2, 3, 4]
    assert callbacks.of("clean") == [(1, "initial 1")]
    assert callbacks.dead == []


@pytest.mark.runs_once
def test_cancelling_makes_dead_letters_of_the_backlog() -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    backlog = [Dispatch(1, "waits"), Initialize(2, "waits"), "no address"]
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "stop here"))
        gate.wait_until_reached()
        for message in backlog:
            broker.input.deliver(message)

        broker.close()
        broker.cancel()
        gate.open()

        assert isinstance(outcome(broker), Cancelled)

    assert [message for _, message, _ in callbacks.of("handle")] == ["stop here"]
    assert callbacks.dead == [
        DeadLetter(MISSING, message, DeadLetterReason.POOL_CLOSED) for message in backlog
    ]


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_a_broker_that_was_stopped_takes_no_more_messages(how: str) -> None:
    gate = Gate()
    callbacks = Callbacks(handle=lambda *_: gate.pass_through())
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "stop here"))
        gate.wait_until_reached()

        getattr(broker, how)()

        with pytest.raises(MailboxClosed):
            broker.input.deliver(Dispatch(1, "too late"))
        gate.open()


@pytest.mark.runs_once
def test_senders_are_refused_while_resources_are_cleaned() -> None:
    gate = Gate()
    callbacks = Callbacks(clean=lambda *_: gate.pass_through())
    mailbox = Intercepting(receive=AfterMessages(1, Boom()))
    with brokering(callbacks, mailbox=mailbox) as broker:
        broker.input.deliver(Initialize(1))
        gate.wait_until_reached()

        with pytest.raises(MailboxClosed):
            broker.input.deliver(Dispatch(1, "too late"))
        gate.open()


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_a_callback_may_stop_its_own_broker(how: str) -> None:
    callbacks = Callbacks(handle=lambda *_: getattr(broker, how)())
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "stop yourself"))

        broker.join()

    assert callbacks.of("clean") == [(1, "initial 1")]
