"""Edges of flow: keys that raise, threads that are refused, waits that would never end."""

import concurrent.futures
import logging
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from tests.flow.submissions import OPTIONS, SUBMISSIONS, held
from tests.helpers import DEADLINE, Running, refusing_threads, until
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor, Pool, Rate, ThreadRefused
from threadpool_mb.keyed.delays import Delays
from threadpool_mb.keyed.exclusive import Exclusive
from threadpool_mb.keyed.tasks import Task


def test_cancelling_one_of_two_tasks_of_all_keys_leaves_the_other_alone(gate: Gate) -> None:
    order: list[str] = []
    with KeyedExecutor(4) as executor:
        held(executor, gate, "a")
        first = executor.submit_exclusive(order.append, "all")
        early = executor.submit_keyed("b", order.append, "b")
        second = executor.submit_exclusive(order.append, "never")
        late = executor.submit_keyed("c", order.append, "c")
        assert second.cancel()
        # Both came after the first one.
        assert not early.done()
        assert executor.submit_keyed("a", int) is not None
        assert not late.done()
        gate.open()
        for future in (first, early, late):
            future.result(DEADLINE)
    assert order[0] == "all"
    assert sorted(order[1:]) == ["b", "c"]


def test_of_three_tasks_of_all_keys_two_are_cancelled_at_once(gate: Gate) -> None:
    order: list[str] = []
    with KeyedExecutor(4) as executor:
        held(executor, gate, "a")
        first = executor.submit_exclusive(order.append, "all")
        second = executor.submit_exclusive(order.append, "never")
        third = executor.submit_exclusive(order.append, "never")
        late = executor.submit_keyed("b", order.append, "b")
        # As if both were cancelled at once: what the third one held back finds the second one over.
        release = third._lanes._release  # type: ignore[attr-defined]
        second._lanes._over = True  # type: ignore[attr-defined]
        assert third.cancel()
        release()
        assert not late.done()
        second._lanes._over = False  # type: ignore[attr-defined]
        assert second.cancel()
        gate.open()
        late.result(DEADLINE)
        first.result(DEADLINE)
    assert order == ["all", "b"]


def test_of_two_threads_that_release_what_was_held_back_none_lets_it_overtake(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is cancelled while it is put up: by who cancels it, and by who puts it up."""
    order: list[str] = []
    placed, taken_down = Gate(), Gate()
    put_all = Exclusive._put_all

    class Stopping(dict[Any, None]):
        """Stops who cancels before it takes out the first lane."""

        def popitem(self) -> tuple[Any, None]:
            if threading.get_ident() in cancellers:
                taken_down()
            return super().popitem()

    def put_and_stop(several: Exclusive, *arguments: Any) -> None:  # noqa: ANN401 - as there
        put_all(several, *arguments)
        severals.append(several)
        placed()

    def cancel(future: Any) -> bool:  # noqa: ANN401 - it is not `None`
        cancellers.append(threading.get_ident())
        cancelled: bool = future.cancel()
        return cancelled

    severals: list[Any] = []
    cancellers: list[int] = []
    with KeyedExecutor(4) as executor:
        held(executor, gate, "a")
        first = executor.submit_exclusive(order.append, "all")
        monkeypatch.setattr(Exclusive, "_put_all", put_and_stop)
        placing = Running(lambda: executor.submit_exclusive(order.append, "never"))
        placed.wait_until_reached()
        late = executor.submit_keyed("b", order.append, "b")
        several = severals[0]
        several._late = Stopping(several._late)
        cancelling = Running(lambda: cancel(several.future))
        taken_down.wait_until_reached()
        placed.open()
        placing.result()  # it has released what it found
        taken_down.open()
        assert cancelling.result()
        gate.open()
        first.result(DEADLINE)
        late.result(DEADLINE)
    assert order == ["all", "b"]


def test_one_that_is_cancelled_before_its_time_is_done_for_all_who_wait() -> None:
    with KeyedExecutor(1) as executor:
        future = executor.submit_later(3600, "a", int)
        assert future.cancel()
        done, _ = concurrent.futures.wait([future], DEADLINE)
        assert done == {future}
        assert list(concurrent.futures.as_completed([future], DEADLINE)) == [future]


def test_a_rate_holds_up_nothing_of_what_breaks_as_it_begins_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits is dropped before this task is added to it, and after it was found to wait."""
    wait = Delays.wait

    def break_first(delays: Delays, when: float, lane: Task, future: Future[Any]) -> None:
        broken._table.break_down()
        dropped = Gate()
        broken._table.clock._inbox.put(dropped)
        dropped.wait_until_reached()
        dropped.open()
        wait(delays, when, lane, future)

    monkeypatch.setattr(Delays, "wait", break_first)
    with KeyedExecutor(1, rate=Rate(1 / 3600)) as broken:
        broken.submit_keyed("a", int).result(DEADLINE)
        waits = broken.submit_keyed("a", int)
        with pytest.raises(concurrent.futures.BrokenExecutor):
            waits.result(DEADLINE)


def test_a_rate_holds_up_nothing_that_was_cancelled_or_is_broken() -> None:
    executor = KeyedExecutor(1, rate=Rate(1 / 3600))
    executor.submit_keyed("a", int).result(DEADLINE)
    waiting = [executor.submit_keyed("a", int) for _ in range(3)]
    executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in waiting)

    with KeyedExecutor(1, rate=Rate(1 / 3600)) as broken:
        broken.submit_keyed("a", int).result(DEADLINE)
        waits = broken.submit_keyed("a", int)
        until(lambda: len(broken._table.clock.timers))
        broken._table.break_down()
        with pytest.raises(concurrent.futures.BrokenExecutor):
            waits.result(DEADLINE)


class Key:
    """A key whose methods raise when they are told to."""

    raises: str = ""

    def __hash__(self) -> int:
        if self.raises == "hash":
            raise ZeroDivisionError
        return 1

    def __eq__(self, other: object) -> bool:
        if self.raises == "eq":
            raise ZeroDivisionError
        return self is other


@pytest.mark.parametrize("options", ["cancelling", "throttled"])
def test_a_key_that_raises_leaves_no_future_that_is_never_done(
    gate: Gate, caplog: pytest.LogCaptureFixture, options: str
) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    key = Key()

    def fail() -> None:
        gate()
        raise KeyError("its own")

    executor = KeyedExecutor(2, **OPTIONS[options])
    fails = executor.submit_keyed(key, fail)
    behind = executor.submit_keyed(key, int)
    gate.wait_until_reached()
    key.raises = "hash"
    gate.open()
    # Not `result`: to wait is to ask the key.
    until(behind.done)
    assert fails.done()
    key.raises = ""
    assert isinstance(fails.exception(), KeyError)
    executor.shutdown(wait=False)


def test_a_key_that_raises_at_its_time_is_the_futures_error(gate: Gate) -> None:
    one, other = Key(), Key()
    with KeyedExecutor(2) as executor:
        held(executor, gate, one)
        other.raises = one.raises = "eq"
        late = executor.submit_later(0.01, other, int)
        until(late.done)
        assert isinstance(late.exception(), ZeroDivisionError)
        other.raises = one.raises = ""
        gate.open()


def test_a_callback_that_exits_leaves_the_failed_task_done(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1)

    def fail() -> None:
        gate()
        raise KeyError("its own")

    def leave(_: object) -> None:
        raise SystemExit

    with KeyedExecutor(2, after_error="cancel_key") as executor:
        fails = executor.submit_keyed("a", fail)
        gate.wait_until_reached()
        executor.submit_keyed("a", int).add_done_callback(leave)
        gate.open()
        assert isinstance(fails.exception(DEADLINE), KeyError)


@pytest.mark.parametrize("per_second", [1e-10, 1e-200])
def test_a_very_small_rate_ends_no_thread(per_second: float) -> None:
    with KeyedExecutor(1, rate=Rate(per_second)) as executor:
        executor.submit_keyed("a", int)
        waits = executor.submit_keyed("a", int)
        until(lambda: len(executor._table.clock.timers))
        assert executor.submit_later(0, "b", int, "4").result(DEADLINE) == 4
        assert waits.cancel()


def test_several_keys_whose_lines_were_refused_a_thread_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuses = refusing_threads(monkeypatch)
    with KeyedExecutor(2) as executor:
        refuses.set()
        for submit in (SUBMISSIONS["keyed"], SUBMISSIONS["several"], SUBMISSIONS["all"]):
            with pytest.raises(ThreadRefused):
                submit(executor)
        refuses.clear()
        assert executor.submit_multi(["a"], int, "5").result(DEADLINE) == 5


@pytest.mark.parametrize("wanted", ["keyed", "no key", "several", "all"])
def test_a_task_of_all_keys_cannot_wait_for_one_that_comes_after_it(wanted: str) -> None:
    def wait(executor: KeyedExecutor) -> None:
        future: Any = SUBMISSIONS[wanted](executor)
        future.result(DEADLINE)

    with (
        KeyedExecutor(4) as executor,
        pytest.raises(RuntimeError, match="cannot wait"),
    ):
        executor.submit_exclusive(wait, executor).result(DEADLINE)


@pytest.mark.parametrize("between", ["several", "all"])
def test_a_task_cannot_wait_for_one_that_stands_behind_one_that_waits_for_it(
    gate: Gate, between: str
) -> None:
    def wait() -> None:
        gate()
        executor.submit_keyed("c", int).result(DEADLINE)

    with KeyedExecutor(4) as executor:
        waits = executor.submit_keyed("a", wait)
        gate.wait_until_reached()
        SUBMISSIONS[between](executor)
        gate.open()
        with pytest.raises(RuntimeError, match="stands behind"):
            waits.result(DEADLINE)


def test_one_whose_keys_all_wait_is_still_found_by_who_cancels(gate: Gate) -> None:
    with KeyedExecutor(1) as executor:
        executor.submit_keyed("a", int)
        executor.submit_keyed("b", int)
        both = executor.submit_multi(["a", "b"], int)
        both.result(DEADLINE)
        held(executor, gate, "other")
        # The one thread is busy: its keys wait, and it has no turn.
        several = executor.submit_multi(["a", "b"], int)
        assert executor._work_queue.qsize() == 1
        assert executor.cancel_key("b") == 1
        again = executor.submit_multi(["a", "b"], int, "7")
        withdrawn: Any = executor._work_queue.get_nowait()
        assert (withdrawn.fn, withdrawn.args) == (int, ("7",))
        assert several.cancelled()
        assert again.cancelled()
        last = executor.submit_multi(["a", "b"], int)
        executor.shutdown(wait=False, cancel_futures=True)
        gate.open()
        assert last.cancelled()


@pytest.mark.racing
def test_pausing_and_resuming_from_two_threads_leaves_the_worker_as_it_is() -> None:
    def worker(_key: object) -> Any:  # noqa: ANN401 - a generator
        while True:
            yield

    with Pool(worker, start="on_demand") as pool:
        pool.dispatch("a", 1)
        results: list[bool] = []

        def toggle() -> None:
            for _ in range(200):
                results.append(pool.pause("a"))
                results.append(pool.resume("a"))

        threads = [threading.Thread(target=toggle) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pool.resume("a")
        assert pool.flush(timeout=DEADLINE)
