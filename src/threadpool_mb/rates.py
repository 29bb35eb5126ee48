"""Limits: how many may wait, and how often something may begin.

Whether one may begin is a function of times, which keeps nothing: the generic cell rate algorithm.
It remembers one time, at which the next one is *due* if they come evenly. What comes at most
`burst - 1` intervals before that may begin.

**Guarantees.** While something waits, the time at which the next one is due is counted on from the
one before it, not from when that began. So lateness does not add up: the n-th begins n intervals
after the first, as late as its own thread comes. What is later than `MAKES_UP` is not made up for.
Whatever comes late, in any `t` seconds there begin at most `burst + per_second * (t + MAKES_UP)`.
"""

import dataclasses
import math
from typing import Final, Literal, final

from threadpool_mb.arguments import check_limit, describe

__all__ = ["MAKES_UP", "AfterError", "Limits", "Rate", "Spacing", "WhenFull"]

_MOST_AT_ONCE: Final = 10**9

MAKES_UP: Final = 0.1
"""Seconds of being late that are made up for, while something waits all the time: threads come late
by chance, and each time would make the rate lower than it says."""


type AfterError = Literal["go_on", "cancel_key"]
type WhenFull = Literal["wait", "raise"]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Rate:
    """At most so many a second for each key, and so many at once: `Rate(100)`, `Rate(5, burst=10)`.

    A key that has been idle may begin `burst` at once; from then on they begin evenly. One that
    begins late, because no thread is free, is followed sooner: while something waits, the times are
    those of a schedule, and nothing drifts. That holds for what is up to a tenth of a second late.
    What is later moves the schedule: so in any `t` seconds there begin at most
    `burst + per_second * (t + 0.1)`. What an executor's tasks wait for is a time of a grid, up to a
    millisecond after their own.
    """

    per_second: float
    """How many may begin in a second; above 0."""
    burst: int = 1
    """How many may begin at once; at least 1."""

    def __post_init__(self) -> None:
        """Check both."""
        rate = self.per_second
        if isinstance(rate, bool) or not isinstance(rate, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"per_second must be a number, not {describe(rate)}")
        if not (0 < rate < math.inf) or 1 / rate == math.inf:
            raise ValueError(f"per_second must be above 0, and not infinite, not {rate!r}")
        if check_limit(self.burst, "burst") > _MOST_AT_ONCE:
            raise ValueError(f"burst must be at most {_MOST_AT_ONCE}, not {self.burst}")


@final
class Spacing:
    """When one of a rate may begin. Threads: any."""

    __slots__ = ("_ahead", "_interval")

    def __init__(self, rate: Rate) -> None:
        """Decide as `rate` says."""
        self._interval: Final = 1 / rate.per_second
        self._ahead: Final = (rate.burst - 1) * self._interval

    def may_begin(self, due: float | None, now: float, fresh: bool) -> tuple[float, float]:  # noqa: FBT001 - once a message
        """Return from when on one may begin, and when the next one is due if it does; pure.

        `due` is what was returned last, `None` if nothing was. `fresh`: whether nothing has waited,
        this one included.
        """
        if due is None:
            due = now
        else:
            earliest = now if fresh else now - MAKES_UP
            if due < earliest:  # noqa: PLR1730 - `max` is a call
                due = earliest
        return due - self._ahead, due + self._interval


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What the arguments of an executor or a pool say."""

    max_waiting: int | None
    when_full: WhenFull
    rate: Rate | None
    after_error: AfterError

    def __post_init__(self) -> None:
        """Check them."""
        if self.max_waiting is not None:
            check_limit(self.max_waiting, "max_waiting")
        if self.when_full not in {"wait", "raise"}:
            raise ValueError(f"when_full must be 'wait' or 'raise', not {describe(self.when_full)}")
        if self.when_full == "raise" and self.max_waiting is None:
            raise ValueError("when_full must be 'wait', not 'raise', where max_waiting is None")
        if self.after_error not in {"go_on", "cancel_key"}:
            raise ValueError(
                f"after_error must be 'go_on' or 'cancel_key', not {describe(self.after_error)}"
            )
        if self.rate is not None and not isinstance(self.rate, Rate):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"rate must be a Rate, not {describe(self.rate)}")
