"""Closing at interpreter exit what was left open, so that its threads can end.

The interpreter joins every non-daemon thread before it runs `atexit` functions: a worker that waits
for messages would keep it waiting for ever. `threading._register_atexit` functions run before that
join; `concurrent.futures` uses them for the same purpose. The name is private, and the same in 3.13
and 3.14 (`tests/test_assumptions.py`).
"""

import logging
import os
import threading
import weakref
from typing import Final, Protocol

__all__ = ["close_at_exit"]

_logger = logging.getLogger(__name__)


class _Closable(Protocol):
    def close(self) -> None: ...


_lock: Final = threading.RLock()
"""Guards what follows; nobody waits under it. Reentrant, because a finalizer may make a pool."""
_open: Final[dict[int, "weakref.ref[_Closable]"]] = {}
# A plain dict of weak references: iterating over a `WeakSet` is not thread-safe before 3.14
# (gh-123089).
_exiting: Final = threading.Event()


def close_at_exit(owner: _Closable) -> None:
    """Call `owner.close()` when the interpreter exits, if `owner` is still alive then.

    At once, if it is exiting already: to be called before the owner starts a thread.

    Threads: internally synchronized. `owner.close` must not block.
    """
    number = id(owner)

    def forget(_reference: object) -> None:
        # Runs before another object can have this id. `dict.pop` is atomic: no lock in a finalizer.
        _open.pop(number, None)

    with _lock:
        exiting = _exiting.is_set()
        if not exiting:
            _open[number] = weakref.ref(owner, forget)
    if exiting:
        owner.close()


def _close_all() -> None:
    with _lock:
        _exiting.set()
        references = list(_open.copy().values())  # `copy` is atomic, also beside `forget`
    for reference in references:
        owner = reference()
        try:
            if owner is not None:
                owner.close()
        except BaseException:
            _logger.exception("closing %r at exit raised", owner)


def _forget_the_parents() -> None:
    # After a fork: what was open has no threads here, and the locks that closing takes may be held
    # by threads that are not here, as may be this one.
    _lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)

threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # noqa: SLF001 - see above
