"""Staged: futures that die, or come back to life, while another thread fills them."""

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, in_thread, until
from tests.mailbox.staging import Stage
from threadpool_mb.mailbox.claims import ClaimedMessage


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Return what has a function called where a future's finalizer is about to return."""
    todo: list[Callable[[], object]] = []

    def at_its_end(frame: FrameType, event: str, arg: object) -> object:
        if event == "return" and todo:
            todo.pop()()
        return at_its_end

    def trace(frame: FrameType, event: str, arg: object) -> object:
        return at_its_end if frame.f_code is ClaimedMessage.__del__.__code__ else None

    def do(function: Callable[[], object]) -> None:
        todo.append(function)
        sys.settrace(trace)  # type: ignore[arg-type]

    before = sys.gettrace()
    yield do
    sys.settrace(before)
    assert not todo, "no future was finalized"


def drop_the_last_reference(futures: list[mb.MessageFuture[str]]) -> None:
    futures.clear()


def leave_a_cycle(futures: list[mb.MessageFuture[str]]) -> None:
    cycle: list[object] = [futures.pop()]
    cycle.append(cycle)
    del cycle
    gc.collect()


@pytest.mark.parametrize("drop", [drop_the_last_reference, leave_a_cycle])
def test_a_message_that_comes_while_a_future_is_finalized_goes_to_the_next_one(
    drop: Callable[[list[mb.MessageFuture[str]]], None],
    meanwhile: Callable[[Callable[[], object]], None],
    stage: Stage,
) -> None:
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    dying, lives = [mailbox.try_receive()], mailbox.try_receive()

    def deliver() -> None:
        stage.until_receiver_waits()
        mailbox.new_input().deliver("the message")
        # The leader has got it, or it has filled the dying one, and waits for another message.
        until(lambda: not leader.running or stage.receiver_waits)

    with in_thread(lambda: lives.result(timeout=DEADLINE)) as leader:
        meanwhile(deliver)
        drop(dying)

        assert leader.result() == "the message"
    assert len(mailbox) == 0


@pytest.mark.parametrize("drop", [drop_the_last_reference, leave_a_cycle])
def test_a_message_that_comes_before_a_future_is_finalized_is_given_back_once(
    drop: Callable[[list[mb.MessageFuture[str]]], None],
) -> None:
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    dying = [mailbox.try_receive()]
    mailbox.new_input().deliver("the message")
    assert dying[0].done()

    drop(dying)

    assert mailbox.receive(timeout=0) == "the message"
    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=0)


class Savior:
    """Brings a future back to life that dies in a cycle with it."""

    def __init__(self, future: mb.MessageFuture[str], saved: list[mb.MessageFuture[str]]) -> None:
        self.future, self.saved, self.me = future, saved, self

    def __del__(self) -> None:
        self.saved.append(self.future)


def saved_from_death(future: mb.MessageFuture[str]) -> mb.MessageFuture[str]:
    """Return the future, finalized and alive; the caller must have no reference to it."""
    saved: list[mb.MessageFuture[str]] = []
    Savior(future, saved)
    del future
    gc.collect()
    return saved.pop()


@pytest.mark.parametrize("filled", [False, True])
def test_a_future_that_came_back_to_life_claims_anew(filled: bool) -> None:  # noqa: FBT001 - a case
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    deliver = mailbox.new_input().deliver
    futures = [mailbox.try_receive()]
    if filled:
        deliver("first")
        assert futures[0].done()
    future = saved_from_death(futures.pop())
    if not filled:
        assert not future.done()
        deliver("first")

    assert future.done()
    assert [future.result(timeout=0), future.result(timeout=0)] == ["first", "first"]
    assert len(mailbox) == 0


def test_a_future_that_came_back_to_life_and_dies_again_loses_no_message() -> None:
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    futures = [saved_from_death(mailbox.try_receive())]
    mailbox.new_input().deliver("the message")
    assert futures[0].done()

    futures.clear()

    assert mailbox.receive(timeout=0) == "the message"


def test_a_future_that_was_read_and_came_back_to_life_remembers_its_message() -> None:
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    mailbox.new_input().deliver("the message")
    futures = [mailbox.try_receive()]
    assert futures[0].result(timeout=0) == "the message"

    future = saved_from_death(futures.pop())

    assert future.result(timeout=0) == "the message"
    assert len(mailbox) == 0


def test_a_future_that_is_finalized_while_a_thread_waits_for_it_claims_anew_for_that_thread() -> (
    None
):
    """The thread got it from a finalizer of the same cycle; it leads, and its claim is gone."""
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    future = mailbox.try_receive()
    claims = mailbox._claims  # type: ignore[attr-defined]
    with in_thread(lambda: future.result(timeout=DEADLINE)) as waits:
        until(lambda: claims._leader is not None)
        future.__del__()  # type: ignore[attr-defined]
        mailbox.new_input().deliver("the message")

        assert waits.result() == "the message"
    assert len(mailbox) == 0


def test_of_reading_and_dying_at_once_one_has_the_message() -> None:
    mailbox: mb.Mailbox[str] = mb.Unlimited().create()
    deliver = mailbox.new_input().deliver
    received: list[str] = []
    for number in range(300):
        deliver(str(number))
        future = mailbox.try_receive()
        assert future.done()
        finalizes = threading.Thread(target=future.__del__)  # type: ignore[attr-defined]
        finalizes.start()
        received.append(future.result(timeout=DEADLINE))
        finalizes.join()
        assert len(mailbox) == 0

    assert received == [str(number) for number in range(300)]
