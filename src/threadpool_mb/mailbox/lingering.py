"""Giving the core away a few times before a thread parks.

A thread that parks has to be woken: its sender pays some µs for the system call, and is often
pre-empted by the thread that it woke, so that every message costs two switches. One that gives its
core away first comes back a little later, mostly to several messages, and nobody had to wake it.
One thread that dispatches to a thousand function workers is twice as fast with it, or more
(`benchmarks/`, "dispatch to 1000 function workers"); a thread that is idle pays three short system
calls before it parks.
"""

import os
from collections.abc import Callable

__all__ = ["linger"]

_TIMES = 3


def linger(waiting: Callable[[], int]) -> None:
    """Give the core away until `waiting()` is true, a few times at most.

    Blocks: hardly; as long as others need the core.
    """
    for _ in range(_TIMES):
        os.sched_yield()
        if waiting():
            return
