"""Real pools on the page."""

import gc
from collections.abc import Generator
from typing import Any

import pytest

from tests.dashboard.doubles import get, pool
from tests.helpers import until
from tests.insides import NEVER_BY_ITSELF, look_twice, watch_of
from tests.pool.witness import Gate, Witness
from threadpool_mb import (
    Broker,
    BrokerConfig,
    Dispatch,
    KeyedExecutor,
    MailboxStats,
    Pool,
    Unlimited,
)
from threadpool_mb.dashboard import serve
from threadpool_mb.dashboard.watching import Watch
from threadpool_mb.pool import looking

FAST = 0.01


def counting(key: object) -> Generator[None, int]:
    while True:
        yield


def test_what_a_pool_of_generators_does_is_on_the_page() -> None:
    with Pool(counting, name="io", start="on_demand") as shown, serve(shown, interval=FAST) as page:
        for number in range(300):
            shown.dispatch(number % 3, number)
        shown.flush()
        shown.dispatch("gone", 1)
        shown.remove("gone", drain=True)
        until(lambda: pool(page)["figures"].get("handled") == 301)
        until(lambda: pool(page)["figures"]["keys"] == 3)
        told = pool(page)
        found = get(page, "/api/key?pool=0&text=2").json()

    assert (told["name"], told["kind"], told["state"]) == ("io", "Pool", "running")
    assert told["figures"]["waiting"] == 0
    assert told["figures"]["threads"] >= 1
    assert found["type"] == "int"
    assert found["worker"] == {
        "incarnation": 3,
        "state": "idle",
        "running": True,
        "told_to_end": False,
        "messages": 0,
        "senders_waiting": 0,
    }


def test_the_longest_queues_of_a_pool_are_on_the_page() -> None:
    witness = Witness()
    with witness.pool(name="io") as shown, serve(shown, interval=FAST) as page:
        gates = [witness.hold(shown, key) for key in ("a", "b")]
        for _ in range(5):
            shown.dispatch("b", "message")
        shown.dispatch("a", "message")
        until(lambda: len((pool(page)["hot"] or {"keys": ()})["keys"]) == 2)
        until(lambda: pool(page)["hot"]["keys"][0]["messages"] == 5)
        hot = pool(page)["hot"]["keys"]
        told = pool(page)
        for gate in gates:
            gate.open()

    assert [(each["text"], each["messages"]) for each in hot] == [("'b'", 5), ("'a'", 1)]
    assert "handled" not in told["figures"]  # functions take their messages themselves


def test_a_pool_that_has_ended_is_on_the_page_with_what_it_has_done() -> None:
    shown = Pool(counting, name="io", start="on_demand")
    with serve(shown, interval=FAST) as page:
        with shown:
            shown.dispatch("a", 1)
            until(lambda: pool(page)["state"] == "running")
        until(lambda: pool(page)["state"] == "ended")
        assert pool(page)["figures"]["handled"] == 1
        del shown
        gc.collect()

        assert (pool(page)["state"], pool(page)["name"]) == ("ended", "io")


def test_a_pool_that_is_dropped_while_it_is_watched_is_closed_and_shown_as_ended() -> None:
    pools = [Pool(counting, name="io")]
    pools[0].initialize("a")
    watch = Watch(0, pools[0])
    watch.look(1, looked_at=True)

    with pytest.warns(ResourceWarning, match="unclosed <Pool 'io'>"):
        pools.clear()
    watch.look(2, looked_at=True)

    assert (watch.shot.gone, watch.shot.figures.state) == (True, "ended")


def test_what_an_executor_does_is_on_the_page() -> None:
    gate = Gate()
    with (
        KeyedExecutor(1, thread_name_prefix="tasks") as shown,
        serve(shown, interval=FAST) as page,
    ):
        assert shown.submit_keyed("a", len, "abc").result() == 3
        shown.submit_keyed("b", gate)
        gate.wait_until_reached()
        for _ in range(2):
            shown.submit_keyed("b", int)
        until(lambda: pool(page)["figures"].get("handled") == 1)
        until(lambda: pool(page)["figures"]["waiting"] == 2)
        until(lambda: (pool(page)["hot"] or {"keys": ()})["keys"])
        told = pool(page)
        found = get(page, "/api/key?pool=0&text=b").json()
        gone = get(page, "/api/key?pool=0&text=a").json()
        gate.open()

    assert (told["name"], told["kind"], told["state"]) == ("tasks", "KeyedExecutor", "running")
    assert told["figures"] == {
        "keys": 1,
        "busy": 1,
        "waiting": 2,
        "handled": 1,
        "failed": 0,
        "cancelled": 0,
        "threads": 1,
    }
    assert [each["text"] for each in told["hot"]["keys"]] == ["'b'"]
    assert found["worker"] == {"state": "busy", "messages": 2}
    assert gone["found"] is False


def test_what_a_broker_does_is_on_the_page() -> None:
    gate = Gate()
    config: BrokerConfig[Any, str, Any, None] = BrokerConfig(
        lambda message: message,
        lambda _key, _message: None,
        lambda _key, message, _: gate() if message == "stay" else None,
        lambda _key, _resource: None,
    )
    with (
        Broker(
            config, name="files", max_threads=1, start="on_demand", on_dead_letter=lambda _: None
        ) as shown,
        serve(shown, interval=FAST) as page,
    ):
        shown.input.deliver(Dispatch("a", "message"))
        shown.input.deliver("no address")
        shown.input.deliver(Dispatch("b", "stay"))
        gate.wait_until_reached()
        shown.input.deliver(Dispatch("b", "waits"))
        until(lambda: (pool(page)["hot"] or {"keys": ()})["keys"])
        until(lambda: pool(page)["figures"].get("busy") == 1)
        until(lambda: pool(page)["figures"]["handled"] == 1)
        until(lambda: pool(page)["figures"]["waiting"] == 1)  # it is looked at before the keys are
        told = pool(page)
        found = [get(page, f"/api/key?pool=0&text={key}").json() for key in ("a", "b")]
        gate.open()

    assert (told["name"], told["kind"], told["state"]) == ("files", "Broker", "running")
    assert told["figures"] == {
        "keys": 2,
        "busy": 1,
        "waiting": 1,
        "handled": 1,
        "failed": 1,
        "threads": 2,
    }
    assert told["dead_letters"] == {"demultiplex failed": 1}
    assert [each["text"] for each in told["hot"]["keys"]] == ["'b'"]
    assert [each["worker"] for each in found] == [
        {"state": "idle", "messages": 0},
        {"state": "busy", "messages": 1},
    ]


class Raises:
    """A key that comes to raise."""

    angry = False

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        if self.angry:
            raise ValueError("no")
        return self is other


def test_keys_that_raise_do_no_harm() -> None:
    key = Raises()
    with Pool(counting, start="on_demand") as shown, serve(shown, interval=FAST) as page:
        shown.dispatch(key, 1)
        key.angry = True
        found = get(page, "/api/key?pool=0&text=1")  # has the same hash
        key.angry = False

    assert found.json() == {"found": False, "text": "'1'"}


def test_one_worker_can_be_looked_at_by_its_key() -> None:
    with Pool(counting, name="io", mailbox=Unlimited()) as shown:
        shown.initialize("a")
        shown.initialize("b")
        until(lambda: (found := shown.worker("b")) is not None and found.state == "idle")
        found = shown.worker("b")

        assert found == next(each for each in shown.workers() if each.key == "b")
        assert shown.worker("nobody") is None
        with pytest.raises(TypeError, match="a key must be hashable"):
            shown.worker([])  # type: ignore[arg-type]
        shown.remove("b")
        assert shown.worker("b") is None


def test_looking_at_one_worker_of_many_looks_at_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[object] = []
    look = looking._mailbox_stats

    def note(worker: Any, name: str) -> MailboxStats:  # noqa: ANN401 - a record of the pool's
        looked_at.append(worker.key)
        return look(worker, name)

    with Pool(counting, start="on_demand") as shown:
        for number in range(1000):
            shown.dispatch(number, number)
        shown.flush()
        monkeypatch.setattr(looking, "_mailbox_stats", note)
        found = shown.worker(500)
        monkeypatch.undo()

    assert found is not None
    assert found.key == 500
    assert looked_at == [500]


def test_of_a_thousand_workers_the_stuck_one_is_on_the_page_with_its_stack() -> None:
    gate = Gate()

    def waits_in_the_midst(message: int) -> None:
        if message < 0:
            gate()

    def worker(key: int) -> Generator[None, int]:
        while True:
            waits_in_the_midst((yield))

    with (
        Pool(
            worker, name="io", start="on_demand", max_threads=2, stuck_after=NEVER_BY_ITSELF
        ) as shown,
        serve(shown, interval=FAST) as page,
    ):
        for key in range(1000):
            shown.dispatch(key, 1)
        shown.flush()
        shown.dispatch(500, -1)
        gate.wait_until_reached()
        look_twice(watch_of(shown))
        until(lambda: pool(page)["stuck"])
        (stuck,) = pool(page)["stuck"]
        found = get(page, "/api/key?pool=0&text=500").json()
        gate.open()
        until(lambda: not pool(page)["stuck"])

    assert (stuck["text"], stuck["incarnation"]) == ("500", 501)
    assert stuck["seconds"] >= NEVER_BY_ITSELF
    assert stuck["thread"].startswith("io-shared-")
    assert "in waits_in_the_midst" in stuck["stack"]
    assert found["stuck"]["stack"] == stuck["stack"]
