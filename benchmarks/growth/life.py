"""The life of very many keys: `python -m benchmarks.growth.life KIND COUNT`.

In a process of its own, as a process that has once been large does not become small again. All keys
are started, rest, get one message each, are asked for statistics, and end. Prints a `Life` as JSON.
"""

import asyncio
import dataclasses
import gc
import json
import sys
from collections.abc import Callable, Generator
from typing import Final, Protocol

import threadpool_mb as mb
from benchmarks.growth.tally import Tally
from benchmarks.machine import cores, resident_memory
from benchmarks.measuring import timed
from benchmarks.peers import tonio_tasks
from benchmarks.peers.grains import Grains
from benchmarks.peers.ideal import HandWrittenIdeal
from benchmarks.peers.installed import NIGRAINS, TONIO
from benchmarks.peers.one_loop import OneLoop
from benchmarks.peers.sharded import ShardedExecutors


@dataclasses.dataclass(frozen=True, slots=True)
class Life:
    """What the phases took, of all keys together: seconds, and resident memory in bytes."""

    start: float
    """Until each key's worker waits for its first message."""
    idle: int
    """Memory, once they do."""
    dispatch: float
    """One message to each, until all are handled."""
    stats: float | None
    """A snapshot of what waits for each; `None` if there is nothing to ask."""
    end: float
    """Until all workers have ended."""


class Keys:
    """The workers of keys `0 … count - 1`, each of which adds up what it gets, and their state."""

    def __init__(self, count: int) -> None:
        self.all: Final = range(count)
        self.started: Final = Tally(count)
        self.handled: Final = Tally(count)
        self.ended: Final = Tally(count)

    def generator(self, key: int) -> Generator[None, int]:
        """Receive by `yield`."""
        total = key
        self.started.tell()
        while True:
            total += yield
            self.handled.tell()

    def handle(self, key: int) -> Callable[[int | None], bool]:
        """Return a function that is called with each message; after `None` it says it is done."""
        total = key
        self.started.tell()

        def handle(message: int | None) -> bool:
            nonlocal total
            if message is None:
                self.ended.tell()
                return True
            total += message
            self.handled.tell()
            return False

        return handle


class Contender(Protocol):
    """A pool, or what stands in its place; each method returns once all keys are that far."""

    def start(self) -> object:
        """Start all keys."""

    def dispatch(self) -> object:
        """Send each key a message."""

    def stats(self) -> object:
        """Return how much waits for each key; `None` if that cannot be told."""

    def end(self) -> object:
        """End all keys, and all threads."""


class _Pool:
    def __init__(self, keys: Keys) -> None:
        self._keys: Final = keys
        self._pool: Final = mb.Pool(keys.generator, max_threads=cores())

    def start(self) -> None:
        initialize = self._pool.initialize
        for key in self._keys.all:
            initialize(key)
        self._keys.started.wait()

    def dispatch(self) -> None:
        dispatch = self._pool.dispatch
        for key in self._keys.all:
            dispatch(key, 1)
        self._keys.handled.wait()

    def stats(self) -> object:
        return self._pool.stats()

    def end(self) -> None:
        self._pool.close()
        self._pool.join()


class _Ideal:
    def __init__(self, keys: Keys) -> None:
        self._keys: Final = keys
        self._workers: Final = HandWrittenIdeal(keys.generator, cores())

    def start(self) -> None:
        for key in self._keys.all:
            self._workers.start(key)
        self._keys.started.wait()

    def dispatch(self) -> None:
        send, messages = self._workers.send, (1,)
        for key in self._keys.all:
            send(key, messages)
        self._keys.handled.wait()

    def stats(self) -> None:
        return None

    def end(self) -> None:
        self._workers.close()


class _Executor:
    """An executor that keeps the order of a key's calls; a key is an entry in a dict."""

    def __init__(self, keys: Keys, executor: mb.KeyedExecutor | ShardedExecutors) -> None:
        self._keys: Final = keys
        self._executor: Final = executor
        self._handles: Final[dict[int, Callable[[int | None], bool]]] = {}

    def start(self) -> None:
        for key in self._keys.all:
            self._handles[key] = self._keys.handle(key)

    def dispatch(self) -> None:
        submit, handles = self._executor.submit_keyed, self._handles
        for key in self._keys.all:
            submit(key, handles[key], 1)
        self._keys.handled.wait()

    def stats(self) -> None:
        return None

    def end(self) -> None:
        with self._executor:
            pass
        self._handles.clear()


class _OneLoop:
    def __init__(self, keys: Keys) -> None:
        self._keys: Final = keys
        self._loop: Final = OneLoop(keys.handle)
        self._tasks: Final[list[asyncio.Task[None]]] = []

    def start(self) -> None:
        self._loop.run(self._start())

    def dispatch(self) -> None:
        self._loop.run(self._dispatch())

    def stats(self) -> dict[int, int]:
        return {key: queue.qsize() for key, queue in self._loop.queues.items()}

    def end(self) -> None:
        self._loop.run(self._end())
        self._loop.close()

    async def _start(self) -> None:
        self._tasks.extend(self._loop.start(key) for key in self._keys.all)
        await self._keys.started.reached(asyncio.Event())

    async def _dispatch(self) -> None:
        queues = self._loop.queues
        for key in self._keys.all:
            queues[key].put_nowait(1)
        await self._keys.handled.reached(asyncio.Event())

    async def _end(self) -> None:
        for queue in self._loop.queues.values():
            queue.put_nowait(None)
        for task in self._tasks:
            await task


class _Tonio:
    def __init__(self, keys: Keys) -> None:
        self._keys: Final = keys
        self._tasks: Final = tonio_tasks.TasksFromOutside(keys.handle)

    def start(self) -> None:
        for key in self._keys.all:
            self._tasks.start(key)
        self._keys.started.wait()

    def dispatch(self) -> None:
        sends = self._tasks.sends
        for key in self._keys.all:
            sends[key](1)
        self._keys.handled.wait()

    def stats(self) -> None:
        return None

    def end(self) -> None:
        for send in self._tasks.sends.values():
            send(None)
        self._keys.ended.wait()
        self._tasks.close()


class _Grains:
    def __init__(self, keys: Keys) -> None:
        self._keys: Final = keys
        self._grains: Final = Grains(keys.handle)

    def start(self) -> None:
        self._grains.run(self._start())

    def dispatch(self) -> None:
        self._grains.run(self._dispatch())

    def stats(self) -> None:
        return None  # the runtime tells totals alone

    def end(self) -> None:
        self._grains.close()

    async def _start(self) -> None:
        for key in self._keys.all:
            await self._grains.reference(key).wake()

    async def _dispatch(self) -> None:
        for key in self._keys.all:
            await self._grains.reference(key).handle(1)


def live(make: Callable[[Keys], Contender], count: int) -> Life:
    """Have `count` keys live, from their start to their end."""
    keys = Keys(count)
    gc.collect()
    before = resident_memory()
    contender = make(keys)
    start = timed(contender.start)
    gc.collect()
    idle = resident_memory() - before
    dispatch = timed(contender.dispatch)
    known: list[object] = []
    stats = timed(lambda: known.append(contender.stats()))
    end = timed(contender.end)
    return Life(start, idle, dispatch, stats if known != [None] else None, end)


KINDS: Final[dict[str, Callable[[Keys], Contender]]] = {
    "asyncio": _OneLoop,
    "executors": lambda keys: _Executor(keys, ShardedExecutors(cores())),
    **({"tonio": _Tonio} if TONIO.module else {}),
    **({"nigrains": _Grains} if NIGRAINS.module else {}),
    "ideal": _Ideal,
    "keyed": lambda keys: _Executor(keys, mb.KeyedExecutor(max_workers=cores())),
    "pool": _Pool,
}


def main() -> None:
    """Do what the arguments say."""
    kind, count = sys.argv[1:]
    print(json.dumps(dataclasses.asdict(live(KINDS[kind], int(count)))))


if __name__ == "__main__":
    main()
