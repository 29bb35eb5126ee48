"""All tasks of one executor or broker, by key, and the threads that run them.

**Guarantees.** What `keyed.tasks` says of each key. Once closed, no task comes; when the last
one is done, the threads end. A task that is refused a thread never runs.

**Assumes.** What `keyed.tasks` does.
"""

import concurrent.futures.thread
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Final, NoReturn, final

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline, counted, some_keys
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.forking import MADE_BEFORE_FORK, keep, remake
from threadpool_mb.keyed.delays import Delays
from threadpool_mb.keyed.forked import free_running
from threadpool_mb.keyed.standins import StandIn
from threadpool_mb.keyed.tasks import Shard, Task
from threadpool_mb.logs import Logger
from threadpool_mb.threads.clock import Clock
from threadpool_mb.threads.counting import shared_name
from threadpool_mb.threads.latches import Ending, Latch
from threadpool_mb.threads.pinned import PinnedThreads
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.watchers import Watcher

__all__ = ["Table"]

_logger = Logger(__name__)

_SHARDS: Final = 64


@final
class Table:
    """All tasks of one executor or broker, and its threads. Knows neither.

    Threads: internally synchronized.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_initialize",
        "at_close",
        "broken",
        "clock",
        "closed",
        "delayed",
        "ending",
        "gated",
        "in_child",
        "name",
        "of_all",
        "shards",
        "threads",
        "watcher",
    )

    def __init__(
        self,
        name: str,
        max_workers: int,
        initialize: Callable[[], object] = lambda: None,
        *,
        named: Callable[[int], str] | None = None,
        own_waits_only: bool = False,
        pinned: bool = False,
    ) -> None:
        """Make an empty table; each thread calls `initialize` before its first task.

        `named` and `own_waits_only` are as in `SharedThreads`. `pinned`: the tasks of a key run on
        the same thread for ever, as each shard does. Not dealt, as a key's worker is: a key that
        has no task is forgotten.
        """
        self.name: Final = name
        self._initialize: Final = initialize
        # That it is closed and no task is left; `join` waits for it.
        self._ended: Final = Latch()
        self.ending: Final = Ending()
        """The same, for asyncio."""
        self.of_all: Final[object] = object()
        """The key of the lane that all tasks of all keys have."""
        self.watcher: Watcher | None = None
        """What watches tasks, if they are watched; set once, before a task comes."""
        self.closed: bool = False
        self.broken: bool = False
        self.in_child: bool = False
        """Whether its threads are those of the process that has forked this one."""
        self.clock: Final = Clock(name)
        """For tasks that have to wait for a time."""
        self.gated: bool = False
        """Whether there was ever a task of several keys, or of all."""
        self.delayed: Final = Delays(self.clock.timers)
        """The lanes whose next task may not begin yet."""
        self.at_close: Callable[[], object] = _nothing
        """Called once it is closed."""
        name_of = named or functools.partial(shared_name, name)

        def make(number: int) -> SharedThreads:
            """Return threads: all of them, or one that is pinned."""
            return SharedThreads(
                name,
                1 if pinned else max_workers,
                prepare=self._prepare,
                named=(lambda _: name_of(number)) if pinned else name_of,
                own_waits_only=own_waits_only,
                pinned=pinned,
            )

        self.threads: SharedThreads | PinnedThreads
        if pinned:
            self.threads = PinnedThreads(min(max_workers, _SHARDS), make)
            homes = self.threads.homes
        else:
            self.threads = make(0)
            homes = (self.threads,)
        self.shards: Final = tuple(
            Shard(self, homes[number % len(homes)]) for number in range(_SHARDS)
        )

    def shard(self, key: object) -> Shard:
        """Return the shard of a key."""
        return self.shards[hash(key) % _SHARDS]

    def submit(self, task: Task) -> None:
        """Run a task after those of its key.

        Raises:
            BrokenThreadPool: if a thread could not be initialized.
            ThreadRefused: if there is no thread, and the system starts none.
            RuntimeError: if the table is closed.
        """
        shard, future = task.shard, task.future
        threads = shard.threads
        try:
            with shard.lock:
                is_lane = self.add(shard, task) if shard.barred else shard.add(task)
        except BaseException:
            # An interrupt may have come between; those behind it must not wait for ever.
            with shard.lock:
                stranded = shard.is_lane(task) and not shard.hold_back(task)
            if stranded:
                threads.put(task)
                threads.ask_again()
            raise
        try:
            if is_lane:
                threads.put(task)
            # Without a thread also behind others: theirs may have been refused.
            if threads.growing and (is_lane or not threads.any):
                threads.grow_if_needed()
        except ThreadRefused:
            # It cannot be taken back, but it will be left out, unless another thread came.
            left_out = future is None or future.cancel()
            if self.closed:
                # The thread that closed it may have counted on that thread.
                self.close()
            if left_out:
                raise
        except BaseException:  # an interrupt, which may have come behind the `put`
            threads.ask_again()
            raise

    def add(self, shard: Shard, task: Task, *, barrier: bool = True) -> bool:
        """Add a task to a shard that may be barred; under its lock; see `Shard.add`.

        `barrier`: whether a new lane waits for what all lanes wait for.
        """
        if shard.closed:
            self.refuse()
        return shard.add(task) and not (barrier and shard.hold_back(task))

    def refuse(self) -> NoReturn:
        """Raise what a sender gets once the table takes no more tasks."""
        if self.in_child:
            raise RuntimeError(f"{self.name} was {MADE_BEFORE_FORK}: it has no threads here")
        if self.broken:
            raise concurrent.futures.thread.BrokenThreadPool(self.why_broken)
        raise RuntimeError(f"cannot schedule new futures after shutdown of {self.name}")

    @property
    def why_broken(self) -> str:
        """What is wrong with a table that is broken."""
        return f"a thread initializer failed, {self.name} is not usable any more"

    @property
    def state(self) -> str:
        """`"running"`, `"closing"` or `"ended"`; see `ExecutorStats`."""
        if self.in_child:
            return MADE_BEFORE_FORK
        if not self.closed:
            return "running"
        # The last turn counts what it has done after the task has ended; the clock, what it drops.
        over = self._ended.is_open and not len(self.threads) and not self.clock.runs
        return "ended" if over else "closing"

    @property
    def tasks(self) -> int:
        """How many are not done."""
        each = (task for tasks in self._unfinished() for task in tasks)
        # Of a task of several keys there is something in the lane of each.
        return len({it.context if isinstance(it.context, StandIn) else it for it in each})

    @property
    def keys(self) -> int:
        """How many keys have tasks that are not done; each task without a key is one more."""
        return sum(len(shard) for shard in self.shards)

    @property
    def waiting(self) -> int:
        """How many have not begun, and were not cancelled; one of several keys is one."""
        return len({task.future for task in self.pending()})

    @property
    def not_begun(self) -> int:
        """How many have not begun; those that were cancelled are left out when their turn comes."""
        futures = {task.future for tasks in self._unfinished() for task in tasks}
        # One of several keys that has begun has gates still.
        return sum(each is not None and not each.has_begun() for each in futures)

    def pending(self) -> Iterator[Task]:
        """Yield the tasks that have not begun, and were not cancelled."""
        for tasks in self._unfinished():
            for task in tasks:
                future = task.future
                # Of one of several keys that runs there are gates still.
                if future is not None and not (future.running() or future.done()):
                    yield task

    def close(self) -> None:
        """Take no more tasks; let the threads end when those that were taken are done.

        Blocks: never, but where the only thread was refused to another sender: then it starts one,
        or calls the callbacks of the futures that it cancels.
        """
        if self.in_child:
            return
        for shard in self.shards:
            with shard.lock:
                shard.close()
        # Not before: a thread that sees it, and no task, lets all threads end.
        self.closed = True
        self.at_close()
        self.end_if_done()
        for threads in dict.fromkeys(shard.threads for shard in self.shards):
            if not self._ended.is_open and not threads.any:
                # The system may have refused the thread that a sender counts on.
                try:
                    threads.grow()
                except ThreadRefused:
                    self._leave_out(threads)
                    self.end_if_done()

    def join(self) -> None:
        """Wait until a closed table's tasks are done and its threads have ended.

        Blocks: until then.

        Raises:
            RuntimeError: on one of these threads.
        """
        if self.in_child:
            return
        self.check_not_own_thread()
        # First: the thread of a new task may not have been started yet.
        self._ended.wait(NEVER)
        self._join(NEVER)

    def threads_ended(self) -> bool:
        """Return whether a table that has ended has no thread left. Blocks: never."""
        return self.in_child or (self._ended.is_open and self._join(AT_ONCE))

    def _join(self, deadline: Deadline) -> bool:
        return (
            self.threads.join(deadline)
            and self.clock.join(deadline)
            and (self.watcher is None or self.watcher.join(deadline))
        )

    def check_not_own_thread(self) -> None:
        """Raise `RuntimeError` on one of its threads."""
        if threading.current_thread() in self.threads:
            raise RuntimeError(f"a task cannot wait for the end of {self.name}, which runs it")

    def waits_for(self, deadline: Deadline) -> str | None:
        """Return what keeps a closed table from its end at the deadline; see `exit_hook`."""
        if self._ended.wait(deadline) and self._join(deadline):
            return None
        running = [
            lane.key for shard in self.shards for lane in shard.all_lanes() if lane.runs_on()
        ]
        tasks = self.tasks
        return f"{self.name}: {counted(tasks, 'task')} not done{some_keys(running)}"

    def forked(self, *, needed: bool = False) -> bool:
        """Take note that this is a child of `os.fork`; return whether the table works here.

        It does if no thread was started and no task has come, unless a thread is `needed`.
        """
        for shard in self.shards:
            remake(shard.lock)
            shard.tally.forked()
        used = any(shard.lanes() for shard in self.shards)
        # Also one of several keys, or of all, that a thread which is not here was just submitting.
        used = used or self.clock.started or self.gated
        self.clock.forked()
        usable = self.threads.forked(usable=not (used or needed or self._ended.is_open))
        if usable or self._ended.is_open:
            return usable
        self.in_child = self.closed = True
        self.at_close()
        for shard in self.shards:
            shard.forked()
            shard.stripe = None  # a sender is refused, and looks for no room before
        free_running()
        # For a thread that waits in `join`, and has forked in a signal handler.
        self._ended.open()
        keep(self)
        return False

    def end_if_done(self) -> None:
        """Let the threads end, of a closed table without tasks."""
        if self.in_child:
            return
        # A task that came before it was closed has its entry: both are under the lock.
        for shard in self.shards:
            with shard.lock:
                if shard.has_lanes():
                    return
        self._end()

    def _end(self) -> None:
        self.clock.close()
        self.threads.close()
        self._ended.open()
        self.ending.reach()

    def fail(self, *_: object, **__: object) -> NoReturn:
        """Raise what a task raises in the place of its function, once the table is broken."""
        raise concurrent.futures.thread.BrokenThreadPool(
            f"a thread initializer of {self.name} failed, the task was not run"
        )

    def cancel_pending(self) -> None:
        """Cancel the tasks that do not run yet."""
        if self.in_child:
            return
        # Not under a lock: their callbacks are user code.
        for tasks in self._unfinished():
            for task in tasks:
                future = task.future
                if future is not None:
                    future.cancel()

    def _leave_out(self, threads: SharedThreads) -> None:
        """Cancel these threads' tasks and forget them: none is there, nor will there be one."""
        for shard in self.shards:
            if shard.threads is not threads:
                continue
            with shard.lock:
                tasks = list(shard.unfinished())
                shard.clear()
            # Not under the lock: their callbacks are user code.
            for task in tasks:
                future, task.future = task.future, None
                if future is not None and future.cancel():
                    # No thread is left to tell the threads that wait for several.
                    future.tell_cancelled()

    def _unfinished(self) -> Iterator[list[Task]]:
        if self.in_child:
            return  # they are the parent's
        for shard in self.shards:
            with shard.lock:
                tasks = list(shard.unfinished())
            yield tasks

    def _prepare(self) -> None:
        """Initialize a thread; where that fails, all tasks fail from now on."""
        try:
            self._initialize()
        except BaseException:
            # The thread goes on: it has to tell those that were taken.
            self.break_down()
            _logger.critical("%s: the initializer raised", self.name, exc_info=True)

    def break_down(self) -> None:
        """Let all tasks fail that have not begun, and take no more."""
        self.broken = True
        for shard in self.shards:
            shard.broken = True
        self.close()


def _nothing() -> None:
    """Nothing is to be done."""
