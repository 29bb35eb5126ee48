"""What the generator workers of a pool have in common; each lane refers to it."""

from collections.abc import Callable
from typing import Any, Final

from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.pool.generators import GeneratorFunction
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.workers import Ended
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.timers import Timers

__all__ = ["Common"]


class Common[K, M]:
    """What the workers of a pool have in common."""

    __slots__ = (
        "ended",
        "flow",
        "keeping",
        "office",
        "rouse",
        "threads",
        "throughput",
        "timers",
        "watched",
        "worker",
    )

    def __init__(
        self,
        worker: GeneratorFunction[K, M],
        office: DeadLetterOffice[K, M],
        threads: SharedThreads,
        timers: Timers,
        keeping: Keeping[K, M] | None,
        *,
        throughput: int,
        ended: Ended[K, M],
    ) -> None:
        """Run `worker` on `threads`, with at most `throughput` messages in a turn.

        `timers` are for workers that wait for a time; `keeping` is where keys do not live by hand
        alone.
        """
        self.worker: Final = worker
        self.office: Final = office
        self.threads: Final = threads
        self.timers: Final = timers
        self.keeping: Final = keeping
        self.throughput: Final = throughput
        self.ended: Final = ended
        self.flow: Any = None
        """A `PoolFlow`, where the lanes are those of `pool.flowing`."""
        self.rouse: Callable[[Any], object]
        """Has the roster count a lane that was dormant; set once, before a worker starts."""
        self.watched: bool = False
        """Whether turns say how far they have come; see `threads.watching`."""
