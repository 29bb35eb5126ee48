"""Watching pools: a thread that takes a snapshot of each, now and then.

**What it costs a pool.** `stats()` is called once an interval, `hot()` while somebody looks at the
page. Both take as long as there are keys with something to do, seconds where there are millions. So
`hot()` is called so seldom that it takes no more than a fiftieth of the time; so is `stats()`, or a
tenth while somebody looks. The keys are never gone through for anything else.

**What it keeps.** A pool is referred to weakly, so that the page keeps none alive. Of its keys
those are kept that the page shows, and the last 500 that it has shown (`answers`), until the pool
ends.

**Threads.** The sampler's thread makes frozen `Shot`s and publishes each with one assignment; the
server's thread reads the latest one. There is no lock.

**Assumes.** Assigning to an attribute and reading it are atomic.
"""

import collections
import dataclasses
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, final

from threadpool_mb.dashboard.figures import Figures, Stuck, figures_of, stuck_of, text_of
from threadpool_mb.logs import Logger

__all__ = ["ENDED", "Hot", "HotKey", "Point", "Sampler", "Shot", "Watch", "Watched"]

_logger = Logger(__name__)

POINTS: Final = 300
"""Points in time that the page shows."""
HOT: Final = 20
"""Keys with the longest queues that the page shows."""
STUCK: Final = 20
"""Stuck workers that the page shows."""
ENDED: Final = "ended"
"""The state of a pool that has ended, after which nothing changes."""

_SHARE: Final = 50
"""One part in how many of the time is spent on asking a pool for its hot keys, and on its figures
while nobody looks at them."""
_SHARE_LOOKED_AT: Final = 10
"""One part in how many is spent on its figures while somebody looks at them."""
_LOOKED_AT_FOR: Final = 10.0
"""Seconds for which a page counts as open after it has asked."""
_AT_LEAST: Final = 5.0
"""The least of those, in intervals."""


class Watched(Protocol):
    """What the dashboard can show: a `Pool`, `KeyedExecutor` or `Broker`, or what looks like one.

    If there is a `worker(key)`, too, that returns a worker's record or `None`, the page finds keys
    that are not among the hot ones.
    """

    def stats(self) -> object:
        """Return a snapshot, as `Pool.stats` does; it may lack some of those figures."""
        ...

    def hot(self, n: int, /) -> Iterable[object]:
        """Return the `key`, `state`, `messages` of the `n` keys with the longest queues."""
        ...


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """The figures that are plotted, at one time."""

    number: int
    time: float
    figures: Figures


@final
@dataclasses.dataclass(frozen=True, slots=True)
class HotKey:
    """A key with a long queue."""

    key: object
    text: str
    worker: object


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Hot:
    """The keys with the longest queues, at one time."""

    time: float
    seconds: float
    """What it took to find them."""
    keys: tuple[HotKey, ...]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """A pool as it was when it was last looked at."""

    figures: Figures
    points: tuple[Point, ...]
    stuck: tuple[Stuck, ...]
    hot: Hot | None
    gone: bool
    """Whether the pool is no longer there; the figures are the last ones then."""
    error: str | None
    """What asking the pool has raised, the last time."""


_NOT_SEEN: Final = Shot(
    Figures(None, "not looked at yet", {}, {}, {}), (), (), None, gone=False, error=None
)


@final
class Watch:
    """A pool that is watched. Threads: `look` on the sampler's, the rest on any."""

    __slots__ = ("_cost", "_hot_at", "_points", "_refer", "_taken", "kind", "number", "shot")

    def __init__(self, number: int, source: Watched) -> None:
        """Watch `source`, with a number that is unique on the page."""
        self.number: Final = number
        self.kind: Final = type(source).__name__
        self.shot: Shot = _NOT_SEEN
        self._points: Final[collections.deque[Point]] = collections.deque(maxlen=POINTS)
        # When the last snapshot was taken, and what it took.
        self._taken = self._cost = 0.0
        self._hot_at = 0.0
        try:
            self._refer: Callable[[], Watched | None] = weakref.ref(source)
        except TypeError:  # its class has slots, and none for that
            self._refer = lambda: source

    @property
    def source(self) -> Watched | None:
        """The pool, if it is still there."""
        return self._refer()

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.shot.gone or self.shot.figures.state == ENDED

    def look(self, number: int, *, looked_at: bool) -> None:
        """Take a snapshot; `looked_at`: and look for the hot keys, if it is time for it."""
        if self.over:
            return
        source = self._refer()
        if source is None:
            figures = dataclasses.replace(self.shot.figures, state=ENDED)
            shot = dataclasses.replace(self.shot, figures=figures, stuck=(), hot=None)
            self.shot = dataclasses.replace(shot, gone=True, error=None)
            return
        try:
            self._look(source, number, _SHARE_LOOKED_AT if looked_at else _SHARE)
            if looked_at:
                self._look_for_hot(source)
        except BaseException as error:  # noqa: BLE001 - of a user's object; the page shows it
            self.shot = dataclasses.replace(self.shot, error=text_of(error))

    def look_for_hot(self) -> None:
        """Look for the hot keys, if it is time for it."""
        source = self._refer()
        if source is not None:
            try:
                self._look_for_hot(source)
            except BaseException as error:  # noqa: BLE001 - of a user's object; the page shows it
                self.shot = dataclasses.replace(self.shot, error=text_of(error))

    def _look(self, source: Watched, number: int, share: int) -> None:
        start = time.monotonic()
        if start < self._taken + share * self._cost:
            return
        stats = source.stats()
        self._taken = time.monotonic()
        self._cost = self._taken - start
        figures = figures_of(stats)
        self._points.append(Point(number, time.time(), figures))
        hot = None if figures.state == ENDED else self.shot.hot
        stuck = stuck_of(stats, STUCK)
        self.shot = Shot(figures, tuple(self._points), stuck, hot, gone=False, error=None)

    def _look_for_hot(self, source: Watched) -> None:
        start = time.monotonic()
        if start < self._hot_at or self.over:
            return
        workers = list(itertools.islice(source.hot(HOT), HOT))
        seconds = time.monotonic() - start
        keys: list[object] = [getattr(worker, "key", None) for worker in workers]
        rows = [
            HotKey(key, text_of(key), worker) for key, worker in zip(keys, workers, strict=True)
        ]
        end = time.monotonic()
        self._hot_at = end + _SHARE * (end - start)
        self.shot = dataclasses.replace(self.shot, hot=Hot(time.time(), seconds, tuple(rows)))


@final
class Sampler:
    """Looks at all pools once an interval, on the thread that calls `run`."""

    __slots__ = ("_asked", "_interval", "_stopped", "_wake", "number", "watches")

    def __init__(self, sources: Sequence[Watched], interval: float) -> None:
        """Look at `sources`; nothing is looked at before `run`."""
        self.watches: Final = tuple(Watch(number, each) for number, each in enumerate(sources))
        self.number: int = 0
        """The number of the last sample."""
        self._interval: Final = interval
        self._asked = float("-inf")
        self._stopped: Final = threading.Event()
        self._wake: Final = threading.Event()

    @property
    def interval(self) -> float:
        """Seconds between two samples."""
        return self._interval

    def asked(self) -> None:
        """Take note that a page is open. Blocks: never. Threads: any."""
        before, self._asked = self._asked, time.monotonic()
        if self._asked - before > self._open_for:
            self._wake.set()

    def stop(self) -> None:
        """Have `run` return. Blocks: never. Threads: any."""
        self._stopped.set()
        self._wake.set()

    def run(self) -> None:
        """Look at the pools until `stop` is called."""
        while not self._stopped.is_set():
            due = time.monotonic() + self._interval
            self._look()
            while (left := due - time.monotonic()) > 0 and self._wake.wait(left):
                self._wake.clear()
                if self._stopped.is_set():
                    return
                self._show_at_once()

    def _look(self) -> None:
        looked_at = time.monotonic() - self._asked < self._open_for
        for watch in self.watches:
            if not self._stopped.is_set():
                watch.look(self.number + 1, looked_at=looked_at)
        self.number += 1

    def _show_at_once(self) -> None:
        """Look for what a page wants that was just opened."""
        for watch in self.watches:
            if not self._stopped.is_set():
                watch.look_for_hot()

    @property
    def _open_for(self) -> float:
        return max(_LOOKED_AT_FOR, _AT_LEAST * self._interval)
