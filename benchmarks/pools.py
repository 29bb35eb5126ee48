"""`Pool.dispatch` to a thousand function workers against what one writes by hand."""

import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator

import threadpool_mb as mb
from benchmarks.measuring import Result, compare

KEYS = 1000


def _check(handled: dict[int, list[int]], each: int) -> None:
    if handled != {key: list(range(each)) for key in range(KEYS)}:
        raise AssertionError("messages are missing or out of order")


def _by_hand(each: int) -> float:
    """Use a dict of `SimpleQueue`s with a thread for each key."""
    handled: dict[int, list[int]] = {key: [] for key in range(KEYS)}
    done: queue.SimpleQueue[None] = queue.SimpleQueue()
    queues: dict[int, queue.SimpleQueue[int | None]] = {
        key: queue.SimpleQueue() for key in range(KEYS)
    }

    def work(key: int) -> None:
        messages = queues[key]
        handle = handled[key].append
        while (message := messages.get()) is not None:
            handle(message)
            if message == each - 1:
                done.put(None)

    threads = [threading.Thread(target=work, args=(key,)) for key in range(KEYS)]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    for number in range(each):
        for key in range(KEYS):
            queues[key].put(number)
    for _ in range(KEYS):
        done.get()
    took = time.perf_counter() - start
    for messages in queues.values():
        messages.put(None)
    for thread in threads:
        thread.join()
    _check(handled, each)
    return took


def _pool(config: mb.MailboxConfig, each: int) -> float:
    handled: dict[int, list[int]] = {key: [] for key in range(KEYS)}
    done: queue.SimpleQueue[None] = queue.SimpleQueue()
    # No barrier, whose thousand waiters would still be waking when the clock starts.
    started: queue.SimpleQueue[None] = queue.SimpleQueue()

    def work(key: int, mailbox: mb.Mailbox[int]) -> None:
        started.put(None)
        handle = handled[key].append
        for message in mailbox:
            handle(message)
            if message == each - 1:
                done.put(None)

    with mb.Pool(work, mailbox=config) as pool:
        for key in range(KEYS):
            pool.initialize(key)
        for _ in range(KEYS):
            started.get()
        start = time.perf_counter()
        for number in range(each):
            for key in range(KEYS):
                pool.dispatch(key, number)
        for _ in range(KEYS):
            done.get()
        took = time.perf_counter() - start
    _check(handled, each)
    return took


def dispatching(rounds: int, scale: float) -> Iterator[tuple[str, list[Result]]]:
    """One thread dispatches round robin to 1,000 workers, until all messages are handled.

    The figures scatter, as the kernel schedules a thousand threads: twice the rounds.
    """
    each = max(1, int(100 * scale))
    contenders: dict[str, Callable[[], float]] = {
        "dict of SimpleQueue, a thread per key": functools.partial(_by_hand, each),
        "Pool, Unlimited()": functools.partial(_pool, mb.Unlimited(), each),
        "Pool, Blocking(256)": functools.partial(_pool, mb.Blocking(256), each),
    }
    yield (
        f"dispatch to {KEYS} function workers",
        compare(contenders, rounds=2 * rounds, messages=each * KEYS),
    )
