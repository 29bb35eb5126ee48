"""Tasks by key: which run, which wait for the one before them, and when all are done.

A *lane* is the tasks of one key from the first one's coming to the last one's end. The task that
came first stands for its lane: it is what is scheduled, and the others wait in its `behind`.

**Guarantees.** Of the tasks of a key one at a time is scheduled or runs, in the order in which they
came. A key has an entry while it has a lane, and at no other time. Once closed, no task comes; when
the last one is done, the threads end.

**How.** The table is split into shards by the key's hash, each with a lock. The interleaving that
must neither leave a task waiting nor run two of a key at once:

1. A sender looks the key up and finds a lane, and adds its task to it.
2. Or it finds none, enters its task as a new lane, and schedules it after that.
a. The thread that has run a task of a lane takes the next one from the lane.
b. Or it finds none, and deletes the entry.

Each is one step under the shard's lock, but for the scheduling. After (1) there is a task in the
lane, so that lane's next step is (a), not (b). After (b) there is no entry, so that the next sender
does (2). Between (2) and (b) whoever comes does (1), and schedules nothing: a lane is scheduled by
(2) once, and then by the thread that has run it, when its turn is over and before anyone else can.
So it is never in two hands, and only its own thread takes from it.

An interrupt in a sender: it may come before the entry, and nothing has happened; after the
scheduling, and the task runs; between, and `submit` schedules the lane on its way out
(`tests/executor/test_interrupts.py`).

**Assumes.** A key's `__hash__` and `__eq__`, which run under that lock, wait for nobody and submit
nothing. If they raise, or a key's hash is another one than before, an entry may stay; its tasks
run.
"""

import collections
import concurrent.futures.thread
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.executor.futures import KeyedFuture
from threadpool_mb.scheduling.shared_threads import SharedThreads

__all__ = ["Shard", "Table", "Task"]

_logger = logging.getLogger(__name__)

_SHARDS: Final = 64
_THROUGHPUT: Final = 64
"""The most tasks of a key in a turn."""


@final
class Task:
    """One call, and the future of its result; and the lane of its key, if it came first."""

    __slots__ = (
        "_arguments",
        "_function",
        "_keywords",
        "behind",
        "ended",
        "future",
        "key",
        "shard",
        "thread",
    )

    def __init__(  # noqa: PLR0917 - what a call is made of
        self,
        shard: "Shard",
        key: object,
        future: KeyedFuture[Any],
        function: Callable[..., object],
        /,
        arguments: tuple[object, ...],
        keywords: dict[str, object],
    ) -> None:
        """Make a task that nobody knows of yet."""
        self.key: Final = key
        # Not the table: all threads would count its references (`benchmarks/`, "executor").
        self.shard: Final = shard
        self.future: KeyedFuture[Any] | None = future
        self._function: Callable[..., object] | None = function
        self._arguments: tuple[object, ...] = arguments
        self._keywords: dict[str, object] | None = keywords
        # Of the lane. Guarded by the shard's lock, but for `thread`, which whoever runs it writes.
        self.behind: collections.deque[Task] | None = None
        self.ended: bool = False
        self.thread: int = 0

    def turn(self) -> None:
        """Run some of the lane's tasks; on a shared thread."""
        shard = self.shard
        self.thread = threading.get_ident()
        task: Task | None = self if self.future is not None else shard.take(self)
        left = _THROUGHPUT
        try:
            while task is not None and left:
                try:
                    task.run()
                except BaseException:
                    # A callback's, or somebody else has set the future; the lane must go on.
                    _logger.exception("%s: a task's end raised", shard.table.name)
                left -= 1
                # The one that was run dies here, outside the lock: it may hold users' objects.
                task = shard.next(self, take=left > 0)
        except Exception:
            # The key's. The lane has ended all the same.
            task = None
            _logger.exception(
                "%s: the entry of key at %#x stays: looking it up failed",
                shard.table.name,
                id(self.key),
            )
        self.thread = 0
        if task is not None:
            shard.table.threads.schedule(self)
        elif shard.closed and shard.table.closed:
            shard.table.end_if_done()

    def run(self) -> None:
        """Call the function, and keep nothing of the call."""
        future, function = self.future, self._function
        arguments, keywords = self._arguments, self._keywords
        # The lane's first one lives as long as the lane does.
        self.future = self._function = self._keywords = None
        self._arguments = ()
        if (
            future is None
            or function is None
            or keywords is None
            or not future.set_running_or_notify_cancel()
        ):
            return
        try:
            if self.shard.broken:
                function = self.shard.table.fail
            result = function(*arguments, **keywords)
        except BaseException as error:  # noqa: BLE001 - it is the future's
            future.set_exception(error)
            # The error's traceback holds this frame, which must not hold the error's future.
            del self, future
        else:
            future.set_result(result)


@final
class Shard:
    """The lanes of some keys."""

    __slots__ = ("_entries", "broken", "closed", "lock", "table")

    def __init__(self, table: "Table") -> None:
        """Make an empty one, which is open."""
        self.table: Final = table
        # Copies of the table's, so that a task need not touch it. `closed` is written under the
        # lock.
        self.broken: bool = False
        self.closed: bool = False
        # Guards the entries and their lanes. Nobody waits under it. Reentrant: a signal handler, or
        # a finalizer, may submit.
        self.lock: Final = threading.RLock()
        self._entries: Final[dict[object, Task]] = {}

    def add(self, task: Task) -> bool:
        """Add a task; under the lock. Return whether it is to be scheduled, as a new lane."""
        lane = self._entries.setdefault(task.key, task)
        if lane is task:
            return True
        if lane.ended:  # and could not be deleted
            self._entries[task.key] = task
            return True
        if lane.behind is None:
            fresh = collections.deque[Task]()
            # Looked at after that call, in which a signal handler may have submitted.
            if lane.behind is None:
                lane.behind = fresh
        lane.behind.append(task)
        return False

    def is_lane(self, task: Task) -> bool:
        """Return whether the task came first."""
        with self.lock:
            return self._entries.get(task.key) is task

    def take(self, lane: Task) -> Task:
        """Return the lane's next task: at the beginning of a turn that is not its first one."""
        with self.lock:
            assert lane.behind  # noqa: S101 - `next` has seen it; nobody else takes
            return lane.behind.popleft()

    def next(self, lane: Task, *, take: bool) -> Task | None:
        """Return the lane's next task, one being done; `None` if the lane has ended.

        It stays where it is unless it is to be taken.
        """
        with self.lock:
            if not lane.behind:
                lane.ended = True
                # The entry's key is this very object: nothing is compared with it.
                del self._entries[lane.key]
                return None
            return lane.behind.popleft() if take else lane.behind[0]

    def runs_here(self, key: object, /) -> bool:
        """Return whether this thread runs a task of the key just now."""
        with self.lock:
            lane = self._entries.get(key)
        return lane is not None and lane.thread == threading.get_ident()

    def lanes(self) -> list[Task]:
        """Return all lanes; under the lock."""
        return [lane for lane in self._entries.values() if not lane.ended]

    def unfinished(self) -> Iterator[Task]:
        """Return the tasks that are not done; under the lock."""
        for lane in self.lanes():
            yield lane
            yield from lane.behind or ()


@final
class Table:
    """All tasks of one executor or broker, and its threads. Knows neither.

    Threads: internally synchronized.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_initialize",
        "_shards",
        "broken",
        "closed",
        "name",
        "threads",
    )

    def __init__(
        self,
        name: str,
        max_workers: int,
        initialize: Callable[[], object] = lambda: None,
        *,
        named: Callable[[int], str] | None = None,
    ) -> None:
        """Make an empty table; each thread calls `initialize` before its first task.

        `named` returns a thread's name, as in `SharedThreads`.
        """
        self.name: Final = name
        self._initialize: Final = initialize
        self._shards: Final = tuple(Shard(self) for _ in range(_SHARDS))
        # That it is closed and no task is left; `join` waits for it.
        self._ended: Final = threading.Event()
        self.closed: bool = False
        self.broken: bool = False
        self.threads: Final = SharedThreads(name, max_workers, prepare=self._prepare, named=named)

    def shard(self, key: object) -> Shard:
        """Return the shard of a key."""
        return self._shards[hash(key) % _SHARDS]

    def submit(self, task: Task) -> None:
        """Run a task after those of its key.

        Raises:
            BrokenThreadPool: if a thread could not be initialized.
            ThreadRefused: if there is no thread, and the system starts none.
            RuntimeError: if the table is closed.
        """
        shard, threads, future = task.shard, self.threads, task.future
        try:
            with shard.lock:
                if shard.closed:
                    self._refuse()
                is_lane = shard.add(task)
        except BaseException:
            # An interrupt may have come between; those behind it must not wait for ever.
            if shard.is_lane(task):
                threads.put(task)
            raise
        if is_lane:
            threads.put(task)
        # Without a thread also behind others: theirs may have been refused.
        if threads.growing and (is_lane or not threads.any):
            try:
                threads.grow_if_needed()
            except ThreadRefused:
                # It cannot be taken back, but it will be left out, unless another thread came.
                if future is None or future.cancel():
                    raise

    def _refuse(self) -> NoReturn:
        if self.broken:
            raise concurrent.futures.thread.BrokenThreadPool(
                f"a thread initializer failed, {self.name} is not usable any more"
            )
        raise RuntimeError(f"cannot schedule new futures after shutdown of {self.name}")

    @property
    def tasks(self) -> int:
        """How many are not done."""
        return sum(len(list(tasks)) for tasks in self._unfinished())

    @property
    def waiting(self) -> int:
        """How many have not begun, and were not cancelled."""
        futures = (task.future for tasks in self._unfinished() for task in tasks)
        return sum(future is not None and not future.done() for future in futures)

    def close(self) -> None:
        """Take no more tasks; let the threads end when those that were taken are done.

        Blocks: never, but where the only thread was refused to another sender: then it starts one,
        or calls the callbacks of the futures that it cancels.
        """
        for shard in self._shards:
            with shard.lock:
                shard.closed = True
        # Not before: a thread that sees it, and no task, lets all threads end.
        self.closed = True
        self.end_if_done()
        if not self._ended.is_set() and not self.threads.any:
            # The thread that a task's sender has counted on may have been refused to another one.
            try:
                self.threads.grow()
            except ThreadRefused:
                self.cancel_pending()
                self._end()

    def join(self) -> None:
        """Wait until a closed table's tasks are done and its threads have ended.

        Blocks: until then.

        Raises:
            RuntimeError: on one of these threads.
        """
        if threading.current_thread() in self.threads:
            raise RuntimeError(f"a task cannot wait for the end of {self.name}, which runs it")
        # First: the thread of a task that was just submitted may not have been started yet.
        self._ended.wait()
        self.threads.join(Deadline(None))

    def end_if_done(self) -> None:
        """Let the threads end, of a closed table without tasks."""
        # Who came in before it was closed has made its entry, both being under the lock.
        for shard in self._shards:
            with shard.lock:
                if shard.lanes():
                    return
        self._end()

    def _end(self) -> None:
        self.threads.close()
        self._ended.set()

    def fail(self, *_: object, **__: object) -> NoReturn:
        """Raise what a task raises in the place of its function, once the table is broken."""
        raise concurrent.futures.thread.BrokenThreadPool(
            f"a thread initializer of {self.name} failed, the task was not run"
        )

    def cancel_pending(self) -> None:
        """Cancel the tasks that do not run yet."""
        # Not under a lock: their callbacks are user code.
        for tasks in self._unfinished():
            for task in tasks:
                future = task.future
                if future is not None:
                    future.cancel()

    def _unfinished(self) -> Iterator[list[Task]]:
        for shard in self._shards:
            with shard.lock:
                tasks = list(shard.unfinished())
            yield tasks

    def _prepare(self) -> None:
        """Initialize a thread; where that fails, all tasks fail from now on."""
        try:
            self._initialize()
        except BaseException:
            _logger.critical("%s: the initializer raised", self.name, exc_info=True)
            self.broken = True
            for shard in self._shards:
                shard.broken = True
            # The thread goes on: somebody has to tell those that were taken.
            self.close()
