"""Closing at interpreter exit what was left open, so that its threads can end.

The interpreter joins every non-daemon thread before it runs `atexit` functions: a worker that waits
for messages would keep it waiting for ever. `threading._register_atexit` functions run before that
join; `concurrent.futures` uses them for the same purpose. The name is private, and the same in 3.13
and 3.14 (`tests/test_assumptions.py`).
"""

import threading
import weakref
from typing import Final, Protocol

__all__ = ["close_at_exit"]


class _Closable(Protocol):
    def close(self) -> None: ...


_lock: Final = threading.RLock()
"""Guards the table below; nobody waits under it."""
_open: Final[dict[int, "weakref.ref[_Closable]"]] = {}
# A plain dict of weak references: iterating over a `WeakSet` is not thread-safe before 3.14
# (gh-123089). Dead entries are removed when the next one is added.


def close_at_exit(owner: _Closable) -> None:
    """Call `owner.close()` when the interpreter exits, if `owner` is still alive then.

    Threads: internally synchronized. `owner.close` must not block.
    """
    with _lock:
        for number in [number for number, reference in _open.items() if reference() is None]:
            del _open[number]
        _open[id(owner)] = weakref.ref(owner)


def _close_all() -> None:
    with _lock:
        owners = [reference() for reference in _open.values()]
    for owner in owners:
        if owner is not None:
            owner.close()


threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # noqa: SLF001 - see above
