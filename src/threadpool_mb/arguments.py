"""Arguments checked where they are written, with the value in the error's text; and deadlines.

Users' functions are checked here, too, and their values described: by their `repr`, short, and
never with an exception.

A *timeout* is what a user gives: seconds, `0` for not at all, `None` for ever. A *deadline* is made
of it once per public call and passed down, so that a call which waits in several places waits its
timeout once.

The timeout of a call may be negative: callers compute `deadline - now`, and a timeout that has run
out is as good as `0`. A *duration* of a config is written once, by hand, and a negative duration is
a mistake.
"""

import inspect
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from types import GeneratorType
from typing import Any, Final, Literal, final

__all__ = [
    "AT_ONCE",
    "NEVER",
    "Deadline",
    "Start",
    "check_callable",
    "check_duration",
    "check_flag",
    "check_key",
    "check_limit",
    "check_ran",
    "check_seconds",
    "check_start",
    "check_timeout",
    "counted",
    "describe",
    "is_generator_function",
    "make_generator",
    "shortest",
    "some_keys",
    "use_clocks",
]


def check_limit(limit: object, name: str = "limit") -> int:
    """Return `limit` if it is an `int` of at least 1 (and no `bool`).

    Raises:
        ValueError: if it is not, with the value in the text.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"{name} must be an int of at least 1, not {describe(limit)}")
    return limit


def check_flag(flag: object, name: str) -> bool:
    """Return `flag` if it is `True` or `False`.

    Raises:
        TypeError: if it is not, with the value in the text.
    """
    if not isinstance(flag, bool):
        raise TypeError(f"{name} must be True or False, not {describe(flag)}")
    return flag


def check_timeout(timeout: object, name: str = "timeout") -> float | None:
    """Return the timeout of a call in seconds, `None` for ever.

    A negative timeout has run out: it is `0.0`. Infinity, and a timeout that is longer than the
    platform can wait (`threading.TIMEOUT_MAX`), mean for ever.

    Raises:
        ValueError: if it is neither a number of seconds nor `None`, with the value in the text.
    """
    if timeout is None:
        return None
    # NaN equals nothing. A deadline made of it would have come at once, again and again.
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


type Start = Literal["explicit", "on_demand"]
"""Whether a key begins where that is said, or also with its first message."""


def check_start(start: object) -> Start:
    """Return how keys start.

    Raises:
        ValueError: if it is neither, with the value in the text.
    """
    if start == "on_demand":
        return "on_demand"
    if start == "explicit":
        return "explicit"
    raise ValueError(f"start must be 'explicit' or 'on_demand', not {describe(start)}")


def check_seconds(seconds: object, name: str, *, above: bool = False) -> float:
    """Return a time in seconds that is at least 0, or `above` 0, and not for ever.

    Raises:
        ValueError: if it is none, with the value in the text.
    """
    try:
        checked = None if seconds is None else check_duration(seconds, name)
    except ValueError:
        checked = None
    if checked is None or (above and not checked):
        least = "more than 0" if above else "at least 0"
        raise ValueError(f"{name} must be seconds, {least}, not {describe(seconds)}")
    return checked


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

    __slots__ = ("_at", "_now")

    def __init__(self, timeout: float | None, *, real: bool = False) -> None:
        """Fix the moment `timeout` seconds from now; `None` is never.

        `real`: by the system's clock, whichever the thread has; see `use_clocks`.

        Raises:
            ValueError: if the timeout is no number of seconds.
        """
        seconds = check_timeout(timeout)
        now = self._now = time.monotonic if real or _clock_here is None else _clock_here()
        self._at: Final = None if seconds is None else now() + seconds

    def remaining(self) -> float | None:
        """Return the seconds that are left, at least 0; `None` if there is no end."""
        return None if self._at is None else max(0.0, self._at - self._now())


_clock_here: Callable[[], Callable[[], float]] | None = None
"""Returns the clock of the thread that asks, if there are others than the system's."""


def use_clocks(clock_here: Callable[[], Callable[[], float]]) -> None:
    """Make deadlines by the clock of the thread that makes them; see `threadpool_mb.testing`."""
    global _clock_here  # noqa: PLW0603 - of the whole process
    _clock_here = clock_here


AT_ONCE: Final = Deadline(0)
"""The deadline of a caller that does not wait."""

NEVER: Final = Deadline(None)
"""The deadline of a caller that waits for ever."""


_HINT = "if a decorator made the worker, functools.wraps in it lets the pool see what it wraps"


def is_generator_function(function: object) -> bool:
    """Return whether calling `function` makes a generator.

    Looks through `functools.partial`, methods, objects with a `__call__`, and decorators that tell
    what they wrap.
    """
    if not callable(function):
        return False
    return any(
        inspect.isgeneratorfunction(called)
        for called in (function, _unwrapped(function), type(function).__call__)
    )


def _unwrapped(function: Callable[..., object]) -> object:
    """Return the function that decorators say they wrap; `function` if that cannot be found."""
    try:
        return inspect.unwrap(function)
    except Exception:  # noqa: BLE001 - a proxy object may answer to any name with anything
        return function


def make_generator[K](worker: Callable[[K], Any], key: K) -> Generator[None, Any, object]:
    """Call a generator worker, and return the generator.

    Raises:
        TypeError: if the worker returns something else, which would never run.
        RuntimeError: if the worker raises `StopIteration`: that would look as if it had ended.
        BaseException: what else the worker raises.
    """
    try:
        made: Any = worker(key)
    except StopIteration as error:
        raise RuntimeError("the worker raised StopIteration before it was a generator") from error
    if type(made) is GeneratorType or isinstance(made, Generator):
        return made  # pyright: ignore[reportUnknownVariableType] - not `cast`, which is a call
    _close_unrun(made)
    raise TypeError(
        f"a generator worker must return a generator, not {describe(made)}, which never runs"
    )


def check_ran(result: object) -> None:
    """Check that a function worker has run, rather than made something that would have to be run.

    Raises:
        TypeError: if the worker has returned a generator, a coroutine, or another awaitable.
    """
    if result is None:
        return
    for kind, name in (
        (Generator, "generator"),
        (Coroutine, "coroutine"),
        (AsyncGenerator, "asynchronous generator"),
        (Awaitable, "awaitable"),
    ):
        made: object = result
        if isinstance(result, kind):
            _close_unrun(made)
            raise TypeError(
                f"the worker returned the {name} {describe(made)} and has not run: a worker is a"
                f" generator function of a key, or a plain function of a key and a mailbox; {_HINT}"
            )


def _close_unrun(made: object) -> None:
    """Close a coroutine that is never run, so that Python does not warn of it as well."""
    if isinstance(made, (Coroutine, Generator)):
        made.close()


def check_callable(
    function: object, name: str, *arguments: str, generator: bool = False, instead: str = ""
) -> None:
    """Check that `function` runs when it is called with as many positional arguments.

    Args:
        function: what is checked.
        name: what it is called in the error's text.
        arguments: the names of its positional arguments.
        generator: whether it may be a generator function.
        instead: what to do in the place of a generator function or a coroutine function, for the
            error's text.

    Raises:
        TypeError: if it cannot be called so, or would not run then (a generator function or a
            coroutine function), with its name and value in the text.
    """
    if not callable(function):
        raise TypeError(
            f"{name} must be callable with ({', '.join(arguments)}), not {describe(function)}"
        )
    for called in (function, type(function).__call__):
        for kind, is_one in (
            ("generator", inspect.isgeneratorfunction),
            ("coroutine", inspect.iscoroutinefunction),
            ("asynchronous generator", inspect.isasyncgenfunction),
        ):
            if is_one(called) and not (generator and kind == "generator"):
                hint = f"; {instead}" if instead else ""
                raise TypeError(
                    f"{name} must be a plain function, not the {kind} function"
                    f" {describe(function)}{hint}"
                )
    try:
        # Not the signature of what a decorator wraps: the decorator may pass more arguments to it
        # than the decorator itself takes.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return  # some built-in callables have no signature that can be read
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{name} must take ({', '.join(arguments)}),"
            f" but {describe(function)} takes {signature}: {error}"
        ) from None


_LONGEST: Final = 120
_MOST_KEYS: Final = 3


def describe(value: object) -> str:
    """Return `repr(value)`, shortened to 120 characters; a text in its place if it raises."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def counted(number: int, noun: str) -> str:
    """Return a number and what is counted, `"1 worker"` or `"2 workers"`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def some_keys(keys: Sequence[object]) -> str:
    """Return the first keys in brackets, and how many more there are; "" if there is none."""
    if not keys:
        return ""
    more = len(keys) - _MOST_KEYS
    shown = ", ".join(describe(key) for key in keys[:_MOST_KEYS])
    return f" (key{'' if len(keys) == 1 else 's'} {shown}{f' and {more} more' if more > 0 else ''})"
