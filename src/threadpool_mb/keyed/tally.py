"""What a task needs of the table that it is in: what is told of its end, and what counts it.

**Guarantees.** Tasks that have run are counted by the thread that ran them, at the end of its turn
(`threads.turns`), and by nothing else: a task that ends well touches nothing here. Those that have
raised, and those that are left out as they were cancelled, are counted here, at once, one time. So
a broker counts messages, of which those are left out that are not handled.
"""

import threading
from typing import Any, Final, NoReturn, Protocol, final

from threadpool_mb.forking import remake

__all__ = ["Owner", "Tally"]


@final
class Tally:
    """Counts tasks, or messages, that did not end as most do. Threads: internally synchronized."""

    __slots__ = ("_lock", "failed", "left_out")

    def __init__(self) -> None:
        """Have counted none."""
        # Guards the writing of the rest. No thread waits under it, nor calls anything. Reentrant: a
        # finalizer may cancel a task.
        self._lock: Final = threading.RLock()
        self.failed: int = 0
        """How many have raised."""
        self.left_out: int = 0
        """How many were left out."""

    def count_failed(self) -> None:
        """Count one that has raised."""
        with self._lock:
            self.failed += 1

    def count_left_out(self) -> None:
        """Count one that is left out."""
        with self._lock:
            self.left_out += 1

    def forked(self) -> None:
        """Be usable in a child of `os.fork`."""
        remake(self._lock)


class Owner(Protocol):
    """What a task needs to know of the table that its shard is in."""

    @property
    def name(self) -> str:
        """For log lines."""
        ...

    @property
    def closed(self) -> bool:
        """Whether no task comes any more."""
        ...

    @property
    def gated(self) -> bool:
        """Whether there was ever a task of several keys, or of all."""
        ...

    @property
    def shards(self) -> tuple[Any, ...]:
        """The lanes of all keys; a key's hash says in which of these they are."""
        ...

    def end_if_done(self) -> None:
        """Let the threads end, once closed, if no task is left."""
        ...

    def fail(self, *_: object, **__: object) -> NoReturn:
        """Raise what a task raises in the place of its function, once the table is broken."""
        ...
