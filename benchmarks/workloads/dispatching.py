"""`Pool.dispatch` to a thousand function workers against what one writes by hand."""

import queue
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

import threadpool_mb as mb
from benchmarks.measuring import PATIENCE, compare, ours, peer, scaled
from benchmarks.peers.thread_per_key import ThreadPerKey
from benchmarks.receivers import Numbered, Receivers
from benchmarks.results import Comparison

KEYS: Final = 1000
EACH: Final = 100


class _Started:
    """Tells that all workers run.

    No barrier, whose thousand waiters would still be waking when the clock starts.
    """

    def __init__(self) -> None:
        self._signals: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()

    def tell(self) -> None:
        self._signals.put(None)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            self._signals.get(timeout=PATIENCE)


def _by_hand(keys: int, each: int) -> float:
    """Use a dict of `SimpleQueue`s with a thread for each key."""
    receivers, started = Receivers[int](each), _Started()

    def work(key: int, get: Callable[[], Numbered]) -> None:
        started.tell()
        receivers.function(key, get)

    workers = ThreadPerKey[int, Numbered](work)
    for key in range(keys):
        workers.start(key)
    started.wait_for(keys)
    queues = workers.queues
    start = perf_counter()
    for number in range(each):
        for key in range(keys):
            queues[key].put((number,))
    receivers.wait_for(range(keys))
    took = perf_counter() - start
    workers.close()
    return took


def _pool(config: mb.MailboxConfig, keys: int, each: int) -> float:
    receivers, started = Receivers[int](each), _Started()

    def work(key: int, mailbox: mb.Mailbox[Numbered]) -> None:
        started.tell()
        receivers.loop(key, mailbox)

    with mb.Pool(work, mailbox=config) as pool:
        for key in range(keys):
            pool.initialize(key)
        started.wait_for(keys)
        start = perf_counter()
        for number in range(each):
            for key in range(keys):
                pool.dispatch(key, (number,))
        receivers.wait_for(range(keys))
        took = perf_counter() - start
    receivers.check_end()
    return took


def dispatch(rounds: int, scale: float) -> Iterator[Comparison]:
    """One thread dispatches round robin to 1,000 function workers, until all is handled.

    The workers run before the clock starts. The figures scatter, as the kernel schedules a thousand
    threads: twice the rounds.
    """
    keys = scaled(KEYS, min(1.0, scale))
    work = (keys, EACH)
    entries = [
        peer("dict of SimpleQueue, a thread per key", _by_hand, *work),
        ours("Pool, functions, Unlimited()", _pool, mb.Unlimited(), *work),
        ours("Pool, functions, Blocking(256)", _pool, mb.Blocking(256), *work),
    ]
    yield compare(
        f"{EACH} messages to each of {keys} function workers",
        "ns per message",
        entries,
        rounds=2 * rounds,
        factor=1e9 / (keys * EACH),
    )
