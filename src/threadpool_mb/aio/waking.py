"""Waking a task of asyncio from another thread, and a loop now and then.

**Guarantees.** After `tell` the task's next look at the signal finds it, and wakes it if it waits.
A loop that is closed is told nothing, and raises nothing.

A *pulse* is what a loop does now and then while its tasks wait for other threads. A free-threaded
build frees a reply box that another thread has dropped only when the thread that made it, the
loop's, runs Python code again (gh-157838); see `calls.answer`. So a loop whose tasks wait for
replies must not sleep on. Nor must the workers' threads: the nudges wake them.

Room in a mailbox that was given to a task whose loop was stopped before it could use it is taken
back by those that wait beside it; see `line.slots`.
"""

import asyncio
import collections
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, final

from threadpool_mb.aio.loops import fill
from threadpool_mb.calls.answer import Answer
from threadpool_mb.forking import remade_in_children
from threadpool_mb.line.slots import Slots
from threadpool_mb.threads.waiting import parked

__all__ = ["Pulse", "Signal", "pulse_of"]


@final
class Signal:
    """A flag that one task waits for and any thread sets.

    It says idle, looks once more, and waits, as each receiver does (`line.inlet`). Telling twice
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
            if self._loop.is_closed():  # not every loop raises then, as asyncio's does
                return False
            self.told = True
            try:
                self._loop.call_soon_threadsafe(self._event.set)
            except RuntimeError:
                return False
            except BaseException:  # an interrupt, perhaps before the loop was told
                self.told = False
                # Others, who have found the flag set, rely on it.
                self._loop.call_soon_threadsafe(self._event.set)
                raise
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


_PAUSE: Final = 0.05
"""Seconds between two beats."""
_BEATS_TO_A_NUDGE: Final = 5


@final
class Pulse:
    """Beats as long as tasks of one loop wait, and wakes them.

    Several are woken with one `call_soon_threadsafe`, which costs more than all else (it writes to
    a socket). As with a `Signal`:

    1. A thread adds a future.
    2. It reads whether the loop is told, and tells it if not.
    a. The loop forgets that it was told.
    b. It takes all futures.

    If (1) comes before (b), the loop finds the future. If not, (2) comes after (a), and the loop is
    told once more.

    Threads: the loop's alone, but for `wake`.
    """

    __slots__ = ("_answers", "_beats", "_slots", "_told", "_until_nudge", "_woken")

    def __init__(self) -> None:
        """Make one that does not beat yet."""
        self._beats = False
        self._until_nudge = _BEATS_TO_A_NUDGE
        # What tasks wait for; each answer is one task's.
        self._answers: Final[set[Answer[Any]]] = set()
        # And how many of them.
        self._slots: Final[dict[Slots, int]] = {}
        # Not the loop, which the pulse would keep alive.
        self._woken: Final[collections.deque[asyncio.Future[None]]] = collections.deque()
        self._told = False

    def wake(self, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
        """Fill a future of the loop; on any thread. Nothing happens where the loop is closed."""
        self._woken.append(future)
        if loop.is_closed():  # not every loop raises then, as asyncio's does
            self._woken.clear()
        elif not self._told:
            self._told = True
            try:
                loop.call_soon_threadsafe(self._fill)
            except RuntimeError:  # the loop is closed, and its tasks are gone
                self._told = False
                self._woken.clear()
            except BaseException:  # an interrupt, perhaps before the loop was told
                self._told = False
                # Others, who have found the loop told, rely on it.
                loop.call_soon_threadsafe(self._fill)
                raise

    def _fill(self) -> None:
        self._told = False
        try:
            while self._woken:
                # Taken out last: an interrupt behind that must not lose it.
                fill(self._woken[0])
                self._woken.popleft()
        except BaseException:  # an interrupt, which leaves the loop: it may be run again
            asyncio.get_running_loop().call_soon(self._fill)
            raise

    def begin(self, answer: Answer[Any]) -> None:
        """Beat until `end`: a task waits for its answer."""
        self._answers.add(answer)
        if not self._beats:
            self._begin_to_beat()

    def end(self, answer: Answer[Any]) -> None:
        """Take note that the task does not wait any more."""
        self._answers.discard(answer)

    def watch(self, slots: Slots) -> None:
        """Beat until `unwatch`, called as often: a task waits for room."""
        self._slots[slots] = self._slots.get(slots, 0) + 1
        if not self._beats:
            self._begin_to_beat()

    def unwatch(self, slots: Slots) -> None:
        """Take note that the task does not wait any more."""
        self._slots[slots] -= 1
        if not self._slots[slots]:
            del self._slots[slots]

    def _begin_to_beat(self) -> None:
        self._beats = True
        asyncio.get_running_loop().call_later(_PAUSE, self._beat)

    def _beat(self) -> None:
        self._beats = bool(self._answers or self._slots)
        if self._beats:
            asyncio.get_running_loop().call_later(_PAUSE, self._beat)
        for slots in self._slots:
            slots.tell()
        self._until_nudge -= 1
        if not self._until_nudge:
            self._until_nudge = _BEATS_TO_A_NUDGE
            for reply in self._answers:
                if reply.holder is not None:
                    reply.holder.nudge()


_pulses: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Pulse]] = (
    weakref.WeakKeyDictionary()
)
_lock: Final = remade_in_children(threading.RLock())
"""Guards `_pulses`. No thread waits under it."""


def _no_loop() -> asyncio.AbstractEventLoop | None:
    return None


_NONE: Final[tuple[Callable[[], asyncio.AbstractEventLoop | None], Pulse]] = _no_loop, Pulse()
_last = _NONE
"""What refers to the loop that was asked for last, and its pulse: mostly there is one. It may be
read and written without the lock, being one object."""


def pulse_of(loop: asyncio.AbstractEventLoop) -> Pulse:
    """Return the pulse of a loop; on its thread."""
    global _last  # noqa: PLW0603 - of the process
    refers, pulse = _last
    if refers() is loop:
        return pulse
    with _lock:
        found = _pulses.get(loop)
        if found is None:
            found = _pulses[loop] = Pulse()
    _last = weakref.ref(loop, _forget), found
    return found


def _forget(gone: object) -> None:
    """Let go of the pulse of a loop that is gone."""
    global _last  # noqa: PLW0603 - of the process
    if _last[0] is gone:
        _last = _NONE
