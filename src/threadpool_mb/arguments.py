"""Arguments checked where they are written, with the value in the error's text; and deadlines.

A *timeout* is a user's word: seconds, `0` for not at all, `None` for ever. A *deadline* is made of
it once per public call and passed down, so that a call which waits in several places waits its
timeout once.

The timeout of a call may be negative: `deadline - now` is how callers work one out, and one that
has run out is as good as `0`. A *duration* of a config is written once, by hand, and a negative one
is a mistake.
"""

import threading
import time
from typing import Final, final

from threadpool_mb.describing import describe

__all__ = [
    "AT_ONCE",
    "NEVER",
    "Deadline",
    "check_duration",
    "check_key",
    "check_limit",
    "check_timeout",
    "shortest",
]


def check_limit(limit: object, name: str = "limit") -> int:
    """Return `limit` if it is an `int` of at least 1 (and no `bool`).

    Raises:
        ValueError: if it is not, with the value in the text.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"{name} must be an int of at least 1, not {describe(limit)}")
    return limit


def check_timeout(timeout: object, name: str = "timeout") -> float | None:
    """Return the timeout of a call in seconds, `None` for ever.

    A negative one has run out: it is `0.0`. Infinity and what is longer than the platform can wait
    (`threading.TIMEOUT_MAX`) mean for ever.

    Raises:
        ValueError: if it is neither a number of seconds nor `None`, with the value in the text.
    """
    if timeout is None:
        return None
    # NaN equals nothing; a deadline made of it would never come and never let anyone wait.
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout != timeout:  # noqa: PLR0124
        raise ValueError(f"{name} must be seconds or None (for ever), not {describe(timeout)}")
    if timeout <= 0:
        return 0.0
    return None if timeout >= threading.TIMEOUT_MAX else float(timeout)


def check_duration(seconds: object, name: str) -> float | None:
    """Return the duration of a config in seconds, `None` for ever; as `check_timeout` does.

    Raises:
        ValueError: also if it is negative, with the value in the text.
    """
    duration = check_timeout(seconds, name)
    if duration == 0 and seconds != 0:
        raise ValueError(
            f"{name} must be seconds of at least 0 or None (for ever), not {describe(seconds)}"
        )
    return duration


def check_key(key: object) -> None:
    """Raise a clear `TypeError` if the key cannot be hashed; what else `__hash__` raises passes."""
    try:
        hash(key)
    except TypeError as error:
        raise TypeError(f"a key must be hashable, not {describe(key)}: {error}") from error


def shortest(*timeouts: float | None) -> float | None:
    """Return the shortest of some times in seconds; `None` is for ever."""
    return min((each for each in timeouts if each is not None), default=None)


@final
class Deadline:
    """The moment a call's timeout runs out, fixed once."""

    __slots__ = ("_at",)

    def __init__(self, timeout: float | None) -> None:
        """Fix the moment `timeout` seconds from now; `None` is never.

        Raises:
            ValueError: if the timeout is no number of seconds.
        """
        seconds = check_timeout(timeout)
        self._at: Final = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Return the seconds that are left, at least 0; `None` if there is no end."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())


AT_ONCE: Final = Deadline(0)
"""The deadline of those who do not wait."""

NEVER: Final = Deadline(None)
"""The deadline of those who wait for ever."""
