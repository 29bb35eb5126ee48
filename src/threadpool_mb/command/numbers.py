"""The numbers of calls: which were made in this process, and which before it was forked."""

from typing import Final

from threadpool_mb.counters import Counter
from threadpool_mb.forking import in_children

__all__ = ["made_by_parent", "next_number"]

next_number: Final = Counter().increment_and_get

_last_of_parent: int = 0


def made_by_parent(number: int) -> bool:
    """Return whether the call was made by the process that has forked this one.

    Whoever had it then is not in this process.
    """
    return number <= _last_of_parent


@in_children
def _begin_here() -> None:
    global _last_of_parent  # noqa: PLW0603 - one for the process
    _last_of_parent = next_number()
