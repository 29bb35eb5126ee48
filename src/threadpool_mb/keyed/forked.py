"""What a task that has forked needs in the child: to end there.

Its future may be in the hands of a thread of the parent at the fork, one that begins to wait for
it, say. That thread is not in the child, and never lets go of it there.

**How.** The task is found by its frame. Any note of which task a thread runs would cost each task
something; a fork can take its time.
"""

import sys
import types
from typing import Final

from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.tasks import Task

__all__ = ["free_running"]

_RUN: Final = Task.run.__code__


def free_running() -> None:
    """Free the futures of the tasks that this thread runs; in a child of `os.fork`."""
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - there is no other way
    while frame is not None:
        if frame.f_code is _RUN and isinstance(future := frame.f_locals.get("future"), KeyedFuture):
            future.forked()
        frame = frame.f_back
