"""What `concurrent.futures.wait` and `as_completed` rely on, and asyncio."""

import concurrent.futures
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tests.helpers import DEADLINE, Running, run_together, until
from tests.keyed.doubles import NoLanes
from threadpool_mb.keyed.futures import KeyedFuture


@pytest.fixture
def future() -> KeyedFuture[int]:
    """Return a pending future."""
    return KeyedFuture(NoLanes(), "key")


FINISH: dict[str, Callable[[KeyedFuture[int]], object]] = {
    "result": lambda future: future.set_result(1),
    "exception": lambda future: future.set_exception(ValueError()),
    "cancel": lambda future: future.cancel(),
}


@pytest.mark.parametrize("finish", FINISH.values(), ids=FINISH)
def test_no_state_changes_while_another_thread_holds_the_condition(
    future: KeyedFuture[int], finish: Callable[[KeyedFuture[int]], object]
) -> None:
    entered = threading.Event()

    def finish_it() -> None:
        entered.set()
        finish(future)

    with future._condition:
        finisher = Running(finish_it)
        assert entered.wait(DEADLINE)
        states = {future._state for _ in range(1000)}

    finisher.result()
    assert states == {"PENDING"}
    assert future.done()


def test_the_condition_is_made_once_and_its_lock_is_the_futures() -> None:
    for _ in range(50):
        future: KeyedFuture[int] = KeyedFuture(NoLanes(), "key")
        made: list[threading.Condition] = []

        run_together(*[lambda: made.append(future._condition)] * 3)  # noqa: B023 - of this round

        assert len({id(condition) for condition in made}) == 1
        assert made[0]._lock is future._mutex  # type: ignore[attr-defined]


def test_one_who_waits_is_woken_by_the_end_and_one_who_comes_later_does_not_wait(
    future: KeyedFuture[int],
) -> None:
    waiter = Running(lambda: future.result(DEADLINE))
    until(lambda: future._made is not None and future._made._waiters)  # type: ignore[attr-defined]

    future.set_result(1)

    assert waiter.result() == 1
    assert future.result(0) == 1


def test_all_of_several_are_waited_for_though_one_ends_as_they_are_counted() -> None:
    for _ in range(50):
        futures: list[KeyedFuture[int]] = [KeyedFuture(NoLanes(), n) for n in range(5)]
        results: list[set[concurrent.futures.Future[int]]] = []

        run_together(
            lambda: results.append(concurrent.futures.wait(futures, DEADLINE).done),  # noqa: B023
            *[lambda future=future: future.set_result(1) for future in futures],
        )

        assert results == [set(futures)]


@pytest.mark.parametrize("timeout", [0, -1, -float("inf")])
@pytest.mark.parametrize("ask", ["result", "exception"])
def test_a_timeout_that_has_run_out_waits_for_nothing(
    future: KeyedFuture[int], ask: str, timeout: float
) -> None:
    with pytest.raises(TimeoutError):
        getattr(future, ask)(timeout)

    assert future._made is None
    future.set_result(1)
    assert getattr(future, ask)(timeout) == {"result": 1, "exception": None}[ask]


@pytest.mark.parametrize("timeout", [float("nan"), True, "1"], ids=repr)
@pytest.mark.parametrize("ask", ["result", "exception"])
def test_what_is_no_timeout_is_refused_where_it_would_be_waited_for(
    future: KeyedFuture[int], ask: str, timeout: object
) -> None:
    with pytest.raises(ValueError, match="timeout must be seconds"):
        getattr(future, ask)(timeout)

    future.set_result(1)
    assert getattr(future, ask)(timeout) == {"result": 1, "exception": None}[ask]


@pytest.mark.parametrize("timeout", [10**400, float("inf"), threading.TIMEOUT_MAX])
def test_a_timeout_that_is_longer_than_can_be_waited_is_none(
    future: KeyedFuture[int], timeout: float
) -> None:
    waiter = Running(lambda: future.result(timeout))
    until(lambda: future._made is not None and future._made._waiters)  # type: ignore[attr-defined]

    future.set_result(1)

    assert waiter.result() == 1


def test_a_future_is_finished_once(future: KeyedFuture[int]) -> None:
    future.set_result(1)

    with pytest.raises(concurrent.futures.InvalidStateError):
        future.set_result(2)
    with pytest.raises(concurrent.futures.InvalidStateError):
        future.set_exception(ValueError())
    assert future.result() == 1


def test_no_future_has_a_dict_of_its_own_however_many_are_made_before_one_is_done() -> None:
    # In a new process: what other tests have done to the classes would count.
    program = """
import gc
from threadpool_mb.keyed import flow, futures, several_future

class Lanes:
    threads = None
    in_child = False

for kind in (
    futures.KeyedFuture,
    several_future.SeveralFuture,
    flow.FlowFuture,
    flow.WatchedFuture,
    flow.FlowSeveralFuture,
):
    made = [kind(Lanes(), number) for number in range(100)]
    for number, future in enumerate(made):
        if isinstance(future, flow.FlowFuture):
            future.in_room = future.stripe = future.held = None
        if isinstance(future, flow.WatchedFuture):
            future.failed = None
        future.set_running_or_notify_cancel()
        if number % 2:
            future.set_result(1)
        else:
            future._waiters, future._condition
            future.add_done_callback(id)
            future.set_exception(ValueError())
    for future in made:
        for each in gc.get_referents(future):
            assert type(each) is not dict, (kind, each)
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
