"""`MISSING`: the absence of a value where `None` is a value."""

import enum
from typing import Final, Literal

__all__ = ["MISSING", "Missing"]


class Missing(enum.Enum):
    """The type of `MISSING`; an enum, so that type checkers know that it has one member."""

    MISSING = enum.auto()
    """No value was given, or none is there yet."""

    def __bool__(self) -> Literal[False]:
        """Read as false: there is no value."""
        return False

    def __repr__(self) -> str:
        """Read as the name users import."""
        return "MISSING"


MISSING: Final = Missing.MISSING
"""No value was given, or none is there yet; it reads as false."""
