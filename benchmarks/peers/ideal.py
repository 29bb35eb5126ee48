"""The ideal, by hand: a few threads, each with one queue and the generators of its keys.

Nothing is removed, restarted, counted, bounded or rebalanced, and an exception ends a thread.
"""

import queue
import threading
from collections.abc import Callable, Generator, Hashable, Iterable
from typing import Any, Final


class HandWrittenIdeal[K: Hashable, M]:
    """Runs `worker(key)` generators on `threads` threads; a key's hash says on which."""

    def __init__(self, worker: Callable[[K], Generator[None, M]], threads: int) -> None:
        self._worker: Final = worker
        self.queues: Final[list[queue.SimpleQueue[Any]]] = [
            queue.SimpleQueue() for _ in range(threads)
        ]
        self._threads: Final = [
            threading.Thread(target=self._run, args=(messages.get,), daemon=True)
            for messages in self.queues
        ]
        for thread in self._threads:
            thread.start()

    def start(self, key: K) -> None:
        """Start a key's generator, on its thread."""
        queues = self.queues
        queues[hash(key) % len(queues)].put((key, None))

    def send(self, key: K, messages: Iterable[M]) -> None:
        """Send messages to a key, one after the other."""
        queues = self.queues
        for message in messages:
            queues[hash(key) % len(queues)].put((key, message))

    def close(self) -> None:
        """End the threads."""
        for messages in self.queues:
            messages.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, get: Callable[[], tuple[K, M | None] | None]) -> None:
        sends: dict[K, Callable[[M], object]] = {}
        for key, message in iter(get, None):
            if message is None:
                generator = self._worker(key)
                next(generator)
                sends[key] = generator.send
                continue
            try:
                sends[key](message)
            except StopIteration:
                del sends[key]
