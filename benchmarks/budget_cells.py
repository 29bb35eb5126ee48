"""What `benchmarks.budgets` compares: each cell once, as JSON, of the checkout that is on the path.

A cell is a name, and the microseconds that one thing takes: by the clock, and of all processors.
Beside the library's there are, in the same process, what is written by hand or in the standard
library for the same work. The original's benchmark is in `benchmarks.budget_peers`.
"""

import asyncio
import concurrent.futures
import json
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from time import perf_counter, process_time
from typing import Any, Final

import threadpool_mb as mb
from benchmarks.held_lives import LIVES, ON_TWO, taken

THREADS: Final = 2

type Took = tuple[float, float]

_OLD: Final = hasattr(mb, "acall")
"""Whether it is the library of before; then calls of asyncio have another name."""


class Ask(mb.Command[int]):
    """What is asked."""

    __slots__ = ()


def timed(function: Callable[[], object]) -> Took:
    """Return what a function takes."""
    wall, cpu = perf_counter(), process_time()
    function()
    return perf_counter() - wall, process_time() - cpu


def _in_thread(function: Callable[[], Took]) -> Took:
    took: list[Took] = []
    thread = threading.Thread(target=lambda: took.append(function()))
    thread.start()
    thread.join()
    return took[0]


def _once(_key: int) -> Generator[None, object]:
    yield


def _for_ever(_key: int) -> Generator[None, object]:
    while True:
        yield


def _answering(_key: int) -> Generator[None, Any]:
    while True:
        match (yield):
            case mb.Call(_, box):
                box.reply(1)


def _answering_function(_key: int, mailbox: "mb.Mailbox[Any]") -> None:
    for message in mailbox:
        match message:
            case mb.Call(_, box):
                box.reply(1)


def lives(count: int) -> Took:
    """Lives of one message."""

    def run() -> None:
        with mb.Pool(_once, max_threads=THREADS) as pool:
            for key in range(count):
                pool.initialize(key)
                pool.dispatch(key, 1)

    return timed(run)


def senders(count: int, messages: int) -> Took:
    """Messages of `dispatch` by so many threads, to 16 keys each."""
    with mb.Pool(_for_ever, max_threads=THREADS) as pool:
        for key in range(16 * count):
            pool.initialize(key)

        def send(first: int) -> None:
            dispatch = pool.dispatch
            for number in range(messages // count):
                dispatch(first + (number & 15), number)

        def run() -> None:
            threads = [threading.Thread(target=send, args=(16 * n,)) for n in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return timed(run)


def calls(worker: Any, count: int, **options: Any) -> Took:  # noqa: ANN401 - of either kind
    """Calls, one after the other, from a thread that is not the main one."""
    with mb.Pool(worker, **options) as pool:
        pool.initialize(0)
        target, command = pool.ref(0), Ask()
        for _ in range(50):
            mb.call(target, command, timeout=60)

        def run() -> None:
            for _ in range(count):
                mb.call(target, command)

        return _in_thread(lambda: timed(run))


def hops(count: int) -> Took:
    """Two hops through queues."""
    there: queue.SimpleQueue[int] = queue.SimpleQueue()
    back: queue.SimpleQueue[int] = queue.SimpleQueue()

    def serve() -> None:
        while there.get():
            back.put(1)

    def run() -> None:
        for _ in range(count):
            there.put(1)
            back.get()

    server = threading.Thread(target=serve)
    server.start()
    took = _in_thread(lambda: timed(run))
    there.put(0)
    server.join()
    return took


async def _asked(ask: Callable[[], Awaitable[object]], count: int) -> Took:
    for _ in range(50):
        await ask()
    wall, cpu = perf_counter(), process_time()
    for _ in range(count):
        await ask()
    return perf_counter() - wall, process_time() - cpu


def aio_calls(count: int, **options: Any) -> Took:  # noqa: ANN401 - a pool's
    """Calls of asyncio, one after the other."""
    library: Any = mb
    call = library.acall if _OLD else library.aio.call

    async def run() -> Took:
        with mb.Pool(_answering, max_threads=THREADS, **options) as pool:
            pool.initialize(0)
            target, command = pool.ref(0), Ask()
            return await _asked(lambda: call(target, command), count)

    return asyncio.run(run())


def aio_queue(count: int) -> Took:
    """A question through an `asyncio.Queue`, its answer a future; all on one loop."""

    async def run() -> Took:
        questions: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def serve() -> None:
            while True:
                (await questions.get()).set_result(1)

        async def ask() -> int:
            answer: asyncio.Future[int] = loop.create_future()
            await questions.put(answer)
            return await answer

        server = asyncio.create_task(serve())
        took = await _asked(ask, count)
        server.cancel()
        return took

    return asyncio.run(run())


def aio_by_hand(count: int) -> Took:
    """A question through a `SimpleQueue` to a plain thread, which wakes the loop with the answer.

    What `aio.call` across threads costs at least.
    """

    async def run() -> Took:
        questions: queue.SimpleQueue[asyncio.Future[int] | None] = queue.SimpleQueue()
        loop = asyncio.get_running_loop()

        def serve() -> None:
            while (asked := questions.get()) is not None:
                loop.call_soon_threadsafe(asked.set_result, 1)

        async def ask() -> int:
            answer: asyncio.Future[int] = loop.create_future()
            questions.put(answer)
            return await answer

        server = threading.Thread(target=serve)
        server.start()
        took = await _asked(ask, count)
        questions.put(None)
        server.join()
        return took

    return asyncio.run(run())


def _nothing() -> None:
    pass


def submit_keyed(count: int) -> Took:
    """Tasks of a hundred keys, with their results."""

    def run() -> None:
        with mb.KeyedExecutor(THREADS) as executor:
            for future in [executor.submit_keyed(n % 100, _nothing) for n in range(count)]:
                future.result()

    return timed(run)


def submit(count: int) -> Took:
    """The same without keys, in the standard library."""

    def run() -> None:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as executor:
            for future in [executor.submit(_nothing) for _ in range(count)]:
                future.result()

    return timed(run)


def measure(scale: float) -> dict[str, Took]:
    """Return what each cell takes for one thing, in µs."""
    found: dict[str, Took] = {}

    def put(name: str, took: Took, count: int = 1) -> None:
        found[name] = took[0] / count * 1e6, took[1] / count * 1e6

    many, some, few = (max(10, int(count * scale)) for count in (20_000, 10_000, 2_000))
    across: dict[str, Any] = {"max_threads": THREADS, "inline_calls": False}
    aio_across: dict[str, Any] = {} if _OLD else {"inline_calls": False}
    put("life", lives(many), many)
    put("one sender", senders(1, 5 * many), 5 * many)
    put("four senders", senders(4, 5 * many), 5 * many)
    put("call in place", calls(_answering, some, max_threads=THREADS), some)
    put("call across, generator", calls(_answering, few, **across), few)
    put("call across, function", calls(_answering_function, few), few)
    put("two hops", hops(few), few)
    if not _OLD:
        for each in (*LIVES, *ON_TWO):
            for by_themselves, took in taken(each, scale).items():
                found[f"{each.name}{', by themselves' * by_themselves}"] = took
        put("aio.call in place", aio_calls(some, inline_calls=True), some)
    put("aio.call across", aio_calls(few, **aio_across), few)
    put("aio, by hand across", aio_by_hand(few), few)
    put("aio, queue and future", aio_queue(some), some)
    submit_keyed(10)  # imports the executor, which is imported as it is used first
    put("submit_keyed", submit_keyed(many), many)
    put("ThreadPoolExecutor.submit", submit(many), many)
    return found


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]))))
