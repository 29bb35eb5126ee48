"""A latch: opened once, and waited for until then."""

import queue
from typing import Final, final

from threadpool_mb.arguments import Deadline

__all__ = ["Latch"]


@final
class Latch:
    """Unlike a `threading.Event` it has no lock of Python code.

    So an interrupt leaves none held, and neither does a fork: a child can open it, also for its own
    thread, which may wait for it in the frame in which a signal handler has forked.

    1. Whoever opens it sets `is_open`, then puts a token.
    2. Whoever gets the token finds it open, and puts the token back for the next one.

    Threads: any.
    """

    __slots__ = ("_tokens", "is_open")

    def __init__(self) -> None:
        """Make a closed one."""
        self._tokens: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self.is_open: bool = False
        """Whether it was opened."""

    def open(self) -> None:
        """Let all go on that wait; a second time changes nothing."""
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
                if self.is_open:
                    self._tokens.put(None)
        return self.is_open
