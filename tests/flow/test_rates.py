"""Rates: the decision, a pure function; and executors whose tasks begin no more often."""

import math
import queue
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import DEADLINE, until
from tests.insides import dispatcher_of, worker_of
from threadpool_mb import KeyedExecutor, Pool, Rate, rates
from threadpool_mb.keyed.delays import Due
from threadpool_mb.pool.waits import Suspended
from threadpool_mb.rates import MAKES_UP, Spacing
from threadpool_mb.threads.timers import Timers


def begun(rate: Rate, times: list[float]) -> list[float]:
    """Return when each of those that ask at these times begins, all the time with one waiting."""
    spacing = Spacing(rate)
    due: float | None = None
    began: list[float] = []
    now = 0.0
    for asks in times:
        now = max(now, asks)
        when, then = spacing.may_begin(due, now, asks >= now)
        if when > now:
            now = when
            _, then = spacing.may_begin(due, now, fresh=False)
        due = then
        began.append(now)
    return began


@given(
    st.integers(1, 50),
    st.integers(1, 5),
    st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=80),
)
def test_never_more_begin_than_the_rate_says(
    per_second: int, burst: int, gaps: list[float]
) -> None:
    times = [sum(gaps[: number + 1]) for number in range(len(gaps))]

    began = begun(Rate(per_second, burst), times)

    for first in range(len(began)):
        for last in range(first, len(began)):
            span = began[last] - began[first]
            most = burst + (span + MAKES_UP) * per_second
            assert last - first + 1 <= most + 1e-6


def test_one_that_was_idle_may_begin_so_many_at_once_and_then_evenly() -> None:
    assert begun(Rate(10, burst=3), [5.0] * 6) == pytest.approx([5, 5, 5, 5.1, 5.2, 5.3])
    assert begun(Rate(10), [0.0, 0.0, 0.0, 9.0, 9.0]) == pytest.approx([0, 0.1, 0.2, 9, 9.1])


def test_being_late_is_made_up_for_while_something_waits() -> None:
    spacing = Spacing(Rate(100))
    _, due = spacing.may_begin(None, 1.0, fresh=True)
    # Three intervals late.
    began = 0
    while True:
        when, due_then = spacing.may_begin(due, 1.04, fresh=False)
        if when > 1.04:
            break
        due = due_then
        began += 1
    assert began == 4
    # Not where nothing has waited.
    when, due = spacing.may_begin(due, 2.0, fresh=True)
    assert when <= 2.0
    when, _ = spacing.may_begin(due, 2.0, fresh=False)
    assert when == pytest.approx(2.01)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0,), ValueError),
        ((-1,), ValueError),
        ((math.nan,), ValueError),
        ((math.inf,), ValueError),
        (("5",), TypeError),
        ((True,), TypeError),
        ((5, 0), ValueError),
        ((5, 1.5), ValueError),
    ],
)
def test_rates_are_checked(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"per_second|burst"):
        Rate(*arguments)


def test_tasks_of_a_key_begin_in_order_no_more_often_than_they_may() -> None:
    began: list[tuple[int, float]] = []
    with KeyedExecutor(2, rate=Rate(200)) as executor:
        for number in range(20):
            executor.submit_keyed(
                "a", lambda number=number: began.append((number, time.monotonic()))
            )
        assert executor.submit_keyed("b", int, "5").result(DEADLINE) == 5
    assert [number for number, _ in began] == list(range(20))
    # Made up for is a tenth of a second, at most.
    assert began[-1][1] - began[0][1] > 19 / 200 - MAKES_UP
    assert not [each for each in threading.enumerate() if each.name.endswith("-clock")]


def test_a_key_that_waits_holds_no_thread_and_what_is_cancelled_takes_no_time() -> None:
    with KeyedExecutor(1, rate=Rate(0.001)) as executor:
        executor.submit_keyed("a", int).result(DEADLINE)
        slow = [executor.submit_keyed("a", int) for _ in range(3)]
        for number in range(20):
            assert executor.submit_keyed(number, int, "7").result(DEADLINE) == 7
        assert executor.submit(int, "8").result(DEADLINE) == 8
        assert executor.submit_multi(["b", "c"], int, "9").result(DEADLINE) == 9
        assert not any(future.done() for future in slow)
        # The first of them stands at the head of its line, and need not wait for its time.
        assert executor.cancel_key("a") == 3


class Turned:
    """A clock that goes on when the test turns it; what fires by it is told then."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look: Final = look
        self._now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self._now

    def turn(self, now: float) -> None:
        """Be at `now`."""
        self._now = now
        self._look()


def turned_executor(executor: KeyedExecutor) -> Turned:
    """Have an executor's rate go by a clock that the test turns."""
    clock = executor._table.clock
    turned = Turned(clock.timers._wake)
    clock.timers.now = executor._flow._pace.now = turned  # type: ignore[misc, union-attr]
    return turned


def turned_pool(pool: Pool[Any, Any]) -> Turned:
    """Have a pool's rate go by a clock that the test turns."""
    dispatcher: Any = dispatcher_of(pool)
    turned = Turned(lambda: dispatcher._inbox.put("look"))
    dispatcher.timers.now = dispatcher._flow.now = turned
    return turned


RATE: Final = Rate(64)
"""Its interval is a sum of powers of two: nothing is rounded."""


def late(number: int) -> float:
    """Return how late a thread comes: not at all, by a part of an interval, by most of it."""
    return number % 3 * 0.4 / 64


def test_a_task_that_comes_as_the_one_before_it_begins_is_as_late_as_its_thread() -> None:
    """A late one moves none of those behind it, however many there are."""
    with KeyedExecutor(1, rate=RATE) as executor:
        clock = turned_executor(executor)
        executor.submit_keyed("a", int).result(DEADLINE)
        for number in range(1, 100):
            future = executor.submit_keyed("a", int)
            until(lambda: executor._table.delayed)
            assert not future.done()
            clock.turn(number / 64 + late(number))
            future.result(DEADLINE)


def test_a_message_that_comes_as_the_one_before_it_begins_is_as_late_as_its_thread() -> None:
    handled: queue.SimpleQueue[int] = queue.SimpleQueue()

    def worker(_key: str) -> Generator[None, int]:
        while True:
            handled.put((yield))

    with Pool(worker, rate=RATE, max_threads=1) as pool:
        clock = turned_pool(pool)
        pool.initialize("a", 0)
        assert handled.get(timeout=DEADLINE) == 0
        lane: Any = worker_of(pool, "a")
        for number in range(1, 100):
            pool.dispatch("a", number)
            until(lambda: isinstance(lane._generator, Suspended) and lane._generator.begun)
            assert not handled.qsize()
            clock.turn(number / 64 + late(number))
            assert handled.get(timeout=DEADLINE) == number


def test_of_what_waits_as_many_have_begun_at_each_time_as_are_due() -> None:
    keys, times = 10, 60
    begun = [0] * keys

    def begin(key: int) -> None:
        begun[key] += 1

    with KeyedExecutor(2, rate=RATE) as executor:
        clock = turned_executor(executor)
        for _ in range(300):
            for key in range(keys):
                executor.submit_keyed(key, begin, key)
        due = 0
        for number in range(times):
            expected = [due + 1] * keys
            until(lambda: begun == expected and len(executor._table.delayed) == keys)  # noqa: B023 - runs at once
            # By up to six intervals, which is less than what is made up for.
            due += number % 6 + 1
            clock.turn((due + 0.5) / 64)
        # One that is in a thread's hand as its key is cancelled waits for its time all the same.
        until(lambda: begun == [due + 1] * keys and len(executor._table.delayed) == keys)
        for key in range(keys):
            executor.cancel_key(key)


@pytest.mark.parametrize(("owner", "name"), [(Due, "__init__"), (Timers, "add")])
def test_a_task_that_is_cancelled_as_it_begins_to_wait_holds_up_nothing(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its future says what it waits for, and after that: the staged race."""
    futures: queue.SimpleQueue[Future[int]] = queue.SimpleQueue()
    function: Callable[..., object] = getattr(owner, name)

    def cancel_before(*arguments: object) -> object:
        assert futures.get(timeout=DEADLINE).cancel()
        return function(*arguments)

    with KeyedExecutor(1, rate=Rate(0.001)) as executor:
        executor.submit_keyed("a", int).result(DEADLINE)
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, cancel_before)
            futures.put(executor.submit_keyed("a", int))
            until(lambda: not executor._table.tasks)


def test_times_of_keys_that_are_over_are_forgotten() -> None:
    with KeyedExecutor(1, rate=RATE) as executor:
        clock = turned_executor(executor)
        pace: Any = executor._flow._pace
        for number in range(2000):
            executor.submit_keyed(number, int)
        executor.submit_exclusive(int).result(DEADLINE)
        clock.turn(1.0)
        for number in range(2000, 4000):
            executor.submit_keyed(number, int)
        executor.submit_exclusive(int).result(DEADLINE)
        times = sum(len(each) for each in pace._due)
        assert 2000 <= times < 2500


def test_a_burst_that_no_clock_could_tell_apart_from_no_rate_is_refused() -> None:
    most = rates._MOST_AT_ONCE
    assert Rate(1, most).burst == most

    with pytest.raises(ValueError, match=f"burst must be at most {most}, not {most + 1}"):
        Rate(1, most + 1)
