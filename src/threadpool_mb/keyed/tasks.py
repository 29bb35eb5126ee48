"""Tasks by key: which runs, and which wait for the one before them.

A *lane* is the tasks of one key from the first one's coming to the last one's end. The task that
came first stands for its lane: it is what is scheduled, and the others wait in its `behind`.

**Guarantees.** Of the tasks of a key one at a time is scheduled or runs, in the order in which they
came. A key has an entry while it has a lane, and at no other time. A task runs in a `contextvars`
context of its own, and so do its future's callbacks: nothing of what they set there is left.

**How.** A shard has the keys of some hashes, and a lock (`keyed.table`). The interleaving that
must neither leave a task waiting nor run two of a key at once:

1. A sender looks the key up and finds a lane, and adds its task to it.
2. Or it finds none, enters its task as a new lane, and schedules it after that.
a. The thread that has run a task of a lane takes the next one from the lane.
b. Or it finds none, and deletes the entry.

Each is one step under the shard's lock, but for the scheduling. After (1) there is a task in the
lane, so that lane's next step is (a), not (b). After (b) there is no entry, so that the next sender
does (2). Between (2) and (b) each other sender does (1), and schedules nothing: a lane is scheduled
by (2) once, and then by the thread that has run it, when its turn is over and before any other
can. So it is never in two hands, and only its own thread takes from it.

An interrupt in a sender: it may come before the entry, and nothing has happened; after the
scheduling, and the task runs; between, and `submit` schedules the lane on its way out
(`tests/keyed/test_interrupts.py`).

**Assumes.** A key's `__hash__` and `__eq__`, which run under that lock, wait for no thread and
submit nothing. If they raise, or a key's hash has changed, an entry may stay; its tasks run.
"""

import collections
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any, Final, final

from threadpool_mb.forking import keep
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.standins import Barrier, RunsTasks, StandIn
from threadpool_mb.keyed.tally import Owner, Tally
from threadpool_mb.keyed.withdrawn import Withdrawn, withdrawn
from threadpool_mb.line.striped import Stripe
from threadpool_mb.logs import Logger
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.values import MISSING, Missing

__all__ = ["Shard", "Task"]

_logger = Logger(__name__)

_THROUGHPUT: Final = 64
"""The most tasks of a key in a turn."""


@final
class Task:
    """One call, and the future of its result; and the lane of its key, if it came first."""

    # fmt: off
    __slots__ = (
        "_arguments", "_function", "_keywords", "behind", "context", "ended", "future", "key",
        "shard", "thread",
    )
    # fmt: on

    def __init__(  # noqa: PLR0917 - what a call is made of
        self,
        shard: "Shard",
        key: object,
        future: KeyedFuture[Any],
        function: Callable[..., object],
        /,
        arguments: tuple[object, ...],
        keywords: dict[str, object] | None,
        context: RunsTasks | None,
    ) -> None:
        """Make a task that no other thread knows of yet.

        `None` for no keywords; and for a copy of the context of the thread that runs it, which has
        in it what the thread's initializer has set.
        """
        self.key: Final = key
        # Not the table: all threads would count its references (`benchmarks/`, "executor").
        self.shard: Final = shard
        self.future: KeyedFuture[Any] | None = future
        self._function: Callable[..., object] | Missing = function
        self._arguments: tuple[object, ...] = arguments
        self._keywords: dict[str, object] | None = keywords
        self.context: RunsTasks | None = context
        # Of the lane. Under the shard's lock, but for `thread`: the running thread writes it.
        self.behind: collections.deque[Task] | None = None
        self.ended: bool = False
        self.thread: int = 0

    def turn(self) -> int:  # noqa: C901 - a frame more for each task
        """Run some of the lane's tasks, on a shared thread; return how many have run."""
        left = most = _THROUGHPUT  # the second, less what is left out
        left_out: Any
        shard = self.shard
        self.thread = threading.get_ident()
        try:
            task: Task | None = self if self.future is not None else shard.next(self, take=True)
            while task is not None and left:
                try:
                    context = task.context
                    if type(context) is not Context:
                        task.context = None  # a stand-in may put itself back
                    # The plain function: a bound method is one more object for each task.
                    left_out = (copy_context() if context is None else context).run(Task.run, task)
                except BaseException:
                    left_out = None
                    # A callback's, or another thread has set the future; the lane must go on.
                    _logger.exception("%s: a task's end raised", shard.table.name)
                if left_out:
                    ran = False
                    if left_out is not True:  # a stand-in
                        self.thread = 0
                        kept, ran = left_out.keep(self, task)
                        if kept:
                            task = None  # as at the end
                            return most - left + int(ran)
                        left_out = None
                        self.thread = threading.get_ident()
                    most -= not ran
                left -= 1
                context = None
                first = task is self
                # The one that was run dies here, outside the lock: it may hold users' objects.
                task = shard.next(self, take=left > 0)
                if first and task is not None:
                    self.forget()  # it doubles as the lane, and lives as long
        except BaseException:  # the key's: no interrupt comes here; the lane has ended all the same
            task = None
            self.forget()
            _logger.exception(
                "%s: the entry of key at %#x stays: looking it up failed",
                shard.table.name,
                id(self.key),
            )
        self.thread = 0
        if task is not None:
            shard.threads.schedule(self)
        elif shard.closed and shard.table.closed:
            shard.table.end_if_done()
        del self, task  # an error that a task keeps refers back to this frame
        return most - left

    def runs_on(self) -> int:
        """Return the thread that runs a task of the lane; 0 if none does."""
        if self.thread:
            return self.thread
        contexts = [self.context]  # perhaps of a gate (`keyed.several`), as may the next one's be
        with contextlib.suppress(IndexError):
            contexts += [self.behind[0].context] if self.behind else []
        return max(each.runs_on() if isinstance(each, StandIn) else 0 for each in contexts)

    def forget(self) -> None:
        """Keep nothing of what was called: it is not called here."""
        self.future = self.context = self._keywords = None
        self._function, self._arguments = MISSING, ()

    def withdraw(self) -> Withdrawn | None:
        """Return a task that has not begun and never will now; `None` if it has, or was cancelled.

        1. This reads what is called, then cancels the future.
        2. The thread that runs it asks the future whether it is to, and forgets nothing before.

        If (1) cancels it, (2) has not asked, and so nothing was forgotten when (1) reads.
        """
        future, function = self.future, self._function
        arguments, keywords = self._arguments, self._keywords
        if future is None or function is MISSING or future.done() or not future.cancel():
            return None
        return withdrawn(future, function, arguments, keywords or {})

    def run(self) -> bool | None:
        """Call the function; return whether it is left out.

        A task that lives on as a lane forgets the call. What others hold dies with them: taken out,
        each object would go back to the thread that made it, by a queue whose lock all share.
        """
        future = self.future
        if future is None or not future.set_running_or_notify_cancel():
            return True
        function, arguments, keywords = self._function, self._arguments, self._keywords
        try:
            if function is MISSING or self.shard.broken:
                function = self.shard.table.fail
            result = function(*arguments, **keywords) if keywords else function(*arguments)
        except BaseException as error:  # noqa: BLE001 - it is the future's
            self.shard.tally.count_failed()
            future.set_exception(error)
            # Its traceback holds this frame, and the turn's: neither may hold its future, nor what
            # the task was called with, among which that may be.
            self.forget()
            del self, future, function, arguments, keywords
        else:
            future.set_result(result)
            del self  # one that the task has kept does so, too: not the context
        return None


@final
class Shard:
    """The lanes of some keys."""

    # fmt: off
    __slots__ = (
        "barred", "barriers", "broken", "closed", "entries", "in_child", "lock", "stripe", "table",
        "tally", "threads",
    )
    # fmt: on

    def __init__(self, table: Owner, threads: SharedThreads) -> None:
        """Make an empty one, which is open."""
        self.table: Final = table
        self.threads: Final = threads
        """What runs its tasks."""
        # Copies of the table's: a task need not touch it. `closed` is written under the lock.
        self.broken: bool = False
        self.closed: bool = False
        # What tasks of all keys have put up, for keys that come after them; the last one last.
        self.barriers: Final[list[Barrier]] = []
        self.barred: bool = False
        """Whether there is a barrier, or it is closed: what a sender looks at; under the lock."""
        self.in_child: bool = False
        """Whether its tasks are those of the process that has forked this one."""
        # Guards the entries and their lanes. No thread waits under it. Reentrant: a signal handler,
        # or a finalizer, may submit.
        self.lock: Final = threading.RLock()
        self.entries: Final[dict[object, Task]] = {}
        """The lanes, by key; under the lock."""
        self.stripe: Stripe | None = None
        """Where its tasks' slots come from, if there is a bound; set before a task comes."""
        self.tally: Final = Tally()
        """What counts its tasks."""

    def add(self, task: Task) -> bool:
        """Add a task; under the lock. Return whether it is to be scheduled, as a new lane."""
        lane = self.entries.setdefault(task.key, task)
        if lane is task:
            return True
        if lane.ended:  # and could not be deleted
            self.entries[task.key] = task
            return True
        if lane.behind is None:
            fresh: collections.deque[Task] = collections.deque()  # `deque[Task]()` takes longer
            # Looked at after that call, in which a signal handler may have submitted, or cancelled.
            if lane.ended:
                return self.add(task)
            if lane.behind is None:
                lane.behind = fresh
        lane.behind.append(task)
        return False

    def close(self) -> None:
        """Take no more tasks; under the lock."""
        self.closed = self.barred = True

    def put_up(self, barrier: Barrier) -> None:
        """Have the lanes that come from now on wait for `barrier`; under the lock."""
        self.barriers.append(barrier)
        self.barred = True

    def take_down(self, barrier: Barrier, before: "dict[Shard, list[Barrier]]") -> None:
        """Forget a barrier; note those before it, the last one first; under the lock.

        What it has held back came behind those, too.
        """
        if barrier not in self.barriers:
            return
        place = self.barriers.index(barrier)
        before[self] = self.barriers[:place][::-1]
        del self.barriers[place]
        self.barred = self.closed or bool(self.barriers)

    def hold_back(self, lane: Task) -> bool:
        """Have a new lane wait for the last barrier that is not over; under the lock.

        Returns:
            `False` if there is none: the lane is to be scheduled.
        """
        for barrier in reversed(self.barriers):  # noqa: SIM110 - no generator: see `interrupts`
            if barrier.hold_back(lane):
                return True
        return False

    def lane(self, key: object) -> Task | None:
        """Return a key's lane, if it has one."""
        with self.lock:
            return self.entries.get(key)

    def is_lane(self, task: Task) -> bool:
        """Return whether the task came first."""
        with self.lock:
            return self.entries.get(task.key) is task

    def next(self, lane: Task, *, take: bool) -> Task | None:
        """Return the lane's next task, one being done; `None` if the lane has ended.

        It stays where it is unless it is to be taken.
        """
        with self.lock:
            if not lane.behind:
                lane.ended = True
                # The entry's key is this very object: nothing is compared with it.
                del self.entries[lane.key]
                return None
            return lane.behind.popleft() if take else lane.behind[0]

    def has(self, task: Task) -> bool:
        """Return whether a task is here, and has not begun."""
        with self.lock:
            return True in [each is task for each in self.unfinished()]

    def put_back(self, lane: Task, task: Task) -> None:
        """Have a task that was taken come first of the lane's again, if it does not."""
        with self.lock:
            if lane.behind is None:
                lane.behind = collections.deque()
            if not lane.behind or lane.behind[0] is not task:
                lane.behind.appendleft(task)

    def cancel_waiting(self, key: object, *, but: KeyedFuture[Any] | None = None) -> int:
        """Cancel the tasks of a key that do not run yet; return how many that were.

        Not those of all keys: they belong to no single key.
        """
        with self.lock:
            lane = self.entries.get(key)
            tasks = [] if lane is None else [lane, *(lane.behind or ())]
        # Not under the lock: their callbacks are user code. The last one first, so that none begins
        # as the one before it is cancelled.
        futures = [task.future for task in reversed(tasks)]
        return sum(
            future.cancel()
            for future in futures
            if not (future is None or future is but or future.of_all or future.done())
        )

    def runs_here(self, key: object, /) -> bool:
        """Return whether this thread runs a task of the key just now."""
        with self.lock:
            lane = self.entries.get(key)
        return lane is not None and lane.runs_on() == threading.get_ident()

    def stands_behind_this(self, key: object, /) -> bool:
        """Return whether a task of several keys, or of all, makes a key wait for this thread."""
        if not self.table.gated:
            return False
        with self.lock:
            lane = self.entries.get(key)
            tasks = () if lane is None else (lane, *(lane.behind or ()))
            barriers = tuple(self.barriers)
        futures = [(task.context, task.future) for task in tasks]
        gates = [gate for gate, each in futures if not (each is None or each.cancelled())]
        return any(each.runs_here(key) for each in barriers) or any(
            gate.runs_here(key) for gate in gates if isinstance(gate, StandIn)
        )

    def __len__(self) -> int:
        """Return the number of lanes; other threads may change it at once."""
        return len(self.entries)

    def clear(self) -> None:
        """Forget all tasks; under the lock."""
        self.entries.clear()

    def forked(self) -> None:
        """Take no more tasks, and leave those that wait to the parent; in a child of `os.fork`."""
        self.in_child = self.closed = self.barred = True
        for lane in self.entries.values():
            # A task whose thread has forked may run here: the next one of its key does not.
            keep(lane.behind)
            lane.behind = None

    def lanes(self) -> list[Task]:
        """Return all lanes; under the lock."""
        return [lane for lane in self.entries.values() if not lane.ended]

    def has_lanes(self) -> bool:
        """Return whether there is a lane; under the lock."""
        # Not all of them: each turn asks once the table is closed.
        return any(not lane.ended for lane in self.entries.values())

    def all_lanes(self) -> list["Task"]:
        """Return all lanes."""
        # To go through a dict takes time for what it once had: a look at none must not.
        if not self.entries:
            return []
        with self.lock:
            return self.lanes()

    def unfinished(self) -> Iterator[Task]:
        """Return the tasks that are not done; under the lock."""
        for lane in self.lanes():
            yield lane
            yield from lane.behind or ()
