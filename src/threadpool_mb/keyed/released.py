"""Gates in their lanes; and lanes that have waited for a task of several keys, and go on.

**Guarantees.** Each lane goes on once, on whatever thread, whatever interrupt comes: one that was
taken out, and could not go on, is put back (`interrupts`). A thread that looks at a lane, under its
shard's lock, finds the gates of all tasks of several keys that are not over.

**How gates are found.** A thread that takes what is next from a lane has it in hand before it sees
that it is a gate. Another one, that cancels what waits for the key, must not miss it then. So a
lane that a gate was put behind has a line that leaves gates in their places, where all look.
Putting up a gate with its line, taking, and taking away are steps under that lock, and a gate is
taken away once its task is over: run, or cancelled. Lanes without gates have a plain `deque`, and
pay nothing. Not so the gates of tasks of all keys, which belong to no single key.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, final, override

from threadpool_mb.errors import ThreadRefused
from threadpool_mb.interrupts import after
from threadpool_mb.keyed.standins import RunsTasks, StandIn
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.logs import Logger

__all__ = ["leave_in_place", "log_lost", "pass_gate", "schedule", "take_away", "take_out"]

_logger = Logger(__name__)

_take_first: Final[Callable[[deque[Task]], Task]] = deque[Task].popleft
"""Takes a gate, too."""


@final
class _Line(deque[Task]):
    """What is behind a lane; a gate that is taken stays, and is the first one still."""

    __slots__ = ()

    @override
    def popleft(self) -> Task:
        first = self[0]
        context = first.context
        if isinstance(context, StandIn) and context.is_gate:
            return first
        return super().popleft()


def leave_in_place(gate: Task) -> bool:
    """Have a gate that was just added to a lane stay in it until it is passed; under the lock.

    Returns:
        `False`: its lane is not to be scheduled.
    """
    # The gate itself may be the lane, which is held back.
    lane = gate.shard.entries.get(gate.key, gate)
    line = lane.behind
    if line is not None and line.__class__ is not _Line:
        # Nothing comes between the two: what a signal handler adds is copied, or comes after that;
        # see `interrupts`. None puts up another gate meanwhile (`keyed.placing`).
        for lane.behind in map(_Line, (line,)):
            pass
    return False


def take_away(lane: Task, gate: Task) -> None:
    """Take away a gate that a lane has come to, which goes on in its own turn."""
    with lane.shard.lock:
        behind = lane.behind
        if behind and behind[0] is gate:
            _take_first(behind)


def pass_gate(lane: Task, several: RunsTasks) -> Task | None:
    """Take the gate of `several` away, at which a lane waits, if that was not done.

    Returns:
        The lane's next task, which stays where it is; `None` if the lane has ended.
    """
    shard = lane.shard
    with shard.lock:
        # Not looked up: the key may raise, and its lane would be lost. It has its entry until then.
        if shard.closed and not shard.entries:
            return None  # all were left out
        behind = lane.behind
        if not behind:
            if not lane.ended:
                lane.ended = True
                # The entry's key is this very object: nothing is compared with it.
                del shard.entries[lane.key]
            return None
        gate = None
        if lane.context is several:
            gate = lane
        elif behind[0].context is several:
            gate = _take_first(behind)
            if not behind:
                lane.ended = True
                del shard.entries[lane.key]
                return None
        if gate is not None:
            gate.context = None
        task = behind[0]
    # Not under the lock: what is forgotten may be users' objects.
    if gate is not None:
        gate.forget()
    return task


def take_out(
    take: Callable[[], Iterator[Task]],
    put_back: Callable[[Task], object],
    go_on: Callable[[list[Task]], object],
) -> None:
    """Take out all lanes, and have each go on that is in a list; an interrupt puts it back.

    `take` returns an iterator in C of one lane; see `interrupts`.
    """
    with contextlib.suppress(LookupError):
        while True:
            for lane in take():
                in_hand = [lane]
                try:
                    go_on(in_hand)
                except BaseException:  # an interrupt
                    for each in in_hand:
                        put_back(each)
                    raise


def schedule(in_hand: list[Task]) -> None:
    """Schedule the lane in hand, which it is no more then; see `interrupts`."""
    threads = in_hand[0].shard.threads
    for _ in map(threads.put, after(in_hand.pop)):
        try:
            threads.grow_if_needed()
        except ThreadRefused:
            pass  # without a thread, the next sender asks for one again
        except BaseException:  # an interrupt
            threads.ask_again()
            raise


def log_lost(lane: Task) -> None:
    """Log the error that is being handled: a key's, whose entry stays, and keeps no task."""
    lane.forget()
    _logger.exception(  # noqa: LOG004 - it is in a handler
        "%s: the entry of key at %#x stays: looking it up failed",
        lane.shard.table.name,
        id(lane.key),
    )
