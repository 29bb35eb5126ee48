"""Rates: the decision, a pure function; and executors whose tasks begin no more often."""

import math
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import DEADLINE
from threadpool_mb import KeyedExecutor, Rate
from threadpool_mb.rates import MAKES_UP, may_begin


def begun(rate: Rate, times: list[float]) -> list[float]:
    """Return when each of those that ask at these times begins, all the time with one waiting."""
    due: float | None = None
    began: list[float] = []
    now = 0.0
    for asks in times:
        now = max(now, asks)
        when, then = may_begin(rate, due, now, fresh=asks >= now)
        if when > now:
            now = when
            _, then = may_begin(rate, due, now, fresh=False)
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
    rate = Rate(100)
    _, due = may_begin(rate, None, 1.0, fresh=True)
    # Three intervals late.
    began = 0
    while True:
        when, due_then = may_begin(rate, due, 1.04, fresh=False)
        if when > 1.04:
            break
        due = due_then
        began += 1
    assert began == 4
    # Not where nothing has waited.
    when, due = may_begin(rate, due, 2.0, fresh=True)
    assert when <= 2.0
    when, _ = may_begin(rate, due, 2.0, fresh=False)
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


def test_times_of_keys_that_are_over_are_forgotten() -> None:
    with KeyedExecutor(1, rate=Rate(1_000_000)) as executor:
        for number in range(5000):
            executor.submit_keyed(number, int)
        executor.submit_exclusive(int).result(DEADLINE)
        pace = executor._flow._pace
        assert pace is not None
        assert sum(len(each) for each in pace._due) < 3000
