"""The figures of pools, read from their `stats()` when that is asked for.

**Guarantees.** Each figure is there once for each name: of several pools with one name, the sum,
and the greatest of what is a time. A counter does not fall as long as there is a pool with the
name: those that have ended meanwhile are in the sum. A pool of the process that has forked this one
is left out, and so is one that cannot be read. Each name can be encoded.
"""

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Final, Literal, final, override

from threadpool_mb.forking import MADE_BEFORE_FORK, remade_in_children
from threadpool_mb.logs import Logger
from threadpool_mb.observer import Observer, Stats

__all__ = ["FIGURES", "Figure", "Figures", "OfPool", "encodable"]

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
class _Ended:
    """What pools with one name have counted that have ended. Guarded by `_listing`."""

    __slots__ = ("counts", "process")

    def __init__(self) -> None:
        self.counts: Final[dict[tuple[str, str], float]] = {}
        """By figure and label."""
        self.process: Final = os.getpid()
        """In a child of it, its pools are left out, and so is this."""

    def take(self, stats: Stats) -> None:
        for figure in FIGURES:
            if figure.kind == "counter":
                for label, value in _values_of(figure, stats):
                    at = (figure.name, label)
                    self.counts[at] = self.counts.get(at, 0) + value


type _Read = tuple[object, str, Callable[[], Stats]]
"""A pool's owner, its name, and what reads it."""

type Snapshot = Stats | _Ended
"""What is read of a pool, or of those with its name that have ended."""


@final
class Figures:
    """The pools that can be read now. Threads: internally synchronized."""

    __slots__ = ("_ended", "_ending", "_pools")

    def __init__(self) -> None:
        """Know of no pool."""
        self._pools: Final[list[_Read]] = []
        # Those that were removed, but may have something to count.
        self._ending: Final[list[_Read]] = []
        # By name, as long as there is a pool with the name.
        self._ended: Final[dict[str, _Ended]] = {}

    def add(self, owner: object, name: str, stats: Callable[[], Stats]) -> None:
        """Read a pool from now on; `owner` is what `remove` is to be given."""
        with _listing:
            self._pools.append((owner, encodable(name), stats))

    def remove(self, owner: object) -> None:
        """Read a pool no more; it has ended.

        What it has counted stays in the sum if there is another one with its name. A counter that
        fell would be taken for one that begins anew: all that the others have counted so far would
        seem to have come since.
        """
        with _listing:
            self._ending.extend(each for each in self._pools if each[0] is owner)
            self._pools[:] = self._others_locked(owner)
        self._settle()

    def _others_locked(self, owner: object) -> list[_Read]:
        return [each for each in self._pools if each[0] is not owner]

    def _settle(self) -> None:
        """Take what pools have counted in all into the sum, of those that count no more.

        That is told of a pool's end in the last of its turns, say, which has yet to be counted.
        """
        with _listing:
            ending = list(self._ending)
        for each in ending:
            now = _snapshots([each])  # off the lock
            if not now or now[0][1].state == "ended":
                with _listing:
                    self._take_locked(each, now)
        with _listing:
            names = {name for _, name, _ in self._pools}
            self._ending[:] = self._ending_locked(names)
            for name in self._ended.keys() - names:
                del self._ended[name]

    def _ending_locked(self, names: set[str]) -> list[_Read]:
        return [each for each in self._ending if each[1] in names]

    def _take_locked(self, pool: _Read, now: list[tuple[str, Stats]]) -> None:
        left = [each for each in self._ending if each is not pool]
        if len(left) < len(self._ending):  # else another thread has taken it
            self._ending[:] = left
            for name, stats in now:
                self._ended_of(name).take(stats)

    def _ended_of(self, name: str) -> _Ended:
        ended = self._ended.get(name)
        if ended is None or ended.process != os.getpid():
            ended = self._ended[name] = _Ended()
        return ended

    def _before_locked(self) -> list[tuple[str, Snapshot]]:
        process = os.getpid()
        return [
            (name, _copied(ended))
            for name, ended in self._ended.items()
            if ended.process == process
        ]

    def read(self) -> list[tuple[str, Snapshot]]:
        """Return a snapshot of each pool, behind its name."""
        self._settle()
        with _listing:
            pools = [*self._pools, *self._ending]
            # Copied in the same hold: a pool is in one of both.
            before = self._before_locked()
        return [*before, *_snapshots(pools)]

    @staticmethod
    def values(
        figure: Figure, snapshots: list[tuple[str, Snapshot]]
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


def encodable(text: str) -> str:
    """Return a text as it is, but for what cannot be encoded: half of a surrogate pair, escaped.

    One name of a file that is no text would otherwise break what shows all the others, too.
    """
    return text.encode(errors="backslashreplace").decode()


def _snapshots(pools: list[_Read]) -> list[tuple[str, Stats]]:
    snapshots: list[tuple[str, Stats]] = []
    for _, name, stats in pools:
        try:
            snapshots.append((name, stats()))
        except Exception:
            _logger.exception("%s: its statistics cannot be read", name)
    return [each for each in snapshots if each[1].state != MADE_BEFORE_FORK]


def _copied(ended: _Ended) -> _Ended:
    copy = _Ended()
    copy.counts.update(ended.counts)
    return copy


def _values_of(figure: Figure, stats: Snapshot) -> Iterator[tuple[str, float]]:
    if isinstance(stats, _Ended):
        for (name, label), count in stats.counts.items():
            if name == figure.name:
                yield label, count
        return
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
