"""asyncio: a task and a queue for each key, all on one loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Final

from benchmarks.measuring import PATIENCE
from benchmarks.peers.handling import Handle, handle_all


class OneLoop[K: Hashable, M]:
    """Runs `worker(key)`'s result for each message of the key, on a loop of the calling thread.

    The sender is a coroutine on the same loop. What runs there shares one thread: nothing is handed
    over to another one, and nothing runs in parallel.
    """

    def __init__(self, worker: Callable[[K], Handle[M]]) -> None:
        self._worker: Final = worker
        self._runner: Final = asyncio.Runner()
        self.queues: Final[dict[K, asyncio.Queue[M]]] = {}

    def run[T](self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine on the loop until it has ended; between two of them nothing runs."""
        return self._runner.run(coroutine)

    def start(self, key: K) -> asyncio.Task[None]:
        """Start a key's task; to be called on the loop."""
        queue = self.queues[key] = asyncio.Queue[M]()
        return asyncio.create_task(handle_all(self._worker, key, queue.get))

    def round(self, keys: Iterable[K], messages: Iterable[M]) -> None:
        """Start keys, send each the messages, and return when all their tasks have ended."""
        self.run(self._round(keys, messages))

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()

    async def _round(self, keys: Iterable[K], messages: Iterable[M]) -> None:
        tasks = [self.start(key) for key in keys]
        queues = self.queues
        for key in keys:
            for message in messages:
                queues[key].put_nowait(message)
        await asyncio.gather(*tasks)


class LoopOnThread[K: Hashable, M]:
    """The same on a loop that has a thread of its own; the senders are other threads."""

    def __init__(self, worker: Callable[[K], Handle[M]]) -> None:
        self._worker: Final = worker
        self._loop: Final = asyncio.new_event_loop()
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self._thread: Final = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.queues: Final[dict[K, asyncio.Queue[M]]] = {}
        self.call: Final = self._loop.call_soon_threadsafe
        self._thread.start()

    def start(self, key: K) -> None:
        """Start a key's task."""
        queue = self.queues[key] = asyncio.Queue[M]()
        self.call(self._start, handle_all(self._worker, key, queue.get))

    def send(self, key: K, messages: Iterable[M]) -> None:
        """Send messages to a key, one after the other."""
        call, queues = self.call, self.queues
        for message in messages:
            call(queues[key].put_nowait, message)

    def close(self) -> None:
        """Wait for the tasks, which end by themselves, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result(PATIENCE)
        self.call(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _start(self, coroutine: Coroutine[object, object, None]) -> None:
        self._tasks.append(self._loop.create_task(coroutine))

    async def _ended(self) -> None:
        await asyncio.gather(*self._tasks)
