"""Limits: how many may wait, and how often something may begin.

Whether one may begin is a function of times, which keeps nothing: the generic cell rate algorithm.
It remembers one time, at which the next one is *due* if they come evenly. What comes at most
`burst - 1` intervals before that may begin.
"""

import dataclasses
import math
from typing import Final, Literal, final

from threadpool_mb.arguments import check_limit, describe

__all__ = ["MAKES_UP", "AfterError", "Limits", "Rate", "WhenFull", "may_begin"]

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
    begins late, because no thread is free, is followed sooner: a tenth of a second is made up for.
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


def may_begin(rate: Rate, due: float | None, now: float, *, fresh: bool) -> tuple[float, float]:
    """Return from when on one may begin, and when the next one is due if it does; pure.

    `due` is what was returned last, `None` if nothing was. `fresh`: whether nothing has waited.
    """
    earliest = now if fresh else now - MAKES_UP
    due = now if due is None else max(due, earliest)
    interval = 1 / rate.per_second
    return due - (rate.burst - 1) * interval, due + interval


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
