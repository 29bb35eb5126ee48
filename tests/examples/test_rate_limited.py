"""The client: requests in order, as early as allowed, on few threads; each gets its result."""

from collections import defaultdict
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples.rate_limited import Allowance, Client, Clock

SETTINGS = settings(max_examples=15, deadline=None)


class FakeClock(Clock):
    """A time for each tenant, which passes only while its worker waits."""

    def __init__(self) -> None:
        self.times: defaultdict[str, float] = defaultdict(float)

    def now(self, tenant: str) -> float:
        return self.times[tenant]

    def sleep(self, tenant: str, seconds: float) -> Generator[Any, Any]:
        self.times[tenant] += seconds
        yield from mb.sleep(0)


@SETTINGS
@given(
    counts=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 12), min_size=1),
    burst=st.integers(1, 4),
    interval=st.sampled_from([0.25, 1.0]),
    max_threads=st.integers(1, 2),
)
def test_requests_are_sent_in_order_as_early_as_the_rate_allows(
    counts: dict[str, int], burst: int, interval: float, max_threads: int
) -> None:
    def service(tenant: str, request: str) -> str:
        sent[tenant].append((request, clock.now(tenant)))
        return f"{request} of {tenant}"

    clock, sent = FakeClock(), {tenant: [] for tenant in counts}
    with Client(
        service, burst=burst, interval=interval, clock=clock, max_threads=max_threads
    ) as client:
        replies = {
            tenant: [client.send(tenant, str(number)) for number in range(count)]
            for tenant, count in counts.items()
        }
        results = {
            tenant: [reply.result() for reply in of_tenant] for tenant, of_tenant in replies.items()
        }

    assert results == {
        tenant: [f"{number} of {tenant}" for number in range(count)]
        for tenant, count in counts.items()
    }
    assert sent == {
        tenant: [(str(n), max(0, n - burst + 1) * interval) for n in range(count)]
        for tenant, count in counts.items()
    }


def test_a_tenant_that_waits_holds_no_thread() -> None:
    class Stuck(FakeClock):
        """On which a tenant waits until the test has gone on."""

        def sleep(self, tenant: str, seconds: float) -> Generator[Any, Any]:
            while "other" not in sent:
                yield from mb.sleep(0)
            self.times[tenant] += seconds

    def service(tenant: str, request: str) -> str:
        sent.append(tenant)
        return request

    sent: list[str] = []
    with Client(service, burst=1, interval=1.0, clock=Stuck(), max_threads=1) as client:
        replies = [client.send("waits", "1"), client.send("waits", "2")]
        replies.append(client.send("other", "3"))
        results = [reply.result() for reply in replies]

    assert results == ["1", "2", "3"]
    assert sent == ["waits", "other", "waits"]


def test_a_request_that_fails_is_told_of_and_the_next_one_is_sent() -> None:
    def service(tenant: str, request: str) -> str:
        if request == "bad":
            raise OSError("no route")
        return request

    with Client(service, burst=3, interval=1.0, clock=FakeClock()) as client:
        bad, good = client.send("ann", "bad"), client.send("ann", "good")

        with pytest.raises(mb.CallFailed) as failed:
            bad.result()
        assert repr(failed.value.__cause__) == "OSError('no route')"
        assert good.result() == "good"


def test_requests_that_wait_are_sent_when_the_block_is_left() -> None:
    sent: list[str] = []

    def service(tenant: str, request: str) -> str:
        sent.append(request)
        return request

    with Client(service, burst=1, interval=1.0, clock=FakeClock()) as client:
        replies = [client.send("ann", str(number)) for number in range(5)]

    assert sent == ["0", "1", "2", "3", "4"]
    assert [reply.result(timeout=0) for reply in replies] == sent


def test_an_allowance_is_full_again_after_a_while() -> None:
    allowance = Allowance(burst=2, interval=10.0, now=0.0)
    waits: list[float] = []
    for now in (0.0, 0.0, 0.0, 25.0, 100.0, 100.0, 100.0):
        waits.append(allowance.wait(now))
        allowance.spend(now + waits[-1])

    assert waits == [0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 10.0]


def test_the_clock_is_the_one_of_the_system() -> None:
    clock = Clock()

    assert clock.now("ann") <= clock.now("ann")
    with pytest.raises(ValueError, match="seconds"):
        clock.sleep("ann", -1.0)
