"""Giving the core away a few times before a thread parks.

A thread that parks has to be woken: its sender pays some µs for the system call, and is often
pre-empted by the thread that it woke, so that every message costs two switches. One that gives its
core away first comes back a little later, mostly to several messages, and nobody had to wake it.
One thread that dispatches to a thousand function workers is twice as fast with it, or more
(`benchmarks/`, "dispatch to 1000 function workers"); a thread that is idle pays three short system
calls before it parks.
"""

import os
import queue

__all__ = ["get_patiently"]

_TIMES = 3


def get_patiently[T](items: "queue.SimpleQueue[T]") -> T:
    """Take what comes next out of a queue that was found empty.

    Blocks: until something is there; gives the core away a few times before it parks.
    """
    for _ in range(_TIMES):
        os.sched_yield()
        if items.qsize():
            break
    return items.get()
