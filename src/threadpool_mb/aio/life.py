"""`async with` and `adrain`: the end of a pool is awaited, and no thread waits for it.

To block a loop until a pool has ended blocks the pool's workers, too, if they need that loop.

**How.** The thread that ends last but for those that have nothing to do any more calls back into
the loop (`Ending`). What is left then is that those threads end by themselves, in a moment: the
loop looks for that a few times.

Does not import asyncio; see `loops`.
"""

import functools
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from threadpool_mb.aio.loops import running_loop, tell_future, within
from threadpool_mb.arguments import NEVER, Deadline, shortest
from threadpool_mb.threads.latches import Ending

if TYPE_CHECKING:
    import asyncio

__all__ = ["AsyncLife", "Ends", "await_end"]

_FIRST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks whether the threads have ended."""


class Ends(Protocol):
    """What can be awaited the end of."""

    @property
    def ending(self) -> Ending:
        """Reached when all is done, and the threads have nothing left to do but to end."""
        ...

    def threads_ended(self) -> bool:
        """Return whether they have ended. Blocks: never."""
        ...

    def check_not_own_thread(self) -> None:
        """Raise `RuntimeError` on one of its threads."""
        ...


class AsyncLife[R]:
    """What a pool or a broker offers to asyncio beside `with` and `drain`. Not for users' own."""

    __slots__ = ("_ends",)

    _ends: Ends

    def close(self) -> None:
        """Take no more; the backlog is finished."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Take no more, and end before the next message."""
        raise NotImplementedError

    def drain(self, *, timeout: float | None) -> R:
        """Close, wait, and cancel what is left after the timeout."""
        raise NotImplementedError

    async def adrain(self, *, timeout: float | None) -> R:  # noqa: ASYNC109 - as `drain`
        """Close, await that the backlog is handled, and cancel what is left after the timeout.

        As `drain`, from asyncio: only this task waits, so that what is drained may use the loop. If
        the task is cancelled, so is what it drains.

        Blocks: never the loop, but for as long as `on_dead_letter` does, which may be called here.

        Returns:
            What `drain` does.

        Raises:
            CancelledError: if the task was cancelled.
            RuntimeError: outside of a task of asyncio, or on a thread of its own.
            ValueError: if the timeout is no number of seconds.
        """
        deadline = Deadline(timeout, real=True)
        await await_end("adrain", self._ends, self.close, self.cancel, deadline)
        return self.drain(timeout=0)

    async def __aenter__(self) -> Self:
        """Return it.

        Raises:
            RuntimeError: outside of a task of asyncio.
        """
        running_loop("async with")
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do what leaving a `with` block does; only this task waits, not its loop.

        If the task is cancelled meanwhile, what it waits for is cancelled, too, and the block is
        left at once: workers may still run. `await pool.adrain(timeout=None)` waits for them.

        Raises:
            CancelledError: if the task was cancelled.
            RuntimeError: outside of a task of asyncio, or on a thread of its own.
        """
        end = self.close if error_type is None else self.cancel
        await await_end("async with", self._ends, end, self.cancel)


async def await_end(
    what: str,
    ends: Ends,
    end: Callable[[], object],
    cancel: Callable[[], object],
    deadline: Deadline = NEVER,
) -> None:
    """Call `end`, and await the end of `ends` until the deadline; call `cancel` if that fails.

    `what` is for the error's text.

    Raises:
        RuntimeError: outside of a task of asyncio, or on a thread that would wait for itself.
    """
    loop = running_loop(what)
    ends.check_not_own_thread()
    try:
        end()
        # In a forked child no thread is there that could end.
        if not ends.threads_ended():
            await _reached(loop, ends.ending, deadline)
        pause = _FIRST_PAUSE
        while True:  # not of a condition; see `interrupts`
            if ends.threads_ended() or (left := deadline.remaining()) == 0:
                break
            await _pause(loop, shortest(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
    except BaseException:
        cancel()
        raise


async def _reached(loop: "asyncio.AbstractEventLoop", ending: Ending, deadline: Deadline) -> None:
    """Wait for the end, or until the deadline."""
    if ending.reached:
        return
    future = loop.create_future()
    tell = functools.partial(tell_future, loop, future)
    ending.when_reached(tell)
    try:
        await within(loop, future, deadline.remaining())
    finally:
        ending.forget(tell)


async def _pause(loop: "asyncio.AbstractEventLoop", seconds: float | None) -> None:
    await within(loop, loop.create_future(), seconds)
