"""Ways to submit, options of executors, and how many more may wait."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor, Rate

OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "bounded": {"max_waiting": 3},
    "told": {"max_waiting": 3, "when_full": "raise"},
    "throttled": {"rate": Rate(1e6)},
    "cancelling": {"after_error": "cancel_key"},
}

SUBMISSIONS: Final[dict[str, Callable[[KeyedExecutor], object]]] = {
    "keyed": lambda executor: executor.submit_keyed("a", int),
    "no key": lambda executor: executor.submit(int),
    "several": lambda executor: executor.submit_multi(["a", "b", "c"], int),
    "all": lambda executor: executor.submit_exclusive(int),
    "later": lambda executor: executor.submit_later(0, "a", int),
    "view": lambda executor: executor.for_key("a").submit(int),
}


def held(executor: KeyedExecutor, gate: Gate, key: object = "held") -> Future[None]:
    """Have one thread of the executor stand at a gate."""
    future = executor.submit_keyed(key, gate)
    gate.wait_until_reached()
    return future


def free(executor: KeyedExecutor) -> int:
    """Return how many more may wait."""
    room = executor._flow.room
    assert room is not None
    slots = room.slots
    return slots._free.qsize() + slots._unissued + sum(each.qsize() for each in slots.stripes)
