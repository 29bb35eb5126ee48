"""Acquiring something and entering its `try`, with no point between at which Ctrl-C comes.

After `if lock.acquire(False):` an interrupt may come before the `try` with the `finally` that
releases the lock, which is then held for ever. In this form no interrupt can come there:

```python
for _ in trying(lock):
    try:
        ...
    finally:
        lock.release()
```

**Guarantees.** An interrupt comes before the call, when nothing has happened; or in the body, when
its `try` has begun.

**How.** The interpreter runs signal handlers where a Python function begins, behind a call, and
where a loop jumps back. A `for` asks its iterator for the next item in an instruction that is none
of these, and neither is a `try`. So the call is made by an iterator that is C all through, and the
first thing of the body is its `try`, or one assignment that another `try` around the loop reads.

**Loops.** Where a loop jumps back on a condition, its end has no handler in CPython (gh-108214): an
interrupt there passes the `with`, or the `try`, around the loop, and a lock stays held for ever. So
it is with a `while` that has a condition, an `if` or a `continue` that comes last, a comprehension
with an `if`. Where a lock is held, such a loop is a function of its own, or a `while True` whose
last step is no condition (`tests/test_back_edges.py`).

**Assumes.** The function is written in C, as the methods of a lock and of `SimpleQueue` are: in a
Python function, handlers run where it begins and behind its calls. The points at which handlers run
are those of CPython (`tests/test_interrupts.py`).
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

__all__ = ["after", "is_owned", "trying"]

_WITHOUT_WAITING: Final = (False,)


class _Lock(Protocol):
    """A `threading.Lock`, or an `RLock`."""

    @property
    def acquire(self) -> Callable[[bool], object]:
        """Acquires the lock, and waits for it if the argument is true; returns whether it has."""
        ...


def trying(lock: _Lock) -> Iterator[object]:
    """Run the loop's body once if the lock was free; the body holds it. Blocks: never."""
    return filter(None, map(lock.acquire, _WITHOUT_WAITING))


def after[R](function: Callable[..., R], *arguments: object) -> Iterator[R]:
    """Call `function`, and run the loop's body once with what it has returned."""
    return itertools.starmap(function, (arguments,))


def is_owned(lock: threading.RLock) -> bool:
    """Return whether this thread holds the lock: whether this may run in a finalizer, or a handler.

    `threading.Condition` asks in the same way.
    """
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001 - see above
