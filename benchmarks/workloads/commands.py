"""What a call costs: to an idle worker, across threads, and as a part of the original's test."""

import contextlib
import functools
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from time import perf_counter
from typing import Final, final

import pykka

import threadpool_mb as mb
from benchmarks.machine import cores
from benchmarks.measuring import compare, ideal, ours, peer, run_threads, scaled
from benchmarks.results import Comparison

CALLS: Final = 20_000

KEYS: Final = 10_000
WORK: Final = 10
"""Synchronous, and as many asynchronous, messages for each key."""
CLIENTS: Final = 10

PUBLISHED: Final = 1.0
"""Seconds that the original needs, by its best build on a machine of two cores, at most."""


@final
class Next(mb.Command[int]):
    """Asks for the next number."""

    __slots__ = ()


@final
class Work(mb.Notice):
    """Something to be done; no answer."""

    __slots__ = ()


def _counter(_key: object) -> Generator[None, mb.originals.Request]:
    count = 0
    while True:
        match (yield):
            case mb.Call(Next(), box):
                count += 1
                box.reply(count)


def _counting(_key: object, mailbox: mb.Mailbox[mb.originals.Request]) -> None:
    count = 0
    for message in mailbox:
        match message:
            case mb.Call(Next(), box):
                count += 1
                box.reply(count)


class _Actor(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def on_receive(self, _message: object) -> int:
        self._count += 1
        return self._count


def _in_thread(calls: int, ask: Callable[[], int]) -> float:
    """Ask `calls` times, on a thread that is not the main one; return the seconds."""
    took: list[float] = []

    def run() -> None:
        start = perf_counter()
        for _ in range(calls - 1):
            ask()
        last = ask()
        took.append(perf_counter() - start)
        if last != calls:
            raise AssertionError(f"{calls} calls were counted as {last}")

    run_threads(run)
    return took[0]


def _with_pool(calls: int, pool: mb.Pool[str, mb.originals.Request]) -> float:
    with pool:
        pool.initialize("key")
        target, command = pool.ref("key"), Next()
        return _in_thread(calls, lambda: mb.call(target, command))


def _generators(calls: int, *, inline: bool | None) -> float:
    return _with_pool(calls, mb.Pool(_counter, max_threads=cores(), inline_calls=inline))


def _functions(calls: int) -> float:
    return _with_pool(calls, mb.Pool(_counting))


def _broker(calls: int) -> float:
    counts = [0]

    def handle(_key: str, message: mb.Call[int], _resource: object) -> None:
        counts[0] += 1
        message.reply_box.reply(counts[0])

    def demultiplex(
        message: mb.Initialize[str, mb.Call[int]] | mb.Call[int],
    ) -> mb.Initialize[str, mb.Call[int]] | mb.Dispatch[str, mb.Call[int]]:
        return message if isinstance(message, mb.Initialize) else mb.Dispatch("key", message)

    config = mb.BrokerConfig(demultiplex, lambda _k, _m: None, handle, lambda _k, _r: None)
    with mb.Broker(config, max_threads=cores()) as broker:
        broker.input.deliver(mb.Initialize("key"))
        command = Next()
        return _in_thread(calls, lambda: mb.call(broker.input, command))


def _pykka(calls: int) -> float:
    actor = _Actor.start()
    try:
        return _in_thread(calls, lambda: actor.ask("next"))
    finally:
        actor.stop()


def _two_hops(calls: int) -> float:
    there: queue.SimpleQueue[bool] = queue.SimpleQueue()
    back: queue.SimpleQueue[int] = queue.SimpleQueue()

    def serve() -> None:
        count = 0
        while there.get():
            count += 1
            back.put(count)

    def ask() -> int:
        there.put(True)  # noqa: FBT003 - a message
        return back.get()

    server = threading.Thread(target=serve)
    server.start()
    try:
        return _in_thread(calls, ask)
    finally:
        there.put(False)  # noqa: FBT003 - the end
        server.join()


@final
class _Start:
    """The first message of a key."""


@final
class _Stop:
    """The last one."""


type _Message = type[_Start | _Stop] | mb.originals.Request


def _worker(results: "queue.SimpleQueue[int]", _key: int) -> Generator[None, _Message]:
    count = 0
    while True:
        message = yield
        match message:
            case mb.Call(_, box):
                count += 1
                box.reply(count)
            case mb.Cast():
                count += 1
            case _:
                if message is _Stop:
                    results.put(count)
                    return


def _memory_leak_test(keys: int, *, inline: bool) -> float:
    """Run the original's program; return the seconds, from the making of the pool to its end."""
    results: queue.SimpleQueue[int] = queue.SimpleQueue()
    start = perf_counter()
    with mb.Pool(
        functools.partial(_worker, results), max_threads=cores(), inline_calls=inline
    ) as pool:
        command, work = Next(), mb.Cast(Work())

        def client(number: int) -> None:
            for key in range(number, keys, CLIENTS):
                pool.initialize(key, _Start)
                target = pool.ref(key)
                for _ in range(WORK):
                    mb.call(target, command)
                for _ in range(WORK):
                    pool.dispatch(key, work)
                pool.dispatch(key, _Stop)

        run_threads(*(functools.partial(client, number) for number in range(CLIENTS)))
        counts = [results.get() for _ in range(keys)]
    took = perf_counter() - start
    if counts != [2 * WORK] * keys:
        raise AssertionError("a key has lost or doubled work")
    return took


def _memory_leak_test_by_hand(keys: int) -> float:
    """The same with a thread and two queues for each key."""
    start = perf_counter()
    results: queue.SimpleQueue[int] = queue.SimpleQueue()

    def serve(messages: "queue.SimpleQueue[object]") -> None:
        count = 0
        while (message := messages.get()) is not None:
            count += 1
            if isinstance(message, queue.SimpleQueue):
                message.put(count)
        results.put(count)

    def client(number: int) -> None:
        with contextlib.ExitStack() as threads:
            for _ in range(number, keys, CLIENTS):
                messages: queue.SimpleQueue[object] = queue.SimpleQueue()
                thread = threading.Thread(target=serve, args=(messages,))
                thread.start()
                threads.callback(thread.join)
                reply: queue.SimpleQueue[int] = queue.SimpleQueue()
                for _ in range(WORK):
                    messages.put(reply)
                    reply.get()
                for _ in range(WORK):
                    messages.put("work")
                messages.put(None)

    run_threads(*(functools.partial(client, number) for number in range(CLIENTS)))
    counts = [results.get() for _ in range(keys)]
    took = perf_counter() - start
    if counts != [2 * WORK] * keys:
        raise AssertionError("a key has lost or doubled work")
    return took


def commands(rounds: int, scale: float) -> Iterator[Comparison]:
    """`call`, one after the other from one thread, and the original's memory test.

    An idle generator worker handles a call on its caller's thread; the caller is not the main
    thread, where that is off by default. Across threads, two hops through bare `SimpleQueue`s are
    what a call costs at least. The memory test: ten clients, 10,000 keys; each is started, asked
    10 times, told 10 things and stopped, 220,000 messages in all. The published figure is the
    original's, on two cores.
    """
    calls = scaled(CALLS, scale, least=10)
    micro = 1e6 / calls
    hops = ideal("two hops, SimpleQueue by hand", _two_hops, calls)
    asking = peer("Pykka, ask", _pykka, calls)
    entries = [
        asking,
        hops,
        ours("Pool, generator, call", _generators, calls, inline=None),
    ]
    yield compare("a call to who is idle", "µs per call", entries, rounds=rounds, factor=micro)
    entries = [
        asking,
        hops,
        ours("Pool, generator, inline_calls=False", _generators, calls, inline=False),
        ours("Pool, function", _functions, calls),
        ours("Broker(max_threads), call", _broker, calls),
    ]
    yield compare("a call across threads", "µs per call", entries, rounds=rounds, factor=micro)
    keys = scaled(KEYS, scale, least=10)
    entries = [
        peer("a thread and two queues per key", _memory_leak_test_by_hand, keys),
        ours("Pool, generators", _memory_leak_test, keys, inline=True),
        ours("Pool, generators, inline_calls=False", _memory_leak_test, keys, inline=False),
    ]
    yield compare(
        "the original's memory test",
        "s",
        entries,
        rounds=rounds,
        published=PUBLISHED if keys == KEYS else None,
        published_name="Haskell original",
    )
