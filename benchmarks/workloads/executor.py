"""What submitting a call costs."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final

import threadpool_mb as mb
from benchmarks.machine import cores
from benchmarks.measuring import measure, ours, peer, scaled, tabulate
from benchmarks.peers.one_loop import OneLoop
from benchmarks.peers.sharded import ShardedExecutors
from benchmarks.results import Comparison

KEYS: Final = 1000
CALLS: Final = 50_000

type Handlers = list[Callable[[int], None]]
type _Call = tuple[asyncio.Future[None], Callable[[int], None], int]
"""What is submitted to a loop: a future for the result, a function, and its argument."""


def _keyed(calls: int, handlers: Handlers) -> tuple[float, float]:
    with mb.KeyedExecutor(max_workers=cores()) as executor:
        submit = executor.submit_keyed
        start = perf_counter()
        for number in range(calls):
            key = number % KEYS
            submit(key, handlers[key], number)
        submitted = perf_counter() - start
    return submitted, perf_counter() - start


def _thread_pool(calls: int, handlers: Handlers) -> tuple[float, float]:
    with ThreadPoolExecutor(cores()) as executor:
        submit = executor.submit
        start = perf_counter()
        for number in range(calls):
            submit(handlers[number % KEYS], number)
        submitted = perf_counter() - start
    return submitted, perf_counter() - start


def _sharded(calls: int, handlers: Handlers) -> tuple[float, float]:
    with ShardedExecutors(cores()) as shards:
        executors = shards.executors
        start = perf_counter()
        for number in range(calls):
            key = number % KEYS
            executors[hash(key) % len(executors)].submit(handlers[key], number)
        submitted = perf_counter() - start
    return submitted, perf_counter() - start


def _one_loop(calls: int, handlers: Handlers) -> tuple[float, float]:
    loop: OneLoop[int, _Call | None] = OneLoop(lambda _key: _run_call)
    took = loop.run(_submit_on(loop, calls, handlers))
    loop.close()
    return took


async def _submit_on(
    loop: OneLoop[int, _Call | None], calls: int, handlers: Handlers
) -> tuple[float, float]:
    tasks = [loop.start(key) for key in range(KEYS)]
    await asyncio.sleep(0)
    queues, new_future = loop.queues, asyncio.get_running_loop().create_future
    start = perf_counter()
    for number in range(calls):
        key = number % KEYS
        queues[key].put_nowait((new_future(), handlers[key], number))
    submitted = perf_counter() - start
    for queue in queues.values():
        queue.put_nowait(None)
    await asyncio.gather(*tasks)
    return submitted, perf_counter() - start


def _run_call(call: _Call | None) -> bool:
    if call is None:
        return True
    future, function, number = call
    future.set_result(function(number))
    return False


def _run(
    submit: Callable[[int, Handlers], tuple[float, float]], calls: int, *, ordered: bool
) -> tuple[float, float]:
    """Return the seconds of submitting, and of submitting and handling."""
    handled: list[list[int]] = [[] for _ in range(KEYS)]
    took = submit(calls, [numbers.append for numbers in handled])
    for key, numbers in enumerate(handled):
        if (numbers if ordered else sorted(numbers)) != list(range(key, calls, KEYS)):
            raise AssertionError(f"calls of key {key} are missing or out of order")
    return took


def executor(rounds: int, scale: float) -> Iterator[Comparison]:
    """`KeyedExecutor.submit_keyed` against `ThreadPoolExecutor.submit`: a call that does nothing.

    1,000 keys in turn, one producer. A call appends its number to its key's list, which is how the
    order is checked and costs next to nothing. Both the submitting alone and until all is handled
    and the executor is shut down. As many threads as there are cores. asyncio has one loop, a task
    and a queue per key, started before the clock, and a future for each call; the submitter is a
    coroutine of the same loop.
    """
    calls = scaled(CALLS, scale, least=10)
    count = cores()
    entries = [
        peer(
            f"ThreadPoolExecutor({count}), out of order", _run, _thread_pool, calls, ordered=False
        ),
        peer("asyncio, a queue per key, on the loop", _run, _one_loop, calls, ordered=True),
        peer(f"{count} one-thread executors", _run, _sharded, calls, ordered=True),
        ours(f"KeyedExecutor({count}).submit_keyed", _run, _keyed, calls, ordered=True),
    ]
    found = measure(entries, rounds=rounds)
    for place, title in enumerate(("submitting", "submitting and handling")):
        figures = {
            name: [took[place] / calls * 1e9 for took in many] for name, many in found.items()
        }
        yield tabulate(f"{title}, {KEYS} keys", "ns per call", entries, figures)
