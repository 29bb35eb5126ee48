"""Generator workers of which it is known since when they are idle.

Only where somebody asks (`idle_timeout`, `max_keys`): it costs a turn 40 ns on 3.14t and 90 on
3.13t, and a worker eight bytes; where each turn has a tick of its own, that number, too.

**Guarantees.** A turn behind which its lane is idle, and a call that is handled on its caller's
thread, write the tick of their end before the lane is idle.

What a turn does more is in its last step, `Lane._let_go`, which is written out here: a frame more
costs a turn of one message 3 % on 3.14t (`benchmarks.budgets`, lives whose messages come singly).
"""

import functools
import threading
from typing import Any, Final

from threadpool_mb.line.inlet import IDLE
from threadpool_mb.pool.called_here import CalledHere
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.generator_workers import GeneratorWorkers
from threadpool_mb.pool.ticks import next_tick
from threadpool_mb.threads.here import Inner

__all__ = ["ticking"]

_handle: Final[Any] = CalledHere._handle  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
"""The function: `super()` would be an object to make, and a look through all base classes. A lane
that is made of a ticking one may have another, which calls the one below."""


class _Ordered:
    """A lane whose turns each have a tick of their own; beside its own class."""

    __slots__ = ()

    common: Any

    def _let_go(self) -> None:
        lane: Any = self  # each kind of lane has the slots
        if lane.cancelled and self.common.threads.in_child:
            return
        if lane.qsize():
            self.common.threads.schedule(lane)
            return
        lane.tick = next_tick()
        busy: threading.Lock | None = lane._busy  # noqa: SLF001 - its own
        if busy is None:
            lane._busy = threading.Lock()  # noqa: SLF001 - its own
            lane.unattended = IDLE
        else:
            lane.unattended = IDLE
            busy.release()
        if lane.qsize():
            lane.attend()

    def _handle(self, message: object, inner: Inner) -> bool:
        lane: Any = self
        goes_on: bool = _handle(lane, message, inner)
        lane.tick = next_tick()
        return goes_on


class _Swept:
    """A lane whose turns write the tick of the last sweep: one number for all lanes of a pool."""

    __slots__ = ()

    common: Any

    def _let_go(self) -> None:
        lane: Any = self
        common = self.common
        if lane.cancelled and common.threads.in_child:
            return
        if lane.qsize():
            common.threads.schedule(lane)
            return
        lane.tick = common.tick
        busy: threading.Lock | None = lane._busy  # noqa: SLF001 - its own
        if busy is None:
            lane._busy = threading.Lock()  # noqa: SLF001 - its own
            lane.unattended = IDLE
        else:
            lane.unattended = IDLE
            busy.release()
        if lane.qsize():
            lane.attend()

    def _handle(self, message: object, inner: Inner) -> bool:
        lane: Any = self
        goes_on: bool = _handle(lane, message, inner)
        lane.tick = self.common.tick
        return goes_on


@functools.cache
def _kind(kind: Any, *, ordered: bool) -> type[GeneratorWorkers[Any, Any]]:  # noqa: ANN401 - see below
    mixin = _Ordered if ordered else _Swept

    def of(lane: type[GeneratorLane[Any, Any]]) -> type[GeneratorLane[Any, Any]]:
        name = f"Ticking{lane.__name__.lstrip('_')}"
        return type(name, (mixin, lane), {"__slots__": ("tick",)})

    lanes = {name: of(getattr(kind, name)) for name in ("_lane", "_foreign_lane", "_stored_lane")}
    return type(f"Ticking{kind.__name__}", (kind,), {"__slots__": (), **lanes})


def ticking(
    kind: type[GeneratorWorkers[Any, Any]], *, ordered: bool
) -> type[GeneratorWorkers[Any, Any]]:
    """Return workers of a kind that know since when each is idle.

    `ordered`: it is known of any two which is idle longer, and no two have the same tick.
    """
    given: Any = kind  # a type, which mypy does not take for one that can be hashed
    return _kind(given, ordered=ordered)
