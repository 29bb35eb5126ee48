"""Users' values in names and log lines: their `repr`, short, and never an exception."""

from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "describe", "some_keys"]

_LONGEST: Final = 120
_MOST_KEYS: Final = 3


def describe(value: object) -> str:
    """Return `repr(value)`, shortened to 120 characters; what stands in its place if it raises."""
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
