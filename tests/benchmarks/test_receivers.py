"""A receiver that misses a message, gets it twice or out of order fails the run."""

from collections.abc import Callable, Sequence

import pytest

from benchmarks.receivers import Numbered, OutOfOrderError, Receivers

type Feed = Callable[[Receivers[str], Sequence[Numbered]], None]


def _generator(receivers: Receivers[str], messages: Sequence[Numbered]) -> None:
    generator = receivers.generator("key")
    next(generator)
    for message in messages:
        generator.send(message)


def _function(receivers: Receivers[str], messages: Sequence[Numbered]) -> None:
    receivers.function("key", iter(messages).__next__)


def _loop(receivers: Receivers[str], messages: Sequence[Numbered]) -> None:
    receivers.loop("key", messages)


def _handle(receivers: Receivers[str], messages: Sequence[Numbered]) -> None:
    handle = receivers.handle("key")
    assert [handle(message) for message in messages] == [False, False, True]


def _handle_unordered(receivers: Receivers[str], messages: Sequence[Numbered]) -> None:
    handle = receivers.handle_unordered("key")
    assert [handle(message) for message in messages] == [False, False, True]


ORDERED: list[Feed] = [_generator, _function, _loop, _handle]


@pytest.mark.parametrize("feed", [*ORDERED, _handle_unordered])
def test_a_receiver_ends_once_after_the_last_message(feed: Feed) -> None:
    receivers = Receivers[str](3)

    try:
        feed(receivers, [(0,), (1,), (2,)])
    except StopIteration:
        assert feed is _generator

    receivers.wait_for(["key"])


@pytest.mark.parametrize("feed", ORDERED)
@pytest.mark.parametrize("numbers", [(0, 2), (0, 0), (1,)], ids=["missing", "twice", "late"])
def test_a_message_out_of_order_fails_both_sides(feed: Feed, numbers: tuple[int, ...]) -> None:
    receivers = Receivers[str](3)

    with pytest.raises(OutOfOrderError, match="was due"):
        feed(receivers, [(number,) for number in numbers])

    with pytest.raises(OutOfOrderError, match="was due"):
        receivers.wait_for(["key"])


def test_without_order_a_message_that_comes_twice_fails() -> None:
    receivers = Receivers[str](3)

    with pytest.raises(OutOfOrderError):
        _handle_unordered(receivers, [(2,), (2,)])


def test_without_order_any_order_will_do() -> None:
    receivers = Receivers[str](3)

    _handle_unordered(receivers, [(2,), (0,), (1,)])

    receivers.wait_for(["key"])


def test_a_receiver_that_nobody_waited_for_fails_the_run() -> None:
    receivers = Receivers[str](1)
    receivers.loop("one", [(0,)])
    receivers.loop("other", [(0,)])

    with pytest.raises(OutOfOrderError, match="other"):
        receivers.wait_for(["one"])


def test_a_receiver_that_ends_twice_fails_the_run() -> None:
    receivers = Receivers[str](1)
    for _ in range(2):
        receivers.loop("one", [(0,)])

    with pytest.raises(OutOfOrderError, match="one"):
        receivers.wait_for(["one", "other"])
