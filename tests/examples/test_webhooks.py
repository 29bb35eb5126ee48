"""Webhooks: whatever endpoints answer, each event is posted once and in order, or told of."""

import itertools
import logging
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.webhooks import Busy, Endpoint, Refused, Result, deliver
from tests.examples.seeding import seeded_pools
from tests.helpers import in_thread, until
from threadpool_mb.testing import SeededPool

SETTINGS = settings(max_examples=15, deadline=None)

answers = st.lists(st.sampled_from([None, None, Busy, Refused]), max_size=20)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="threadpool_mb")


def expected(
    events: list[str], script: list[type[Exception] | None]
) -> tuple[list[str], list[str]]:
    """Return what an endpoint with these answers takes, and refuses."""
    taken: list[str] = []
    refused: list[str] = []
    rest: Iterator[type[Exception] | None] = iter(script)
    for event in events:
        answer = next((each for each in rest if each not in {Busy, ConnectionError}), None)
        (taken if answer is None else refused).append(event)
    return taken, refused


@SETTINGS
@given(
    scripts=st.dictionaries(st.sampled_from("abcdef"), answers, min_size=1),
    broken_at=st.sets(st.integers(0, 20), max_size=3),
    count=st.integers(0, 12),
)
def test_each_event_is_posted_once_and_in_order_or_refused(
    scripts: dict[str, list[type[Exception] | None]], broken_at: set[int], count: int
) -> None:
    for script in scripts.values():
        for place in broken_at:
            script.insert(place, ConnectionError)
    endpoints = {customer: Endpoint(script) for customer, script in scripts.items()}
    numbered = [f"event {number}" for number in range(count)]

    result = deliver(
        endpoints, [(customer, event) for event in numbered for customer in scripts], pause=0.0
    )

    outcomes = {customer: expected(numbered, script) for customer, script in scripts.items()}
    assert {name: each.taken for name, each in endpoints.items()} == {
        name: taken for name, (taken, _) in outcomes.items()
    }
    assert result == Result({name: no for name, (_, no) in outcomes.items() if no}, {})


def test_a_broken_connection_is_made_anew_and_its_event_posted_first() -> None:
    endpoint = Endpoint([None, ConnectionError, ConnectionError])

    result = deliver({"a": endpoint}, [("a", "1"), ("a", "2"), ("a", "3")], pause=0.0)

    assert endpoint.taken == ["1", "2", "3"]
    assert endpoint.connections == 3
    assert result == Result({}, {})


def test_events_of_a_customer_that_cannot_be_reached_are_told_of_in_order() -> None:
    gone, good = Endpoint([ConnectionError] * 100), Endpoint()
    events = [(name, str(number)) for number in range(5) for name in ("gone", "good")]

    result = deliver({"gone": gone, "good": good}, events, pause=0.0)

    assert gone.taken == []
    assert good.taken == ["0", "1", "2", "3", "4"]
    assert result == Result({}, {"gone": ["0", "1", "2", "3", "4"]})


def test_a_customer_that_waits_to_try_again_holds_no_thread() -> None:
    class BusyUntilTold(Endpoint):
        def _post(self, event: str) -> None:
            if not told.is_set():
                busy.set()
                raise Busy(event)
            super()._post(event)

    busy, told = threading.Event(), threading.Event()
    waits, good = BusyUntilTold(), Endpoint()

    def events() -> Iterator[tuple[str, str]]:
        yield "waits", "1"
        yield "waits", "2"
        busy.wait()
        yield "good", "1"

    with in_thread(
        lambda: deliver({"waits": waits, "good": good}, events(), max_threads=1)
    ) as delivery:
        until(lambda: good.taken == ["1"])  # on the one thread that there is
        waited = (list(waits.taken), delivery.running)
        told.set()
        result = delivery.result()

    assert waited == ([], True)
    assert waits.taken == ["1", "2"]
    assert result == Result({}, {})


def test_each_attempt_is_made_after_its_pause() -> None:
    endpoints = {"busy": Endpoint([Busy] * 8), "broken": Endpoint([ConnectionError] * 3)}
    with seeded_pools(may_fail=True) as pools:
        result = deliver(endpoints, [("busy", "1"), ("broken", "1")], pause=0.004)

    assert result == Result({}, {})
    order = pools[0].order
    # 4, 8, 16 and 32 ms, then 50 each time.
    attempts = [step.at for step in order if step.key == "busy" and step.what == "goes on"]
    pauses = [after - before for before, after in itertools.pairwise([0.0, *attempts])]
    assert pauses == pytest.approx([0.004, 0.008, 0.016, 0.032] + 4 * [0.05])
    connections = [step.at for step in order if step.key == "broken" and step.what == "starts"]
    assert connections == pytest.approx([0.0, 0.004, 0.012, 0.028])


def test_in_whatever_order_customers_have_their_turns_each_gets_its_events_in_order() -> None:
    def post(_: int) -> None:
        endpoints = {
            "good": Endpoint(),
            "busy": Endpoint([Busy, None, Busy]),
            "broken": Endpoint([None, ConnectionError, Refused]),
            "gone": Endpoint([ConnectionError] * 100),
        }
        events = [(name, event) for event in "123" for name in endpoints]
        with seeded_pools(may_fail=True):
            result = deliver(endpoints, events)
        assert {name: "".join(each.taken) for name, each in endpoints.items()} == {
            "good": "123",
            "busy": "123",
            "broken": "13",
            "gone": "",
        }
        assert result == Result({"broken": ["2"]}, {"gone": ["1", "2", "3"]})

    assert SeededPool.explore(post, n=100) > 90
