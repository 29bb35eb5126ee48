"""How keys live: when a worker starts, ends by itself, and is started again; the decisions.

**Guarantees.** The functions here decide, and do nothing: they are told the time and what there is,
and return what is to be done. `pool.keeping` carries it out.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Final, Literal, Protocol

from threadpool_mb.arguments import Start, check_limit, check_seconds, check_start, describe

__all__ = [
    "ALWAYS",
    "Lives",
    "Restart",
    "Ticking",
    "check_lives",
    "idle_longest",
    "next_restart",
    "still_counted",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """When a worker that has failed is started again.

    A worker fails when it raises an `Exception` that is not its own mailbox's. Its mailbox is kept,
    and goes on taking messages. After `delay` seconds the worker function is called anew, in a new
    context, and goes on with the next message. Each restart of the key within `within` seconds
    makes the next delay longer by `factor`, up to `max_delay`. The worker that fails once more when
    there were `max_restarts` within that time ends for good, as one that is not restarted.

    Other exceptions (`SystemExit`, `KeyboardInterrupt`) end a worker for good.

    Raises:
        ValueError: if a number is wrong, or `in_hand` is another word.
    """

    max_restarts: int = 3
    """The most restarts within that time, whatever was handled in between."""
    within: float = 60.0
    """Seconds that a restart counts for."""
    delay: float = 0.1
    """Seconds before the first one."""
    factor: float = 2.0
    """By how much each delay is longer than the one before it; at least 1."""
    max_delay: float = 30.0
    """The longest delay, in seconds."""
    in_hand: Literal["drop", "retry"] = "drop"
    """What becomes of the message that the worker had in hand. `"drop"`: it counts as handled, as
    without a restart; it is in `WorkerExit.message`, and the caller of a call gets `WorkerGone`
    (whose cause is the error, but of a function worker, of which it is not known what it had).
    `"retry"`: the new worker gets it first; one that is not restarted leaves it as a dead letter.
    A message that makes every worker fail uses up all restarts."""

    def __post_init__(self) -> None:
        """Check each number."""
        check_limit(self.max_restarts, "max_restarts")
        check_seconds(self.within, "within", above=True)
        check_seconds(self.delay, "delay")
        check_seconds(self.max_delay, "max_delay")
        if check_seconds(self.factor, "factor") < 1:
            raise ValueError(f"factor must be at least 1, not {describe(self.factor)}")
        if self.in_hand not in {"drop", "retry"}:
            raise ValueError(f"in_hand must be 'drop' or 'retry', not {describe(self.in_hand)}")


@dataclasses.dataclass(frozen=True, slots=True)
class Lives:
    """What a user has said of the lives of keys."""

    start: Start = "explicit"
    idle_timeout: float | None = None
    max_keys: int | None = None
    restart: Restart | None = None

    @property
    def plain(self) -> bool:
        """Whether workers are started and ended by hand alone."""
        return self == ALWAYS

    @property
    def end_idle(self) -> bool:
        """Whether a worker that is idle may be ended for that."""
        return self.idle_timeout is not None or self.max_keys is not None


ALWAYS: Final = Lives()
"""Keys whose workers are started and ended by hand."""


def check_lives(start: object, idle_timeout: object, max_keys: object, restart: object) -> Lives:
    """Return what a user has said, checked.

    Raises:
        TypeError: if `restart` is no `Restart`.
        ValueError: if one of the others is wrong, with its value in the text.
    """
    timeout = None
    if idle_timeout is not None:
        timeout = check_seconds(idle_timeout, "idle_timeout", above=True)
    limit = None if max_keys is None else check_limit(max_keys, "max_keys")
    if restart is not None and not isinstance(restart, Restart):
        raise TypeError(f"restart must be a Restart or None, not {describe(restart)}")
    return Lives(check_start(start), timeout, limit, restart)


def next_restart(restart: Restart, earlier: tuple[float, ...], now: float) -> float | None:
    """Return the seconds after which a worker that has failed now is to start again.

    Args:
        restart: what the user has said.
        earlier: when the workers of this key were restarted before, by the same clock.
        now: the time.

    Returns:
        `None` if it is not to start again.
    """
    counted = sum(now - each < restart.within for each in earlier)
    if counted >= restart.max_restarts:
        return None
    try:
        delay = restart.delay * restart.factor**counted
    except OverflowError:
        return restart.max_delay
    return min(delay, restart.max_delay)


def still_counted(restart: Restart, earlier: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return those of the earlier restarts that count, and the one of now."""
    return (*(each for each in earlier if now - each < restart.within), now)


class Ticking(Protocol):
    """A worker of which it is known since when it is idle."""

    @property
    def idle_since(self) -> int | None:
        """The tick at which it became idle; `None` if it is not. Later ticks are greater."""
        ...


def idle_longest[W: Ticking](workers: Iterable[W]) -> list[tuple[int, W]]:
    """Return the workers that are idle, and since when; the one that is idle longest comes last."""
    idle = [(since, each) for each in workers if (since := each.idle_since) is not None]
    idle.sort(key=_since, reverse=True)
    return idle


def _since(entry: tuple[int, Any]) -> int:
    return entry[0]
