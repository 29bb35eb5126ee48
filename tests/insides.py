"""What tests look at inside of the library: one function for each thing, so that it can move."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from tests.helpers import DEADLINE, until
from threadpool_mb import Broker, KeyedExecutor, Pool
from threadpool_mb.broker.loop import BrokerLoop
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.views import KeyView
from threadpool_mb.line.inlet import DONE
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.routes import find
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import ReadyTurns
from threadpool_mb.threads.watching import Watch

NEVER_BY_ITSELF: Final = 3600.0
"""`stuck_after` where a test says when there is a look, with `look_twice`."""


def dispatcher_of(pool: Pool[Any, Any]) -> Dispatcher[Any, Any]:
    """Return what starts and ends a pool's workers."""
    return pool._dispatcher


def roster_of(pool: Pool[Any, Any]) -> Roster[Any, Any]:
    """Return which workers a pool's keys have."""
    return pool._roster


def worker_of(pool: Pool[Any, Any], key: object) -> Incarnation[Any, Any] | None:
    """Return the worker that gets a key's messages."""
    return find(pool._routes, key)


def let_all_rest(pool: Pool[Any, Any]) -> None:
    """Have the dispatcher look at a pool's workers until all are dormant."""

    def all_rest() -> bool:
        looked = threading.Event()
        dispatcher_of(pool).call_soon(roster_of(pool).let_rest)
        dispatcher_of(pool).call_soon(looked.set)
        assert looked.wait(DEADLINE)  # one look at a time: none comes later
        return not roster_of(pool).not_dormant()

    until(all_rest)


def loop_of(broker: Broker[Any, Any, Any, Any]) -> BrokerLoop[Any, Any, Any, Any]:
    """Return what a broker's thread runs."""
    return broker._loop


def table_of(executor: KeyedExecutor | KeyView) -> Table:
    """Return the tasks of an executor."""
    return executor._table


def threads_of(pool: Pool[Any, Any]) -> SharedThreads:
    """Return the threads that take turns of a pool's generator workers."""
    threads: Any = pool._dispatcher._threads
    return threads


def blocked(threads: SharedThreads) -> int:
    """Return how many of some shared threads wait."""
    return threads._blocked


class Calls:
    """A turn that calls a function."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def turn(self) -> int:
        """Call it."""
        self._function()
        return 0


def ready(threads: SharedThreads) -> ReadyTurns:
    """Return the turns that wait for a shared thread."""
    return threads._ready


def is_done(mailbox: Any) -> bool:  # noqa: ANN401 - of any kind of the library's
    """Return whether the receiver of a mailbox has found its end."""
    done: bool = getattr(mailbox, "wrapped", mailbox).inlet.unattended == DONE
    return done


def watch_of(watched: Pool[Any, Any] | KeyedExecutor) -> Watch:
    """Return what looks for what is stuck."""
    if isinstance(watched, Pool):
        watch: Watch | None = watched._dispatcher._watch
    else:
        watcher = table_of(watched).watcher
        watch = None if watcher is None else watcher._watch
    assert watch is not None
    return watch


def look_twice(watch: Watch) -> None:
    """Have a watch look now, and before that as long ago as it takes to be stuck since.

    So it is the test that says where a thread stands that is found stuck. By a watch's own thread
    one is found where it is after some ms, in which a busy machine need not have let it begin.
    """
    now = time.monotonic()
    watch._look(now - 2 * NEVER_BY_ITSELF)
    watch._look(now)
