"""When a node tells its client what there is: at once, soon, or as it is worth an answer.

An answer of the actor costs, in the client, the scheduler and the node, as much as handling some
hundred messages. So what was handled is told once that is half of all that the client waits for,
at the latest after the time that the client has said. A node that is done with all tells it soon,
and so does one that has a dead letter to tell.

The race of a thread that puts something, and the loop that waits:

1. The thread puts it.
2. It takes the waiter, if there is one, and has the loop set its event.
a. The loop puts a waiter.
b. It looks whether there is something, and waits only if there is not.

If (2) finds the waiter, it wakes the loop. If another thread has taken the waiter, that thread
wakes the loop. Otherwise (2) comes before (a), and so (1) before (b): the loop sees what was put.
A waiter is taken by one `popleft`: one that was read, and then replaced by `None`, might be the
next one by then, whose event nobody would set.
`tests/model/test_news_model.py` runs through the interleavings.

**Assumes.** `append` and `popleft` are atomic (`tests/test_assumptions.py`).
"""

import asyncio
import contextlib
from collections import deque
from typing import Final, Protocol, final

__all__ = ["News", "Reporter"]

_SOON: Final = 0.01
"""Seconds between two looks whether it is worth an answer."""

type _Waiter = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class Reporter(Protocol):
    """What has something to tell."""

    @property
    def has_news(self) -> bool:
        """Whether there is anything."""
        ...

    @property
    def has_hasty_news(self) -> bool:
        """Whether there is anything for which somebody may wait."""
        ...

    @property
    def is_worth_it(self) -> bool:
        """Whether what there is has become enough."""
        ...


@final
class News:
    """Wakes the loop of the Dask worker. Threads: any may tell; one coroutine waits."""

    __slots__ = ("_any", "_hasty")

    def __init__(self) -> None:
        """Nobody waits."""
        # What the loop waits for: anything, and what is not to wait for more. One, or none.
        self._any: Final[deque[_Waiter]] = deque()
        self._hasty: Final[deque[_Waiter]] = deque()

    def tell(self) -> None:
        """Have the client told, soon."""
        _wake(self._any)

    def tell_at_once(self) -> None:
        """Have the client told without waiting for more."""
        _wake(self._any)
        _wake(self._hasty)

    async def wait(self, reporter: Reporter, seconds: float, patience: float) -> None:
        """Wait for something to tell, for so long; then for more, for as long as `patience`."""
        loop = asyncio.get_running_loop()
        news, haste = asyncio.Event(), asyncio.Event()
        # Those of a call that was given up are still there.
        for waiters, waiter in ((self._any, (loop, news)), (self._hasty, (loop, haste))):
            waiters.clear()
            waiters.append(waiter)
        if not reporter.has_news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), seconds)
        self._any.clear()
        if not reporter.has_hasty_news:
            looking = _Looking(reporter, loop, haste, loop.time() + patience)
            loop.call_later(_SOON, looking.look)
            await haste.wait()
        self._hasty.clear()


@final
class _Looking:
    """Looks now and then, on the loop, whether what there is to tell need not wait any longer.

    An object, not a function within `wait` that has itself called again: such a function refers to
    itself. One would be left by each answer, with its event, until the next garbage collection.
    """

    __slots__ = ("_haste", "_latest", "_loop", "_reporter")

    def __init__(
        self,
        reporter: Reporter,
        loop: asyncio.AbstractEventLoop,
        haste: asyncio.Event,
        latest: float,
    ) -> None:
        """Set `haste` then, at the latest at that time of the loop."""
        self._reporter: Final = reporter
        self._loop: Final = loop
        self._haste: Final = haste
        self._latest: Final = latest

    def look(self) -> None:
        """Look, and have this called again if need be.

        By itself: to wake the coroutine each time would cost several times as much. Dead letters
        wake nothing by themselves.
        """
        reporter, haste = self._reporter, self._haste
        if reporter.has_hasty_news or reporter.is_worth_it or self._loop.time() >= self._latest:
            haste.set()
        elif not haste.is_set():
            self._loop.call_later(_SOON, self.look)


def _wake(waiters: deque[_Waiter]) -> None:
    if not waiters:
        return  # mostly
    with contextlib.suppress(IndexError, RuntimeError):  # the loop is closed: the Dask worker ends
        loop, event = waiters.popleft()
        loop.call_soon_threadsafe(event.set)
