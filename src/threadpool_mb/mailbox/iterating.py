"""What iterators of C alone are made of that receive messages; see `QueueMailbox._stretches`."""

import functools
import operator
from collections.abc import Iterator
from typing import Final

from threadpool_mb.line.inlet import Marker

__all__ = ["EMPTY", "is_message", "noting"]

is_message: Final = functools.partial(operator.is_not, Marker)
"""`is_message(message)` without a frame of Python."""


EMPTY: Final = [].__sizeof__()
"""The `__sizeof__` of a list that was cleared. `__len__` would be clearer, but takes 6 ns a message
longer: it is a slot of the type, and only a wrapper can call it."""


def noting(stopped: list[None]) -> Iterator[bool]:
    """Yield nothing, and note in `stopped` that this was asked."""
    stopped.append(None)
    yield from ()
