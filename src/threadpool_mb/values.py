"""Special values: `MISSING` stands for the absence of a value; `Uncopied` ones cannot be copied."""

import enum
from typing import Final, Literal, NoReturn, SupportsIndex

__all__ = ["MISSING", "Missing", "Uncopied"]


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

    def __str__(self) -> str:
        """Read the same in a text."""
        return "MISSING"


MISSING: Final = Missing.MISSING
"""No value was given, or none is there yet; it reads as false."""


class Uncopied:
    """Refuses `copy.copy`, `copy.deepcopy` and `pickle`, which all ask `__reduce_ex__`.

    The base class of an object that owns threads, or that is told of, or answers for, something
    once.

    A copy would share the original's insides and have its finalizer: dropping the copy would close
    the original's threads, or answer a call that the original is to answer.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: always.
        """
        # Not the object's `repr`, which may take time, or a lock.
        raise TypeError(f"cannot copy or pickle a {type(self).__name__}: pass it by reference")
