"""Making the library's threads: nothing of whoever happens to start one stays with it.

3.14 gives a thread a context: on free-threaded builds a copy of its starter's, by default. The
thread would keep the objects in it alive for as long as it lives, so it gets an empty one. Before
3.14 a thread begins with an empty context anyway.
"""

import contextvars
import functools
import sys
import threading
from collections.abc import Callable

from threadpool_mb.forking import end_child, forks, own_thread

__all__ = ["new_thread"]


def new_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Return a thread that is not started and will run `target()` in an empty context.

    It is no daemon: at interpreter exit a daemon would be stopped in the midst of a message. Where
    `target` returns in a child that was forked in it, the child ends; see `forking.end_child`.
    """
    run = functools.partial(_run, target)
    if sys.version_info >= (3, 14):
        return threading.Thread(target=run, name=name, daemon=False, context=contextvars.Context())
    return threading.Thread(target=run, name=name, daemon=False)


def _run(target: Callable[[], object]) -> None:
    before = forks()
    own_thread()
    target()
    if forks() != before:
        end_child()
