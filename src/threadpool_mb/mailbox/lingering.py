"""Spinning with `sched_yield` before a thread parks.

A thread that parks has to be woken: its sender pays some µs for the system call, and is often
pre-empted by the thread that it woke, so that every message costs two switches. One that gives its
core away first comes back a little later, mostly to several messages, and nobody had to wake it; a
thread that is idle pays three short system calls before it parks. Without it, `submit_keyed` falls
from 1.7 times the best peer to 1.07 (`benchmarks/`, "submitting").

Where others want the core too, it comes back much later: a whole time slice for a message that
might have woken it at once. So if that has happened, and not even two messages were there, the
threads of this process park without more ado for a while. They all look at one variable, without a
lock: who reads it too early or too late gives its core away once more, or once less.
"""

import os
import queue
import time
from typing import Final

from threadpool_mb.waiting import parked

__all__ = ["get_patiently", "receive_patiently"]

_YIELDS: Final = 3
_TOO_LONG: Final = 0.0005
"""Seconds without the core that are too many for one message."""
_PARK_AT_ONCE_FOR: Final = 0.05
"""Seconds for which nobody gives the core away then."""

_not_before = 0.0
"""The `perf_counter` before which nobody does."""


def get_patiently[T](items: "queue.SimpleQueue[T]") -> T:
    """Take what comes next out of a queue that was found empty.

    Blocks: until something is there; may give the core away a few times before it parks.
    """
    global _not_before  # noqa: PLW0603 - of the whole process; see the module
    start = time.perf_counter()
    if start >= _not_before:
        for _ in range(_YIELDS):
            os.sched_yield()
            if items.qsize():
                break
        if items.qsize() < 2:  # noqa: PLR2004 - several are worth it
            end = time.perf_counter()
            if end - start > _TOO_LONG:
                _not_before = end + _PARK_AT_ONCE_FOR
    return items.get()


def receive_patiently[T](messages: "queue.SimpleQueue[T]") -> T:
    """Take the next message of a mailbox that was found empty.

    As `get_patiently`, which is for threads that have nothing else to do. One that takes turns of
    many workers receives for one of them; it says so, that another thread may take the turns of the
    others: among them may be the one that is to send.
    """
    with parked():
        return get_patiently(messages)
