"""Arguments checked where they are written, and deadlines."""

import math
import re
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import Running
from threadpool_mb.arguments import Deadline, check_duration, check_limit, check_timeout


@given(st.integers(min_value=1))
def test_an_int_of_at_least_one_is_a_limit(limit: int) -> None:
    assert check_limit(limit) == limit


@pytest.mark.parametrize("bad", [0, -1, True, False, 1.0, math.nan, "3", "", None, [1]], ids=repr)
def test_anything_else_is_no_limit_and_is_named_in_the_error(bad: object) -> None:
    text = rf"^max_messages must be an int of at least 1, not {re.escape(repr(bad))}$"

    with pytest.raises(ValueError, match=text):
        check_limit(bad, "max_messages")


@given(st.floats(0, 1e9) | st.integers(0, 10**9))
def test_a_number_of_seconds_is_a_timeout(seconds: float) -> None:
    timeout = check_timeout(seconds)

    assert timeout == seconds
    assert isinstance(timeout, float)


@pytest.mark.parametrize(
    "for_ever",
    [None, math.inf, threading.TIMEOUT_MAX, 10**30, 1e300, 10**400],
    ids=lambda v: str(v)[:9],
)
def test_none_and_more_than_the_platform_can_wait_mean_for_ever(for_ever: float | None) -> None:
    assert check_timeout(for_ever) is None


@pytest.mark.parametrize(
    "run_out", [0, -0.0, -1, -1e-300, -math.inf, -(10**400)], ids=lambda v: str(v)[:9]
)
def test_a_negative_timeout_has_run_out(run_out: float) -> None:
    timeout = check_timeout(run_out)

    assert timeout == 0.0
    assert isinstance(timeout, float)


@pytest.mark.parametrize("bad", [math.nan, True, False, "1", b"1", [], 1j], ids=repr)
@pytest.mark.parametrize("check", [check_timeout, check_duration])
def test_anything_else_is_no_timeout_and_is_named_in_the_error(
    check: Callable[[object, str], object], bad: object
) -> None:
    text = rf"^deliver_timeout must be seconds .*, not {re.escape(repr(bad))}$"

    with pytest.raises(ValueError, match=text):
        check(bad, "deliver_timeout")


@pytest.mark.parametrize("bad", [-1, -1e-300, -math.inf, -(10**400)], ids=lambda v: str(v)[:9])
def test_a_negative_duration_of_a_config_is_a_mistake(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^deliver_timeout must be seconds of at least 0 or None"):
        check_duration(bad, "deliver_timeout")


@pytest.mark.parametrize("seconds", [0, 0.0, -0.0, 2, 2.5, None])
def test_a_duration_is_what_a_timeout_is(seconds: float | None) -> None:
    assert check_duration(seconds, "deliver_timeout") == seconds


def test_a_deadline_without_a_timeout_never_comes() -> None:
    assert Deadline(None).remaining() is None


@pytest.mark.parametrize("seconds", [0, -0.001, -math.inf])
def test_a_deadline_of_no_seconds_has_come_and_does_not_wait(seconds: float) -> None:
    assert Deadline(seconds).remaining() == 0


@given(st.floats(1, 1e6))
def test_what_remains_shrinks_and_is_never_more_than_the_timeout(seconds: float) -> None:
    deadline = Deadline(seconds)

    first, second = deadline.remaining(), deadline.remaining()

    assert first is not None
    assert second is not None
    assert 0 <= second <= first <= seconds + 1e-6  # adding to the clock rounds


@pytest.mark.parametrize("bad", [math.nan, "1"])
def test_a_deadline_is_made_of_a_timeout_only(bad: float) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(bad))):
        Deadline(bad)


@pytest.mark.parametrize(
    "seconds", [math.nextafter(threading.TIMEOUT_MAX, 0), threading.TIMEOUT_MAX - 1]
)
def test_the_longest_timeouts_can_be_waited_for(seconds: float) -> None:
    lock = threading.Lock()
    lock.acquire()
    waiter = Running(lambda: lock.acquire(timeout=Deadline(seconds).remaining() or 0))

    lock.release()

    assert waiter.result() is True
