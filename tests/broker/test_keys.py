"""Keys that cannot be looked up or compared: the broker lives, and no resource is forgotten."""

from typing import Any

import pytest

from tests.broker.doubles import Boom, Callbacks, Stop, brokering, outcome, raising, settle
from threadpool_mb import Cancelled, DeadLetter, DeadLetterReason, Dispatch, Initialize
from threadpool_mb.broker.config import RemoveResource


class Key:
    """A key that works until it breaks: then each of its special methods raises."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def __hash__(self) -> int:
        self._work()
        return 1

    def __eq__(self, other: object) -> bool:
        self._work()
        return self is other

    def __lt__(self, other: object) -> bool:
        self._work()
        return False

    def _work(self) -> None:
        if self.error is not None:
            raise self.error


class OtherKey(Key):
    """A key that has the hash of all others, and cannot be compared with them."""

    def __hash__(self) -> int:
        return 1


def bad_keys() -> list[Any]:
    return [["unhashable"], Key(Boom("broken key")), OtherKey(Boom("broken key"))]


@pytest.mark.parametrize("key", bad_keys())
def test_a_dispatch_whose_key_cannot_be_looked_up_is_logged_and_a_dead_letter(
    key: object, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = Callbacks()
    with brokering(callbacks, name="files") as broker:
        broker.input.deliver(Initialize(Key()))
        settle(broker)
        broker.input.deliver(Dispatch(key, "message"))
        settle(broker)

        assert broker.exception() is None

    [letter] = callbacks.dead
    assert letter.key is key
    assert (letter.message, letter.reason) == ("message", DeadLetterReason.UNKNOWN_KEY)
    assert any(text.startswith("<Broker 'files'>: the key ") for text in caplog.messages)
    assert ("unhashable type: 'list'" in caplog.text) or ("Boom: broken key" in caplog.text)


@pytest.mark.parametrize("key", bad_keys())
def test_an_initialize_whose_key_cannot_be_looked_up_creates_nothing(key: object) -> None:
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(Key()))
        broker.input.deliver(Initialize(key, "message"))
        settle(broker)

        assert len(callbacks.of("create")) == 1

    [letter] = callbacks.dead
    assert letter.key is key
    assert (letter.message, letter.reason) == ("message", DeadLetterReason.WORKER_FAILED)


def test_a_resource_whose_key_breaks_while_it_is_created_is_cleaned_at_once() -> None:
    def create(key: Key, _message: object) -> str:
        key.error = Boom()
        return "resource"

    key = Key()
    callbacks = Callbacks(create=create)
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(key, "message"))
        settle(broker)
        before = callbacks.of("handle", "clean")

        broker.cancel()

        assert isinstance(outcome(broker), Cancelled)

    assert before == callbacks.of("handle", "clean")
    assert [(call[0], call[1] is key, call[2]) for call in before] == [("clean", True, "resource")]
    assert callbacks.dead[0].key is key


def test_a_resource_whose_key_breaks_before_it_is_removed_is_cleaned_at_the_end() -> None:
    def handle(key: Key, _message: object, _resource: str) -> RemoveResource[str]:
        key.error = Boom()
        return RemoveResource("last")

    key = Key()
    callbacks = Callbacks(handle=handle)
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(key, "remove"))
        settle(broker)
        before = callbacks.of("clean")

        broker.cancel()

        assert isinstance(outcome(broker), Cancelled)

    assert before == []
    assert [(cleaned is key, resource) for cleaned, resource in callbacks.of("clean")] == [
        (True, "last")
    ]


def test_what_is_no_exception_in_a_key_ends_the_broker_with_a_dead_letter() -> None:
    error = Stop()
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(1))
        settle(broker)
        broker.input.deliver(Dispatch(Key(error), "message"))

        assert outcome(broker) is error

    assert [letter.message for letter in callbacks.dead] == ["message"]
    assert callbacks.of("clean") == [(1, "initial 1")]


@pytest.mark.parametrize("error", [Boom(), Stop()])
def test_keys_whose_comparison_raises_are_cleaned_as_they_were_created(
    error: BaseException,
) -> None:
    class Incomparable:
        __lt__ = raising(error)

    keys = [Incomparable() for _ in range(3)]
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        for key in keys:
            broker.input.deliver(Initialize(key))
            settle(broker)

        broker.close()
        stopped_by = outcome(broker)

    assert [key for key, _ in callbacks.of("clean")] == keys
    assert stopped_by is (error if isinstance(error, Stop) else None)


def test_a_key_whose_repr_raises_does_not_hide_what_went_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unspeakable:
        __repr__ = raising(Boom())

    callbacks = Callbacks(create=lambda *_: "resource", handle=raising(Boom("bad order")))
    with brokering(callbacks) as broker:
        broker.input.deliver(Initialize(Unspeakable(), "first"))
        settle(broker)

        assert broker.exception() is None

    assert "the key <Unspeakable whose repr raises Boom> is removed" in caplog.text
    assert "Boom: bad order" in caplog.text


def test_equal_keys_share_a_resource_and_no_others_do() -> None:
    callbacks = Callbacks()
    with brokering(callbacks) as broker:
        for key in (1, "1", (1,), 1.0, True):
            broker.input.deliver(Initialize(key, repr(key)))
            settle(broker)

        assert callbacks.of("handle") == [
            (1, "1", "initial 1"),
            ("1", "'1'", "initial 1"),
            ((1,), "(1,)", "initial (1,)"),
        ]
        assert callbacks.dead == [
            DeadLetter(1.0, "1.0", DeadLetterReason.DUPLICATE_INITIALIZE),
            DeadLetter(True, "True", DeadLetterReason.DUPLICATE_INITIALIZE),  # noqa: FBT003
        ]
