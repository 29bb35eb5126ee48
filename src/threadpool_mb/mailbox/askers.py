"""Who stands in the line for a slot of a full mailbox; see `mailbox.slots`."""

import functools
import queue
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.here import Serving, here

__all__ = ["Asker", "Gate", "asker_of_thread"]

Gate: Final = queue.SimpleQueue[None]
"""What a thread in the line waits for."""


@final
class Asker:
    """A sender that stands in a line."""

    __slots__ = ("runs", "tell")

    def __init__(self, tell: Callable[[], bool], runs: Callable[[], bool]) -> None:
        """Make one that is in no line yet."""
        self.tell: Final = tell
        """Tell it to try again; `False` if nobody is left who could. Neither blocks nor raises."""
        self.runs: Final = runs
        """Whether it could use a slot just now."""


def asker_of_thread() -> "tuple[Asker, queue.SimpleQueue[None]]":
    """Return what stands in the line for this thread, and what this thread is to wait for.

    Where the thread takes turns of many workers, who gives it a slot counts it as going on.
    """
    gate = Gate()
    serving = here.serving
    wait = 0 if serving is None else serving.wait
    return Asker(functools.partial(_open, gate, serving, wait), _always), gate


def _open(gate: "queue.SimpleQueue[None]", serving: Serving | None, wait: int) -> bool:
    # In this order: once the gate is open, the thread may be in its next wait.
    if serving is not None:
        serving.goes_on(wait)
    gate.put(None)
    return True


def _always() -> bool:
    return True
