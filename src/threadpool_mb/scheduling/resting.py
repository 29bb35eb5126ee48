"""Threads that are more than there may be, and rest until they are needed again.

A pool whose threads all wait for its workers gets one more thread. Once another one goes on, it
must not begin with further turns: each of them may come to wait as well, and would cost one more
thread in its turn. It rests instead of ending, since the next one may be needed in a millisecond,
and costs 0.3 ms to start.
"""

import queue
import threading
from typing import Final, final

__all__ = ["RestingThreads"]

_REST_SECONDS: Final = 0.1
"""How long a thread rests before it ends."""


@final
class RestingThreads:
    """The threads that rest.

    Threads: what ends in `_locked` is called under the lock of whoever counts the threads; `rest`
    takes it.
    """

    __slots__ = ("_lock", "_resting")

    def __init__(self, lock: "threading.RLock") -> None:
        """Be guarded by `lock`; nobody waits under it."""
        self._lock: Final = lock
        # The last one is woken first: its core is the warmest.
        self._resting: Final[dict[threading.Thread, queue.SimpleQueue[bool]]] = {}

    def add_locked(self) -> "queue.SimpleQueue[bool]":
        """Let this thread be one of them, and return what it has to `rest` with."""
        bell: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._resting[threading.current_thread()] = bell
        return bell

    def rest(self, bell: "queue.SimpleQueue[bool]") -> bool:
        """Wait until this thread is needed; `False` if it is to end.

        Blocks: a tenth of a second at most.

        The race at the end of that time:

        1. The thread stops waiting.
        2. Another one takes it off those that rest, and rings its bell.
        3. The thread looks whether it is still one of them. It is not: so its bell was rung, or
           will be at once.
        """
        try:
            return bell.get(timeout=_REST_SECONDS)
        except queue.Empty:
            pass
        with self._lock:
            if self._resting.pop(threading.current_thread(), None) is not None:
                return False
        return bell.get()

    def wake_locked(self) -> threading.Thread | None:
        """Wake one of them, which goes on; `None` if there is none."""
        if not self._resting:
            return None
        thread, bell = self._resting.popitem()
        bell.put(True)  # noqa: FBT003 - it goes on
        return thread

    def end_locked(self) -> None:
        """Have all of them end."""
        while self._resting:
            _, bell = self._resting.popitem()
            bell.put(False)  # noqa: FBT003 - it ends
