"""What a scrape reads of pools."""

import collections
import threading
from collections.abc import Generator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import threadpool_mb as mb
from tests.forks import run
from tests.helpers import in_thread, run_together, until
from tests.pool.doubles import Intercepting
from threadpool_mb.observers.prometheus import Prometheus


def counting(_key: object) -> Generator[None, Any]:
    while True:
        yield


def scraped(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Return the value of each sample, by its name and its labels' values, in the labels' order."""
    text = generate_latest(registry).decode()
    samples = [
        ((sample.name, *(each for _, each in sorted(sample.labels.items()))), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
    assert len(samples) == len(dict(samples)), "a sample is there twice"
    return dict(samples)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_a_scrape_reads_the_pools_that_live(registry: CollectorRegistry) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def worker(key: object) -> Generator[None, Any]:
        while True:
            yield
            if key == "stays":
                inside.set()
                go_on.wait(15)

    with mb.Pool[str, Any](
        worker, name="orders", observe=Prometheus(registry), on_dead_letter=lambda _: None
    ) as pool:
        for key in ("a", "stays", "ends"):
            pool.initialize(key)
        pool.dispatch_many("a", range(10))
        pool.flush("a")
        until(lambda: pool.stats().handled == 10)
        pool.remove("ends")
        until(lambda: pool.stats().ended)
        pool.dispatch_many("stays", range(3))
        inside.wait(15)
        pool.dispatch("nobody", "x")
        samples = scraped(registry)
        go_on.set()

    assert samples["threadpool_mb_keys", "orders"] == 2
    assert samples["threadpool_mb_busy", "orders"] == 1
    assert samples["threadpool_mb_waiting", "orders"] == 2
    assert samples["threadpool_mb_handled_total", "orders"] == 10
    assert samples["threadpool_mb_started_total", "orders"] == 3
    assert samples["threadpool_mb_ended_total", "removed", "orders"] == 1
    assert samples["threadpool_mb_dead_letters_total", "orders", "unknown key"] == 1
    # It has ended.
    assert scraped(registry) == {}


def test_a_scrape_reads_executors_and_brokers(registry: CollectorRegistry) -> None:
    config: mb.BrokerConfig[Any, str, Any, None] = mb.BrokerConfig(
        lambda message: message,
        lambda _key, _message: None,
        lambda _key, _message, _resource: None,
        lambda _key, _resource: None,
    )
    observer = Prometheus(registry)
    inside, go_on = threading.Event(), threading.Event()

    def stay() -> None:
        inside.set()
        go_on.wait(15)

    with (
        mb.KeyedExecutor(1, thread_name_prefix="tasks", observe=observer) as executor,
        mb.Broker(config, name="files", observe=observer, on_dead_letter=lambda _: None) as broker,
    ):
        executor.submit_keyed("a", len, "abc")
        executor.submit_keyed("a", len)  # raises
        executor.submit_later(60, "a", len, "abc").cancel()
        until(lambda: executor.stats().handled == 2)
        executor.submit_keyed("a", stay)
        inside.wait(15)
        executor.submit_keyed("b", len, "abc")
        broker.input.deliver(mb.Initialize("a", "message"))
        broker.input.deliver(mb.Dispatch("nobody", "message"))
        until(lambda: broker.stats().dead_letters)
        until(lambda: not broker.stats().busy)
        samples = scraped(registry)
        go_on.set()

    assert {name[0]: value for name, value in samples.items() if name[1:] == ("tasks",)} == {
        "threadpool_mb_keys": 2,
        "threadpool_mb_busy": 1,
        "threadpool_mb_waiting": 1,
        "threadpool_mb_threads": 1,
        "threadpool_mb_stuck": 0,
        "threadpool_mb_handled_total": 2,
        "threadpool_mb_failed_total": 1,
        "threadpool_mb_cancelled_total": 1,
    }
    assert {name[0]: value for name, value in samples.items() if name[-1] == "files"} == {
        "threadpool_mb_keys": 1,
        "threadpool_mb_busy": 0,
        "threadpool_mb_waiting": 0,
        "threadpool_mb_threads": 1,
        "threadpool_mb_stuck": 0,
        "threadpool_mb_handled_total": 1,
        "threadpool_mb_failed_total": 0,
    }
    assert samples["threadpool_mb_dead_letters_total", "files", "unknown key"] == 1
    # They have ended.
    assert scraped(registry) == {}


def test_a_message_costs_nothing_where_no_histograms_are_asked_for(
    registry: CollectorRegistry,
) -> None:
    with mb.Pool[str, Any](counting, observe=Prometheus(registry)) as pool:
        assert not pool._office.observers.messages


def test_pools_with_one_name_are_shown_as_their_sum(registry: CollectorRegistry) -> None:
    observer = Prometheus(registry)

    with mb.Pool[str, Any](counting, name="twin", observe=observer) as one:
        with mb.Pool[str, Any](counting, name="twin", observe=observer) as two:
            for pool, keys in ((one, "a"), (two, "bc")):
                for key in keys:
                    pool.initialize(key)
            assert scraped(registry)["threadpool_mb_keys", "twin"] == 3
        # The one that has ended is shown no more, and the other one is.
        assert scraped(registry)["threadpool_mb_keys", "twin"] == 1


def test_no_counter_falls_as_one_of_the_pools_with_its_name_ends(
    registry: CollectorRegistry,
) -> None:
    observer = Prometheus(registry)

    def pool() -> mb.Pool[str, Any]:
        return mb.Pool(
            counting,
            name="same",
            start="on_demand",
            observe=observer,
            on_dead_letter=lambda _: None,
        )

    handled = ("threadpool_mb_handled_total", "same")
    with pool() as stays:
        for rounds in (1, 2):
            with pool() as ends:
                ends.dispatch_many("a", range(10))
                ends.remove("nobody")
            assert scraped(registry)[handled] == 10 * rounds
            assert scraped(registry)["threadpool_mb_ended_total", "drained", "same"] == rounds
            assert scraped(registry)["threadpool_mb_keys", "same"] == 0
        stays.dispatch("a", 1)
        stays.flush("a")
        until(lambda: scraped(registry)[handled] == 21)
    assert scraped(registry) == {}

    with pool() as anew:
        anew.dispatch("a", 1)
        anew.flush("a")
        until(lambda: scraped(registry)[handled] == 1)


@pytest.mark.parametrize("histograms", [False, True])
def test_a_name_that_cannot_be_encoded_breaks_no_scrape(
    registry: CollectorRegistry,
    histograms: bool,  # noqa: FBT001 - a parameter
) -> None:
    observer = Prometheus(registry, histograms=histograms)

    with (
        mb.Pool[str, Any](counting, name="of \udcff", observe=observer),
        mb.Pool[str, Any](counting, name="other", observe=observer),
    ):
        names = {name for _, *labels in scraped(registry) for name in labels[-1:]}

    assert {"of \\udcff", "other"} <= names


def test_histograms_measure_each_message(registry: CollectorRegistry) -> None:
    observer = Prometheus(registry, histograms=True, namespace="app", buckets=(0.5, 1.0))

    with (
        mb.Pool[str, Any](counting, name="orders", observe=observer, start="on_demand") as pool,
        mb.KeyedExecutor(thread_name_prefix="tasks", observe=observer) as executor,
    ):
        pool.dispatch_many("a", range(10))
        executor.submit_keyed("a", len, "abc")

    samples = scraped(registry)
    for name, count in (("orders", 10), ("tasks", 1)):
        assert samples["app_handling_seconds_count", name] == count
        assert samples["app_waiting_seconds_count", name] == count
        assert 0 < samples["app_handling_seconds_sum", name] < 15


def test_scrapes_are_right_while_many_threads_send(registry: CollectorRegistry) -> None:
    observer = Prometheus(registry, histograms=True)
    over = threading.Event()
    scrapes = list[dict[tuple[str, ...], float]]()

    def scrape() -> None:
        while not over.is_set():
            scrapes.append(scraped(registry))

    def send(sender: int) -> None:
        for number in range(500):
            pool.dispatch((sender, number % 5), number)

    with mb.Pool[Any, Any](counting, name="busy", observe=observer, start="on_demand") as pool:
        with in_thread(scrape):
            run_together(*(lambda sender=sender: send(sender) for sender in range(3)))
            pool.flush()
            until(lambda: pool.stats().handled == 1500)
            over.set()
        last = scraped(registry)

    counters = [name for name in last if name[0].endswith(("_total", "_count"))]
    for before, after in zip(scrapes, [*scrapes[1:], last], strict=True):
        for name in counters:
            assert before.get(name, 0) <= after[name]
    assert last["threadpool_mb_handled_total", "busy"] == 1500
    assert last["threadpool_mb_handling_seconds_count", "busy"] == 1500
    assert last["threadpool_mb_waiting_seconds_count", "busy"] == 1500


class Holding(mb.Observer):
    """Holds the thread that tells it of the end."""

    def __init__(self) -> None:
        self.told, self.go_on = threading.Event(), threading.Event()

    def detach(self, name: str, /) -> None:
        del name
        self.told.set()
        assert self.go_on.wait(15)


def test_what_the_last_turn_of_an_executor_has_done_stays_in_the_sum(
    registry: CollectorRegistry,
) -> None:
    observer, holding = Prometheus(registry), Holding()
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(15)

    with mb.KeyedExecutor(1, thread_name_prefix="orders", observe=observer):
        ending = mb.KeyedExecutor(1, thread_name_prefix="orders", observe=[observer, holding])
        ending.submit(wait)
        assert begun.wait(15)
        ending.shutdown(wait=False)
        go_on.set()
        # The executor ends in the turn of its last task.
        assert holding.told.wait(15)
        assert scraped(registry)["threadpool_mb_handled_total", "orders"] == 0
        holding.go_on.set()
        ending.shutdown()
        until(lambda: ending.stats().state == "ended")

        assert scraped(registry)["threadpool_mb_handled_total", "orders"] == 1
        assert scraped(registry)["threadpool_mb_handled_total", "orders"] == 1
    assert scraped(registry) == {}


def test_a_second_one_in_one_registry_is_refused_until_the_first_is_closed(
    registry: CollectorRegistry,
) -> None:
    first = Prometheus(registry, histograms=True)
    with pytest.raises(ValueError, match="Duplicated"):
        Prometheus(registry)

    first.close()

    Prometheus(registry, histograms=True).close()
    assert scraped(registry) == {}


def test_a_pool_that_cannot_be_read_does_not_keep_others_from_being_read(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    observer = Prometheus(registry)

    def fail() -> Any:  # noqa: ANN401 - never returns
        raise ValueError("its own")

    observer._figures.add(object(), "broken", fail)
    with mb.Pool[str, Any](counting, name="orders", observe=observer):
        assert scraped(registry)["threadpool_mb_keys", "orders"] == 0

    assert "broken: its statistics cannot be read" in caplog.text


def test_a_forked_process_shows_its_own_pools_and_not_its_parents() -> None:
    lines = run("""
from prometheus_client import CollectorRegistry
from threadpool_mb.observers.prometheus import Prometheus

def worker(key):
    while True:
        yield

def names():
    return sorted({
        sample.labels["pool"]
        for family in observer.collect() for sample in family.samples
    })

observer = Prometheus(CollectorRegistry())

def child():
    with mb.Pool(worker, name="childs", observe=observer) as own:
        own.initialize("a", 1)
        print("child", names(), flush=True)

with mb.Pool(worker, name="parents", observe=observer) as pool:
    pool.initialize("a", 1)
    print(in_child(child))
    print("parent", names())
print("after", names())
""")

    assert lines == ["child ['childs']", "0", "parent ['parents']", "after []"]


def test_what_comes_through_a_users_own_kind_of_mailbox_has_not_waited(
    registry: CollectorRegistry,
) -> None:
    def worker(_key: object, mailbox: mb.Mailbox[Any]) -> None:
        collections.deque(mailbox, 0)

    observer = Prometheus(registry, histograms=True)
    with mb.Pool[str, Any](worker, name="orders", observe=observer, mailbox=Intercepting()) as pool:
        pool.initialize("a")
        pool.dispatch("a", "x")

    counts = {name[0]: value for name, value in scraped(registry).items()}
    assert counts["threadpool_mb_handling_seconds_count"] == 1
    assert counts.get("threadpool_mb_waiting_seconds_count", 0) == 0
