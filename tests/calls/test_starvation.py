"""Workers that wait for others on few threads: there is a thread for whom they wait for."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any

import pytest

from tests.calls.doubles import Do, Echo, Note, Place, answer, answer_of, asked, error_of, keep
from tests.helpers import DEADLINE, Running, run_together, until
from tests.insides import blocked, dispatcher_of, roster_of, threads_of
from tests.pool.witness import named
from threadpool_mb import (
    Blocking,
    Call,
    CallDeadlock,
    Cast,
    Pool,
    Reply,
    Unlimited,
    aio,
    ask,
    call,
    cast,
)
from threadpool_mb.calls.reply_future import ReplyFuture


def shared(pool: Pool[Any, Any]) -> int:
    """Return how many shared threads of the pool live."""
    return len(named(f"{dispatcher_of(pool).name}-shared-"))


@pytest.mark.parametrize("inline_calls", [True, False])
@pytest.mark.parametrize("max_threads", [1, 2])
@pytest.mark.parametrize("depth", [2, 5, 20])
def test_workers_that_call_each_other_go_on_however_few_threads_there_are(
    place: Place,
    inline_calls: bool,  # noqa: FBT001
    max_threads: int,
    depth: int,
) -> None:
    pool = place.pool(
        "generator", *range(depth), max_threads=max_threads, inline_calls=inline_calls
    )

    def go_on(key: int) -> int:
        if key + 1 == depth:
            return 1
        return 1 + call(pool.ref(key + 1), answer(lambda: go_on(key + 1)), timeout=DEADLINE)

    assert call(pool.ref(0), answer(lambda: go_on(0)), timeout=DEADLINE) == depth
    until(lambda: shared(pool) <= max_threads)


def by_result(reply: Reply[Any]) -> object:
    """Wait for a reply by its future."""
    return reply.as_future().result()


def by_result_in_time(reply: Reply[Any]) -> object:
    """Wait for a reply by its future, with a timeout."""
    return reply.as_future().result(timeout=2 * DEADLINE)


def by_exception(reply: Reply[Any]) -> object:
    """Wait for a reply by its future's exception."""
    future = reply.as_future()
    assert future.exception() is None
    return future.result(timeout=0)


def by_wait(reply: Reply[Any]) -> object:
    """Wait for several futures."""
    futures = [reply.as_future(), reply.as_future()]
    done, not_done = concurrent.futures.wait(futures)
    assert (done, not_done) == (set(futures), set())
    return futures[0].result(timeout=0)


def by_first_completed(reply: Reply[Any]) -> object:
    """Wait for the first of several futures, of which another one is nobody's."""
    future = reply.as_future()
    futures = [future, concurrent.futures.Future[Any]()]
    done, _ = concurrent.futures.wait(
        futures, return_when=concurrent.futures.FIRST_COMPLETED, timeout=2 * DEADLINE
    )
    assert done == {future}
    return future.result(timeout=0)


def by_as_completed(reply: Reply[Any]) -> object:
    """Wait for several futures, one after the other."""
    futures = [reply.as_future() for _ in range(3)]
    return [future.result() for future in concurrent.futures.as_completed(futures)].pop()


def by_callback(reply: Reply[Any]) -> object:
    """Wait for a reply in a callback of another one."""
    got: list[object] = []
    other, box = asked()
    other.add_done_callback(lambda _: got.append(reply.result()))
    box.reply(1)
    return got[0]


@pytest.mark.parametrize(
    "waits",
    [
        by_result,
        by_result_in_time,
        by_exception,
        by_wait,
        by_first_completed,
        by_as_completed,
        by_callback,
    ],
)
@pytest.mark.parametrize("max_threads", [1, 2])
def test_workers_that_wait_for_each_other_by_futures_go_on_however_few_threads_there_are(
    place: Place, waits: Callable[[Reply[Any]], object], max_threads: int
) -> None:
    pool = place.pool("generator", *range(5), max_threads=max_threads)

    def go_on(key: int) -> object:
        if key == 4:
            return "the last one"
        return waits(ask(pool.ref(key + 1), answer(lambda: go_on(key + 1))))

    reply = ask(pool.ref(0), answer(lambda: go_on(0)))

    assert reply.result(timeout=DEADLINE) == "the last one"
    until(lambda: shared(pool) <= max_threads)
    assert blocked(threads_of(pool)) == 0


def test_workers_that_wait_for_each_other_in_loops_of_asyncio_go_on_with_one_thread(
    place: Place,
) -> None:
    pool = place.pool("generator", *range(5), max_threads=1)

    def go_on(key: int) -> object:
        if key == 4:
            return "the last one"
        return asyncio.run(aio.call(pool.ref(key + 1), answer(lambda: go_on(key + 1))))

    reply = ask(pool.ref(0), answer(lambda: go_on(0)))

    assert reply.result(timeout=DEADLINE) == "the last one"
    until(lambda: shared(pool) == 1)
    assert blocked(threads_of(pool)) == 0


def test_a_worker_that_waits_for_room_in_a_loop_of_asyncio_leaves_a_thread_to_make_it(
    place: Place,
) -> None:
    pool = place.pool("generator", "a", "b", max_threads=1, mailbox=Blocking(1))
    seen: list[int] = []

    async def send() -> None:
        for number in range(10):
            await aio.deliver(pool.ref("b"), Cast(Note(lambda n=number: seen.append(n))))

    def run() -> str:
        asyncio.run(send())
        return "sent"

    reply = ask(pool.ref("a"), answer(run))

    assert reply.result(timeout=DEADLINE) == "sent"
    until(lambda: seen == list(range(10)))
    assert blocked(threads_of(pool)) == 0


def test_a_worker_that_receives_in_a_loop_of_asyncio_leaves_a_thread_to_send(place: Place) -> None:
    pool = place.pool("generator", "a", "b", max_threads=1)
    mailbox = Unlimited().create()

    def send() -> None:
        mailbox.new_input().deliver("1")
        mailbox.close()

    async def receive() -> list[object]:
        return [message async for message in aio.messages(mailbox)]

    def run() -> list[object]:
        cast(pool.ref("b"), Note(send))
        return asyncio.run(receive())

    reply = ask(pool.ref("a"), answer(run))

    assert reply.result(timeout=DEADLINE) == ["1"]
    assert blocked(threads_of(pool)) == 0


@pytest.mark.parametrize("waits", [by_result, by_exception])
def test_workers_that_would_wait_for_each_other_by_futures_are_told(
    place: Place, waits: Callable[[Reply[Any]], object]
) -> None:
    pool = place.pool("generator", "a", "b", name="p", inline_calls=False)

    asked: list[Reply[Any]] = []

    def back() -> object:
        # The last one to wait is told.
        until(lambda: len(asked) > 0 and answer_of(asked[0]).waiter is not None)
        return error_of(lambda: waits(ask(pool.ref("a"), Echo("1"))))

    def forth() -> object:
        asked.append(ask(pool.ref("b"), answer(back)))
        return waits(asked[0])

    error = ask(pool.ref("a"), answer(forth)).result(timeout=DEADLINE)

    assert type(error) is CallDeadlock
    assert str(error).endswith(" would wait for ever: p 'b' → p 'a' → p 'b'")


def test_a_future_that_waits_in_vain_says_so_and_keeps_no_reply_once_it_is_there() -> None:
    reply, box = asked()
    future = reply.as_future()

    with pytest.raises(TimeoutError):
        future.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        future.result(timeout=-1)
    box.reply("1")

    assert future.result() == "1"
    assert isinstance(future, ReplyFuture)
    assert future.answer is None


def test_a_pool_of_workers_that_wait_by_futures_for_one_that_never_answers_ends_by_cancel(
    place: Place,
) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool("generator", "sink", *range(4), max_threads=2)
    for key in range(4):
        cast(
            pool.ref(key),
            Note(lambda: error_of(lambda: by_wait(ask(pool.ref("sink"), keep(kept))))),
        )
    until(lambda: len(kept) == 4)

    pool.cancel()

    assert pool.join(timeout=DEADLINE).finished


def test_the_surplus_threads_are_gone_afterwards_and_come_again(place: Place) -> None:
    pool = place.pool("generator", *range(5), max_threads=1, inline_calls=False)
    most: list[int] = []

    def go_on(key: int) -> None:
        if key == 4:
            most.append(shared(pool))
        else:
            call(pool.ref(key + 1), answer(lambda: go_on(key + 1)))

    for _ in range(3):
        call(pool.ref(0), answer(lambda: go_on(0)))
        until(lambda: shared(pool) == 1)

    assert most == [5, 5, 5]
    assert pool.stats().threads == 2
    assert blocked(threads_of(pool)) == 0


def test_a_worker_calls_one_that_is_busy_with_what_was_sent_before(place: Place) -> None:
    pool = place.pool("generator", "a", "b", max_threads=1)
    seen: list[int] = []

    def ask() -> str:
        for number in range(100):
            cast(pool.ref("b"), Note(lambda n=number: seen.append(n)))
        return call(pool.ref("b"), Echo("behind them"))

    assert call(pool.ref("a"), answer(ask), timeout=DEADLINE) == "behind them"
    assert seen == list(range(100))


def test_a_worker_calls_one_that_has_not_started(place: Place) -> None:
    pool = place.pool("generator", "a", max_threads=1)

    def initialize_and_ask() -> str:
        pool.initialize("b")
        return call(pool.ref("b"), Echo("1"))

    assert call(pool.ref("a"), answer(initialize_and_ask), timeout=DEADLINE) == "1"


def test_a_worker_waits_for_an_asynchronous_call(place: Place) -> None:
    pool = place.pool("generator", "a", "b", max_threads=1)

    def ask_the_other() -> str:
        return ask(pool.ref("b"), Echo("1")).result()

    assert call(pool.ref("a"), answer(ask_the_other), timeout=DEADLINE) == "1"


def test_many_workers_that_all_wait_for_one_go_on(place: Place) -> None:
    pool = place.pool("generator", *range(8), "last", max_threads=2, inline_calls=False)
    gate = place.hold(pool.ref("last"))
    callers = [
        Running(
            lambda key=key: call(
                pool.ref(key), answer(lambda: call(pool.ref("last"), Echo("1"))), timeout=DEADLINE
            )
        )
        for key in range(8)
    ]
    until(lambda: any(roster_of(pool).routes[key].waits_for for key in range(8)))

    gate.open()

    assert [caller.result() for caller in callers] == ["1"] * 8
    until(lambda: shared(pool) <= 2)


def test_a_worker_that_waits_for_one_of_another_pool_holds_up_neither(place: Place) -> None:
    one = place.pool("generator", "a", "b", max_threads=1)
    other = place.pool("generator", "a", max_threads=1)

    def ask_the_other() -> str:
        return call(other.ref("a"), answer(lambda: call(one.ref("b"), Echo("1"))), timeout=DEADLINE)

    assert call(one.ref("a"), answer(ask_the_other), timeout=DEADLINE) == "1"


def test_other_turns_go_on_while_the_only_thread_waits_for_a_reply(place: Place) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool("generator", "a", "b", "c", max_threads=1)
    caller = Running(
        lambda: call(pool.ref("a"), answer(lambda: call(pool.ref("b"), Do(kept.append))))
    )
    until(lambda: kept)

    assert call(pool.ref("c"), Echo("meanwhile"), timeout=DEADLINE) == "meanwhile"
    kept[0].reply_box.reply("1")

    assert caller.result() == "1"


def test_a_pool_that_drains_lets_its_workers_call_each_other(place: Place) -> None:
    pool = place.pool("generator", "a", "b", max_threads=1)
    gate = place.gate()
    caller = Running(
        lambda: call(pool.ref("a"), answer(lambda: (gate(), ask(pool.ref("b"), Echo("1")))[0]))
    )
    gate.wait_until_reached()
    waiting = ask(pool.ref("b"), Echo("1"))

    pool.close()
    gate.open()

    assert waiting.result(timeout=DEADLINE) == "1"
    caller.result()
    assert pool.join(timeout=DEADLINE).finished
    assert shared(pool) == 0


def test_calls_back_and_forth_under_load_leave_as_many_threads_as_there_may_be(
    place: Place,
) -> None:
    pool = place.pool("generator", *range(6), max_threads=2, inline_calls=False)

    def ask(key: int) -> list[object]:
        return [
            call(
                pool.ref(key),
                answer(lambda: call(pool.ref(key + 3), Echo("1"))),
                timeout=DEADLINE,
            )
            for _ in range(30)
        ]

    run_together(*[lambda key=key: ask(key) for key in range(3)])

    until(lambda: shared(pool) <= 2)
    assert blocked(threads_of(pool)) == 0
