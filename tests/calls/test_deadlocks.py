"""Workers whose calls wait for each other, in whatever circle: one of them is told."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.calls.doubles import (
    Do,
    Echo,
    Kind,
    Place,
    answer,
    error_of,
    until_waits,
)
from tests.helpers import DEADLINE, Running, in_thread, run_together, until
from tests.insides import roster_of
from threadpool_mb import Call, CallDeadlock, CallFailed, Input, Pool, ask, call


@pytest.fixture(params=[True, False], ids=["inline", "not inline"])
def inline_calls(request: pytest.FixtureRequest) -> bool:
    """Return whether the pool handles calls on their callers' threads."""
    return request.param


def going_round(
    targets: list[Input[Any]],
    *,
    timeout: float | None = None,
    before_last: Callable[[], object] = lambda: None,
) -> Do:
    """Call the first one, who calls the second one, and so on; the last error comes back."""

    def go_on(received: Call[Any]) -> None:
        try:
            if not targets:
                received.reply_box.reply("nobody was told")
            else:
                if len(targets) == 1:
                    before_last()
                received.reply_box.reply(call(targets.pop(0), Do(go_on), timeout=timeout))
        except CallDeadlock as error:
            received.reply_box.reply(error)

    return Do(go_on)


def circle(pools: list[Pool[Any, Any]], keys: list[object], **options: Any) -> object:  # noqa: ANN401
    """Return what comes of calls that go round these workers, back to the first one."""
    first, *others = [pool.ref(key) for pool, key in zip(pools, keys, strict=True)]
    return Running(lambda: call(first, going_round([*others, first], **options))).result()


def goes_round(error: CallDeadlock, names: list[str]) -> bool:
    """Return whether the text of an error goes round these workers, from whichever it begins."""
    told = str(error).removeprefix(f"the call {error.call_id} would wait for ever: ").split(" → ")
    begin = names.index(told[0])
    return told == [*names[begin:], *names[:begin], names[begin]]


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("keys", [["a"], ["a", "b"], ["a", "b", "c"]], ids=len)
def test_a_circle_of_calls_is_told_with_its_chain(
    place: Place,
    kind: Kind,
    inline_calls: bool,  # noqa: FBT001
    keys: list[object],
    timeout: float | None,
) -> None:
    pool = place.pool(kind, *keys, name="p", inline_calls=inline_calls)

    error = circle([pool] * len(keys), keys, timeout=timeout)

    assert type(error) is CallDeadlock
    assert goes_round(error, [f"p {key!r}" for key in keys])
    assert error.key in keys
    assert error.reason == "deadlock"


def test_the_error_has_the_key_of_the_worker_that_was_to_answer(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a", "b", name="p", inline_calls=False)

    error = circle([pool] * 2, ["a", "b"])

    assert type(error) is CallDeadlock
    caller, called, _ = str(error).split(": ")[-1].split(" → ")
    assert f"p {error.key!r}" == called
    assert caller != called


CIRCLES = ["fg", "gf", "fgf", "ggff", "gggf"]


@pytest.mark.parametrize("kinds", CIRCLES)
def test_a_circle_may_go_through_pools_of_both_kinds_and_all_its_workers_are_named(
    place: Place, kinds: str
) -> None:
    error = circle(*through(place, kinds, inline_calls=False))

    assert type(error) is CallDeadlock
    assert goes_round(error, [f"{kind}{number} {number}" for number, kind in enumerate(kinds)])


@pytest.mark.parametrize("kinds", CIRCLES)
def test_those_who_were_called_inline_are_named_too(place: Place, kinds: str) -> None:
    error = circle(*through(place, kinds, inline_calls=True))

    assert type(error) is CallDeadlock
    assert goes_round(error, [f"{kind}{number} {number}" for number, kind in enumerate(kinds)])


def through(place: Place, kinds: str, **options: Any) -> tuple[list[Any], list[object]]:  # noqa: ANN401
    """Make a pool for each worker of a circle."""
    pools = [
        place.pool("function", number, name=f"f{number}")
        if kind == "f"
        else place.idle(number, name=f"g{number}", **options)
        for number, kind in enumerate(kinds)
    ]
    return pools, list(range(len(kinds)))


def test_after_a_circle_was_told_its_workers_go_on(
    place: Place,
    kind: Kind,
    inline_calls: bool,  # noqa: FBT001
) -> None:
    pool = place.pool(kind, "a", "b", inline_calls=inline_calls)

    for _ in range(3):
        assert type(circle([pool] * 2, ["a", "b"])) is CallDeadlock

    assert [call(pool.ref(key), Echo("1"), timeout=DEADLINE) for key in "ab"] == ["1", "1"]
    for key in "ab":
        assert roster_of(pool).routes[key].waits_for is None


def test_a_call_that_was_told_of_a_circle_is_expired_where_it_waits(
    place: Place, kind: Kind
) -> None:
    seen: list[bool] = []
    pool = place.pool(kind, "a")

    def call_itself() -> None:
        error_of(lambda: call(pool.ref("a"), Do(lambda got: seen.append(got.reply_box.expired))))

    call(pool.ref("a"), answer(call_itself))
    call(pool.ref("a"), Echo("behind it"))

    assert seen == [True]


def test_a_worker_that_waits_for_the_reply_to_its_own_asynchronous_call_is_told_and_can_go_on(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a")
    replies: list[Any] = []

    def ask_itself() -> type:
        replies.append(ask(pool.ref("a"), Echo("later")))
        return type(error_of(replies[0].result))

    assert call(pool.ref("a"), answer(ask_itself)) is CallDeadlock
    # The call stands: only waiting for it was refused.
    assert replies[0].result(timeout=DEADLINE) == "later"


def test_a_worker_that_does_not_wait_may_call_whom_it_likes(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a")
    replies: list[Any] = []

    call(pool.ref("a"), answer(lambda: replies.append(ask(pool.ref("a"), Echo("1")))))

    assert replies[0].result(timeout=DEADLINE) == "1"


def test_a_callback_in_the_place_of_waiting_closes_no_circle(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a")
    results: list[object] = []

    def ask_itself() -> None:
        reply = ask(pool.ref("a"), Echo("1"))
        reply.add_done_callback(lambda reply: results.append(reply.result()))

    call(pool.ref("a"), answer(ask_itself))
    until(lambda: results)

    assert results == ["1"]


def test_of_two_workers_that_close_a_circle_at_once_exactly_one_is_told(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a", "b", inline_calls=False)

    for _ in range(30):
        both_run = threading.Barrier(2)
        told: list[object] = []

        def ask(other: str, both_run: threading.Barrier = both_run, told: list[Any] = told) -> None:
            both_run.wait(DEADLINE)
            try:
                call(pool.ref(other), Echo("1"))
            except CallDeadlock:
                told.append(other)

        run_together(
            lambda ask=ask: call(pool.ref("a"), answer(lambda: ask("b"))),
            lambda ask=ask: call(pool.ref("b"), answer(lambda: ask("a"))),
        )

        assert len(told) == 1


def test_a_plain_thread_never_closes_a_circle(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a")
    gate = place.gate()
    first = ask(pool.ref("a"), Do(lambda got: (gate(), got.reply_box.reply("first"))))
    gate.wait_until_reached()

    with in_thread(lambda: [call(pool.ref("a"), Echo("1")) for _ in range(2)]) as waits_for_a:
        until(lambda: pool.stats().waiting == 1)
        gate.open()

        assert waits_for_a.result() == ["1", "1"]
    assert first.result() == "first"


def test_a_worker_whose_caller_is_a_plain_thread_that_waits_may_call_others(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a", "b", "c")

    def ask_both() -> list[object]:
        return [call(pool.ref(key), Echo(key)) for key in "bcbc"]

    assert call(pool.ref("a"), answer(ask_both)) == list("bcbc")


def test_two_callers_of_one_worker_close_no_circle(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a", "b", "c")
    gate = place.hold(pool.ref("c"))
    callers = [
        Running(
            lambda key=key: call(
                pool.ref(key), answer(lambda: call(pool.ref("c"), Echo("1"))), timeout=DEADLINE
            )
        )
        for key in "ab"
    ]
    for key in "ab":
        until_waits(pool, key)

    gate.open()

    assert [caller.result() for caller in callers] == ["1", "1"]


def test_a_circle_that_begins_with_a_call_that_has_a_timeout_is_told_at_once(
    place: Place, kind: Kind
) -> None:
    pool = place.pool(kind, "a", "b")

    def ask_back() -> object:
        # The last one who begins to wait is the one who is told.
        until_waits(pool, "a")
        return call(pool.ref("a"), Echo("1"), timeout=60)

    error = error_of(
        lambda: call(
            pool.ref("a"),
            Do(
                lambda got: got.reply_box.fail(
                    error_of(lambda: call(pool.ref("b"), answer_or_fail(ask_back), timeout=60))
                )
            ),
            timeout=DEADLINE,
        )
    )

    assert type(error) is CallFailed
    assert isinstance(error.__cause__, CallFailed)
    assert isinstance(error.__cause__.__cause__, CallDeadlock)


def answer_or_fail(function: Callable[[], object]) -> Do:
    """Ask for what `function` returns, or fail with what it raises."""

    def obeyed(received: Call[Any]) -> None:
        try:
            received.reply_box.reply(function())
        except CallDeadlock as error:
            received.reply_box.fail(error)

    return Do(obeyed)


def test_a_successor_is_not_taken_for_the_worker_before_it(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a", "b")
    pool.remove("a")
    assert pool.initialize("a")

    value = call(pool.ref("b"), answer(lambda: call(pool.ref("a"), Echo("1"))), timeout=DEADLINE)

    assert value == "1"
