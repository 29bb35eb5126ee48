"""A table of tasks without threads: a test takes the turns that are scheduled."""

from collections import deque
from typing import Any, Final

from threadpool_mb.keyed.table import Table


class NoThreads:
    """What a table schedules, for the test to run."""

    growing = False
    any = True

    def __init__(self) -> None:
        self.scheduled: Final[deque[Any]] = deque()
        self.put = self.schedule = self.scheduled.append
        self.closed = False

    def grow_if_needed(self) -> None:
        """There is none."""

    def close(self) -> None:
        """Note it."""
        self.closed = True


def table_without_threads() -> tuple[Table, NoThreads]:
    """Return a table, and what is in the place of its threads."""
    table, threads = Table("t", 1, int), NoThreads()
    table.threads = threads  # type: ignore[assignment]
    for shard in table.shards:
        shard.threads = threads  # type: ignore[assignment,misc]
    return table, threads
