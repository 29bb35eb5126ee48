"""Lanes that have waited for a task of several keys, or of all, and go on.

**Guarantees.** Each lane goes on once, on whatever thread, whatever interrupt comes: one that was
taken out, and could not go on, is put back (`interrupts`).
"""

import contextlib
from collections.abc import Callable, Iterator

from threadpool_mb.errors import ThreadRefused
from threadpool_mb.interrupts import after
from threadpool_mb.keyed.standins import RunsTasks
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.logs import Logger

__all__ = ["log_lost", "pass_gate", "schedule", "take_out"]

_logger = Logger(__name__)


def pass_gate(lane: Task, several: RunsTasks) -> Task | None:
    """Take the gate of `several` away, at which a lane waits, if that was not done.

    Returns:
        The lane's next task, which stays where it is; `None` if the lane has ended.
    """
    shard = lane.shard
    with shard.lock:
        if shard.closed and shard.entries.get(lane.key) is not lane:
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
            gate = behind.popleft()
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
    # Without a thread, and where the system starts none, the next sender asks for one again.
    with contextlib.suppress(ThreadRefused):
        for _ in map(threads.put, after(in_hand.pop)):
            threads.grow_if_needed()


def log_lost(lane: Task) -> None:
    """Log the error that is being handled: a key's, whose entry stays."""
    _logger.exception(  # noqa: LOG004 - it is in a handler
        "%s: the entry of key at %#x stays: looking it up failed",
        lane.shard.table.name,
        id(lane.key),
    )
