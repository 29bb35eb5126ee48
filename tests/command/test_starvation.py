"""Workers that wait for others on few threads: there is a thread for whom they wait for."""

from typing import Any

import pytest

from tests.command.doubles import Do, Echo, Note, Place, answer
from tests.helpers import DEADLINE, Running, run_together, until
from tests.pool.witness import named
from threadpool_mb import Call, Pool, call, call_async, cast


def shared(pool: Pool[Any, Any]) -> int:
    """Return how many shared threads of the pool live."""
    return len(named(f"{pool._dispatcher.name}-shared-"))


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
    assert pool._dispatcher._threads._blocked == 0


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

    def ask() -> str:
        return call_async(pool.ref("b"), Echo("1")).result()

    assert call(pool.ref("a"), answer(ask), timeout=DEADLINE) == "1"


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
    until(lambda: any(pool._roster.routes[key].waits_for for key in range(8)))

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
        lambda: call(
            pool.ref("a"), answer(lambda: (gate(), call_async(pool.ref("b"), Echo("1")))[0])
        )
    )
    gate.wait_until_reached()
    waiting = call_async(pool.ref("b"), Echo("1"))

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
    assert pool._dispatcher._threads._blocked == 0
