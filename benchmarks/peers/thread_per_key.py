"""A dict of `SimpleQueue`s with a thread for each key: what one writes first."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Final


class ThreadPerKey[K, M]:
    """Runs `worker(key, get)` on a thread of its own for each key, until it returns."""

    def __init__(self, worker: Callable[[K, Callable[[], M]], object]) -> None:
        self._worker: Final = worker
        self._threads: Final[list[threading.Thread]] = []
        self.queues: Final[dict[K, queue.SimpleQueue[M]]] = {}

    def start(self, key: K) -> None:
        """Start a key's worker."""
        messages: queue.SimpleQueue[M] = queue.SimpleQueue()
        self.queues[key] = messages
        thread = threading.Thread(target=self._worker, args=(key, messages.get), daemon=True)
        self._threads.append(thread)
        thread.start()

    def send(self, key: K, messages: Iterable[M]) -> None:
        """Send messages to a key, one after the other."""
        queues = self.queues
        for message in messages:
            queues[key].put(message)

    def close(self) -> None:
        """Wait for the workers, which end by themselves."""
        for thread in self._threads:
            thread.join()
