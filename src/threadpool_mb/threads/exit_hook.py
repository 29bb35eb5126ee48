"""Owners of threads are closed at interpreter exit, and left alone in a forked child.

The interpreter joins every non-daemon thread before it runs `atexit` functions: a worker that waits
for messages would keep it waiting for ever. `threading._register_atexit` functions run before that
join; `concurrent.futures` uses them for the same purpose. The name is private, and the same in 3.13
and 3.14 (`tests/test_assumptions.py`).
"""

import contextlib
import functools
import importlib
import threading
import weakref
from typing import Final, Protocol

from threadpool_mb.arguments import AT_ONCE, Deadline
from threadpool_mb.forking import begin_to_log, in_children, log_in_child, remade_in_children
from threadpool_mb.logs import Logger
from threadpool_mb.threads.launching import new_thread

__all__ = ["Owner", "close_at_exit"]

_logger = Logger(__name__)

_PATIENCE: Final = 5.0
"""Seconds that the exit is held up until a line says by what."""


class Owner(Protocol):
    """An owner of threads: a pool, for example."""

    def close(self) -> None:
        """Let the owner's threads end. It does not block."""
        ...

    def waits_for(self, deadline: Deadline, /) -> str | None:
        """Wait, once closed, until the owner's threads have ended; `None` if they have.

        Else, at the deadline, return the owner's name and what keeps it from its end, for a log
        line.
        """
        ...

    def forked(self) -> bool:
        """Take note that this is a child of `os.fork`; return whether it can be used there.

        It neither blocks nor runs user code.
        """
        ...


_lock: Final = remade_in_children(threading.RLock())
"""Guards what follows; no thread waits under it. Reentrant, because a finalizer may make a pool."""
_open: Final[list["weakref.ref[Owner]"]] = []
# A plain list: iterating over a `WeakSet` is not thread-safe before 3.14 (gh-123089). The
# references have no callbacks: these would run without the lock, and an interrupt in one is printed
# and swallowed. So the references to dead owners stay until they are cleared, all at once: when the
# list is twice as long as there were living owners at the last clearing, and 8 more.
_MOST_DEAD: Final = 8
_keep_at_most = _MOST_DEAD
_exiting: Final = threading.Event()
_registered = False


def close_at_exit(owner: Owner) -> None:
    """Call `owner.close()` when the interpreter exits, if `owner` is still alive then.

    At once, if it is exiting already: to be called before the owner starts a thread.

    Threads: internally synchronized. `owner.close` must not block.
    """
    global _keep_at_most  # noqa: PLW0603 - under the lock
    if not _registered:
        _register()
    with _lock:
        exiting = _exiting.is_set()
        if not exiting:
            if len(_open) >= _keep_at_most:
                # No call stands between the last look and this: a finalizer may come back here.
                _open[:] = _living()
                _keep_at_most = 2 * len(_open) + _MOST_DEAD
            _open.append(weakref.ref(owner))
    if exiting:
        owner.close()


def _living() -> "list[weakref.ref[Owner]]":
    return [reference for reference in _open if reference() is not None]


def _register() -> None:
    """Have the interpreter call `_close_all` as it exits; with the first owner.

    Two threads may both do it: `_close_all` may be called twice. `concurrent.futures.thread` comes
    before it, because what was registered last is called first. That module waits at exit for its
    threads, and one of these may wait for an owner that is closed here. It also imports `logging`,
    for which there may be no memory later.
    """
    global _registered  # noqa: PLW0603 - it is only ever set
    try:
        importlib.import_module("concurrent.futures.thread")
        threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    except RuntimeError:
        # The interpreter exits, and has called what was registered.
        _exiting.set()
    begin_to_log()
    # Last: after an interrupt, or where there was no memory, the next owner does it again.
    _registered = True


def _close_all() -> None:
    with _lock:
        _exiting.set()
        owners = _owners()
    for owner in owners:
        try:
            owner.close()
        except BaseException:
            _logger.exception("closing %r at exit raised", owner)
    left = [owner for owner in owners if _what_keeps(owner, AT_ONCE) is not None]
    if left:
        # On a new thread: until this function returns, the main thread counts as alive, and other
        # threads may wait for it. The new thread ends with the last owner's threads, for which the
        # interpreter waits anyway. Where the system starts no thread, no line is logged.
        with contextlib.suppress(RuntimeError, MemoryError):
            new_thread(functools.partial(_say_what_is_waited_for, left), "waits-for-exit").start()


def _what_keeps(owner: Owner, deadline: Deadline) -> str | None:
    try:
        return owner.waits_for(deadline)
    except Exception:
        _logger.exception("waiting for %r at exit raised", owner)
        return None


def _say_what_is_waited_for(owners: list[Owner]) -> None:
    deadline = Deadline(_PATIENCE)
    waited_for: list[str] = []
    while owners:
        what = _what_keeps(owners.pop(0), deadline)
        waited_for += [] if what is None else [what]
    if waited_for:
        _logger.warning("the interpreter cannot exit yet: it waits for %s", "; ".join(waited_for))


def _owners() -> list[Owner]:
    owners = [reference() for reference in _open]
    return [owner for owner in owners if owner is not None]


@in_children
def _leave_to_the_parent() -> None:
    """Keep only the owners that can be used here, such as an executor that has not begun."""
    owners = _owners()
    _open.clear()
    for owner in owners:
        usable = False
        try:
            usable = owner.forked()
        except Exception as error:  # noqa: BLE001 - logged
            log_in_child(f"{owner!r} cannot be told that it was forked", error)
        if usable:
            _open.append(weakref.ref(owner))
