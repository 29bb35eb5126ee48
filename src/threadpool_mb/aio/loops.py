"""The loop that runs here, looked for before anything else is done.

Does not import asyncio, which those that use it have imported.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

__all__ = ["running_loop"]


def running_loop(what: str) -> "asyncio.AbstractEventLoop":
    """Return the loop of the task that runs; `what` is for the error's text.

    Raises:
        RuntimeError: outside of a task of asyncio: under another library, or driven by hand.
    """
    module = sys.modules.get("asyncio")
    try:
        task: asyncio.Task[object] | None = None if module is None else module.current_task()
    except RuntimeError:
        task = None
    if task is None:
        raise RuntimeError(f"{what} must be awaited in a task of asyncio, and none runs here")
    return task.get_loop()
