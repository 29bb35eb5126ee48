"""The loop that runs here, looked for before anything else is done; futures that wake its tasks.

Does not import asyncio, which those that use it have imported.
"""

import contextlib
import sys
from typing import TYPE_CHECKING

from threadpool_mb.threads.here import here
from threadpool_mb.threads.waiting import parked

if TYPE_CHECKING:
    import asyncio

__all__ = ["fill", "running_loop", "tell_future", "within"]


def running_loop(what: str) -> "asyncio.AbstractEventLoop":
    """Return the loop of the task that runs; `what` is for the error's text.

    Raises:
        RuntimeError: outside of a task of asyncio: under another library, or driven by hand.
    """
    try:
        # Not `get`, which waits for itself on 3.13t, each time (`pool.routes`).
        task: asyncio.Task[object] | None = sys.modules["asyncio"].current_task()
    except (KeyError, RuntimeError):
        task = None
    if task is None:
        raise RuntimeError(f"{what} must be awaited in a task of asyncio, and none runs here")
    return task.get_loop()


async def within(
    loop: "asyncio.AbstractEventLoop", future: "asyncio.Future[None]", seconds: float | None
) -> None:
    """Wait for the future, or until the time has run out."""
    if seconds is None and here.serving is None:
        await future
        return
    timer = None if seconds is None else loop.call_later(seconds, fill, future)
    try:
        # On a loop that runs in a worker the worker's thread waits, too.
        with parked():
            await future
    finally:
        if timer is not None:
            timer.cancel()


def tell_future(loop: "asyncio.AbstractEventLoop", future: "asyncio.Future[None]") -> None:
    """Fill a future of a loop from any thread; nothing happens where the loop is closed."""
    with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks are gone
        loop.call_soon_threadsafe(fill, future)


def fill(future: "asyncio.Future[None]") -> None:
    """Fill a future, unless it is done; on its loop's thread."""
    if not future.done():
        future.set_result(None)
