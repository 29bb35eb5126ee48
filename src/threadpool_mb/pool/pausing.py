"""Generator workers that are paused: they take no message until they are resumed.

Only a paused worker pays: its lane is of another class meanwhile, which has the same slots, and
whose turns do nothing but hold the lane. What came before the pause goes on to the end of its turn.

**Guarantees.** A worker that is paused has its messages kept, in their order. It is not idle: it is
neither ended nor evicted. One that is to end is resumed: it handles its backlog, or is cancelled.

The race of a turn that holds the lane, and the thread that resumes it. The turn is (1) and (2), the
thread (a) and (b):

1. The turn adds the lane to those that are held, busy and not scheduled.
2. It reads whether the lane is paused. If not, it takes the lane out again, and schedules it.
a. The thread writes that the lane is paused no more.
b. It takes the lane out, if it is there, and schedules it.

(1) and (b) are operations on one dict. If (1) comes first, one of (2) and (b) takes the lane out.
If (b) comes first, so does (a), and (2) sees it. The same holds of a lane that is paused as it is
closed: a thread that pauses it looks after that whether it is closed, and resumes it; one that
closes it looks after that whether it is paused, and does the same.
`tests/model/test_pausing_model.py` runs through the interleavings.
"""

import functools
from typing import Any, ClassVar, Final, cast

from threadpool_mb.arguments import check_key, describe
from threadpool_mb.interrupts import after
from threadpool_mb.pool.function_workers import FunctionWorker
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.reports import WorkerState
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.routes import find
from threadpool_mb.values import MISSING

__all__ = ["any_held", "is_paused", "pause", "pause_key", "resume", "resume_key"]

_held: Final[dict[GeneratorLane[Any, Any], None]] = {}
"""The lanes that are held, of all pools."""


class _Paused:
    """A lane whose turns hold it; beside its own class."""

    __slots__ = ()

    common: Any

    paused: ClassVar[bool] = True

    def turn(self) -> int:
        """Hold the lane; on this thread nothing follows."""
        lane: Any = self
        _held[lane] = None  # (1)
        if not is_paused(lane) and _held.pop(lane, MISSING) is None:  # (2)
            lane.common.threads.schedule(lane)
        return 0

    @property
    def activity(self) -> WorkerState:
        """What it does."""
        return "paused"

    @property
    def idle_since(self) -> None:
        """Not idle, whatever it waits for."""
        return

    def handle_here(self, message: object, **_: object) -> bool:
        """Handle nothing."""
        del message
        return False

    def go_on(self) -> None:
        """Be paused no more."""
        lane: Any = self
        resume(lane)


@functools.cache
def _paused(kind: type[GeneratorLane[Any, Any]]) -> type[GeneratorLane[Any, Any]]:
    return type(f"Paused{kind.__name__.lstrip('_')}", (_Paused, kind), {"__slots__": ()})


def pause_key[K](roster: Roster[K, Any], key: K) -> bool:
    """Pause the key's worker; see `Pool.pause`."""
    # Under the lock: a worker that is about to end as idle is idle no more, or has left.
    with roster.lock:
        lane = _lane(roster, key)
        return lane is not None and lane.current and pause(lane)


def resume_key[K](roster: Roster[K, Any], key: K) -> bool:
    """Have the key's worker go on; see `Pool.resume`."""
    with roster.lock:
        lane = _lane(roster, key)
        return lane is not None and resume(lane)


def _lane[K](roster: Roster[K, Any], key: K) -> GeneratorLane[K, Any] | None:
    check_key(key)
    incarnation = find(roster.routes, key)
    if isinstance(incarnation, FunctionWorker):
        raise TypeError(
            f"the worker of key {describe(key)} cannot be paused: it is a function, which takes"
            " its messages itself; only generator workers can"
        )
    return cast("GeneratorLane[K, Any] | None", incarnation)


def is_paused(lane: object) -> bool:
    """Return whether a worker is paused."""
    return isinstance(lane, _Paused)


def any_held(flow: object) -> bool:
    """Return whether a lane is held of a pool with this flow."""
    return any(lane.common.flow is flow for lane in _held.copy())


def pause(lane: GeneratorLane[Any, Any]) -> bool:
    """Pause a worker; `False` if it is paused, or is to end. Blocks: never."""
    kind: Any = type(lane)
    if issubclass(kind, _Paused) or lane.closed:
        return False
    lane.__class__ = _paused(kind)
    if lane.closed:
        resume(lane)
        return False
    return True


def resume(lane: GeneratorLane[Any, Any]) -> bool:
    """Have a worker go on; `False` if it was not paused. Blocks: never."""
    kind: Any = type(lane)
    if not issubclass(kind, _Paused):
        return False
    try:
        lane.__class__ = kind.__bases__[1]  # (a)
        _let_go(lane)  # (b)
    except BaseException:  # an interrupt; where it came before (a), the lane's turn holds it again
        _let_go(lane)
        lane.common.threads.grow_if_needed()
        raise
    return True


def _let_go(lane: GeneratorLane[Any, Any]) -> None:
    """Schedule a lane, if it is held."""
    threads = lane.common.threads
    put = map(threads.put, (lane,))
    # No interrupt comes between taking it out and putting it; see `interrupts`.
    for held in after(_held.pop, lane, MISSING):
        if held is None:
            for _ in put:
                threads.grow_if_needed()
