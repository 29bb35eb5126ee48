"""What is called when the answer is there: callbacks, and futures."""

import asyncio
import concurrent.futures
import functools
import logging
import threading
from collections.abc import Callable

import pytest

from tests.calls.doubles import (
    Boom,
    Echo,
    FakeWorker,
    Place,
    answer_of,
    asked,
    error_of,
    held_by,
    not_handled,
)
from tests.helpers import DEADLINE, Running, in_thread, until
from threadpool_mb import CallFailed, CallNotDelivered, Reply, ReplyBox, Unlimited, WorkerGone, ask
from threadpool_mb.calls import answer as answer_code
from threadpool_mb.calls import unanswered
from threadpool_mb.originals import late_replies

ANSWERS: list[Callable[[ReplyBox[object]], object]] = [
    lambda box: box.reply(1),
    lambda box: box.fail(Boom()),
    lambda box: not_handled(box, "a", "worker removed"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=["reply", "fail", "not handled"])
def test_a_callback_is_called_once_with_the_reply_when_the_answer_comes(
    answer: Callable[[ReplyBox[object]], object],
) -> None:
    reply, box = asked()
    called: list[tuple[Reply[object], bool]] = []
    reply.add_done_callback(lambda reply: called.append((reply, reply.done())))
    before = called.copy()

    answer(box)
    not_handled(box, "a", "a second time")

    assert before == []
    assert called == [(reply, True)]


@pytest.mark.parametrize("answer", ANSWERS, ids=["reply", "fail", "not handled"])
def test_a_callback_is_called_at_once_where_the_answer_is_there(
    answer: Callable[[ReplyBox[object]], object],
) -> None:
    reply, box = asked()
    answer(box)
    called: list[tuple[Reply[object], threading.Thread]] = []

    reply.add_done_callback(lambda reply: called.append((reply, threading.current_thread())))

    assert called == [(reply, threading.current_thread())]


def test_callbacks_are_called_in_their_order_on_the_thread_that_answers() -> None:
    reply, box = asked()
    called: list[tuple[int, threading.Thread]] = []
    for number in range(3):
        reply.add_done_callback(lambda _, n=number: called.append((n, threading.current_thread())))

    answering = Running(lambda: (box.reply(1), threading.current_thread())[1]).result()

    assert called == [(number, answering) for number in range(3)]


def test_a_callback_that_was_added_twice_is_called_twice() -> None:
    reply, box = asked()
    called: list[Reply[object]] = []

    reply.add_done_callback(called.append)
    reply.add_done_callback(called.append)
    box.reply(1)

    assert called == [reply, reply]


def test_a_callback_may_add_another_one_and_wait_for_the_result() -> None:
    reply, box = asked()
    results: list[object] = []

    def first(reply: Reply[object]) -> None:
        results.append(reply.result())
        reply.add_done_callback(lambda reply: results.append(reply.result()))

    reply.add_done_callback(first)
    box.reply(1)

    assert results == [1, 1]


def test_what_a_callback_raises_is_logged_and_hinders_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply, box = asked()
    called: list[Reply[object]] = []

    def raising(reply: Reply[object]) -> None:
        raise Boom

    reply.add_done_callback(raising)
    reply.add_done_callback(called.append)
    with in_thread(reply.result) as waits:
        until(lambda: len(answer_of(reply)._log) == 3)
        box.reply(1)

        assert waits.result() == 1
    reply.add_done_callback(raising)

    assert called == [reply]
    expected = f"a callback of the call {reply.call_id} raised"
    assert [record.message for record in caplog.records] == [expected] * 2
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    caplog.clear()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_who_waits_is_woken_though_a_callback_raises_what_is_no_exception(
    error: type[BaseException],
) -> None:
    reply, box = asked()

    def raising(reply: Reply[object]) -> None:
        raise error

    reply.add_done_callback(raising)
    with in_thread(reply.result) as waits:
        until(lambda: len(answer_of(reply)._log) == 2)

        with pytest.raises(error):
            box.reply(1)

        assert waits.result() == 1


def test_callbacks_behind_one_that_raises_what_is_no_exception_are_called_all_the_same() -> None:
    reply, box = asked()
    called: list[Reply[object]] = []

    def raising(reply: Reply[object]) -> None:
        raise SystemExit

    reply.add_done_callback(raising)
    reply.add_done_callback(called.append)

    with pytest.raises(SystemExit):
        box.reply(1)

    assert called == [reply]


@pytest.mark.parametrize("function", [None, 3, lambda: None, lambda one, two: None])
def test_a_callback_that_cannot_be_called_with_a_reply_is_named(function: object) -> None:
    reply, _box = asked()

    with pytest.raises(TypeError, match="function must") as raised:
        reply.add_done_callback(function)

    assert repr(function)[:20] in str(raised.value)


def test_a_callback_is_called_when_the_worker_ends() -> None:
    worker = FakeWorker()
    reply, _box = held_by(worker)
    called: list[Reply[object]] = []
    reply.add_done_callback(called.append)

    worker.end()

    assert called == [reply]
    assert type(error_of(reply.try_result)) is WorkerGone


def test_a_callback_is_called_at_once_where_the_worker_has_ended() -> None:
    worker = FakeWorker()
    reply, _box = held_by(worker)
    worker.end()
    called: list[Reply[object]] = []

    reply.add_done_callback(called.append)

    assert called == [reply]


def test_a_future_gets_the_value_of_the_reply(place: Place) -> None:
    future = ask(place.served(), Echo("1")).as_future()

    assert future.result(DEADLINE) == "1"


def test_a_future_of_a_pending_reply_runs_and_cannot_be_cancelled() -> None:
    reply, box = asked()
    future = reply.as_future()

    assert (future.running(), future.done(), future.cancel()) == (True, False, False)
    box.reply(1)

    assert future.result(0) == 1


def test_each_future_of_a_reply_is_another_one_with_the_same_answer() -> None:
    reply, box = asked()
    before = reply.as_future()
    box.reply(1)

    futures = [before, reply.as_future(), reply.as_future()]

    assert len(set(futures)) == 3
    assert [future.result(0) for future in futures] == [1, 1, 1]


def test_a_future_gets_the_error_with_its_cause() -> None:
    reply, box = asked()
    future = reply.as_future()
    boom = Boom()

    box.fail(boom)

    error = future.exception(0)
    assert type(error) is CallFailed
    assert error.__cause__ is boom
    assert error is not reply.as_future().exception(0)


def test_a_future_of_a_call_that_was_refused_has_its_error_at_once() -> None:
    mailbox = Unlimited().create()
    mailbox.close()

    future = ask(mailbox.new_input(), Echo("1")).as_future()

    assert type(future.exception(0)) is CallNotDelivered


def test_futures_of_several_replies_are_waited_for_together(place: Place) -> None:
    pool = place.pool("generator", *"abc")
    futures = [ask(pool.ref(key), Echo(key)).as_future() for key in "abc"]

    done = concurrent.futures.as_completed(futures, DEADLINE)

    assert sorted(future.result() for future in done) == ["a", "b", "c"]


def test_a_future_is_awaited_by_asyncio_and_a_cancelled_await_lets_the_reply_come() -> None:
    reply, box = asked()
    before = late_replies()

    async def give_up_and_ask_again() -> object:
        waiting = asyncio.ensure_future(asyncio.wrap_future(reply.as_future()))
        await asyncio.sleep(0)
        waiting.cancel()
        again = asyncio.wrap_future(reply.as_future())
        asyncio.get_running_loop().call_soon(functools.partial(box.reply, 1))
        return await again

    assert asyncio.run(give_up_and_ask_again()) == 1
    assert late_replies() == before


class NoMemory(list[object]):
    """A log that cannot grow."""

    def append(self, entry: object) -> None:
        raise MemoryError


def test_without_memory_for_the_answer_nobody_is_told_and_it_can_be_given_again() -> None:
    reply, box = asked()
    called: list[Reply[object]] = []
    reply.add_done_callback(called.append)
    future = reply.as_future()
    answer = answer_of(reply)
    log = answer._log
    answer._log = NoMemory(log)  # type: ignore[misc]

    with pytest.raises(MemoryError):
        box.reply(1)
    before = (called.copy(), future.done(), reply.done())
    answer._log = log  # type: ignore[misc]
    box.reply(1)

    assert before == ([], False, False)
    assert (called, future.result(timeout=0)) == ([reply], 1)


@pytest.mark.parametrize("timeout", [float("nan"), "1", True, [0]])
@pytest.mark.parametrize("when", ["before the answer", "after it"])
@pytest.mark.parametrize("name", ["result", "exception"])
def test_a_futures_timeout_that_is_no_number_of_seconds_is_named(
    timeout: object, when: str, name: str
) -> None:
    reply, box = asked()
    future = reply.as_future()
    if when == "after it":
        box.reply(1)

    with pytest.raises(ValueError, match="timeout must be seconds") as raised:
        getattr(future, name)(timeout)

    assert repr(timeout) in str(raised.value)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_future_has_its_answer_though_the_thread_that_gave_it_could_not_tell(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    reply, box = asked()
    future = reply.as_future()

    def interrupted(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(answer_code, "wake_before", interrupted)
        with pytest.raises(error):
            box.reply(1)

    assert future.result(timeout=DEADLINE) == 1
    assert future.exception() is None


def test_what_keeps_a_future_from_being_filled_is_not_taken_for_its_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reply, box = asked()
    future = reply.as_future()

    def too_deep(*_: object, **__: object) -> None:
        raise RecursionError

    with monkeypatch.context() as patch:
        patch.setattr(unanswered, "fresh", too_deep)
        box.fail(Boom())
    caplog.clear()

    assert type(future.exception(timeout=DEADLINE)) is CallFailed


def test_a_callback_to_which_an_interrupt_comes_back_is_called_once() -> None:
    reply, box = asked()
    called: list[object] = []
    reply.add_done_callback(called.append)
    (entry,) = [each for each in answer_of(reply)._log if callable(each)]

    box.reply("answer")
    entry()  # as where an interrupt came behind it

    assert called == [reply]
