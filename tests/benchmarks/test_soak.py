"""The soak script finds nothing where nothing is wrong, and finds what is."""

from typing import Any

import pytest

import threadpool_mb as mb
from benchmarks import soak


def test_a_sound_pool_passes() -> None:
    sent, _, faults = soak.soak(2_000, 100)

    assert (sent, faults) == (2_000, [])


@pytest.mark.parametrize("fault", ["lost", "doubled"])
def test_a_message_that_is_lost_or_doubled_is_told(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch = mb.Pool.dispatch

    def wrong(pool: mb.Pool[Any, Any], key: int, message: int) -> bool:
        if (key, message) == (7, 4):
            return True if fault == "lost" else dispatch(pool, key, message + 2)
        return dispatch(pool, key, message)

    monkeypatch.setattr(mb.Pool, "dispatch", wrong)

    _, _, faults = soak.soak(2_000, 100)

    assert any("key 7" in each or "7 among them" in each for each in faults)
