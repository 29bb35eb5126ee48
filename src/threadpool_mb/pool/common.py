"""What the generator workers of a pool have in common; each lane refers to it."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Final

from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.pool.generators import GeneratorFunction
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.workers import Ended, EndsQuietly
from threadpool_mb.threads.here import here
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.timers import Timers

__all__ = ["Common", "shown"]


def shown(nothing: None, count: int) -> Iterator[None]:
    """Return `itertools.repeat`, and let `threads.watching` see by it how far the turn has come."""
    turns = itertools.repeat(nothing, count)
    if (serving := here.serving) is not None:
        serving.progress = turns
    return turns


class Common[K, M]:
    """What the workers of a pool have in common."""

    __slots__ = (
        "begin",
        "ended",
        "flow",
        "keeping",
        "office",
        "quiet",
        "repeat",
        "rouse",
        "threads",
        "throughput",
        "tick",
        "timers",
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
        plain = type(worker) is FunctionType and worker.__code__.co_flags & inspect.CO_GENERATOR
        self.begin: Final[GeneratorFunction[K, M] | None] = worker if plain else None
        """The same, if it is nothing but a generator function."""
        self.office: Final = office
        self.threads: Final = threads
        self.timers: Final = timers
        self.keeping: Final = keeping
        self.tick: int = 0
        """The tick of the last sweep, where there are any; see `pool.ticks`."""
        if keeping is not None:
            keeping.ticks.show(self)
        self.throughput: Final = throughput
        self.ended: Final = ended
        self.flow: Any = None
        """A `PoolFlow`, where the lanes are those of `pool.flowing`."""
        self.rouse: Callable[[Any], object]
        """Has the roster count a lane that was dormant; set once, before a worker starts."""
        self.quiet: EndsQuietly | None = None
        """What ends a worker that has returned, if it can; else `ended` is called. The object, not
        its method: so threads share the reference count of one object, not of three."""
        self.repeat: Callable[[None, int], Iterator[None]] = itertools.repeat
        """Counts down the messages of a turn; where turns are watched, `shown`."""
