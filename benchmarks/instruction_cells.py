"""What `benchmarks.instructions` counts: one thing, done a number of times in this process.

The worker's thread is held until all is sent, so that each run takes the same turns. The garbage
collector is off: when it runs depends on what was there before.
"""

import contextlib
import gc
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Final, final

import threadpool_mb as mb


@final
class _Gate:
    """The key of the worker that holds the pool's only thread until it is let go."""

    def __init__(self) -> None:
        self._held: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self._opened: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()

    def hold(self) -> None:
        """Hold this thread."""
        self._held.put(None)
        self._opened.get()

    @contextlib.contextmanager
    def pool(
        self, worker: Callable[[object], Generator[None, object]]
    ) -> Iterator[mb.Pool[object, object]]:
        """Lend a pool whose thread is held; then let it go, and wait until all is handled."""
        pool = mb.Pool(worker, max_threads=1)
        pool.initialize(self)
        self._held.get()
        yield pool
        self._opened.put(None)
        pool.close()
        pool.join()


def _once(key: object) -> Generator[None, object]:
    if type(key) is _Gate:
        key.hold()
    yield


def _for_ever(key: object) -> Generator[None, object]:
    if type(key) is _Gate:
        key.hold()
    while True:
        yield


def bare(count: int) -> None:
    """A generator without a pool: begun, sent to once, ended."""
    for key in range(count):
        generator = _once(key)
        next(generator)
        try:  # noqa: SIM105 - `suppress` would be counted, too
            generator.send(None)
        except StopIteration:
            pass


def life(count: int) -> None:
    """A worker's life: `initialize` with its only message, the message, the end."""
    with _Gate().pool(_once) as pool:
        for key in range(count):
            pool.initialize(key, None)


def message(count: int) -> None:
    """A message to a worker that has some: `dispatch`, and its part of a turn."""
    with _Gate().pool(_for_ever) as pool:
        pool.initialize(0)
        dispatch = pool.dispatch
        for number in range(count):
            dispatch(0, number)


def many(count: int) -> None:
    """A message of `dispatch_many`, and its part of a turn."""
    with _Gate().pool(_for_ever) as pool:
        pool.initialize(0)
        pool.dispatch_many(0, range(count))


@final
class _Ask(mb.Command[int]):
    __slots__ = ()


def _answer(_key: int) -> Generator[None, object]:
    while True:
        match (yield):
            case mb.Call(_, box):
                box.reply(1)


def call(count: int) -> None:
    """A call that is handled on the caller's thread, which is not the main one."""
    with mb.Pool(_answer, max_threads=1) as pool:
        pool.initialize(0)
        target, command = pool.ref(0), _Ask()
        mb.call(target, command, timeout=60)

        def ask() -> None:
            for _ in range(count):
                mb.call(target, command)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()


CELLS: Final[dict[str, Callable[[int], None]]] = {
    cell.__name__: cell for cell in (bare, life, message, many, call)
}

if __name__ == "__main__":
    gc.disable()
    CELLS[sys.argv[1]](int(sys.argv[2]))
