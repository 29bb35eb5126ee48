"""Replies that came when nobody waited for them any more: dropped, and counted."""

import threading
from typing import Final

from threadpool_mb.forking import remade_in_children

__all__ = ["count_late_reply", "late_replies"]

_lock: Final = remade_in_children(threading.RLock())
"""Guards the count. Nobody waits under it. Reentrant, for signal handlers."""
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
