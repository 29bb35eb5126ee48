"""Waiting for a state, with a limit after which what should have come is held to be lost."""

import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 30.0
"""Seconds after which what a scenario waits for is held to be stuck."""

_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks: each time twice as long."""


class StuckError(AssertionError):
    """Something that should have happened has not."""


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, looking again and again.

    Raises:
        StuckError: if it never does.
    """
    if not holds_within(PATIENCE, condition):
        raise StuckError(f"waited {PATIENCE:g} s in vain: {what}")


def holds_within(seconds: float, condition: Callable[[], object]) -> bool:
    """Return whether a condition comes to hold within a time."""
    end = time.monotonic() + seconds
    pause = _PAUSE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return True
