"""Knowing that something has happened so and so often, on whichever threads."""

import itertools
import threading
from collections.abc import Awaitable
from typing import Final, Protocol

from benchmarks.measuring import PATIENCE


class Event(Protocol):
    """An event that a coroutine can wait for; asyncio and TonIO have one each."""

    def set(self) -> object:
        """Wake the coroutines that wait."""

    def wait(self) -> Awaitable[object]:
        """Wait until the event is set."""


class Tally:
    """Is told of each happening, and is full after `count` of them.

    Threads: any thread may tell; no two get the same number (`itertools.count`).
    """

    def __init__(self, count: int) -> None:
        self._count: Final = count
        self._numbers: Final = itertools.count(1)
        self._full: Final = threading.Event()
        self._event: Event | None = None

    def tell(self) -> None:
        """Count one happening."""
        if next(self._numbers) == self._count:
            self._full.set()
            if self._event is not None:
                self._event.set()

    def wait(self) -> None:
        """Wait until the tally is full.

        Raises:
            AssertionError: if that takes longer than anything in a benchmark should.
        """
        if not self._full.wait(PATIENCE):
            raise AssertionError(f"of {self._count} happenings some did not take place")

    async def reached(self, event: Event) -> None:
        """Wait on a loop until the tally is full.

        Args:
            event: a new one of the loop. It is set by this coroutine, or by the thread that tells
                of the last happening: the latter looks for it after the tally is full.
        """
        self._event = event
        if self._full.is_set():
            event.set()
        await event.wait()
