"""As `test_by_hand.py`, of the examples in which something is sent later, or waited for."""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Generator
from typing import Any

import pytest

import threadpool_mb as mb
from examples.heartbeats import Device, Monitor, Outcome
from examples.order_pipeline import Order, Shop
from examples.rate_limited import Client, Clock
from tests.examples.by_hand_asyncio import ClientOnAsyncio, MonitorOnAsyncio
from tests.examples.by_hand_waiting import ClientByHand, MonitorByHand, PipelineByHand
from tests.helpers import in_thread, until


class NoTime(Clock):
    """A time for each tenant, which passes only while its worker waits, and then at once."""

    def __init__(self) -> None:
        self.times: defaultdict[str, float] = defaultdict(float)

    def now(self, tenant: str) -> float:
        return self.times[tenant]

    def sleep(self, tenant: str, seconds: float) -> Generator[Any, Any]:
        self.times[tenant] += seconds
        yield from mb.sleep(0)


class ClientByHandInNoTime(ClientByHand):
    def _pause(self, tenant: str, seconds: float) -> None:
        assert isinstance(self._clock, NoTime)
        self._clock.times[tenant] += seconds
        super()._pause(tenant, 0.0)


class ClientOnAsyncioInNoTime(ClientOnAsyncio):
    async def _pause(self, tenant: str, seconds: float) -> None:
        assert isinstance(self._clock, NoTime)
        self._clock.times[tenant] += seconds
        await super()._pause(tenant, 0.0)


@pytest.mark.parametrize("make", [Client, ClientByHandInNoTime, ClientOnAsyncioInNoTime])
def test_the_client_sends_the_same_at_the_same_times(make: Callable[..., Client]) -> None:
    def service(tenant: str, request: str) -> str:
        sent[tenant].append((request, clock.now(tenant)))
        if request == "3":
            raise OSError("no route")
        return f"{request} of {tenant}"

    clock, tenants = NoTime(), "abcde"
    sent = defaultdict[str, list[tuple[str, float]]](list)
    with make(service, burst=2, interval=0.25, clock=clock) as client:
        replies = {
            tenant: [client.send(tenant, str(number)) for number in range(8)] for tenant in tenants
        }

    assert sent == {
        tenant: [(str(n), max(0, n - 1) * 0.25) for n in range(8)] for tenant in tenants
    }
    for tenant, of_tenant in replies.items():
        with pytest.raises((mb.CallFailed, OSError)):
            of_tenant.pop(3).result(timeout=0)
        assert [reply.result(timeout=0) for reply in of_tenant] == [
            f"{n} of {tenant}" for n in range(8) if n != 3
        ]


def test_a_tenant_of_the_client_by_hand_that_waits_holds_no_thread() -> None:
    class Stuck(ClientByHand):
        """On which a pause is over when the test says so."""

        def _pause(self, tenant: str, seconds: float) -> None:
            pauses.append((tenant, seconds))

    clock, pauses = NoTime(), list[tuple[str, float]]()
    with Stuck(
        lambda tenant, _: tenant, burst=1, interval=1.0, clock=clock, max_threads=1
    ) as client:
        waits = [client.send("waits", str(number)) for number in range(3)]
        waits[0].result()
        assert client.send("other", "3").result() == "other"
        done = [reply.done() for reply in waits]
        for number in (1, 2):
            until(lambda: len(pauses) == number)  # noqa: B023 - called at once
            clock.times["waits"] += pauses[-1][1]
            client._pool.dispatch("waits", None)
            waits[number].result()

    assert done == [True, False, False]
    assert pauses == [("waits", 1.0), ("waits", 1.0)]


@pytest.mark.parametrize("make", [Client, ClientByHand, ClientOnAsyncio])
def test_the_client_is_never_faster_than_the_rate(make: Callable[..., Client]) -> None:
    def service(tenant: str, request: str) -> str:
        # Sent a little later than it was allowed: what is too early is told from the first one.
        sent[tenant].append(Clock().now(tenant) - began)
        return request

    began = Clock().now("")
    sent = defaultdict[str, list[float]](list)
    with make(service, burst=3, interval=0.005, max_threads=1) as client:
        replies = [client.send(tenant, str(n)) for n in range(10) for tenant in ("ann", "bob")]

    assert [reply.result(timeout=0) for reply in replies] == [
        str(n) for n in range(10) for _ in ("ann", "bob")
    ]
    for times in sent.values():
        assert len(times) == 10
        assert all(at >= (n - 2) * 0.005 - 1e-6 for n, at in enumerate(times))


@pytest.mark.parametrize("make", [Client, ClientByHand])
def test_the_block_of_the_client_is_left_after_a_worker_has_failed(
    make: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    def service(tenant: str, request: str) -> str:
        if request == "bad":
            go_on.wait()
            raise ZeroDivisionError
        return request

    go_on = threading.Event()
    with make(service, burst=3, interval=0.001) as client:
        lost = [client.send("ann", "bad"), client.send("ann", "behind it")]
        go_on.set()
        for reply in lost:
            with pytest.raises((mb.WorkerGone, mb.CallNotDelivered)):
                reply.result()
        # The key may still have the worker that has failed.
        until(lambda: _is_sent(client))

    assert "ZeroDivisionError" in caplog.text


def _is_sent(client: Client) -> bool:
    try:
        return client.send("ann", "good").result() == "good"
    except mb.CallError:
        return False


def test_a_tenant_is_forgotten_once_it_was_quiet_but_not_before() -> None:
    class Now(ClientByHand):
        """On which the test says when a time is over."""

        def _later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
            assert seconds == 1.0
            over.append(lambda: function(*args))

    over: list[Callable[[], object]] = []
    with Now(lambda _, request: request, burst=3, interval=0.001) as client:
        for number in (1, 2):
            assert client.send("ann", str(number)).result() == str(number)
            until(lambda: len(over) == number)  # noqa: B023 - called at once
        over[0]()  # another request has come since then
        in_between = client._pool.keys()
        over[1]()
        at_last = client._pool.keys()
        assert client.send("ann", "3").result() == "3"

    assert (in_between, at_last) == (["ann"], [])


def test_a_tenant_on_asyncio_is_forgotten_once_it_was_quiet_but_not_before() -> None:
    def service(_tenant: str, request: str) -> str:
        if request == "slow":
            asked.set()
            go_on.wait()
        return request

    def on_loop[R](function: Callable[[], R]) -> R:
        async def call() -> R:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), client._loop).result()

    asked, go_on = threading.Event(), threading.Event()
    with ClientOnAsyncio(service, burst=3, interval=1000.0) as client:
        assert client.send("ann", "1").result() == "1"
        slow = client.send("ann", "slow")
        asked.wait()
        on_loop(lambda: client._forget("ann"))  # as its timer does
        meanwhile = list(client._tenants)
        go_on.set()
        assert slow.result() == "slow"
        delay = on_loop(lambda: client._timers["ann"].when() - client._loop.time())
        on_loop(lambda: client._forget("ann"))
        at_last = list(client._tenants)

    assert (meanwhile, at_last) == (["ann"], [])
    assert 0.0 < delay <= 6000.0


@pytest.mark.parametrize("make", [Monitor, MonitorByHand, MonitorOnAsyncio])
def test_the_monitor_reports_the_same(
    make: Callable[..., Monitor], caplog: pytest.LogCaptureFixture
) -> None:
    class Unplugged(Device):
        def connect(self) -> None:
            super().connect()
            raise errors[-1]

    caplog.set_level(logging.CRITICAL, logger="threadpool_mb")
    errors = [OSError(f"no answer, {number}") for number in range(5)]
    devices = {
        "good": Device(range(20)),
        "shaky": Device([1, errors[0], 2, 3, errors[1], 4]),
        "dead": Device([1, 2, *errors]),
        "silent": Device([]),
        "unplugged": Unplugged([1]),
    }

    restart = mb.Restart(max_restarts=2, delay=0.001)
    outcomes = make(devices, interval=0.0005, restart=restart).run()

    assert outcomes == {
        "good": Outcome(tuple(range(20)), None),
        "shaky": Outcome((1, 2, 3, 4), None),
        "dead": Outcome((1, 2), errors[2]),
        "silent": Outcome((), None),
        "unplugged": Outcome((), errors[-1]),
    }
    assert {name: device.connections for name, device in devices.items()} == {
        "good": 1,
        "shaky": 3,
        "dead": 3,
        "silent": 1,
        "unplugged": 3,
    }


@pytest.mark.parametrize("limit", [1, 8])
@pytest.mark.parametrize("make", [Shop, PipelineByHand])
def test_the_pipeline_sells_the_same(make: Callable[..., Shop], limit: int) -> None:
    files = ["file 1", "file 2"]
    products = ["tea", "rice", "salt"]
    lines = [
        (file, f"{customer} {products[n % 3]} {n % 4}")
        for n in range(30)
        for file in files
        for customer in ("ann", f"own{file[-1]}")
    ]

    with make(dict.fromkeys(products, 1000), limit=limit) as shop:
        shop.read([*lines, ("file 2", "ann tea many")])
        first_day = shop.end_of_day()
        shop.read((f"file {n}", "cid tea 300") for n in range(4))
        second_day = shop.end_of_day()
        shop.read([("file 1", "dan pepper 1")])

    wanted = [(products[n % 3], n % 4) for n in range(30)]
    assert first_day == {
        name: 1000 - 4 * sum(amount for product, amount in wanted if product == name)
        for name in products
    }
    assert second_day == {**first_day, "tea": 0}
    assert shop.left == {**second_day, "pepper": 0}
    assert shop.bad_lines == {"file 2": ["ann tea many"]}
    assert [shop.sold[f"own{n}"] for n in (1, 2)] == [
        [Order(f"own{n}", *each) for each in wanted] for n in (1, 2)
    ]
    assert sorted(map(str, shop.sold["ann"])) == sorted(
        str(Order("ann", *each)) for each in wanted * 2
    )
    assert sorted(order.amount for order in shop.sold["cid"]) == sorted(
        [300, 300, 300, first_day["tea"] - 900]
    )
    assert shop.sold["dan"] == [Order("dan", "pepper", 0)]


@pytest.mark.parametrize("make", [Shop, PipelineByHand])
def test_the_day_of_the_pipeline_ends_only_after_the_answer_of_the_stock(
    make: Callable[..., Shop],
) -> None:
    class SlowStock(dict[str, int]):
        def get(self, name: str, default: int = 0, /) -> int:  # type: ignore[override]
            asked.set()
            go_on.wait()
            return super().get(name, default)

    asked, go_on = threading.Event(), threading.Event()
    with make({}) as shop:
        shop.left = SlowStock(tea=5)
        shop.read([("file", "a tea 1"), ("file", "a tea 2")])
        with in_thread(shop.end_of_day) as day:
            asked.wait()
            sold_meanwhile, still_open = dict(shop.sold), day.running
            go_on.set()
            assert day.result() == {"tea": 2}

    assert (sold_meanwhile, still_open) == ({}, True)
    assert shop.sold == {"a": [Order("a", "tea", 1), Order("a", "tea", 2)]}
