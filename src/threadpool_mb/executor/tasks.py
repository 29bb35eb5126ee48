"""Tasks by key: which run, which wait for the one before them, and when all are done.

**Guarantees.** Of the tasks of a key one at a time is scheduled or runs, in the order in which they
came. A key has an entry from its first task's coming to its last one's end, and none at any other
time. Once closed, no task comes; when the last one is done, the threads end.

**How.** The table is split into shards by the key's hash, each with a lock. The interleaving that
must neither leave a task waiting nor run two of a key at once:

1. A sender finds an entry of the key and adds its task to it; or it finds none, makes one, and
   schedules its task.
2. The thread that has run a key's task takes the next one from the entry, or deletes the entry.

Each is one step under the shard's lock. Whoever finds an entry can rely on (2), which has not
deleted it yet; who finds none knows that no task of the key is scheduled or runs.

**Assumes.** A key's `__hash__` and `__eq__`, which run under that lock, wait for nobody.
"""

import collections
import concurrent.futures.thread
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, final

from threadpool_mb.executor.futures import KeyedFuture, running
from threadpool_mb.scheduling.shared_threads import SharedThreads

__all__ = ["Table", "Task"]

_logger = logging.getLogger(__name__)

_SHARDS: Final = 64
_THROUGHPUT: Final = 64
"""The most tasks of a key in a turn."""


def _nothing() -> None:
    """Stand in the place of a function that was called."""


@final
class Task:
    """One call, and the future of its result."""

    __slots__ = ("_arguments", "_function", "_keywords", "future", "key", "shard", "table")

    def __init__(  # noqa: PLR0917 - what a call is made of
        self,
        table: "Table",
        key: object,
        future: KeyedFuture[Any],
        function: Callable[..., object],
        /,
        arguments: tuple[object, ...],
        keywords: dict[str, object],
    ) -> None:
        """Make a task that nobody knows of yet."""
        self.table: Final = table
        self.key: Final = key
        self.shard: Final = table.shard(key)
        self.future: Final = future
        self._function: Callable[..., object] = function
        self._arguments: tuple[object, ...] = arguments
        self._keywords: dict[str, object] = keywords

    def turn(self) -> None:
        """Run this task and those that follow it; on a shared thread."""
        table, key, shard = self.table, self.key, self.shard
        me = threading.get_ident()
        running[me] = (table, key)
        task: Task | None = self
        # What is run must not be held by the frame that runs what follows it.
        del self
        left = _THROUGHPUT
        try:
            while task is not None and left:
                task._run()  # noqa: SLF001 - another one of this class
                left -= 1
                task = shard.next(key)
        except BaseException:
            # From the key, which was hashed and compared before without one.
            task = None
            _logger.exception("%s: a key cannot be looked up, its tasks stay", table.name)
        finally:
            running.pop(me, None)
        if task is not None:
            table.threads.schedule(task)
        elif table.closed:
            table.end_if_done()

    def _run(self) -> None:
        future, function = self.future, self._function
        arguments, keywords = self._arguments, self._keywords
        # The thread may hold this task while it runs those that follow.
        self._function, self._arguments, self._keywords = _nothing, (), {}
        if not future.set_running_or_notify_cancel():
            return
        try:
            if self.table.broken:
                function = self.table.fail
            result = function(*arguments, **keywords)
        except BaseException as error:  # noqa: BLE001 - it is the future's
            future.set_exception(error)
            # The error's traceback holds this frame, which must not hold the error's future.
            del self, future
        else:
            future.set_result(result)


@final
class _Shard:
    """The entries of some keys."""

    __slots__ = ("_entries", "lock", "tasks")

    def __init__(self) -> None:
        # Guards the two below. Nobody waits under it. Reentrant: a finalizer may submit.
        self.lock: Final = threading.RLock()
        # A key's task that is scheduled or runs; where others wait for it, all of them.
        self._entries: Final[dict[object, Task | collections.deque[Task]]] = {}
        self.tasks: int = 0

    def add(self, task: Task) -> bool:
        """Add a task; under the lock. Return whether it is to be scheduled: it is the only one."""
        entry = self._entries.setdefault(task.key, task)
        self.tasks += 1
        if entry is task:
            return True
        if isinstance(entry, Task):
            self._entries[task.key] = collections.deque((entry, task))
        else:
            entry.append(task)
        return False

    def next(self, key: object) -> Task | None:
        """Return the task that follows the one which is done, if there is one."""
        with self.lock:
            self.tasks -= 1
            entry = self._entries[key]
            if isinstance(entry, collections.deque):
                entry.popleft()
                if entry:
                    return entry[0]
            del self._entries[key]
            return None

    def all(self) -> Iterator[Task]:
        """Return the tasks that are not done; under the lock."""
        for entry in list(self._entries.values()):
            if isinstance(entry, Task):
                yield entry
            else:
                yield from list(entry)


@final
class Table:
    """All tasks of one executor, and its threads. Knows nothing of the executor.

    Threads: internally synchronized.
    """

    __slots__ = ("__weakref__", "_initialize", "_shards", "broken", "closed", "name", "threads")

    def __init__(self, name: str, max_workers: int, initialize: Callable[[], object]) -> None:
        """Make an empty table; each thread calls `initialize` before its first task."""
        self.name: Final = name
        self._initialize: Final = initialize
        self._shards: Final = tuple(_Shard() for _ in range(_SHARDS))
        self.closed: bool = False
        self.broken: bool = False
        self.threads: Final = SharedThreads(name, max_workers, self._grow, self._prepare)

    def shard(self, key: object) -> _Shard:
        """Return the shard of a key."""
        return self._shards[hash(key) % _SHARDS]

    def submit(self, task: Task) -> None:
        """Run a task after those of its key.

        Raises:
            BrokenThreadPool: if a thread could not be initialized.
            RuntimeError: if the table is closed.
        """
        with task.shard.lock:
            if self.broken:
                raise concurrent.futures.thread.BrokenThreadPool(
                    f"{self.name}: a thread initializer failed, the executor is not usable any more"
                )
            if self.closed:
                raise RuntimeError(f"{self.name}: cannot schedule new futures after shutdown")
            is_only_one = task.shard.add(task)
        if is_only_one:
            self.threads.schedule(task)

    @property
    def tasks(self) -> int:
        """How many are not done."""
        return sum(shard.tasks for shard in self._shards)

    def close(self) -> None:
        """Take no more tasks; let the threads end when those that were taken are done.

        Blocks: never.
        """
        self.closed = True
        self.end_if_done()

    def end_if_done(self) -> None:
        """Let the threads end, of a closed table without tasks."""
        # Who came in before it was closed has raised the count under the lock.
        for shard in self._shards:
            with shard.lock:
                if shard.tasks:
                    return
        self.threads.close()

    def fail(self, *_: object, **__: object) -> NoReturn:
        """Raise what a task raises in the place of its function, once the executor is broken."""
        raise concurrent.futures.thread.BrokenThreadPool(
            f"{self.name}: a thread initializer failed, the task was not run"
        )

    def cancel_pending(self) -> None:
        """Cancel the tasks that do not run yet."""
        tasks: list[Task] = []
        for shard in self._shards:
            with shard.lock:
                tasks.extend(shard.all())
        # Their callbacks are user code.
        for task in tasks:
            task.future.cancel()

    def _grow(self) -> None:
        self.threads.grow()

    def _prepare(self) -> bool:
        """Initialize a thread; where that fails, all tasks fail from now on."""
        try:
            self._initialize()
        except BaseException:
            _logger.critical("%s: the initializer raised", self.name, exc_info=True)
            self.broken = True
            self.close()
        # Also where it failed: somebody has to tell those that were taken.
        return True
