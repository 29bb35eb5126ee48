"""An observer cannot break what it observes: one that raises, is slow, is interrupted, uses it."""

import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, Final

import pytest

from tests.helpers import until
from tests.observing.recording import KINDS, Kind, Recording, whole, worker_of
from threadpool_mb import Broker, BrokerConfig, Dispatch, KeyedExecutor, Observer, Pool
from threadpool_mb.observer import Kind as Owner

both_kinds = pytest.mark.parametrize("kind", KINDS)

EVENTS: Final = (
    "attach",
    "detach",
    "started",
    "ended",
    "dead_letter",
    "sent",
    "begun",
    "done",
)


def raising(error: BaseException, *events: str) -> Observer:
    """Return an observer each of whose methods raises, or those that are named."""

    def raises(_self: object, *_: object) -> object:
        raise error

    members = dict.fromkeys(events or EVENTS, raises)
    made: Observer = type("Raising", (Observer,), members)()
    return made


@both_kinds
def test_an_observer_that_raises_changes_nothing(kind: Kind) -> None:
    after = Recording()

    with Pool(
        worker_of(kind), observe=[raising(ValueError("the observer's")), after], start="on_demand"
    ) as pool:
        pool.dispatch("a", "x")
        pool.dispatch("a", "bad")
        until(lambda: after.of("ended"))

    assert after.of("sent", "begun", "done")[:1] == [("sent", "a", "x")]
    assert [each for each in after.of("sent", "begun", "done") if each[2] == "x"] == whole("a", "x")
    assert after.of("done")[1][-1] == "ValueError('bad')"


def test_an_observer_that_raises_each_time_is_logged_once_a_second(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("threadpool_mb.guarding._now", lambda: now[0])
    observer = raising(ValueError("the observer's"), "sent")
    with (
        caplog.at_level(logging.ERROR),
        Pool(worker_of("generator"), name="orders", observe=observer) as pool,
    ):
        pool.initialize("a")
        for _ in range(5):
            pool.dispatch("a", "x")
        now[0] += 1.1
        pool.dispatch("a", "x")

    first, second = [record.getMessage() for record in caplog.records]
    assert "orders: the observer <tests" in first or "orders: the observer <" in first
    assert first.endswith("raised in sent")
    assert second.endswith("raised in sent (4 more before it)")
    assert caplog.records[0].exc_info is not None


def test_a_slow_observer_is_logged_once_a_second_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, clock = [1000.0], [0.0]
    monkeypatch.setattr("threadpool_mb.guarding._now", lambda: now[0])
    monkeypatch.setattr("threadpool_mb.guarding._clock", lambda: clock[0])

    class Slow(Observer):
        def sent(self, key: object, message: float, /) -> None:
            clock[0] += message

    def worker(_key: object) -> Generator[None, float]:
        while True:
            yield

    with caplog.at_level(logging.WARNING), Pool(worker, observe=Slow()) as pool:
        pool.initialize("a")
        # One alone may be the system's.
        for seconds in (0.001, 0.5, 0.009, 0.011, 0.009, 0.02, 0.03, 0.04):
            pool.dispatch("a", seconds)
        now[0] += 1.1
        pool.dispatch("a", 0.001)
        pool.dispatch("a", 1.01)

    first, second = [record.getMessage() for record in caplog.records]
    assert first.endswith("was slow in sent: it took 30 ms (3 more before it)")
    assert second.endswith("was slow in sent: it took 1010 ms (1 more before it)")


@both_kinds
def test_an_interrupt_of_sent_reaches_the_sender_and_the_message_was_not_taken(
    kind: Kind,
) -> None:
    after = Recording()
    observer = raising(KeyboardInterrupt(), "sent")

    with Pool(worker_of(kind), observe=[observer, after]) as pool:
        pool.initialize("a")
        with pytest.raises(KeyboardInterrupt):
            pool.dispatch("a", "x")
        with pytest.raises(KeyboardInterrupt):
            pool.dispatch_later(0, "a", "x")

    assert after.of("begun", "done", "dead_letter") == []


@both_kinds
@pytest.mark.parametrize("event", ["begun", "done", "started"])
def test_an_interrupt_on_a_workers_thread_ends_the_worker_as_if_it_had_raised(
    kind: Kind, event: str
) -> None:
    before, after = Recording(), Recording()
    observer = raising(KeyboardInterrupt("there"), event)

    with Pool(worker_of(kind), observe=[before, observer, after]) as pool:
        pool.initialize("a", "x")
        until(lambda: before.of("ended"))

    assert before.last_exit.cause == "failed"
    assert repr(before.last_exit.error) == "KeyboardInterrupt('there')"
    if event == "begun":
        # What was begun is done.
        assert before.of("done") == [
            ("done", "a", "x", ("in hand", "x"), "KeyboardInterrupt('there')")
        ]
        assert after.of("begun", "done") == []


@both_kinds
def test_observers_are_told_in_their_order_and_are_done_in_the_other(kind: Kind) -> None:
    order = list[tuple[str, str]]()

    class Named(Observer):
        def __init__(self, name: str) -> None:
            self.name: Final = name

        def sent(self, key: object, message: object, /) -> object:
            order.append(("sent", self.name))
            return self.name

        def begun(self, key: object, message: object, sent: object, /) -> object:
            assert sent == self.name
            order.append(("begun", self.name))
            return self.name

        def done(self, key: object, message: object, begun: object, error: object, /) -> None:
            assert begun == self.name
            order.append(("done", self.name))

    with Pool(worker_of(kind), observe=(Named("a"), Named("b"), Observer())) as pool:
        pool.initialize("key", "x")

    assert order == [(event, name) for event in ("sent", "begun") for name in "ab"] + [
        ("done", "b"),
        ("done", "a"),
    ]


@both_kinds
def test_one_whose_begun_has_raised_gets_no_done_and_one_whose_sent_has_gets_none(
    kind: Kind,
) -> None:
    told = list[tuple[str, object]]()

    class Raises(Observer):
        def sent(self, key: object, message: object, /) -> object:
            raise ValueError

        def begun(self, key: object, message: object, sent: object, /) -> object:
            told.append(("begun", sent))
            raise ValueError

        def done(self, key: object, message: object, begun: object, error: object, /) -> None:
            told.append(("done", begun))

    for observe in (Raises(), [Raises(), Recording()]):
        with Pool(worker_of(kind), observe=observe) as pool:
            pool.initialize("key", "x")

    assert told == [("begun", None)] * 2


@both_kinds
def test_an_observer_may_use_its_pool_in_each_event(kind: Kind) -> None:
    used = set[str]()

    def using(event: str) -> Callable[..., None]:
        def use(_self: object, *_: object) -> None:
            if pools and event not in used:
                used.add(event)
                (pool,) = pools
                pool.stats()
                list(pool.workers())
                pool.dispatch("b", "x")
                pool.flush("nobody", timeout=0)
                pool.remove("c")

        return use

    members = {event: using(event) for event in EVENTS if event not in {"attach", "detach"}}
    observer: Observer = type("Using", (Observer,), members)()
    pools = list[Pool[str, Any]]()

    with Pool[str, Any](worker_of(kind), observe=observer, start="on_demand") as pool:
        pools.append(pool)
        pool.dispatch("a", "x")
        pool.flush("a", timeout=15)
        pool.remove("a")
        until(lambda: "ended" in used)
        pool.dispatch("a", "bad")
        pool.dispatch("a", "x")
        pool.flush("a", timeout=15)
        pools.clear()

    assert used >= {"started", "ended", "sent", "begun", "done"}


@pytest.mark.parametrize("observe", [7, "text", Observer, [7], [Observer(), None]])
def test_what_is_no_observer_is_refused(
    observe: Any,  # noqa: ANN401 - a parameter
) -> None:
    with pytest.raises(TypeError, match="observe must be an Observer, or several, not"):
        Pool(worker_of("generator"), observe=observe)
    with pytest.raises(TypeError, match="observe must be an Observer"):
        KeyedExecutor(observe=observe)
    config: Any = BrokerConfig(
        lambda message: Dispatch(message, message),
        lambda _key, _message: None,
        lambda _key, _message, _resource: None,
        lambda _key, _resource: None,
    )
    with pytest.raises(TypeError, match="observe must be an Observer"):
        Broker(config, observe=observe)


@pytest.mark.parametrize("observe", [None, (), Observer(), [Observer()]])
def test_an_observer_that_overrides_nothing_is_never_called(
    observe: Any,  # noqa: ANN401 - a parameter
) -> None:
    with Pool[str, Any](worker_of("generator"), observe=observe) as pool:
        pool.initialize("a", "x")
    with KeyedExecutor(observe=observe) as executor:
        assert executor.submit_keyed("a", len, "abc").result() == 3
        assert executor._flowing is None


def test_one_observer_of_several_pools_can_tell_them_apart() -> None:
    made = list[tuple[str, Owner]]()
    told = list[tuple[str, object]]()

    class Each(Observer):
        def __init__(self, name: str) -> None:
            self._name: Final = name

        def started(self, key: object, incarnation: int, /) -> None:
            told.append((self._name, key))

    class Both(Observer):
        def for_owner(self, name: str, kind: Owner, /) -> Observer:
            made.append((name, kind))
            return Each(name)

    both = Both()
    with (
        Pool[str, Any](worker_of("generator"), name="one", observe=both) as one,
        Pool[str, Any](worker_of("generator"), name="two", observe=both) as two,
        KeyedExecutor(thread_name_prefix="three", observe=both),
    ):
        one.initialize("a")
        one.flush()
        two.initialize("b")

    assert made == [("one", "pool"), ("two", "pool"), ("three", "executor")]
    assert told == [("one", "a"), ("two", "b")]


def test_what_for_owner_raises_passes_and_what_it_returns_is_checked() -> None:
    class Wrong(Observer):
        def for_owner(self, name: str, kind: Owner, /) -> Any:  # noqa: ANN401 - no observer
            return 7

    with pytest.raises(ValueError, match="its own"):
        Pool(worker_of("generator"), observe=raising(ValueError("its own"), "for_owner"))
    with pytest.raises(TypeError, match="not 7"):
        Pool(worker_of("generator"), observe=Wrong())


def test_a_pool_that_was_dropped_unclosed_is_detached() -> None:
    detached = threading.Event()

    class Detached(Observer):
        def attach(self, name: str, stats: object, /) -> None:
            self.stats = stats  # keeps no pool alive

        def detach(self, name: str, /) -> None:
            detached.set()

    pools = [Pool(worker_of("generator"), observe=Detached())]
    with pytest.warns(ResourceWarning, match="unclosed"):
        pools.clear()

    until(detached.is_set)
