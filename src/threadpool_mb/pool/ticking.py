"""Generator workers of which it is known since when they are idle.

Only where somebody asks (`idle_timeout`, `max_keys`): it costs a turn some ten nanoseconds, and a
worker eight bytes.

**Guarantees.** A turn, and a call that is handled on its caller's thread, write the tick of their
end before the lane is idle.
"""

from typing import Any, ClassVar, final

from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.generator_workers import ForeignLane, GeneratorWorkers
from threadpool_mb.pool.pinned_workers import (
    PinnedForeignLane,
    PinnedLane,
    PinnedStoredLane,
    PinnedWorkers,
)
from threadpool_mb.pool.stored_lanes import StoredLane
from threadpool_mb.threads.here import Inner

__all__ = ["TickingPinnedWorkers", "TickingWorkers"]


class _Ticking:
    """A lane that writes the tick."""

    __slots__ = ()

    common: Any

    def _work(self) -> int:
        lane: Any = super()
        goes_on: int = lane._work()  # noqa: SLF001 - its own
        # Not once it has ended: another thread may have begun its next life.
        if goes_on > 0:
            lane = self  # each kind of lane has a slot for it
            lane.tick = self.common.keeping.next_tick()
        return goes_on

    def _handle(self, message: object, inner: Inner) -> bool:
        lane: Any = super()
        goes_on: bool = lane._handle(message, inner)  # noqa: SLF001 - its own
        lane = self
        lane.tick = self.common.keeping.next_tick()
        return goes_on


@final
class _TickingLane[K, M](_Ticking, GeneratorLane[K, M]):
    __slots__ = ("tick",)


@final
class _TickingForeignLane[K, M](_Ticking, ForeignLane[K, M]):
    __slots__ = ("tick",)


@final
class _TickingPinnedLane[K, M](_Ticking, PinnedLane[K, M]):
    __slots__ = ("tick",)


@final
class _TickingPinnedForeignLane[K, M](_Ticking, PinnedForeignLane[K, M]):
    __slots__ = ("tick",)


@final
class _TickingStoredLane[K, M](_Ticking, StoredLane[K, M]):
    __slots__ = ("tick",)


@final
class _TickingPinnedStoredLane[K, M](_Ticking, PinnedStoredLane[K, M]):
    __slots__ = ("tick",)


@final
class TickingWorkers[K, M](GeneratorWorkers[K, M]):
    """Runs workers in turns, and knows since when each is idle."""

    __slots__ = ()

    _lane: ClassVar[type[GeneratorLane[Any, Any]]] = _TickingLane
    _foreign_lane: ClassVar[type[ForeignLane[Any, Any]]] = _TickingForeignLane
    _stored_lane: ClassVar[type[StoredLane[Any, Any]]] = _TickingStoredLane


@final
class TickingPinnedWorkers[K, M](PinnedWorkers[K, M]):
    """Runs pinned workers, and knows since when each is idle."""

    __slots__ = ()

    _lane: ClassVar[type[GeneratorLane[Any, Any]]] = _TickingPinnedLane
    _foreign_lane: ClassVar[type[ForeignLane[Any, Any]]] = _TickingPinnedForeignLane
    _stored_lane: ClassVar[type[StoredLane[Any, Any]]] = _TickingPinnedStoredLane
