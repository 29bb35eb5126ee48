"""The threads of one cluster's pool at its client; they run the hooks.

**Guarantees.** A thread counts as one of the pool's exactly as long as it runs: its number may be
that of another thread later.
"""

import threading
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.launching import new_thread

__all__ = ["OwnThreads"]


@final
class OwnThreads:
    """The threads of one pool. Threads: any; one at a time starts some."""

    __slots__ = ("_name", "_threads", "running")

    def __init__(self, name: str) -> None:
        """Have none; `name` is the pool's."""
        self._name: Final = name
        # `add` and `discard` are atomic.
        self.running: Final[set[int]] = set()
        """The numbers of those that run."""
        self._threads: list[threading.Thread] = []

    def new(self, target: Callable[[], object], name: str) -> threading.Thread:
        """Return a thread of the pool, which is not started."""

        def run() -> None:
            self.running.add(get_ident())
            try:
                target()
            finally:
                self.running.discard(get_ident())

        return new_thread(run, name)

    def start(self, threads: Iterable[threading.Thread]) -> None:
        """Start some of them."""
        starting = list(threads)
        self._threads = [each for each in self._threads if each.is_alive()] + starting
        for thread in starting:
            thread.start()

    @property
    def is_own(self) -> bool:
        """Whether the thread that asks is one of them."""
        return get_ident() in self.running

    def check_not_own(self, what: str = "joined") -> None:
        """Raise `RuntimeError` on one of them, which would wait for itself."""
        if self.is_own:
            raise RuntimeError(
                f"the pool {self._name!r} cannot be {what} from"
                f" {threading.current_thread().name!r}, which is a thread of its own: it would wait"
                " for itself"
            )

    def alive(self) -> int:
        """Return how many have not ended."""
        return sum(thread.is_alive() for thread in self._threads)

    def join(self, deadline: Deadline) -> bool:
        """Wait until all have ended; `False` if the deadline came first."""
        for thread in self._threads:
            thread.join(deadline.remaining())
            if thread.is_alive():
                return False
        return True
