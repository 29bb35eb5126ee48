"""Floods of messages reach each contender as they were sent; what does not is found."""

import asyncio
import collections
from collections.abc import Callable

import pytest

from benchmarks.growth import life
from benchmarks.growth.flood import Contender, Work, drawn, flood, in_turn
from benchmarks.growth.flooding import KINDS, Flood
from benchmarks.growth.tally import Tally
from tests.helpers import run_together

CONTENDERS = {kind: make(2) for kind, make in KINDS.items() if kind != "unordered"}
"""Those that keep an order, as far as they are installed on this interpreter."""


@pytest.mark.parametrize("senders", [1, 3])
@pytest.mark.parametrize("make", CONTENDERS.values(), ids=CONTENDERS)
def test_a_flood_is_handled_in_the_order_of_each_sender(
    make: Callable[[Work], Contender], senders: int
) -> None:
    assert flood(make, Work(4, in_turn(4, 30, senders))) > 0


@pytest.mark.parametrize("make", CONTENDERS.values(), ids=CONTENDERS)
def test_a_key_without_messages_does_not_hold_up_the_end(
    make: Callable[[Work], Contender],
) -> None:
    assert flood(make, Work(4, [[2, 2, 0]])) > 0


def test_an_executor_without_order_handles_each_message_once() -> None:
    assert Flood("unordered", 4, 30).run() > 0


@pytest.mark.parametrize("handled", [[], [0, 0, 1], [1, 0]], ids=["none", "twice", "late"])
@pytest.mark.parametrize("ordered", [True, False])
def test_what_is_missing_doubled_or_late_is_found(handled: list[int], *, ordered: bool) -> None:
    work = Work(1, [[0, 0]])
    handle = work.handle(0)

    for number in handled:
        handle((0, number))

    if handled == [1, 0] and not ordered:
        work.check(ordered=False)
        return
    with pytest.raises(AssertionError, match="messages of key 0 are missing or out of order"):
        work.check(ordered=ordered)


def test_a_flood_knows_its_plans() -> None:
    assert Flood("pool", 3, 8, senders=2).plans() == in_turn(3, 8, 2)
    assert Flood("pool", 3, 8, exponent=1.1).plans() == drawn(3, 8, 1.1)


def test_each_sender_has_its_share_of_the_messages() -> None:
    assert in_turn(3, 8, 2) == [[0, 1, 2, 0], [0, 1, 2, 0]]


def test_keys_are_drawn_alike_in_every_run_and_by_zipf_s_law_some_are_hot() -> None:
    (alike,), (hot,) = drawn(100, 10_000, 0.0), drawn(100, 10_000, 1.1)

    assert drawn(100, 10_000, 1.1) == [hot]
    assert collections.Counter(alike).most_common(1)[0][1] < 200
    assert [key for key, _ in collections.Counter(hot).most_common(2)] == [0, 1]
    assert hot.count(0) > 2000


def test_a_tally_is_full_after_its_last_happening() -> None:
    tally = Tally(2)

    run_together(tally.tell, tally.wait, tally.tell)


@pytest.mark.parametrize("before", [0, 2])
def test_a_coroutine_waits_for_a_tally_that_is_full_or_not_yet(before: int) -> None:
    tally = Tally(2)

    async def wait() -> None:
        for _ in range(before):
            tally.tell()
        waiting = asyncio.create_task(tally.reached(asyncio.Event()))
        await asyncio.sleep(0)
        for _ in range(2 - before):
            tally.tell()
        await waiting

    asyncio.run(wait())


def test_a_tally_that_does_not_fill_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.growth.tally.PATIENCE", 0.01)

    with pytest.raises(AssertionError, match="of 2 happenings some did not take place"):
        Tally(2).wait()


@pytest.mark.parametrize("kind", life.KINDS)
def test_a_life_has_all_phases(kind: str) -> None:
    lived = life.live(life.KINDS[kind], 10)

    assert min(lived.start, lived.dispatch, lived.end) > 0
    assert (lived.stats is not None) == (kind in {"pool", "asyncio"})
