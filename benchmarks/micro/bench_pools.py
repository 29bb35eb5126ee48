"""One message or call, there and back: `pytest benchmarks/micro`.

The sender waits for each, so that the worker is idle when the next one comes.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import threadpool_mb as mb

type Replies = queue.SimpleQueue[int]


def _generator(_key: str) -> Generator[None, Replies]:
    while True:
        replies = yield
        replies.put(1)


def _function(_key: str, mailbox: mb.Mailbox[Replies]) -> None:
    for replies in mailbox:
        replies.put(1)


@pytest.mark.benchmark(group="dispatch to an idle worker, and its answer")
def bench_two_hops(benchmark: BenchmarkFixture) -> None:
    """The peer: a thread with a `SimpleQueue`."""
    requests: queue.SimpleQueue[Replies | None] = queue.SimpleQueue()
    replies: Replies = queue.SimpleQueue()

    def answer() -> None:
        for request in iter(requests.get, None):
            request.put(1)

    thread = threading.Thread(target=answer)
    thread.start()
    put, get = requests.put, replies.get

    def put_and_get() -> int:
        put(replies)
        return get()

    assert benchmark(put_and_get) == 1
    put(None)
    thread.join()


@pytest.mark.benchmark(group="dispatch to an idle worker, and its answer")
@pytest.mark.parametrize("worker", [_generator, _function])
def bench_dispatch_to_idle(benchmark: BenchmarkFixture, worker: Callable[..., object]) -> None:
    """Both kinds of workers."""
    replies: Replies = queue.SimpleQueue()
    pool: mb.Pool[str, Replies]
    with mb.Pool(worker) as pool:
        pool.initialize("key")
        dispatch, get = pool.dispatch, replies.get

        def dispatch_and_get() -> int:
            dispatch("key", replies)
            return get()

        assert benchmark(dispatch_and_get) == 1


@pytest.fixture
def keyed() -> Iterator[Callable[..., Future[int]]]:
    """Return `submit_keyed` with a key."""
    with mb.KeyedExecutor(max_workers=2) as executor:
        yield lambda function, *args: executor.submit_keyed("key", function, *args)


@pytest.fixture
def unkeyed() -> Iterator[Callable[..., Future[int]]]:
    """Return the peer's `submit`."""
    with ThreadPoolExecutor(2) as executor:
        yield executor.submit


@pytest.mark.benchmark(group="submit a call, and its result")
@pytest.mark.parametrize("submit", ["unkeyed", "keyed"])
def bench_submit(benchmark: BenchmarkFixture, submit: str, request: pytest.FixtureRequest) -> None:
    """`ThreadPoolExecutor.submit` and `KeyedExecutor.submit_keyed`."""
    function = request.getfixturevalue(submit)

    def submit_and_wait() -> int:
        return function(abs, -1).result()

    assert benchmark(submit_and_wait) == 1
