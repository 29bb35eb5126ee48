"""The gate in front of an answer: what a caller parks at until the answer is there.

A gate is a queue of tokens. The thread that gives the answer puts one; a waiter takes one, and puts
another one for the next waiter. So a token goes from waiter to waiter, and each of them is woken.

Not a lock that is held until the answer is there: of such a lock two threads are releasers, the one
that answers and a waiter that passes it on, for which `PyMutex` is not made (a debug build of 3.14t
ends with a failed assertion). A lock is also slower to wait for: on free-threaded builds a mutex
spins and yields before it parks. A call across threads takes 0.8 times as long with a queue on
3.13t, 0.5 times on 3.14t (`benchmarks/`, "commands").

**Assumes.** What `mailbox.sending` says of `SimpleQueue`; and that each token wakes one of the
threads that wait with a timeout, whichever of them is interrupted or times out meanwhile
(`tests/test_assumptions.py`).
"""

import queue
from typing import Final

__all__ = ["Gate", "gate_in", "open_gate"]

Gate: Final = queue.SimpleQueue


def gate_in(log: list[object]) -> "queue.SimpleQueue[None]":
    """Return a gate that is in a reply's log; one that is added, if there was none."""
    for entry in log:
        if isinstance(entry, queue.SimpleQueue):
            return entry
    gate: queue.SimpleQueue[None] = queue.SimpleQueue()
    log.append(gate)
    return gate


def open_gate(gate: "queue.SimpleQueue[None]") -> None:
    """Let the next waiter go on; a gate that is open stays open. Blocks: never."""
    gate.put(None)
