"""Looking at an executor: what it does as a whole, and each key that has tasks.

**Guarantees.** A look blocks no thread, and makes none wait: it takes the lock of some keys for as
long as it takes to copy which of them have tasks. A key that has none is not known of, and costs
nothing. What was done is counted by `keyed.tally` and by the threads.

**Assumes.** Reading an attribute, and the length of a deque, is atomic.
"""

import dataclasses
import heapq
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from threadpool_mb.arguments import check_key, check_limit
from threadpool_mb.events import StuckWorker
from threadpool_mb.keyed.futures import KeyedFuture, NoKey
from threadpool_mb.keyed.standard import StandardExecutor
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.tasks import Task

__all__ = [
    "ExecutorStats",
    "LookedAt",
    "Now",
    "TaskLine",
    "hottest",
    "line_of",
    "lines_of",
    "look_at",
    "stats",
]


@dataclasses.dataclass(frozen=True, slots=True)
class ExecutorStats:
    """What a `KeyedExecutor` looked like at one moment; other threads may have changed it since.

    It takes time proportional to the executor's threads, and to its keys that have tasks.
    """

    name: str
    """The executor's name: `thread_name_prefix`, or the one that was counted."""
    state: str
    """`"running"`, `"closing"` or `"ended"`; `"made before os.fork()"` in a child of the process in
    which it was made. One whose initializer has raised is closing, and then has ended."""
    keys: int
    """Keys that have tasks that are not done."""
    busy: int
    """Tasks that run now."""
    waiting: int
    """Tasks that have not begun, and wait for a thread, for one before them, or for their rate. One
    of several keys counts for each of them, one of all keys for each that has tasks; one that was
    cancelled may count until its turn comes. Not those of `submit_later` before their time."""
    handled: int
    """Tasks that have run, since the executor was made. They count at the end of their turn, in
    which at most 64 tasks run one after the other, of a key or of several."""
    failed: int
    """Tasks that have raised, since the executor was made; those that were not run because an
    initializer has raised are told so, and count, too. They count at once, before `handled`."""
    cancelled: int
    """Tasks that were cancelled before they began, since the executor was made; one that waits
    counts when its turn comes."""
    threads: int
    """Threads that run tasks, idle ones included."""
    oldest: float | None = None
    """With `stuck_after`: the seconds for which the task has run that does so for the longest, as
    far as looks at it have shown; 0 if none did at the last look, `None` without it."""
    stuck: tuple[StuckWorker[Any], ...] = ()
    """With `stuck_after`: tasks that have run for longer, and do."""


@dataclasses.dataclass(frozen=True, slots=True)
class TaskLine[K]:
    """A key of an executor, or of a broker, as it was when it was looked at."""

    key: K
    """The key."""
    state: Literal["idle", "busy", "waiting"]
    """What is done for it: `"busy"`: a task of it runs, or a message is handled; `"waiting"`: the
    next one waits, for a thread, its time, or other keys; `"idle"`, of a broker's resource: there
    is nothing to do."""
    messages: int
    """Tasks, or messages, that wait."""


class Now(NamedTuple):
    """What there is of a table's tasks at one moment."""

    keys: int
    busy: int
    waiting: int


def stats(table: Table) -> ExecutorStats:
    """Return a snapshot of an executor; see `KeyedExecutor.stats`. Does not keep the executor."""
    # First: after its end nothing changes, so that what follows is what there was in all.
    state = table.state
    now = look_at(table)
    tallies = [shard.tally for shard in table.shards]
    oldest, stuck = (None, ()) if table.watcher is None or table.in_child else table.watcher.look()
    return ExecutorStats(
        name=table.name,
        state=state,
        keys=now.keys,
        busy=now.busy,
        waiting=now.waiting,
        handled=table.threads.handled,
        failed=sum(tally.failed for tally in tallies),
        cancelled=sum(tally.left_out for tally in tallies),
        threads=len(table.threads),
        oldest=oldest,
        stuck=stuck,
    )


def look_at(table: Table) -> Now:
    """Count a table's keys, and its tasks that are not done. Blocks: never."""
    keys = waiting = 0
    running = set[int]()
    for lane in _lanes(table):
        keys += _has_key(table, lane)
        waiting += _waiting(lane)
        # Lanes that a task of several keys has are all that thread's.
        running.add(lane.runs_on())
    return Now(keys, len(running - {0}), waiting)


def lines_of(table: Table) -> Iterator[TaskLine[Any]]:
    """Yield a line for each key that has tasks. Blocks: never."""
    return (_line(lane) for lane in _lanes(table) if _has_key(table, lane))


def hottest(table: Table, most: int) -> list[TaskLine[Any]]:
    """Return those keys that have the most tasks that wait. Blocks: never."""
    waiting = (line for line in lines_of(table) if line.messages)
    return heapq.nlargest(most, waiting, key=lambda line: line.messages)


def line_of(table: Table, key: object) -> TaskLine[Any] | None:
    """Return the line of a key that has tasks; `None` if it has none. Blocks: never."""
    lane = None if table.in_child else table.shard(key).lane(key)
    return None if lane is None or lane.ended else _line(lane)


def _lanes(table: Table) -> Iterator[Task]:
    """Yield the lanes that have not ended."""
    if table.in_child:
        return  # they are the parent's
    for shard in table.shards:
        for lane in shard.all_lanes():
            if not lane.ended:  # meanwhile
                yield lane


def _has_key(table: Table, lane: Task) -> bool:
    return lane.key is not table.of_all and not isinstance(lane.key, NoKey)


def _line(lane: Task) -> TaskLine[Any]:
    state: Final = "busy" if lane.runs_on() else "waiting"
    return TaskLine(lane.key, state, _waiting(lane))


def _waiting(lane: Task) -> int:
    """Return how many tasks of a lane have not begun."""
    behind = lane.behind
    waiting = len(behind or ())
    future = lane.future
    if future is not None:
        # It came first, and none behind it was taken. If it has begun, it runs, or is a gate: see
        # `keyed.several`.
        return waiting + _is_pending(future)
    try:
        # What was taken is behind no more, but for a gate.
        return waiting - (not _is_pending(behind[0].future)) if behind else 0
    except IndexError:  # meanwhile
        return 0


def _is_pending(future: KeyedFuture[Any] | None) -> bool:
    return future is not None and not (future.running() or future.done())


class LookedAt(StandardExecutor):
    """An executor, as an observer sees it: `stats`, `workers`, `hot`."""

    def stats(self) -> ExecutorStats:
        """Return a snapshot: keys, tasks, threads, and what was done since it was made.

        Blocks: never. It takes time proportional to the threads and to the keys that have tasks.
        Threads: safe from any thread.
        """
        return stats(self._table)

    def workers(self) -> Iterator[TaskLine[Any]]:
        """Yield a line for each key that has tasks, in no order; tasks without a key are left out.

        Keys whose first task comes meanwhile may be left out.

        Blocks: never.
        Threads: safe from any thread; one at a time may iterate.
        """
        return lines_of(self._table)

    def worker(self, key: object) -> TaskLine[Any] | None:
        """Return a key's line; `None` if it has no tasks. What `workers` yields of it.

        Blocks: never.
        Threads: safe from any thread.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return line_of(self._table, key)

    def hot(self, n: int = 10, /) -> list[TaskLine[Any]]:
        """Return the `n` keys with the most tasks that wait, the most first; fewer if few wait.

        Blocks: never. It takes time proportional to the keys that have tasks.
        Threads: safe from any thread.

        Raises:
            ValueError: if `n` is no `int` of at least 1.
        """
        check_limit(n, "n")
        return hottest(self._table, n)
