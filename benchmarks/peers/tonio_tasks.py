"""TonIO, a runtime in Rust that has several threads: a coroutine and a channel for each key.

A process can have one runtime only, so all runs share one. Make it before the clock starts.
"""

import functools
import threading
import warnings
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, Final

from benchmarks.machine import cores
from benchmarks.measuring import PATIENCE
from benchmarks.peers.handling import Handle, handle_all
from benchmarks.peers.installed import TONIO


@functools.cache
def runtime() -> Any:  # noqa: ANN401 - of a package that may not be installed
    """Return the process's runtime, with as many threads as there are cores."""
    return TONIO.module.runtime(threads=cores())


class TasksInRuntime[K: Hashable, M]:
    """Runs `worker(key)`'s result for each message of the key; the sender is a coroutine too."""

    def __init__(self, worker: Callable[[K], Handle[M]]) -> None:
        self._worker: Final = worker
        self._runtime: Final = runtime()
        self.sends: Final[dict[K, Callable[[M], object]]] = {}

    def run[T](self, coroutine: Awaitable[T]) -> T:
        """Run a coroutine in the runtime until it has ended; between two of them nothing runs."""
        with warnings.catch_warnings():
            # TonIO 0.10.5 drops the sockets that it wakes itself with, and does not close them.
            warnings.simplefilter("ignore", ResourceWarning)
            ended: T = self._runtime.run_until_complete(coroutine)
        return ended

    def coroutine(self, key: K) -> Awaitable[None]:
        """Return the coroutine of a key, which is still to be spawned, and open its channel."""
        sender, receiver = TONIO.module.sync.channel.unbounded()
        self.sends[key] = sender.send
        return handle_all(self._worker, key, receiver.receive)

    def round(self, keys: Iterable[K], messages: Iterable[M]) -> None:
        """Start keys, send each the messages, and return when all their coroutines have ended."""
        self.run(self._round(keys, messages))

    def close(self) -> None:
        """Do nothing: the runtime stays, and its threads have ended with the last coroutine."""

    async def _round(self, keys: Iterable[K], messages: Iterable[M]) -> None:
        # `run_until_complete` ends with this coroutine, so it has to wait for the others.
        ended = TONIO.module.spawn.without_results(*[self.coroutine(key) for key in keys])
        sends = self.sends
        for key in keys:
            for message in messages:
                sends[key](message)
        await ended


class TasksFromOutside[K: Hashable, M]:
    """The same with senders that are other threads; the runtime has one more, where it runs."""

    def __init__(self, worker: Callable[[K], Handle[M]]) -> None:
        self._tasks: Final = TasksInRuntime[K, M](worker)
        self.sends: Final = self._tasks.sends
        self._end: Final = TONIO.module.Event()
        running, wait = threading.Event(), self._end.wait

        async def run() -> None:
            running.set()
            await wait()

        self._thread: Final = threading.Thread(target=self._tasks.run, args=(run(),), daemon=True)
        self._thread.start()
        if not running.wait(PATIENCE):
            raise AssertionError("TonIO's runtime did not start")

    def start(self, key: K) -> None:
        """Start a key's coroutine."""
        TONIO.module.spawn.without_tracking(self._tasks.coroutine(key))

    def send(self, key: K, messages: Iterable[M]) -> None:
        """Send messages to a key, one after the other."""
        sends = self.sends
        for message in messages:
            sends[key](message)

    def close(self) -> None:
        """End the runtime's threads; the coroutines have ended by themselves."""
        self._end.set()
        self._thread.join()
