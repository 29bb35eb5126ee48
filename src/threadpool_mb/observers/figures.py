"""The figures of pools, read from their `stats()` when that is asked for.

**Guarantees.** Each figure is there once for each name: of several pools with one name, the sum,
and the greatest of what is a time. A pool of the process that has forked this one is left out, and
so is one that cannot be read.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Final, Literal, final, override

from threadpool_mb.forking import MADE_BEFORE_FORK, remade_in_children
from threadpool_mb.logs import Logger
from threadpool_mb.observer import Observer, Stats

__all__ = ["FIGURES", "Figure", "Figures", "OfPool"]

_logger = Logger(__name__)

# Guards the lists of pools. No thread waits under it. Reentrant: a finalizer may end a pool.
_listing: Final = remade_in_children(threading.RLock())


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A figure that a snapshot may have, as an attribute of this name."""

    name: str
    kind: Literal["gauge", "counter"]
    unit: str
    """As OpenTelemetry has them."""
    text: str
    """What it is."""
    label: str | None = None
    """By what it is told apart, if it is several."""


FIGURES: Final = (
    Figure("keys", "gauge", "{key}", "Keys that have a worker, a task or a resource."),
    Figure("busy", "gauge", "{key}", "Keys with a message in hand, or that waits."),
    Figure("busy_threads", "gauge", "{thread}", "Threads that run a worker now."),
    Figure("waiting", "gauge", "{message}", "Messages that wait."),
    Figure("threads", "gauge", "{thread}", "Threads, idle ones included."),
    Figure("stuck", "gauge", "{worker}", "Workers that are busy on a message for too long."),
    Figure("oldest", "gauge", "s", "Since when the worker is busy that is so for the longest."),
    Figure("handled", "counter", "{message}", "Messages that were handled."),
    Figure("started", "counter", "{worker}", "Workers that were started."),
    Figure("failed", "counter", "{failure}", "Workers, or tasks, that have raised."),
    Figure("restarted", "counter", "{worker}", "Workers that were started again."),
    Figure("cancelled", "counter", "{task}", "Tasks that were cancelled."),
    Figure("ended", "counter", "{worker}", "Workers that have ended.", "cause"),
    Figure("dead_letters", "counter", "{message}", "Messages that were not handled.", "reason"),
)


@final
class Figures:
    """The pools that can be read now. Threads: internally synchronized."""

    __slots__ = ("_pools",)

    def __init__(self) -> None:
        """Know of no pool."""
        self._pools: Final[list[tuple[object, str, Callable[[], Stats]]]] = []

    def add(self, owner: object, name: str, stats: Callable[[], Stats]) -> None:
        """Read a pool from now on; `owner` is what `remove` is to be given."""
        with _listing:
            self._pools.append((owner, name, stats))

    def remove(self, owner: object) -> None:
        """Read a pool no more."""
        with _listing:
            self._pools[:] = [each for each in self._pools if each[0] is not owner]

    def read(self) -> list[tuple[str, Stats]]:
        """Return a snapshot of each pool, behind its name."""
        with _listing:
            pools = list(self._pools)
        snapshots: list[tuple[str, Stats]] = []
        for _, name, stats in pools:
            try:
                snapshots.append((name, stats()))
            except Exception:
                _logger.exception("%s: its statistics cannot be read", name)
        return [each for each in snapshots if each[1].state != MADE_BEFORE_FORK]

    @staticmethod
    def values(
        figure: Figure, snapshots: list[tuple[str, Stats]]
    ) -> Iterator[tuple[str, str, float]]:
        """Yield a figure's values: the pool's name, the label ("" if it has none), the value."""
        values: dict[tuple[str, str], float] = {}
        for name, stats in snapshots:
            for label, value in _values_of(figure, stats):
                at = (name, label)
                before = values.get(at, 0)
                values[at] = max(before, value) if figure.unit == "s" else before + value
        for (name, label), value in values.items():
            yield name, label, value


def _values_of(figure: Figure, stats: Stats) -> Iterator[tuple[str, float]]:
    value: object = getattr(stats, figure.name, None)
    if isinstance(value, Mapping):
        for label, count in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield str(label), count  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, int | float):
        yield "", value
    elif isinstance(value, Sized) and not isinstance(value, str | bytes):
        yield "", len(value)


class OfPool(Observer):
    """Has the figures of one pool among others', from its making to its end."""

    __slots__ = ("_figures",)

    def __init__(self, figures: Figures) -> None:
        """Have them among `figures`."""
        self._figures: Final = figures

    @override
    def attach(self, name: str, stats: Callable[[], Stats], /) -> None:
        self._figures.add(self, name, stats)

    @override
    def detach(self, name: str, /) -> None:
        self._figures.remove(self)
