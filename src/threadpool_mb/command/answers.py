"""The answers in a reply's log; see `command.replies`."""

import queue
from collections.abc import Callable
from typing import cast

from threadpool_mb.command.callbacks import Answered, WithReply, run_callback
from threadpool_mb.command.gates import Gate, open_gate

__all__ = ["Answer", "place_in", "wake_before"]

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


def wake_before(mine: Answer, log: list[object], reply: Answered) -> None:
    """See to all entries before the answer; what a callback raises is raised after the last."""
    raised: BaseException | None = None
    for entry in log:
        if entry is mine:
            break
        try:
            if type(entry) is Gate:
                open_gate(cast("queue.SimpleQueue[None]", entry))
            else:
                run_callback(cast("Callable[[], object] | WithReply", entry), reply)
        except BaseException as error:  # noqa: BLE001 - a callback's, or an interrupt
            raised = error
    if raised is not None:
        raise raised
