"""Users' values in names and log lines: their `repr`, short, and never an exception."""

from typing import Final

__all__ = ["describe"]

_LONGEST: Final = 120


def describe(value: object) -> str:
    """Return `repr(value)`, shortened to 120 characters; what stands in its place if it raises."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
