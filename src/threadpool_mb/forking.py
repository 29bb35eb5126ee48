"""What a child of `os.fork` inherits: one thread, the one that has forked, and all objects.

The other threads are not there. Whatever needs them can do nothing in the child, and a lock that
one of them held at the fork is never released there.

**Guarantees.** In a child, before `os.fork` returns: each lock of a module is free, or held by the
thread that has forked; then the functions that `in_children` was given are called. None of this
costs the parent anything, or slows a message down.

**What a child does not touch.** On a free-threaded build each container has a lock of its own,
which Python code cannot see. A lock that several threads contend for is handed over from one thread
to the next. A fork may come when the next thread has the lock and does not run yet: then no thread
releases it in the child (3.14.4). So nothing that is due in a child, and nothing that a user does
there, uses a queue, a dict or a list of the parent's that is used without a lock of ours: ready
queues, mailboxes, lanes. They are replaced, or passed by.

**Assumes.** The thread that has forked is the same thread in the child, with the same
`threading.get_ident()`. It may hold locks itself: a signal handler or a finalizer may fork. Its
frames go on and release them; so these locks are not touched. `_at_fork_reinit` and `_is_owned` are
private names of `threading.RLock`, the same in 3.13 and 3.14 (`tests/test_assumptions.py`).
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol

from threadpool_mb.logs import Logger

__all__ = [
    "MADE_BEFORE_FORK",
    "begin_to_log",
    "end_child",
    "end_own_thread",
    "forks",
    "free_once",
    "in_children",
    "keep",
    "log_in_child",
    "own_thread",
    "remade_in_children",
    "remake",
]

_logger = Logger(__name__)

MADE_BEFORE_FORK: Final = "made before os.fork()"
"""What an error says, in a child, of a thing that only the parent can use."""

_locks: Final[list[Any]] = []
_functions: Final[list[Callable[[], object]]] = []
_kept: Final[list[object]] = []
_errors: Final[list[tuple[str, BaseException]]] = []
_here: Final = threading.local()
_forks: int = 0


def forks() -> int:
    """Return how many forks lie between the first process and this one; to notice one."""
    return _forks


def remade_in_children[L](lock: L) -> L:
    """Return `lock`, an `RLock` of a module, and see to it that no child finds it held."""
    _locks.append(lock)
    return lock


def remake(lock: Any) -> None:  # noqa: ANN401 - an `RLock`, by its private names
    """Free an `RLock` that a thread of the parent may hold; called in a child."""
    if not lock._is_owned():  # noqa: SLF001 - see above
        lock._at_fork_reinit()  # noqa: SLF001


_freeing: Final = remade_in_children(threading.RLock())
"""Guards what `free_once` writes. No thread waits under it. Reentrant: a finalizer may cancel."""


class _Freed(Protocol):
    freed: int
    """After how many forks it has let go of what threads of the parent may hold."""


def free_once(owner: _Freed, free: Callable[[], object]) -> None:
    """Call `free()`, which lets go of what the parent's threads may hold; once in a child."""
    with _freeing:
        if owner.freed != _forks:
            free()
            owner.freed = _forks


def in_children(function: Callable[[], object]) -> Callable[[], object]:
    """Call `function` in each child, on its thread, once the modules' locks were remade."""
    _functions.append(function)
    return function


def keep(*things: object) -> None:
    """Keep what the parent uses alive until the child ends.

    Else the child would finalize its copies. It would close a generator, for example, inside the
    `with` block in which the parent's generator goes on.
    """
    _kept.extend(things)


def own_thread() -> None:
    """Take note that this thread is one of the library's."""
    _here.own = True


def end_own_thread() -> None:
    """End the child, if its thread is one of the library's: a hook has forked, and has returned."""
    if getattr(_here, "own", False):
        end_child()


def end_child(error: BaseException | None = None) -> NoReturn:
    """End a child that was forked on a thread of this library, once its work there is over.

    As `multiprocessing` ends its children: what was made in the child is closed and its threads are
    joined; `atexit` functions are the parent's and do not run. If only the thread ended, pools that
    the child has made and left open would keep the child alive for ever.

    Args:
        error: what the user's code has raised there; of a `SystemExit`, its code counts.
    """
    code: object = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = 0 if error.code is None else error.code
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing does
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # closed, or `None`
                stream.flush()
    finally:
        os._exit(code if isinstance(code, int) else 1)


def _in_child() -> None:
    global _forks  # noqa: PLW0603 - one for the process
    _forks += 1
    for lock in _locks:
        remake(lock)
    for function in _functions:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - logged below
            log_in_child("what is due in a forked child raised", error)


def log_in_child(text: str, error: BaseException) -> None:
    """Have an error logged, for a function of `in_children`: not yet, see `begin_to_log`."""
    _errors.append((text, error))


def _log() -> None:
    while _errors:
        text, error = _errors.pop(0)
        _logger.error("%s", text, exc_info=error)


def begin_to_log() -> None:
    """Have errors in children logged from now on; once `logging` was imported.

    Functions are called in the child in the order in which they were registered, and the locks of
    `logging` are remade by one of its own. Before that, a thread that is not in the child may hold
    the lock of a handler.
    """
    if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has none
        os.register_at_fork(after_in_child=_log)


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has none
    os.register_at_fork(after_in_child=_in_child)
