"""The log of one answer: settled once, read as often as one likes.

**Guarantees.** The first answer stands, whichever thread gives it. Each waiter is woken, and each
callback is called once, whatever comes together.

**How.** One list, the *log*, to which entries are only appended: outcomes (tuples), a *gate*, at
which waiters park until there is an outcome, and callbacks.
The first outcome in the log is the answer. The thread that appended it sees to the entries before
it: it opens the gate and calls the callbacks. A thread that appends another entry looks for an
outcome in front of it afterwards, and sees to its own entry if it finds one. So an entry is before
the answer or behind it, and either way one thread sees to it, once.

A gate is a queue of tokens. The thread that gives the answer puts one; a waiter takes one, and puts
another one for the next waiter. So a token goes from waiter to waiter, and each of them wakes.

Not a lock that is held until the answer is there: two threads release such a lock, the one that
answers and a waiter that passes it on, and `PyMutex` is not made for that (a debug build of 3.14t
ends with a failed assertion). Nor does a thread wait faster for a lock: a call across threads takes
0.9 times as long with a queue on 3.13t, and as long on 3.14t (`benchmarks/`, "commands").

**Assumes.** `list.append` is atomic, and a list can be iterated over while others append; what
`line.inlet` says of `SimpleQueue`; and that each token wakes one of the threads that wait with
a timeout, whichever of them is interrupted or times out meanwhile (`tests/test_assumptions.py`).
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, cast

from threadpool_mb.forking import remade_in_children
from threadpool_mb.logs import Logger
from threadpool_mb.numbers import CallId

__all__ = [
    "Gate",
    "Outcome",
    "count_late_reply",
    "gate_in",
    "late_replies",
    "outcome_in",
    "place_in",
    "run_callback",
    "wake_before",
]

_logger = Logger(__name__)

type Outcome = tuple[object, BaseException | None, bool]
"""The value, or the error; and whether it came out of the reply box."""

Gate: Final[type[Any]] = queue.SimpleQueue
"""What a gate is. To open it is to put `None`; one that is open stays open."""


def outcome_in(log: list[object]) -> Outcome | None:
    """Return the answer, if it is there."""
    entry: Any  # not `cast`, which is a call: every call of a command comes by here
    for entry in log:
        if type(entry) is tuple:
            return entry  # pyright: ignore[reportUnknownVariableType]
    return None


def place_in(log: list[object], mine: Outcome) -> tuple[bool, bool]:
    """Return whether `mine` is the answer, and whether the box was used before.

    It is not the answer where there was no memory to append it.
    """
    won, replied = True, False
    for entry in log:
        if entry is mine:
            break
        if type(entry) is tuple:
            won = False
            replied = replied or cast("Outcome", entry)[2]
    else:
        won = False
    return won, replied


def wake_before(mine: Outcome, log: list[object], number: int) -> None:
    """See to all entries before the answer; what a callback raises is raised after the last.

    What was interrupted is seen to again: the interrupt may have come before it began. A gate may
    be opened twice, and a callback does what it does once, though it is called twice.
    """
    raised: BaseException | None = None
    for entry in log:  # pragma: no branch - the answer is in its own log
        if entry is mine:
            break
        try:
            _see_to(entry, number)
        except BaseException as error:  # noqa: BLE001 - a callback's, or an interrupt
            raised = error
            with contextlib.suppress(BaseException):
                _see_to(entry, number)
    if raised is not None:
        raise raised


def _see_to(entry: object, number: int) -> None:
    """Open a gate, or call a callback."""
    if type(entry) is Gate:
        cast("queue.SimpleQueue[None]", entry).put(None)
    else:
        run_callback(cast("Callable[[], object]", entry), number)


def run_callback(callback: Callable[[], object], number: int) -> None:
    """Call what is to be called once an answer is there; an `Exception` of it is logged."""
    try:
        callback()
    except Exception:
        _logger.exception("a callback of the call %s raised", CallId(number))


def gate_in(log: list[object]) -> "queue.SimpleQueue[None]":
    """Return the gate that is in a log; one that is added, if there was none."""
    for entry in log:
        if type(entry) is Gate:
            return cast("queue.SimpleQueue[None]", entry)
    gate: queue.SimpleQueue[None] = queue.SimpleQueue()
    log.append(gate)
    return gate


_lock: Final = remade_in_children(threading.RLock())
"""Guards the count. No thread waits under it. Reentrant, for signal handlers."""
_so_far: int = 0


def count_late_reply() -> None:
    """Count one."""
    global _so_far  # noqa: PLW0603 - one for the process
    with _lock:
        _so_far += 1


def late_replies() -> int:
    """Return how many replies were dropped in this process, because their callers had given up.

    Blocks: never.
    Threads: internally synchronized; a snapshot.
    """
    return _so_far
