"""Each message that a broker has taken is handled or a dead letter, once; its caller learns why."""

import dataclasses
from typing import Any

import pytest

import threadpool_mb as mb
from tests.broker.doubles import Boom, Callbacks, Stop, brokering, initial, outcome, raising


@dataclasses.dataclass(frozen=True, slots=True)
class Ask(mb.Command[str]):
    """What is asked."""


def answers(_key: object, message: Any, _resource: object) -> None:  # noqa: ANN401
    if isinstance(message, mb.Call):
        message.reply_box.reply("answer")


def refuses_to_be_hashed(error: BaseException) -> object:
    class Key:
        __hash__ = raising(error)  # type: ignore[assignment]

    return Key()


def wrong(*_: object) -> Any:  # noqa: ANN401
    return "no update"


def to(key: object) -> Any:  # noqa: ANN401
    """Return a `demultiplex` that addresses a key; "first" creates its resource."""
    return lambda message: (mb.Initialize if message == "first" else mb.Dispatch)(key, message)


WAYS = {
    "demultiplex raises": (
        Callbacks(demultiplex=raising(Boom())),
        mb.WorkerGone,
        Boom,
        "demultiplex failed",
    ),
    "demultiplex returns no address": (
        Callbacks(demultiplex=wrong),
        mb.WorkerGone,
        TypeError,
        "demultiplex failed",
    ),
    "the key cannot be hashed": (
        Callbacks(demultiplex=to([])),
        mb.CallNotDelivered,
        TypeError,
        "unknown key",
    ),
    "the key refuses to be hashed": (
        Callbacks(demultiplex=to(refuses_to_be_hashed(Boom()))),
        mb.CallNotDelivered,
        Boom,
        "unknown key",
    ),
    "nobody has the key": (
        Callbacks(demultiplex=lambda message: mb.Dispatch("nobody", message)),
        mb.CallNotDelivered,
        None,
        "unknown key",
    ),
    "create raises": (
        Callbacks(
            demultiplex=lambda message: mb.Initialize("key", message), create=raising(Boom())
        ),
        mb.WorkerGone,
        Boom,
        "worker failed",
    ),
    "the resource is there": (
        Callbacks(
            demultiplex=lambda message: mb.Initialize("key", message), handle=answers
        ),
        mb.CallNotDelivered,
        None,
        "duplicate initialize",
    ),
    "handle raises": (
        Callbacks(demultiplex=to("key"), handle=raising(Boom())),
        mb.CallNotDelivered,
        None,
        "unknown key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_message_that_is_not_handled_is_one_dead_letter_and_its_caller_gets_the_cause(
    way: str,
) -> None:
    callbacks, kind, cause, reason = WAYS[way]
    callbacks.dead.clear()
    callbacks.calls.clear()
    with brokering(callbacks) as broker:
        broker.input.deliver("first")
        broker.input.deliver("plain")
        with pytest.raises(kind) as caught:
            mb.call(broker.input, Ask())
        broker.close()
        outcome(broker)

    assert (type(caught.value.__cause__) if caught.value.__cause__ else None) is cause
    assert caught.value.reason == reason
    handled = [message for _, message, _ in callbacks.of("handle")]
    dead = [letter.message for letter in callbacks.dead]
    taken = [*handled, *dead]
    assert [taken.count(message) for message in ("first", "plain")] == [1, 1]
    assert sum(isinstance(message, mb.Call) for message in taken) == 1


@pytest.mark.parametrize("error", [Boom(), Stop(), TypeError()])
def test_what_handle_raises_is_the_cause_of_what_its_caller_gets(error: BaseException) -> None:
    def handle(_key: object, message: object, _resource: object) -> None:
        if isinstance(message, mb.Call):
            raise error

    callbacks = Callbacks(demultiplex=to("key"), handle=handle)
    with brokering(callbacks) as broker:
        broker.input.deliver("first")
        with pytest.raises(mb.WorkerGone) as caught:
            mb.call(broker.input, Ask())

    assert caught.value.__cause__ is error
    assert callbacks.dead == []


def test_a_wrong_update_is_the_cause_of_what_the_caller_gets_unless_it_was_answered() -> None:
    answer = False

    def handle(_key: object, message: Any, _resource: object) -> Any:  # noqa: ANN401
        if not isinstance(message, mb.Call):
            return None
        if answer:
            message.reply_box.reply("answer")
        return "no update"

    callbacks = Callbacks(demultiplex=to("key"), handle=handle)
    with brokering(callbacks) as broker:
        broker.input.deliver("first")
        with pytest.raises(mb.WorkerGone) as caught:
            mb.call(broker.input, Ask())
        answer = True
        broker.input.deliver("first")
        assert mb.call(broker.input, Ask()) == "answer"

    assert isinstance(caught.value.__cause__, TypeError)
    assert callbacks.dead == []


@pytest.mark.parametrize("where", ["demultiplex", "create"])
def test_a_message_whose_functions_stop_the_broker_is_a_dead_letter_and_its_caller_is_told(
    where: str,
) -> None:
    error = Stop()
    callbacks = Callbacks(
        demultiplex=raising(error)
        if where == "demultiplex"
        else lambda message: mb.Initialize("key", message),
        create=raising(error) if where == "create" else initial,
    )
    with brokering(callbacks) as broker:
        with pytest.raises(mb.CallError) as caught:
            mb.call(broker.input, Ask())
        assert outcome(broker) is error

    assert caught.value.__cause__ is error
    assert len(callbacks.dead) == 1


def test_a_dead_letter_of_demultiplex_is_counted_under_its_reason() -> None:
    callbacks = Callbacks(demultiplex=raising(Boom()))
    with brokering(callbacks) as broker:
        broker.input.deliver("message")
        report = broker.drain(timeout=None)

    assert report.dead_letters == {mb.DeadLetterReason.DEMULTIPLEX_FAILED: 1}
