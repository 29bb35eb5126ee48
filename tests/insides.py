"""What tests look at inside of the library: one function for each thing, so that it can move."""

import threading
from typing import Any

from tests.helpers import DEADLINE, until
from threadpool_mb import Broker, KeyedExecutor, Pool
from threadpool_mb.broker.loop import BrokerLoop
from threadpool_mb.keyed.table import Table
from threadpool_mb.keyed.views import KeyView
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster
from threadpool_mb.pool.routes import find
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import ReadyTurns


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


def ready(threads: SharedThreads) -> ReadyTurns:
    """Return the turns that wait for a shared thread."""
    return threads._ready
