"""Hammers of the thread cache: every job runs once, whatever ends at the same time."""

import threading

import pytest

from tests.helpers import DEADLINE, until
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.cached import ThreadCache

pytestmark = pytest.mark.racing


@pytest.mark.parametrize("idle_seconds", [0, 1e-5, 1e-4, 60])
def test_every_job_runs_once_while_threads_end_of_idleness(idle_seconds: float) -> None:
    done: list[int] = []
    cache = ThreadCache("c", idle_seconds=idle_seconds)

    for number in range(60):
        cache.start(lambda number=number: done.append(number))
        if number % 3 == 0:
            until(lambda: len(done) == number + 1)  # noqa: B023 - runs at once
    cache.close()

    assert cache.join(Deadline(DEADLINE))
    assert sorted(done) == list(range(60))
    assert len(cache) == 0


@pytest.mark.parametrize("idle_seconds", [0, 1e-5, 60])
def test_a_cache_that_is_closed_while_jobs_end_runs_them_all_and_ends(idle_seconds: float) -> None:
    done: list[int] = []
    together = threading.Barrier(9)
    cache = ThreadCache("c", idle_seconds=idle_seconds)

    def job(number: int) -> None:
        together.wait(DEADLINE)
        done.append(number)

    for number in range(8):
        cache.start(lambda number=number: job(number))
    together.wait(DEADLINE)
    cache.close()

    assert cache.join(Deadline(DEADLINE))
    assert sorted(done) == list(range(8))
