"""What shared threads do: turns; and what a turn may need to know of its thread."""

from typing import Final, Protocol, final

from threadpool_mb.here import Holder

__all__ = ["NUDGE", "ServingThread", "Turn"]


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


class _Threads(Protocol):
    @property
    def own_waits_only(self) -> bool: ...
    @property
    def starved(self) -> bool: ...
    def block(self, thread: "ServingThread", /) -> None: ...
    def unblock(self, thread: "ServingThread", /) -> None: ...
    def will_unblock(self, thread: "ServingThread", wait: int, /) -> None: ...
    def grow_if_needed(self) -> None: ...


@final
class ServingThread:
    """A shared thread, as a worker sees it that waits in a call on it; see `threadpool_mb.waits`.

    Threads: its own, but for `goes_on`.
    """

    __slots__ = ("_number", "_threads", "_waits", "counted", "turn")

    def __init__(self, threads: _Threads) -> None:
        """Be one of `threads`."""
        self._threads: Final = threads
        # How many waits there are, one inside the other: a finalizer may wait while it waits.
        self._waits = 0
        self._number = 0
        self.counted: bool = False
        """Whether it counts as one that waits; guarded by the lock of `threads`."""
        self.turn: Turn | None = None
        """Whose turn it is."""

    @property
    def wait(self) -> int:
        """The number of its wait; 0 where there is none, or one inside another one.

        What ends a wait inside another one does not end that.
        """
        return self._number if self._waits == 1 else 0

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
                # Before it counts: who ended the wait before may still be about to say so.
                self._number += 1
            self._threads.block(self)

    def still_blocked(self) -> None:
        """Have one more thread started, if one is needed and there may be one."""
        if self._waits:
            self._threads.block(self)
        else:
            self._threads.grow_if_needed()

    def goes_on(self, wait: int, /) -> None:
        """Have it count as one that waits no more; see `Serving`."""
        if wait:
            self._threads.will_unblock(self, wait)

    def unblocked(self, upon: object = None, /) -> None:
        """Take note that it goes on."""
        if upon is self._threads or not self._threads.own_waits_only:
            self._waits -= 1
            if not self._waits:
                self._threads.unblock(self)
