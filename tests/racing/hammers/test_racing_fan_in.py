"""Hammers of full mailboxes: workers that send to each other, in graphs that a seed draws."""

import logging

import pytest

from benchmarks.fan_in import play

pytestmark = pytest.mark.racing


@pytest.fixture(autouse=True)
def _planned_failures_are_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("seed", range(20))
def test_no_graph_of_senders_stands_still_untold(seed: int) -> None:
    wrong, _ = play(seed)

    assert wrong is None
