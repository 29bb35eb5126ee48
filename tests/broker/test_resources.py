"""What becomes of resources and messages while a broker lives."""

from typing import Any

import pytest

from tests.broker.doubles import Boom, Callbacks, Stop, brokering, initial, outcome, raising, settle
from threadpool_mb import (
    MISSING,
    Cancelled,
    DeadLetter,
    DeadLetterReason,
    Dispatch,
    Initialize,
    Remove,
)
from threadpool_mb.broker.broker import Broker
from threadpool_mb.broker.config import KeepResource, RemoveResource, UpdateResource


def cancelled(broker: Broker[Any, Any, Any, Any]) -> bool:
    """Cancel; return whether it was alive until then."""
    broker.cancel()
    return isinstance(outcome(broker), Cancelled)


@pytest.mark.behaviour("BrokerTest 5")
def test_an_exception_in_demultiplex_is_logged_and_its_message_a_dead_letter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = Callbacks(demultiplex=raising(Boom("no address")))
    with brokering(callbacks, name="files") as broker:
        broker.input.deliver("message")
        settle(broker)

        assert cancelled(broker)

    assert callbacks.calls == [("demultiplex", "message")]
    reason = DeadLetterReason.DEMULTIPLEX_FAILED
    assert callbacks.dead == [DeadLetter(MISSING, "message", reason)]
    assert caplog.messages[0] == "<Broker 'files'>: demultiplex failed for 'message'"
    assert "Boom: no address" in caplog.text


@pytest.mark.parametrize("address", [None, "message", Remove(1), Initialize, ("key", "message")])
def test_what_is_no_address_is_named_and_logged_and_its_message_a_dead_letter(
    address: object, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = Callbacks(demultiplex=lambda _: address)
    with brokering(callbacks) as broker:
        broker.input.deliver("message")
        settle(broker)

        assert cancelled(broker)

    assert callbacks.calls == [("demultiplex", "message")]
    reason = DeadLetterReason.DEMULTIPLEX_FAILED
    assert callbacks.dead == [DeadLetter(MISSING, "message", reason)]
    assert f"must return an Initialize or a Dispatch, not {address!r}" in caplog.text


@pytest.mark.behaviour("BrokerTest 8")
def test_a_message_for_a_missing_resource_is_a_dead_letter() -> None:
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        broker.input.deliver(Dispatch(777, "nobody"))
        settle(broker)

        assert cancelled(broker)

    assert callbacks.of("create", "handle", "clean") == []
    assert callbacks.dead == [DeadLetter(777, "nobody", DeadLetterReason.UNKNOWN_KEY)]


@pytest.mark.behaviour("BrokerTest 9")
def test_when_create_raises_there_is_no_resource_to_handle_with_or_to_clean(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = Callbacks(create=raising(Boom("no disk")))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(777))
        broker.input.deliver(Dispatch(777, "later"))
        settle(broker)

        assert cancelled(broker)

    assert callbacks.of("create", "handle", "clean") == [("create", 777, MISSING)]
    assert callbacks.dead == [DeadLetter(777, "later", DeadLetterReason.UNKNOWN_KEY)]
    assert "Boom: no disk" in caplog.text


def test_when_create_raises_the_first_message_is_a_dead_letter() -> None:
    callbacks = Callbacks(create=raising(Boom()))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(777, "first"))
        settle(broker)

        assert cancelled(broker)

    assert callbacks.of("handle", "clean") == []
    assert callbacks.dead == [DeadLetter(777, "first", DeadLetterReason.WORKER_FAILED)]


def test_after_create_raised_the_key_can_be_initialized_again() -> None:
    results = iter([raising(Boom()), initial])
    callbacks = Callbacks(create=lambda key, _: next(results)(key))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        broker.input.deliver(Initialize(1, "second"))
        settle(broker)

        assert callbacks.of("handle") == [(1, "second", "initial 1")]


@pytest.mark.behaviour("BrokerTest 10")
def test_when_handle_raises_on_the_first_message_the_resource_is_cleaned_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = Callbacks(handle=raising(Boom("bad order")))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(777, "first"))
        broker.input.deliver(Dispatch(777, "second"))
        settle(broker)

        assert cancelled(broker)

    assert callbacks.of("handle", "clean") == [
        ("handle", 777, "first", "initial 777"),
        ("clean", 777, "initial 777"),
    ]
    assert callbacks.dead == [DeadLetter(777, "second", DeadLetterReason.UNKNOWN_KEY)]
    assert "Boom: bad order" in caplog.text


@pytest.mark.parametrize("update", [False, "keep", KeepResource, (UpdateResource, 1)])
def test_what_is_no_resource_update_counts_as_raising(
    update: Any,  # noqa: ANN401 - anything
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = Callbacks(handle=lambda *_: update)
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        settle(broker)

        assert callbacks.of("clean") == [(1, "initial 1")]

    assert f"TypeError: handle must return a ResourceUpdate or None, not {update!r}" in caplog.text


@pytest.mark.behaviour("BrokerTest 14")
@pytest.mark.parametrize("update", [KeepResource(), None])
def test_a_resource_that_handle_keeps_is_cleaned_as_it_was_created(
    update: KeepResource | None,
) -> None:
    callbacks = Callbacks(handle=lambda *_: update)
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        settle(broker)
        before = callbacks.of("clean")

        assert cancelled(broker)

    assert (before, callbacks.of("clean")) == ([], [(1, "initial 1")])


@pytest.mark.behaviour("BrokerTest 15")
def test_a_resource_that_handle_updates_is_cleaned_as_it_was_updated() -> None:
    callbacks = Callbacks(handle=lambda *_: UpdateResource("new"))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        settle(broker)
        before = callbacks.of("clean")

        assert cancelled(broker)

    assert (before, callbacks.of("clean")) == ([], [(1, "new")])


@pytest.mark.behaviour("BrokerTest 16")
def test_a_resource_that_handle_removes_is_cleaned_at_once() -> None:
    callbacks = Callbacks(handle=lambda *_: RemoveResource())
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        settle(broker)
        before = callbacks.of("handle", "clean")

        assert cancelled(broker)

    assert before == [("handle", 1, "first", "initial 1"), ("clean", 1, "initial 1")]
    assert callbacks.of("clean") == [(1, "initial 1")]


@pytest.mark.behaviour("BrokerTest 17")
@pytest.mark.parametrize("new", ["new", None])
def test_a_resource_that_handle_updates_and_removes_is_cleaned_at_once_as_updated(
    new: str | None,
) -> None:
    callbacks = Callbacks(handle=lambda *_: RemoveResource(new))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        settle(broker)
        before = callbacks.of("clean")

        assert cancelled(broker)

    assert before == callbacks.of("clean") == [(1, new)]


def test_a_removed_key_can_be_initialized_again() -> None:
    callbacks = Callbacks(handle=lambda *_: RemoveResource())
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        broker.input.deliver(Dispatch(1, "between"))
        broker.input.deliver(Initialize(1, "second"))
        settle(broker)

        assert callbacks.of("create", "clean") == [
            ("create", 1, "first"),
            ("clean", 1, "initial 1"),
            ("create", 1, "second"),
            ("clean", 1, "initial 1"),
        ]
        assert callbacks.dead == [DeadLetter(1, "between", DeadLetterReason.UNKNOWN_KEY)]


def test_when_clean_raises_the_resource_is_removed_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = Callbacks(handle=lambda *_: RemoveResource(), clean=raising(Boom("stuck file")))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        settle(broker)

        assert cancelled(broker)

    assert callbacks.of("clean") == [(1, "initial 1")]
    assert "Boom: stuck file" in caplog.text


@pytest.mark.behaviour("BrokerTest 18")
def test_without_a_first_message_clean_gets_the_initial_resource() -> None:
    callbacks = Callbacks(handle=lambda *_: UpdateResource("new"))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1))
        settle(broker)

        assert cancelled(broker)

    assert callbacks.of("create", "handle", "clean") == [
        ("create", 1, MISSING),
        ("clean", 1, "initial 1"),
    ]


@pytest.mark.behaviour("BrokerTest 19")
def test_handle_gets_the_resource_of_the_messages_key() -> None:
    def handle(_key: int, message: str, _resource: str) -> None:
        if message == "stop":
            raise error

    error = Stop()
    callbacks = Callbacks(handle=handle)
    with brokering(callbacks) as broker:
        for message in (Initialize(1), Initialize(2), Dispatch(1, "a"), Dispatch(2, "b")):
            broker.input.deliver(message)
            settle(broker)
        broker.input.deliver(Dispatch(1, "stop"))

        assert outcome(broker) is error

    assert callbacks.of("handle", "clean") == [
        ("handle", 1, "a", "initial 1"),
        ("handle", 2, "b", "initial 2"),
        ("handle", 1, "stop", "initial 1"),
        ("clean", 1, "initial 1"),
        ("clean", 2, "initial 2"),
    ]


@pytest.mark.behaviour("BrokerTest 20")
def test_the_next_message_is_handled_with_the_updated_resource() -> None:
    callbacks = Callbacks(handle=lambda _key, message, _: UpdateResource(f"after {message}"))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "x"))
        broker.input.deliver(Dispatch(1, "y"))
        broker.input.deliver(Dispatch(1, "z"))
        settle(broker)

        assert callbacks.of("handle") == [
            (1, "x", "initial 1"),
            (1, "y", "after x"),
            (1, "z", "after y"),
        ]


@pytest.mark.behaviour("BrokerTest 23")
def test_a_second_initialize_of_a_key_is_ignored() -> None:
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        for key in (1, 2, 1, 2):
            broker.input.deliver(Initialize(key))
            settle(broker)

        assert cancelled(broker)

    assert callbacks.of("create", "handle", "clean") == [
        ("create", 1, MISSING),
        ("create", 2, MISSING),
        ("clean", 1, "initial 1"),
        ("clean", 2, "initial 2"),
    ]
    assert callbacks.dead == []


def test_the_message_of_a_second_initialize_is_a_dead_letter() -> None:
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        broker.input.deliver(Initialize(1, "second"))
        settle(broker)

        assert callbacks.of("handle") == [(1, "first", "initial 1")]
        assert callbacks.dead == [DeadLetter(1, "second", DeadLetterReason.DUPLICATE_INITIALIZE)]


@pytest.mark.behaviour("BrokerTest 24")
def test_a_first_message_is_shown_to_create_and_then_handled() -> None:
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1, "first"))
        settle(broker)

        assert callbacks.of("create", "handle") == [
            ("create", 1, "first"),
            ("handle", 1, "first", "initial 1"),
        ]


def test_none_is_a_message_a_key_and_a_resource_like_any_other() -> None:
    callbacks = Callbacks(create=lambda *_: None)
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(None, None))
        broker.input.deliver(Dispatch(None, None))
        settle(broker)

        assert cancelled(broker)

    assert callbacks.of("create", "handle", "clean") == [
        ("create", None, None),
        ("handle", None, None, None),
        ("handle", None, None, None),
        ("clean", None, None),
    ]
