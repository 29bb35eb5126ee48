"""What happens once: a latch is opened and waited for; an end is reached and calls back.

A thread waits for a latch. Where no thread may wait, as on a loop of asyncio, the end calls back.
"""

import contextlib
import queue
from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import Deadline

__all__ = ["Ending", "Latch"]


@final
class Latch:
    """Threads wait for it until it is opened; unlike a `threading.Event` it has no Python lock.

    So neither an interrupt nor a fork leaves a lock held. A child can open the latch, also for its
    own thread, which may wait for it in the frame in which a signal handler has forked.

    1. The thread that opens it sets `is_open`, then puts a token.
    2. The thread that gets the token finds it open, and puts the token back for the next one.

    Threads: any.
    """

    __slots__ = ("_tokens", "is_open")

    def __init__(self) -> None:
        """Make a closed one."""
        self._tokens: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self.is_open: bool = False
        """Whether it was opened."""

    def open(self) -> None:
        """Wake all threads that wait; a second time changes nothing."""
        self.is_open = True
        self._tokens.put(None)

    def wait(self, deadline: Deadline) -> bool:
        """Wait until it is open; `False` if the deadline came first."""
        while not self.is_open:
            try:
                self._tokens.get(timeout=deadline.remaining())
            except queue.Empty:
                break
            finally:
                if self.is_open:  # pragma: no branch - a token comes behind it; else it breaks
                    self._tokens.put(None)
        return self.is_open


@final
class Ending:
    """The end of a pool, a broker or an executor; it calls the callbacks that were added.

    1. A thread that wants to be told adds a callback.
    2. It looks whether the end has come, and if so, calls the callbacks that it finds.
    a. The thread that brings about the end writes that the end has come.
    b. It calls the callbacks that it finds.

    (1) and (b) are operations on one list. If (1) comes first, (b) finds the callback. If (b) comes
    first, (a) came before (2). Each callback is popped, so it is called once.

    Threads: any.
    """

    __slots__ = ("_callbacks", "reached")

    def __init__(self) -> None:
        """Make an end that has not come."""
        self._callbacks: Final[list[Callable[[], object]]] = []
        self.reached: bool = False

    def when_reached(self, callback: Callable[[], object]) -> None:
        """Call `callback`, which neither blocks nor raises, at the end; at once, if it has come."""
        self._callbacks.append(callback)
        if self.reached:
            self._call()

    def forget(self, callback: Callable[[], object]) -> None:
        """Do not call `callback` any more."""
        with contextlib.suppress(ValueError):  # it was called
            self._callbacks.remove(callback)

    def reach(self) -> None:
        """Say that the end has come."""
        self.reached = True
        self._call()

    def _call(self) -> None:
        # Not `while self._callbacks`: only `pop` is one operation. Without a name of the module: an
        # executor that is finalized as the interpreter ends comes here when they are gone.
        try:
            while True:
                self._callbacks.pop()()
        except IndexError:
            pass
