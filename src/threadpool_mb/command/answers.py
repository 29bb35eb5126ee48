"""The answers in a reply's log; see `command.replies`."""

from typing import cast

__all__ = ["Answer", "place_in"]

type Answer = tuple[object, BaseException | None, bool]
"""The value, or the error; and whether it came out of the reply box."""


def place_in(log: list[object], mine: Answer) -> tuple[bool, bool]:
    """Return whether `mine` is the answer, and whether the box was used before."""
    won, replied = True, False
    for entry in log:
        if entry is mine:
            break
        if type(entry) is tuple:
            won = False
            replied = replied or cast("Answer", entry)[2]
    return won, replied
