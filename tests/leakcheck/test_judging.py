"""A leak is told from noise by its slope, and everything else exactly."""

import itertools

import pytest

from leakcheck.judging import BAND, judge, slope
from leakcheck.results import Check, Growth
from tests.leakcheck.samples import series

NOISE = [(number * 7919) % 17 - 8 for number in range(200)]


def _check(name: str, blocks: list[int], *growth: Growth, threads: tuple[int, ...] = ()) -> Check:
    _, checks = judge(series(blocks, threads), 0, growth, (2, 5))
    return next(check for check in checks if check.name == name)


def test_the_slope_of_a_line_is_what_it_rises_a_round() -> None:
    assert slope([10, 13, 16, 19]) == 3.0


@pytest.mark.parametrize("values", [[], [5]])
def test_what_is_no_line_has_no_slope(values: list[int]) -> None:
    assert slope(values) == 0.0


def test_neither_a_step_nor_a_spike_is_a_slope() -> None:
    assert slope([100] * 50 + [5000] + [100] * 49) == 0.0
    for place in range(0, 101, 5):
        assert slope([100] * place + [1000] * (100 - place)) == 0.0


def test_what_is_there_after_some_rounds_and_gone_later_is_no_slope() -> None:
    for pattern in itertools.product((0, 22), repeat=10):
        assert slope(pattern) == 0.0


def test_a_leak_is_found_beside_what_is_there_after_some_rounds_and_gone_later() -> None:
    now_and_then = [22 * (number * 7919 % 17 < 6) for number in range(100)]

    assert _check("blocks", now_and_then).passed
    assert not _check(
        "blocks", [value + number // 3 for number, value in enumerate(now_and_then)]
    ).passed


def test_a_leak_is_a_slope_beside_a_step_and_a_spike() -> None:
    values = list(range(0, 300, 3))
    values[30] += 1000
    values[60:] = [value + 500 for value in values[60:]]

    assert slope(values) == 3.0


def test_noise_is_within_the_band() -> None:
    assert _check("blocks", NOISE).passed


def test_less_than_a_block_a_round_is_found_under_the_noise() -> None:
    leaking = [value + number // 4 for number, value in enumerate(NOISE)]

    found = _check("blocks", leaking)

    assert not found.passed
    assert f"within {BAND}" in found.found


def test_what_falls_is_no_leak() -> None:
    assert _check("blocks", [1000 - 10 * number for number in range(100)]).passed


def test_rounds_of_the_warm_up_are_not_judged() -> None:
    _, checks = judge(series([0, 500, 1000, 1000, 1000]), 2, [], (2, 5))

    assert all(check.passed for check in checks)


def test_one_object_more_is_a_leak() -> None:
    found = _check("objects", [1, 1], Growth("Box", 3, 4))

    assert not found.passed
    assert found.found == "Box 3 → 4"


def test_a_thread_that_stays_after_any_round_is_a_leak() -> None:
    found = _check("threads", [1, 1, 1], threads=(2, 3, 2))

    assert not found.passed
    assert found.found == "2 before, 3 at most after a round, first after round 2"


@pytest.mark.parametrize(
    ("name", "blocks", "growth", "threads", "files"),
    [
        ("objects", [1, 1], [Growth("Box", 3, 4)], 2, 5),
        ("blocks", [1, 101], [], 2, 5),
        ("threads", [1, 1], [], 1, 5),
        ("files", [1, 1], [], 2, 4),
    ],
)
def test_each_assertion_can_fail_alone(
    name: str, blocks: list[int], growth: list[Growth], threads: int, files: int
) -> None:
    _, checks = judge(series(blocks), 0, growth, (threads, files))

    assert [check.name for check in checks if not check.passed] == [name]
