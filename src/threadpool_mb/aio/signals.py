"""Telling a task of asyncio something from another thread.

**Guarantees.** After `tell` the task's next look at the signal finds it, and wakes it if it waits.
A loop that is closed is told nothing, and raises nothing.
"""

import asyncio
from typing import Final, final

from threadpool_mb.waiting import parked

__all__ = ["Signal"]


@final
class Signal:
    """A flag that one task waits for and any thread sets.

    It says idle, looks once more, and waits, as each receiver does (`mailbox.inlet`). Telling twice
    costs a task one wake-up, not two:

    1. The task calls `clear`, then looks for what it wants, then waits.
    2. Another thread brings what the task wants, then calls `tell`.

    If (1) does not find what (2) has brought, `clear` comes before `tell`, which finds the flag
    unset, and wakes the task.
    """

    __slots__ = ("_event", "_loop", "can_be_seen", "told")

    def __init__(self) -> None:
        """Make one for the task that runs."""
        self._loop: Final = asyncio.get_running_loop()
        self.can_be_seen: Final = self._loop.is_running
        """Whether the loop runs, so that the task sees what it is told."""
        self._event: Final = asyncio.Event()
        self.told: bool = False

    def clear(self) -> None:
        """Forget what was told; on the loop's thread."""
        self._event.clear()
        self.told = False

    def tell(self) -> bool:
        """Set the flag, and wake the task. Threads: any. Blocks: never.

        Returns:
            `False` if the loop is closed: its tasks are gone.
        """
        if not self.told:
            self.told = True
            try:
                self._loop.call_soon_threadsafe(self._event.set)
            except RuntimeError:
                return False
        return True

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until the flag is set; `False` if the time ran out."""
        try:
            # On a loop that runs in a worker the worker's thread waits, too.
            with parked():
                async with asyncio.timeout(seconds):
                    await self._event.wait()
        except TimeoutError:
            return False
        return True
