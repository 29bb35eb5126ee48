"""The gate in front of an answer: what a caller parks at until the answer is there.

A gate is a queue of tokens. The thread that gives the answer puts one; a waiter takes one, and puts
another one for the next waiter. So a token goes from waiter to waiter, and each of them is woken.

Not a lock that is held until the answer is there: of such a lock two threads are releasers, the one
that answers and a waiter that passes it on, for which `PyMutex` is not made (a debug build of 3.14t
ends with a failed assertion). Nor is a lock faster to wait for: a call across threads takes 0.9
times as long with a queue on 3.13t, and as long on 3.14t (`benchmarks/`, "commands").

**Assumes.** What `mailbox.sending` says of `SimpleQueue`; and that each token wakes one of the
threads that wait with a timeout, whichever of them is interrupted or times out meanwhile
(`tests/test_assumptions.py`).
"""

import queue
from typing import Final, cast

__all__ = ["Gate", "gate_in", "open_gate"]

Gate: Final[type[object]] = queue.SimpleQueue


def gate_in(log: list[object]) -> "queue.SimpleQueue[None]":
    """Return a gate that is in a reply's log; one that is added, if there was none."""
    for entry in log:
        if type(entry) is Gate:
            return cast("queue.SimpleQueue[None]", entry)
    gate: queue.SimpleQueue[None] = queue.SimpleQueue()
    log.append(gate)
    return gate


def open_gate(gate: "queue.SimpleQueue[None]") -> None:
    """Let the next waiter go on; a gate that is open stays open. Blocks: never."""
    gate.put(None)
