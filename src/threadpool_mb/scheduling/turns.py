"""What shared threads do: turns; and what a turn may need to know of its thread."""

import queue
from typing import Final, Protocol, final

from threadpool_mb.here import Holder

__all__ = ["NUDGE", "ServingThread", "Turn", "bring_forward"]


class Turn(Protocol):
    """What can be scheduled."""

    def turn(self) -> None:
        """Do some of what there is to do; on a shared thread. It raises nothing."""
        ...


@final
class _Nudge:
    """A turn in which nothing is done."""

    __slots__ = ()

    def turn(self) -> None:
        pass


NUDGE: Final = _Nudge()
"""Has a thread that waits for a turn run for a moment."""


def bring_forward(ready: "queue.SimpleQueue[Turn | None]", turn: Turn) -> None:
    """Put a turn in front of those that wait in a queue, if it is one of them.

    Whoever has taken a turn out of the queue is the only one who has it. What is taken out here is
    put back in its order, behind what other threads put meanwhile; a thread that finds nothing
    meanwhile is woken by that.
    """
    others: list[Turn | None] = []
    found = False
    try:
        for _ in range(ready.qsize()):
            each = ready.get_nowait()
            if each is turn:
                found = True
            else:
                others.append(each)
    except queue.Empty:
        pass  # other threads take turns, too
    finally:
        if found:
            ready.put(turn)
        for each in others:
            ready.put(each)


class _Threads(Protocol):
    @property
    def own_waits_only(self) -> bool: ...
    @property
    def starved(self) -> bool: ...
    def block(self) -> None: ...
    def unblock(self) -> None: ...
    def grow_if_needed(self) -> None: ...


@final
class ServingThread:
    """A shared thread, as a worker sees it that waits in a call on it; see `threadpool_mb.waits`.

    Threads: its own.
    """

    __slots__ = ("_threads", "_waits", "turn")

    def __init__(self, threads: _Threads) -> None:
        """Be one of `threads`."""
        self._threads: Final = threads
        # How many waits there are, one inside the other: a finalizer may wait while it waits.
        self._waits = 0
        self.turn: Turn | None = None
        """Whose turn it is."""

    @property
    def holder(self) -> Holder | None:
        """The worker whose turn it is, if it is one that can be called."""
        return getattr(self.turn, "holder", None)

    @property
    def starved(self) -> bool:
        """Whether all other threads wait; see `Serving`."""
        return self._threads.starved

    def blocked(self, upon: object = None, /) -> None:
        """Take note that it will wait for another worker; see `SharedThreads` of which."""
        if upon is self._threads or not self._threads.own_waits_only:
            self._waits += 1
            if self._waits == 1:
                self._threads.block()

    def still_blocked(self) -> None:
        """Have one more thread started, if one is needed and there may be one."""
        self._threads.grow_if_needed()

    def unblocked(self, upon: object = None, /) -> None:
        """Take note that it goes on."""
        if upon is self._threads or not self._threads.own_waits_only:
            self._waits -= 1
            if not self._waits:
                self._threads.unblock()
