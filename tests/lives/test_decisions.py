"""What is decided of keys' lives: pure functions of small values."""

import dataclasses
import math
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadpool_mb import Restart
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.lives import (
    Lives,
    check_lives,
    idle_longest,
    next_restart,
    still_counted,
)
from threadpool_mb.pool.ticking import ticking

NOW: Final = 1000.0

seconds = st.floats(min_value=0, max_value=1e6)
policies = st.builds(
    Restart,
    max_restarts=st.integers(1, 20),
    within=st.floats(min_value=0.001, max_value=1e6),
    delay=seconds,
    factor=st.floats(min_value=1, max_value=1e6),
    max_delay=seconds,
)


def test_each_restart_within_the_time_makes_the_next_delay_longer() -> None:
    policy = Restart(max_restarts=4, within=60, delay=0.5, factor=3, max_delay=10)

    delays = [next_restart(policy, (NOW,) * earlier, NOW) for earlier in range(6)]

    assert delays == [0.5, 1.5, 4.5, 10, None, None]


def test_a_restart_counts_for_as_long_as_it_is_said() -> None:
    policy = Restart(max_restarts=2, within=60, delay=1, factor=2)
    earlier = (NOW - 60, NOW - 59.9)

    assert next_restart(policy, earlier, NOW) == 2
    assert next_restart(policy, earlier, NOW - 0.05) is None
    assert still_counted(policy, earlier, NOW) == (NOW - 59.9, NOW)


@given(policies, st.lists(seconds, max_size=30))
def test_a_delay_is_never_longer_than_the_longest_and_restarts_never_too_many(
    policy: Restart, ago: list[float]
) -> None:
    earlier = tuple(sorted(NOW - each for each in ago))

    delay = next_restart(policy, earlier, NOW)

    counted = sum(NOW - each < policy.within for each in earlier)
    assert (delay is None) == (counted >= policy.max_restarts)
    assert delay is None or 0 <= delay <= max(policy.max_delay, 0)
    assert len(still_counted(policy, earlier, NOW)) == counted + 1


@dataclasses.dataclass(frozen=True)
class Ticking:
    """A worker that is idle since a tick."""

    idle_since: int | None


@given(st.lists(st.none() | st.integers(0, 50)))
def test_the_worker_that_is_idle_longest_comes_last(ticks: list[int | None]) -> None:
    workers = [Ticking(tick) for tick in ticks]

    found = idle_longest(workers)

    assert [since for since, _ in found] == sorted(
        (tick for tick in ticks if tick is not None), reverse=True
    )
    assert all(since == worker.idle_since for since, worker in found)


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        ({"start": "lazy"}, ValueError, "start must be .*'lazy'"),
        ({"start": True}, ValueError, "start must be .*True"),
        ({"idle_timeout": 0}, ValueError, "idle_timeout must be seconds, more than 0, not 0"),
        ({"idle_timeout": -1}, ValueError, "idle_timeout.*-1"),
        ({"idle_timeout": math.nan}, ValueError, "idle_timeout.*nan"),
        ({"idle_timeout": math.inf}, ValueError, "idle_timeout.*inf"),
        ({"idle_timeout": "1"}, ValueError, "idle_timeout.*'1'"),
        ({"max_keys": 0}, ValueError, "max_keys must be an int of at least 1, not 0"),
        ({"max_keys": 1.5}, ValueError, "max_keys.*1.5"),
        ({"max_keys": True}, ValueError, "max_keys.*True"),
        ({"restart": 3}, TypeError, "restart must be a Restart or None, not 3"),
        ({"restart": Restart}, TypeError, "restart must be a Restart"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name_and_value(
    said: dict[str, Any], error: type[Exception], text: str
) -> None:
    everything: dict[str, Any] = {
        "start": "explicit",
        "idle_timeout": None,
        "max_keys": None,
        "restart": None,
    }

    with pytest.raises(error, match=text):
        check_lives(**(everything | said))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"max_restarts": 0}, "max_restarts.*0"),
        ({"within": 0}, "within must be seconds, more than 0, not 0"),
        ({"within": math.nan}, "within.*nan"),
        ({"delay": -0.1}, "delay.*-0.1"),
        ({"delay": math.inf}, "delay.*inf"),
        ({"factor": 0.5}, "factor must be at least 1, not 0.5"),
        ({"factor": math.nan}, "factor.*nan"),
        ({"max_delay": None}, "max_delay.*None"),
        ({"in_hand": "keep"}, "in_hand must be 'drop' or 'retry', not 'keep'"),
    ],
)
def test_a_restart_policy_is_checked_as_it_is_made(said: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Restart(**said)


def test_nothing_said_is_what_was_before() -> None:
    assert check_lives("explicit", None, None, None) == Lives()
    assert Lives().plain
    assert not Lives(idle_timeout=1.0).plain


@pytest.mark.parametrize("ordered", [True, False])
def test_an_idle_worker_is_bigger_by_one_slot_where_it_is_known_since_when_it_is_idle(
    ordered: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    plain = GeneratorWorkers._lane
    ticks = ticking(GeneratorWorkers, ordered=ordered)._lane

    assert ticks.__basicsize__ == plain.__basicsize__ + 8
