"""Calls that are handled on their callers' threads: when, and what stays as it is."""

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.calls.doubles import (
    Do,
    Echo,
    Note,
    Place,
    answer,
    doing,
    error_of,
    until_idle,
)
from tests.helpers import DEADLINE, Running, run_together, until
from tests.insides import dispatcher_of
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    Blocking,
    Call,
    CallFailed,
    CatchAll,
    DuplicateReply,
    MailboxConfig,
    NonBlocking,
    Pool,
    Unlimited,
    Waiting,
    ask,
    call,
    cast,
)
from threadpool_mb.threads.here import _DEEPEST as DEEPEST
from threadpool_mb.threads.here import here

WHERE = answer(threading.current_thread)
"""Asks on which thread the worker runs."""


def runs_here(pool: Pool[Any, Any], **options: Any) -> bool:  # noqa: ANN401 - what `call` takes
    """Return whether the worker of key "a" runs on the thread that calls it."""
    until_idle(pool, "a")
    return call(pool.ref("a"), WHERE, **options) is threading.current_thread()


def main[T](function: Callable[[], T]) -> T:
    """Call `function` on the main thread, which runs the tests."""
    return function()


def another[T](function: Callable[[], T]) -> T:
    """Call `function` on another thread."""
    return Running(function).result()


@pytest.mark.parametrize(
    ("inline_calls", "on", "expected"),
    [
        (True, main, True),
        (True, another, True),
        (None, main, False),
        (None, another, True),
        (False, main, False),
        (False, another, False),
    ],
)
def test_a_call_of_an_idle_worker_runs_on_its_callers_thread_as_the_pool_says(
    place: Place,
    inline_calls: bool | None,  # noqa: FBT001
    on: Callable[[Callable[[], bool]], bool],
    expected: bool,  # noqa: FBT001
) -> None:
    pool = place.idle("a", inline_calls=inline_calls)

    assert on(lambda: runs_here(pool)) == expected


@pytest.mark.parametrize(
    "mailbox",
    [
        Unlimited(),
        Blocking(1),
        NonBlocking(1),
        Waiting(1, deliver_timeout=60),
        CatchAll(Blocking(1)),
    ],
    ids=repr,
)
def test_it_does_whatever_the_limit_of_the_mailbox_and_takes_no_room(
    place: Place, mailbox: MailboxConfig
) -> None:
    pool = place.idle("a", mailbox=mailbox, inline_calls=True)

    assert [runs_here(pool) for _ in range(5)] == [True] * 5
    gate = place.hold(pool.ref("a"))
    assert cast(pool.ref("a"), Note(lambda: None))
    gate.open()


@pytest.mark.parametrize("mailbox", [Intercepting(), CatchAll(Intercepting())], ids=["own", "all"])
def test_a_call_of_a_worker_with_a_users_own_mailbox_never_does(
    place: Place, mailbox: MailboxConfig
) -> None:
    pool = place.idle("a", mailbox=mailbox, inline_calls=True)

    assert not runs_here(pool)


def test_a_call_with_a_timeout_never_does(place: Place) -> None:
    pool = place.idle("a", inline_calls=True)

    assert not runs_here(pool, timeout=DEADLINE)


def test_an_asynchronous_call_never_does(place: Place) -> None:
    pool = place.idle("a", inline_calls=True)

    assert ask(pool.ref("a"), WHERE).result() is not threading.current_thread()


def test_a_call_of_a_function_worker_never_does(place: Place) -> None:
    pool = place.pool("function", "a", inline_calls=True)

    assert call(pool.ref("a"), WHERE) is not threading.current_thread()


def test_a_call_of_a_busy_worker_does_not_and_comes_behind_what_waits(place: Place) -> None:
    seen: list[str] = []
    pool = place.idle("a", inline_calls=True)
    gate = place.hold(pool.ref("a"))
    cast(pool.ref("a"), Note(lambda: seen.append("before")))
    caller = Running(
        lambda: call(
            pool.ref("a"), answer(lambda: (seen.append("call"), threading.current_thread())[1])
        )
    )
    until(lambda: pool.stats().waiting == 2)

    gate.open()

    assert caller.result().name.startswith(f"{dispatcher_of(pool).name}-shared-")
    assert seen == ["before", "call"]


def test_messages_of_one_thread_keep_their_order_whichever_way_they_go(place: Place) -> None:
    seen: list[int] = []
    pool = place.idle("a", inline_calls=True)

    def send(numbers: range) -> None:
        for number in numbers:
            note = Note(lambda n=number: seen.append(n))
            if number % 3 == 0:
                call(pool.ref("a"), answer(note.function))
            else:
                cast(pool.ref("a"), note)

    run_together(lambda: send(range(100)), lambda: send(range(1000, 1100)))
    call(pool.ref("a"), Echo("all done"))

    assert [n for n in seen if n < 1000] == list(range(100))
    assert [n for n in seen if n >= 1000] == list(range(1000, 1100))


def test_a_message_that_comes_during_a_call_is_handled_after_it_on_a_shared_thread(
    place: Place,
) -> None:
    seen: list[tuple[str, bool]] = []
    pool = place.idle("a", inline_calls=True)
    me = threading.current_thread()

    def see(name: str) -> None:
        seen.append((name, threading.current_thread() is me))

    def tell_itself(received: Call[Any]) -> None:
        cast(pool.ref("a"), Note(lambda: see("told")))
        see("called")
        received.reply_box.reply(None)

    call(pool.ref("a"), Do(tell_itself))
    until(lambda: len(seen) == 2)

    assert seen == [("called", True), ("told", False)]


def test_two_who_call_one_worker_at_once_are_handled_one_at_a_time(place: Place) -> None:
    running: list[int] = []
    together: list[int] = []
    pool = place.idle("a")

    def alone() -> None:
        running.append(1)
        together.append(len(running))
        running.pop()

    run_together(*[lambda: [call(pool.ref("a"), answer(alone)) for _ in range(100)]] * 3)

    assert together == [1] * 300


NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="empty")


def test_the_worker_does_not_run_in_its_callers_context_nor_changes_it(place: Place) -> None:
    pool = place.idle("a", inline_calls=True)
    token = NAME.set("the caller's")
    try:
        seen = call(pool.ref("a"), answer(lambda: (NAME.get(), NAME.set("the worker's"))[0]))

        assert (seen, NAME.get()) == ("empty", "the caller's")
        assert runs_here(pool)
    finally:
        NAME.reset(token)


def test_the_caller_waits_for_a_reply_that_the_worker_gives_later(place: Place) -> None:
    kept: list[Call[Any]] = []
    pool = place.idle("a")
    caller = Running(lambda: call(pool.ref("a"), Do(kept.append)))
    until(lambda: kept)

    assert call(pool.ref("a"), answer(lambda: kept.pop().reply_box.reply("later"))) is None

    assert caller.result() == "later"


def test_a_worker_that_answers_before_it_is_done_holds_its_caller_until_it_is(place: Place) -> None:
    gate = place.gate()
    pool = place.idle("a")

    def answer_early(received: Call[Any]) -> None:
        received.reply_box.reply("early")
        gate()

    caller = Running(lambda: call(pool.ref("a"), Do(answer_early)))
    gate.wait_until_reached()
    running = caller.running
    gate.open()

    assert (running, caller.result()) == (True, "early")


def test_a_failed_call_leaves_the_worker_as_it_was(place: Place) -> None:
    pool = place.idle("a", inline_calls=True)

    error = error_of(
        lambda: call(pool.ref("a"), Do(lambda received: received.reply_box.fail(ValueError())))
    )

    assert type(error) is CallFailed
    assert runs_here(pool)


@pytest.mark.parametrize("max_threads", [1, 2])
@pytest.mark.parametrize("inline_calls", [True, False])
@pytest.mark.parametrize("length", [DEEPEST - 1, DEEPEST, DEEPEST + 1, 40])
def test_a_chain_of_workers_that_call_each_other_may_be_of_any_length(
    place: Place,
    max_threads: int,
    inline_calls: bool,  # noqa: FBT001
    length: int,
) -> None:
    pool = place.idle(*range(length), max_threads=max_threads, inline_calls=inline_calls)
    threads: list[int] = []

    def go_on(key: int) -> int:
        threads.append(threading.get_ident())
        return (
            1 if key + 1 == length else 1 + call(pool.ref(key + 1), answer(lambda: go_on(key + 1)))
        )

    assert call(pool.ref(0), answer(lambda: go_on(0))) == length
    here_first = [threading.get_ident() if inline_calls else threads[0]]
    on_one = [thread for thread in threads if thread == here_first[0]]
    assert len(on_one) == (min(length, DEEPEST) if inline_calls else 1)
    assert here.inner == []


def test_a_chain_goes_on_on_another_thread_where_it_is_too_deep_for_one(place: Place) -> None:
    length = 3 * DEEPEST
    pool = place.idle(*range(length), max_threads=8, inline_calls=True)
    threads: list[threading.Thread] = []

    def go_on(key: int) -> None:
        threads.append(threading.current_thread())
        if key + 1 < length:
            call(pool.ref(key + 1), answer(lambda: go_on(key + 1)))

    call(pool.ref(0), answer(lambda: go_on(0)))

    # On a shared thread its own worker is one more.
    assert len(dict.fromkeys(threads)) == 3


def test_a_thread_that_runs_a_worker_for_a_caller_cannot_join_its_pool(place: Place) -> None:
    pool = place.idle("a", inline_calls=True)

    def join(received: Call[Any]) -> None:
        try:
            pool.join(timeout=0)
        except RuntimeError as error:
            received.reply_box.fail(error)

    error = error_of(lambda: call(pool.ref("a"), Do(join)))

    assert "cannot be joined" in str(error)
    assert pool.join(timeout=0).finished is False


def test_the_first_answer_stands_where_a_second_one_comes_in_the_same_turn() -> None:
    def fails_then_replies(received: Call[Any]) -> None:
        received.reply_box.fail(LookupError("first"))
        with pytest.raises(DuplicateReply):
            received.reply_box.reply("second")

    with Pool(doing, inline_calls=True) as pool:
        pool.initialize("a")
        until_idle(pool, "a")

        with pytest.raises(CallFailed, match="first"):
            call(pool.ref("a"), Do(fails_then_replies))
