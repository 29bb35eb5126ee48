"""A Prometheus exporter that reads what those for `ThreadPoolExecutor` read, private as it is."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

import threadpool_mb as mb
from tests.helpers import until


class PoolCollector(Collector):
    """As exporters for thread pools are written."""

    def __init__(self, **executors: ThreadPoolExecutor) -> None:
        self._executors = executors

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read all executors."""
        for metric, read in {
            "pool_max_workers": lambda executor: executor._max_workers,
            "pool_threads": lambda executor: len(executor._threads),
            "pool_waiting": lambda executor: executor._work_queue.qsize(),
            "pool_shut_down": lambda executor: bool(executor._shutdown),
            "pool_broken": lambda executor: bool(executor._broken),
        }.items():
            family = GaugeMetricFamily(metric, metric, labels=["pool", "prefix"])
            for name, executor in self._executors.items():
                family.add_metric([name, executor._thread_name_prefix], read(executor))
            yield family


def scrape(executor: ThreadPoolExecutor) -> dict[str, float]:
    """Return what the exporter says of an executor."""
    registry = CollectorRegistry()
    registry.register(PoolCollector(ours=executor))
    lines = generate_latest(registry).decode().splitlines()
    samples = [line.split() for line in lines if not line.startswith("#")]
    assert all('{pool="ours",prefix="ours"}' in name for name, _ in samples)
    return {name.split("{")[0].removeprefix("pool_"): float(value) for name, value in samples}


def make(kind: type[ThreadPoolExecutor]) -> ThreadPoolExecutor:
    """Make an executor of two threads."""
    return kind(max_workers=2, thread_name_prefix="ours")


@pytest.fixture(params=[mb.KeyedExecutor, ThreadPoolExecutor], ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[ThreadPoolExecutor]:
    """Ours, and the standard one beside it: both have to give the same values."""
    return request.param  # type: ignore[no-any-return]


def test_a_new_executor_has_no_threads_and_nothing_that_waits(
    kind: type[ThreadPoolExecutor],
) -> None:
    with make(kind) as executor:
        seen = scrape(executor)

    assert seen == {"max_workers": 2, "threads": 0, "waiting": 0, "shut_down": 0, "broken": 0}


def test_what_waits_is_counted_and_what_runs_is_not(kind: type[ThreadPoolExecutor]) -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        go.wait()

    with make(kind) as executor:
        futures: list[Future[None]] = [executor.submit(work) for _ in range(7)]
        for _ in range(2):
            begun.acquire()
        seen = scrape(executor)
        go.set()
        for future in futures:
            future.result()
        until(lambda: not scrape(executor)["waiting"])

    assert seen == {"max_workers": 2, "threads": 2, "waiting": 5, "shut_down": 0, "broken": 0}


def test_what_waits_behind_others_of_its_key_is_counted() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait()

    with mb.KeyedExecutor(max_workers=2, thread_name_prefix="ours") as executor:
        executor.submit_keyed("key", work)
        begun.wait()
        for _ in range(5):
            executor.submit_keyed("key", int)
        waiting = scrape(executor)["waiting"]
        go.set()

    assert waiting == 5


def test_an_executor_that_was_shut_down_says_so(kind: type[ThreadPoolExecutor]) -> None:
    executor = make(kind)
    executor.submit(int).result()
    executor.shutdown()

    assert scrape(executor)["shut_down"] == 1


def test_an_executor_whose_initializer_failed_says_so(kind: type[ThreadPoolExecutor]) -> None:
    def fail() -> None:
        raise LookupError("no configuration")

    with kind(max_workers=1, thread_name_prefix="ours", initializer=fail) as executor:
        with pytest.raises(BrokenThreadPool):
            executor.submit(int).result()

        assert scrape(executor)["broken"] == 1


def test_counters_that_workers_of_a_pool_share_lose_nothing() -> None:
    registry = CollectorRegistry()
    handled = Counter("handled", "messages", ["key"], registry=registry)

    def worker(key: str, mailbox: mb.Mailbox[int]) -> None:
        for _ in mailbox:
            handled.labels(key).inc()

    with mb.Pool(worker) as pool:
        for key in "ab":
            pool.initialize(key)
        for number in range(500):
            for key in "ab":
                pool.dispatch(key, number)

    exported = generate_latest(registry).decode()
    assert 'handled_total{key="a"} 500.0' in exported
    assert 'handled_total{key="b"} 500.0' in exported
