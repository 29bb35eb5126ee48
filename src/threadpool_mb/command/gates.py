"""What one who waits for an answer waits for: a lock that is held until the answer is there."""

import contextlib
import threading
from typing import Final

__all__ = ["Gate", "gate_in", "open_gate"]

Gate: Final = type(threading.Lock())


def gate_in(log: list[object]) -> threading.Lock:
    """Return a gate that is in a reply's log; one that is added, if there was none."""
    for entry in log:
        if type(entry) is Gate:
            return entry
    gate = threading.Lock()
    gate.acquire()
    log.append(gate)
    return gate


def open_gate(gate: threading.Lock) -> None:
    """Let the next one who waits go on; the gate may be open."""
    with contextlib.suppress(RuntimeError):
        gate.release()
