"""`submit_later`, `cancel_key` and `after_error`."""

import concurrent.futures
import functools
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, refusing_threads, until
from tests.insides import table_of
from tests.pool.witness import Gate
from threadpool_mb import Full, KeyedExecutor, ThreadRefused
from threadpool_mb.keyed import doors


def test_a_task_is_submitted_at_its_time_in_the_order_of_the_times(
    monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    order: list[str] = []
    # A delay counts from its own call on: all are called at once, and then looked at.
    now = time.monotonic()
    monkeypatch.setattr(doors, "time", SimpleNamespace(monotonic=lambda: now))
    with KeyedExecutor(2) as executor:
        clock = table_of(executor).clock
        clock.start()
        clock._inbox.put(gate)
        gate.wait_until_reached()
        late = executor.submit_later(0.02, "a", order.append, "late")
        executor.submit_later(0, "a", order.append, "first")
        executor.submit_later(0, "a", order.append, "second")
        gate.open()
        late.result(DEADLINE)
    assert order == ["first", "second", "late"]


def test_one_that_is_not_due_at_shutdown_is_cancelled_and_so_is_who_waits_for_it_told() -> None:
    executor = KeyedExecutor(1)
    never = executor.submit_later(3600, "a", int)
    executor.shutdown()
    assert never.cancelled()
    assert not [each for each in threading.enumerate() if each.name.endswith("-clock")]
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit_later(0, "a", int)


def test_one_that_comes_due_while_the_executor_is_being_shut_down_is_cancelled() -> None:
    """Its shard is closed by then, and the executor is not yet."""
    executor = KeyedExecutor(1)
    table = table_of(executor)
    with table.shards[-1].lock:
        closing = Running(executor.shutdown)
        until(lambda: table.shards[0].closed)
        future = executor.submit_later(0, 0, int)
        until(future.done)
        assert future.cancelled()

    closing.result()


def test_one_that_is_cancelled_before_its_time_is_let_go_of() -> None:
    with KeyedExecutor(1) as executor:
        futures = [executor.submit_later(3600, "a", int) for _ in range(1000)]
        timers = executor._table.clock.timers
        for future in futures:
            assert future.cancel()
        until(lambda: len(timers) < 600)


def test_one_that_is_due_waits_for_no_room(gate: Gate) -> None:
    with KeyedExecutor(1, max_waiting=1, when_full="raise") as executor:
        executor.submit_keyed("held", gate)
        gate.wait_until_reached()
        executor.submit_keyed("a", int)
        late = executor.submit_later(0, "b", int, "4")
        until(lambda: executor._table.not_begun == 2)
        with pytest.raises(Full):
            executor.submit_keyed("c", int)
        gate.open()
        assert late.result(DEADLINE) == 4
        # The debt is paid: there is room for one again, and for no more.
        again = Gate()
        executor.submit_keyed("held", again)
        again.wait_until_reached()
        executor.submit_keyed("a", int)
        with pytest.raises(Full):
            executor.submit_keyed("b", int)
        again.open()


def test_where_no_clock_can_be_started_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = refusing_threads(monkeypatch)
    with KeyedExecutor(1) as executor:
        executor.submit_keyed("a", int).result(DEADLINE)
        refuses.set()
        with pytest.raises(ThreadRefused, match="clock"):
            executor.submit_later(0, "a", int)
        refuses.clear()
        assert executor.submit_later(0, "a", int, "3").result(DEADLINE) == 3


@pytest.mark.parametrize("delay", [-1, float("nan"), "1", None])
def test_delays_are_checked(delay: Any) -> None:  # noqa: ANN401 - whatever
    with KeyedExecutor(1) as executor, pytest.raises((ValueError, TypeError), match="delay"):
        executor.submit_later(delay, "a", int)


def test_cancelling_a_key_leaves_the_one_that_runs_and_other_keys(gate: Gate) -> None:
    with KeyedExecutor(2) as executor:
        runs = executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        waiting = [executor.submit_keyed("a", int) for _ in range(3)]
        waiting.append(executor.submit_multi(["a", "b"], int))
        other = executor.submit_keyed("b", int, "2")
        everybodys = executor.submit_exclusive(int, "7")
        assert executor.cancel_key("a") == 4
        assert executor.cancel_key("nobody") == 0
        with pytest.raises(TypeError):
            executor.cancel_key([])
        assert all(future.cancelled() for future in waiting)
        assert other.result(DEADLINE) == 2
        gate.open()
        runs.result(DEADLINE)
        assert everybodys.result(DEADLINE) == 7
        assert executor.submit_keyed("a", int, "3").result(DEADLINE) == 3


@pytest.mark.parametrize("view", [False, True])
def test_after_an_error_what_waits_for_the_key_is_cancelled_before_anybody_knows(
    gate: Gate,
    view: bool,  # noqa: FBT001 - a case
) -> None:
    def fail() -> None:
        gate()
        raise KeyError("it failed")

    with KeyedExecutor(2, after_error="cancel_key") as executor:
        submit: Any = executor.for_key("a").submit
        if not view:
            submit = functools.partial(executor.submit_keyed, "a")
        fails = submit(fail)
        gate.wait_until_reached()
        behind = [submit(int) for _ in range(3)]
        known: list[bool] = []
        fails.add_done_callback(lambda _: known.append(all(each.cancelled() for each in behind)))
        other = executor.submit_keyed("b", int, "4")
        assert other.result(DEADLINE) == 4
        gate.open()
        with pytest.raises(KeyError):
            fails.result(DEADLINE)
        until(lambda: known)
        assert known == [True]
        assert submit(int, "5").result(DEADLINE) == 5


def test_an_error_of_a_task_of_several_keys_cancels_what_waits_for_each_of_them(
    gate: Gate,
) -> None:
    def fail() -> None:
        gate()
        raise KeyError("it failed")

    with KeyedExecutor(3, after_error="cancel_key") as executor:
        fails = executor.submit_multi(["a", "b"], fail)
        gate.wait_until_reached()
        behind = [executor.submit_keyed(key, int) for key in "abc"]
        gate.open()
        with pytest.raises(KeyError):
            fails.result(DEADLINE)
        assert [future.cancelled() for future in behind] == [True, True, False]


def test_without_it_they_go_on() -> None:
    def fail() -> None:
        raise KeyError("it failed")

    with KeyedExecutor(1, max_waiting=10) as executor:
        executor.submit_keyed("a", fail)
        assert executor.submit_keyed("a", int, "6").result(DEADLINE) == 6


class DoesAndRaises:
    """A key that does something as it is asked for its hash, and raises; at first it does not."""

    def __init__(self) -> None:
        self.does: Callable[[], object] | None = None

    def __hash__(self) -> int:
        if self.does is not None:
            self.does()
            raise KeyError("the key's own")
        return 7


def test_one_whose_key_raises_at_its_time_has_that_error(gate: Gate) -> None:
    key = DoesAndRaises()
    with KeyedExecutor(1) as executor:
        late = _due_behind(executor, gate, key)
        key.does = int
        gate.open()
        with pytest.raises(KeyError, match="the key's own"):
            late.result(DEADLINE)


def test_one_whose_key_raises_as_it_shuts_the_executor_down_is_cancelled(gate: Gate) -> None:
    key, executor = DoesAndRaises(), KeyedExecutor(1)
    late = _due_behind(executor, gate, key)
    key.does = functools.partial(executor.shutdown, wait=False)
    gate.open()
    concurrent.futures.wait([late], DEADLINE)
    assert late.cancelled()
    executor.shutdown()


def test_one_whose_key_raises_as_it_cancels_it_stays_cancelled(gate: Gate) -> None:
    key = DoesAndRaises()
    with KeyedExecutor(1) as executor:
        late = _due_behind(executor, gate, key)
        key.does = late.cancel
        gate.open()
        concurrent.futures.wait([late], DEADLINE)
        assert late.cancelled()
        # The clock goes on.
        assert executor.submit_later(0, "a", int, "3").result(DEADLINE) == 3


def _due_behind(executor: KeyedExecutor, gate: Gate, key: object) -> concurrent.futures.Future[int]:
    """Submit a task whose time has come once the gate is opened, before which the clock stands."""
    clock = table_of(executor).clock
    clock.start()
    clock._inbox.put(gate)
    gate.wait_until_reached()
    return executor.submit_later(0, key, int)
