"""Interrupts and signal handlers at each point of a submission."""

from concurrent.futures import Future, wait
from typing import Any

import pytest

from tests.flow.submissions import OPTIONS, SUBMISSIONS, free, held
from tests.helpers import DEADLINE, until
from tests.points import at_each_point, interrupted_at_each_point
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor, Rate
from threadpool_mb.keyed.placing import Placing
from threadpool_mb.keyed.table import Table

pytestmark = pytest.mark.usefixtures("few_shards")


def check_that_it_works(executor: KeyedExecutor) -> None:
    """See each kind of task done, all room free, and the end."""
    assert executor.submit_multi(["a", "b"], int, "1").result(DEADLINE) == 1
    assert executor.submit_exclusive(int, "2").result(DEADLINE) == 2
    assert executor.submit_keyed("c", int, "3").result(DEADLINE) == 3
    until(lambda: not executor._table.keys)
    assert all(not shard.barriers for shard in executor._table.shards)
    room = executor._flow.room
    if room is not None:
        until(lambda: free(executor) == room.limit)
    executor.shutdown()


@pytest.mark.parametrize(
    ("options", "submission"),
    [
        *(("plain", each) for each in SUBMISSIONS),
        *(("bounded", each) for each in ("keyed", "several", "view")),
        ("told", "keyed"),
        ("throttled", "keyed"),
        ("throttled", "later"),
        ("cancelling", "several"),
    ],
)
def test_an_interrupt_leaves_an_executor_that_works(options: str, submission: str) -> None:
    def prepare() -> KeyedExecutor:
        executor = KeyedExecutor(2, **OPTIONS[options])
        executor.submit_keyed("a", int).result(DEADLINE)
        return executor

    for executor in interrupted_at_each_point(prepare, SUBMISSIONS[submission]):
        check_that_it_works(executor)


@pytest.mark.parametrize("submission", ["keyed", "several", "all"])
def test_an_interrupt_as_what_was_refused_gives_its_room_back_costs_none(
    submission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("closed")

    # The executor is closed once the sender has its room.
    monkeypatch.setattr(Placing, "place", refuse)
    monkeypatch.setattr(Table, "submit", refuse)

    def submit(executor: KeyedExecutor) -> None:
        with pytest.raises(RuntimeError, match="closed"):
            SUBMISSIONS[submission](executor)

    for executor in interrupted_at_each_point(lambda: KeyedExecutor(1, max_waiting=3), submit):
        assert free(executor) == 3
        executor.shutdown()


def test_an_interrupt_while_a_throttled_task_is_cancelled_loses_no_key() -> None:
    def prepare() -> tuple[KeyedExecutor, Future[int]]:
        executor = KeyedExecutor(2, rate=Rate(1 / 3600))
        executor.submit_keyed("a", int).result(DEADLINE)
        future = executor.submit_keyed("a", int)
        until(lambda: executor._table.delayed)
        return executor, future

    for executor, future in interrupted_at_each_point(prepare, lambda scene: scene[1].cancel()):
        # It was not cancelled, or waits for its time still, or its lane goes on.
        assert future.cancel()
        until(lambda: not executor._table.keys)  # noqa: B023 - called at once
        assert not executor._table.delayed
        executor.shutdown()


@pytest.mark.parametrize("submission", ["several", "all"])
@pytest.mark.parametrize("limit", [None, 3])
def test_an_interrupt_while_a_task_of_several_keys_is_cancelled_leaves_no_key_stuck(
    submission: str, limit: int | None
) -> None:
    """Nor, with a limit, a slot that is never free again."""
    gates: list[Gate] = []

    def prepare() -> tuple[KeyedExecutor, Future[object]]:
        executor = KeyedExecutor(2, max_waiting=limit)
        gates.append(Gate())
        held(executor, gates[-1], "a")
        future: Any = SUBMISSIONS[submission](executor)
        executor.submit_keyed("b", int)
        executor.submit_keyed("d", int)
        return executor, future

    for executor, future in interrupted_at_each_point(prepare, lambda scene: scene[1].cancel()):
        assert future.cancel()
        until(lambda: not executor._table.shard("d").lane("d"))  # noqa: B023 - called at once
        gates[-1].open()
        assert wait([future], DEADLINE).done
        check_that_it_works(executor)


@pytest.mark.parametrize("behind", ["several", "all"])
@pytest.mark.parametrize("submission", ["several", "all", "keyed"])
def test_an_interrupt_behind_others_that_wait_leaves_no_key_stuck(
    submission: str, behind: str
) -> None:
    gates: list[Gate] = []

    def prepare() -> KeyedExecutor:
        executor = KeyedExecutor(2)
        gates.append(Gate())
        held(executor, gates[-1], "a")
        SUBMISSIONS[behind](executor)
        return executor

    for executor in interrupted_at_each_point(prepare, SUBMISSIONS[submission]):
        gates[-1].open()
        check_that_it_works(executor)


@pytest.mark.parametrize(
    ("options", "submission", "handler"),
    [
        *(("plain", each, "cancel") for each in ("several", "all")),
        *(("plain", each, "keyed") for each in ("several", "all")),
        *(("plain", each, "all") for each in ("several", "all")),
        ("plain", "all", "no key"),
        ("plain", "all", "later"),
        ("cancelling", "all", "cancel"),
    ],
)
def test_a_handler_may_cancel_and_submit_in_the_midst_of_a_submission(
    options: str, submission: str, handler: str
) -> None:
    def handle(executor: KeyedExecutor) -> None:
        if handler == "cancel":
            for key in "abc":
                executor.cancel_key(key)
        else:
            SUBMISSIONS[handler](executor)

    def prepare() -> KeyedExecutor:
        executor = KeyedExecutor(2, **OPTIONS[options])
        executor.submit_keyed("a", int)
        return executor

    for executor in at_each_point(prepare, SUBMISSIONS[submission], handle):
        check_that_it_works(executor)


@pytest.mark.parametrize("handler", ["keyed", "cancel", "all", "several"])
def test_a_handler_may_cancel_and_submit_as_a_task_is_put_behind_others(handler: str) -> None:
    gates: list[Gate] = []
    futures: list[Any] = []

    def handle(executor: KeyedExecutor) -> None:
        if handler == "cancel":
            executor.cancel_key("a")
        else:
            futures.append(SUBMISSIONS[handler](executor))

    def prepare() -> KeyedExecutor:
        executor = KeyedExecutor(2)
        gates.append(Gate())
        held(executor, gates[-1], "a")
        futures.append(executor.submit_keyed("a", int))
        return executor

    def submit(executor: KeyedExecutor) -> None:
        futures.append(SUBMISSIONS["several"](executor))

    for executor in at_each_point(prepare, submit, handle):
        gates[-1].open()
        assert not wait(futures, DEADLINE).not_done
        futures.clear()
        check_that_it_works(executor)
