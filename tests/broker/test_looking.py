"""What a broker tells of itself: `stats`, `workers`, `worker`, `hot`."""

import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tests.broker.doubles import (
    Boom,
    Callbacks,
    Gate,
    Intercepting,
    InterceptingMailbox,
    Stop,
    brokering,
    outcome,
    raising,
    settle,
)
from tests.forks import run
from tests.helpers import DEADLINE, in_thread, refusing_threads, run_together, until
from tests.insides import loop_of
from threadpool_mb import (
    Broker,
    BrokerStats,
    DeadLetterReason,
    Dispatch,
    Initialize,
    Mailbox,
    TaskLine,
)
from threadpool_mb.observer import Observer, Stats


def held(gate: Gate) -> Callbacks:
    """Return functions of which `handle` stops at the gate for the message "stay"."""
    return Callbacks(handle=lambda _key, message, _: stay(gate) if message == "stay" else None)


def stay(gate: Gate) -> None:
    gate.pass_through()


def lines(broker: Broker[Any, Any, Any, Any]) -> list[TaskLine[Any]]:
    return sorted(broker.workers(), key=lambda line: repr(line.key))


def test_a_broker_that_has_nothing_to_do() -> None:
    with brokering(Callbacks(), name="idle") as broker:
        stats = broker.stats()
        shown = (lines(broker), broker.worker("a"), broker.hot())

    assert shown == ([], None, [])
    assert stats == BrokerStats(
        name="idle",
        state="running",
        keys=0,
        busy=0,
        waiting=0,
        handled=0,
        failed=0,
        dead_letters={},
        threads=1,
        oldest=None,
        stuck=(),
    )


def test_each_resource_has_a_line() -> None:
    with brokering(Callbacks()) as broker:
        broker.input.deliver(Initialize("a"))
        broker.input.deliver(Initialize("b", "message"))
        settle(broker)
        stats = broker.stats()
        shown = lines(broker)
        found = (broker.worker("a"), broker.worker("c"))

    assert stats.keys == 2
    assert shown == [TaskLine("a", "idle", 0), TaskLine("b", "idle", 0)]
    assert found == (TaskLine("a", "idle", 0), None)


def test_what_is_handled_and_what_waits(max_threads_by_default: int | None) -> None:
    gate = Gate()
    with brokering(held(gate)) as broker:
        broker.input.deliver(Initialize("b"))
        broker.input.deliver(Initialize("a", "stay"))
        gate.wait_until_reached()
        for number in range(3):
            broker.input.deliver(Dispatch("a", number))
        parallel = max_threads_by_default is not None
        until(lambda: not parallel or broker.hot() == [TaskLine("a", "busy", 3)])
        until(lambda: not parallel or not loop_of(broker).busy)
        until(lambda: broker.worker("b") == TaskLine("b", "idle", 0))
        until(lambda: broker.stats().busy <= 1)
        stats = broker.stats()
        shown = lines(broker)
        found = (broker.worker("a"), broker.worker("b"))
        hot = broker.hot()
        gate.open()

    in_line = 3 if parallel else 0
    assert (stats.keys, stats.busy, stats.waiting) == (2, 1, 3)
    assert shown == [TaskLine("a", "busy", in_line), TaskLine("b", "idle", 0)]
    assert found == (TaskLine("a", "busy", in_line), TaskLine("b", "idle", 0))
    assert hot == ([TaskLine("a", "busy", 3)] if parallel else [])


def test_a_message_whose_key_is_not_known_yet_is_in_hand() -> None:
    gate = Gate()

    def demultiplex(message: str) -> Dispatch[str, str]:
        gate.pass_through()
        return Dispatch("a", message)

    with brokering(Callbacks(demultiplex=demultiplex)) as broker:
        broker.input.deliver("message")
        gate.wait_until_reached()
        stats = broker.stats()
        shown = lines(broker)
        gate.open()

    assert (stats.busy, stats.waiting, stats.handled) == (1, 0, 0)
    assert shown == []


def test_what_was_handled_is_counted_and_what_was_not_is_a_dead_letter() -> None:
    callbacks = Callbacks(
        create=lambda key, _: raising(Boom())() if key == "none" else key,
        handle=lambda _key, message, _: raising(Boom())() if message == "bad" else None,
    )
    with brokering(callbacks) as broker:
        for address in (
            Initialize("a"),  # handled
            Initialize("a", "again"),
            Dispatch("a", "good"),  # handled
            Dispatch("a", "bad"),  # handled, and failed
            Dispatch("a", "gone"),
            Initialize("none", "message"),  # failed
            Dispatch("nobody", "message"),
            Initialize("b", "first"),  # handled
        ):
            broker.input.deliver(address)
        settle(broker)  # which is a dead letter, and failed
        broker.close()
        broker.join(timeout=DEADLINE)
        stats = broker.stats()

    assert (stats.handled, stats.failed) == (4, 3)
    assert stats.dead_letters == {
        DeadLetterReason.DUPLICATE_INITIALIZE: 1,
        DeadLetterReason.UNKNOWN_KEY: 2,
        DeadLetterReason.WORKER_FAILED: 1,
        DeadLetterReason.DEMULTIPLEX_FAILED: 1,
    }


def test_what_was_handled_is_counted_while_the_broker_goes_on() -> None:
    with brokering(Callbacks(), start="on_demand") as broker:
        for number in range(100):
            broker.input.deliver(Dispatch(number % 5, number))
        until(lambda: broker.stats().handled == 100)

        assert broker.stats().keys == 5


def test_a_key_that_cannot_be_hashed_fails_and_has_no_line() -> None:
    with brokering(Callbacks()) as broker:
        broker.input.deliver(Dispatch([], "message"))
        settle(broker)
        with pytest.raises(TypeError, match="a key must be hashable"):
            broker.worker([])
        stats = broker.stats()

    assert (stats.handled, stats.failed) == (0, 2)  # and what has settled it
    assert stats.dead_letters[DeadLetterReason.UNKNOWN_KEY] == 1


@pytest.mark.parametrize("n", [0, "1", 1.5, True])
def test_how_many_hot_keys_is_a_number(n: Any) -> None:  # noqa: ANN401
    with brokering(Callbacks()) as broker, pytest.raises(ValueError, match="n must be"):
        broker.hot(n)


def test_what_a_cancelled_broker_leaves_is_not_handled() -> None:
    gate = Gate()
    with brokering(held(gate)) as broker:
        broker.input.deliver(Initialize("a", "stay"))
        gate.wait_until_reached()
        for number in range(5):
            broker.input.deliver(Dispatch("a", number))
        states = [broker.stats().state]
        broker.cancel()
        states.append(broker.stats().state)
        gate.open()
        outcome(broker)
        stats = broker.stats()

    assert [*states, stats.state] == ["running", "cancelling", "ended"]
    assert (stats.handled, stats.busy, stats.waiting, stats.keys) == (1, 0, 0, 0)
    assert stats.dead_letters == {DeadLetterReason.POOL_CLOSED: 5}
    assert stats.threads == 0


def test_a_broker_that_is_closed_handles_what_it_has() -> None:
    gate = Gate()
    with brokering(held(gate)) as broker:
        broker.input.deliver(Initialize("a", "stay"))
        broker.input.deliver(Dispatch("a", "message"))
        gate.wait_until_reached()
        broker.close()
        state = broker.stats().state
        gate.open()
        broker.join(timeout=DEADLINE)
        stats = broker.stats()

    assert (state, stats.state, stats.handled, stats.dead_letters) == ("closing", "ended", 2, {})


def test_a_broker_that_an_error_has_stopped_has_ended() -> None:
    with brokering(Callbacks(handle=raising(Stop()))) as broker:
        broker.input.deliver(Initialize("a", "message"))
        assert isinstance(outcome(broker), Stop)
        stats = broker.stats()

    assert (stats.state, stats.handled, stats.failed) == ("ended", 1, 1)


def test_a_broker_that_has_no_other_thread_counts_what_it_handles_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()
    with brokering(held(gate), name="alone") as broker:
        refusing_threads(monkeypatch, "alone-shared").set()
        broker.input.deliver(Initialize("a", "message"))
        broker.input.deliver(Dispatch("a", "stay"))
        gate.wait_until_reached()
        stats = broker.stats()
        shown = lines(broker)
        gate.open()
        until(lambda: broker.stats().handled == 2)

    assert (stats.threads, stats.busy, stats.handled) == (1, 1, 1)
    assert shown == [TaskLine("a", "busy", 0)]


class Silent(Intercepting):
    """Mailboxes that do not say how much waits."""

    def create[T](self, *, on_dead_letter: Callable[[T], object] | None = None) -> Mailbox[T]:
        mailbox: Mailbox[T] = super().create(on_dead_letter=on_dead_letter)
        return SilentMailbox(self, mailbox)


class SilentMailbox[T](InterceptingMailbox[T]):
    def __len__(self) -> int:
        raise Boom


def test_a_mailbox_that_raises_is_logged_and_counts_as_empty(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with brokering(Callbacks(), mailbox=Silent(), name="silent") as broker:
        broker.input.deliver(Initialize("a"))
        settle(broker)
        stats = broker.stats()

    assert (stats.keys, stats.waiting) == (1, 0)
    assert "silent: a mailbox raised" in caplog.messages


class Attached(Observer):
    """Keeps what reads the figures."""

    stats: Callable[[], Stats]

    def attach(self, name: str, stats: Callable[[], Stats], /) -> None:
        """Keep it."""
        self.stats = stats


def test_observers_read_the_figures_and_do_not_keep_the_broker() -> None:
    observer = Attached()
    brokers = [Broker(Callbacks().config(), observe=observer, start="on_demand")]
    brokers[0].input.deliver(Dispatch("a", "message"))
    until(lambda: brokers[0].stats().handled == 1)
    before: Any = observer.stats()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        brokers.clear()
        gc.collect()
    until(lambda: observer.stats().state == "ended")
    after: Any = observer.stats()

    assert isinstance(before, BrokerStats)
    assert (before.state, before.keys, before.handled) == ("running", 1, 1)
    assert (after.keys, after.handled) == (0, 1)


def test_counters_never_become_less_while_others_send() -> None:
    seen = list[BrokerStats]()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(broker.stats())
            list(broker.workers())
            broker.hot(3)

    def send(sender: int) -> None:
        for number in range(300):
            kind = Initialize if number % 3 == 0 else Dispatch
            broker.input.deliver(kind((sender, number % 7), number))

    with brokering(Callbacks()) as broker:
        with in_thread(look):
            run_together(*(lambda sender=sender: send(sender) for sender in range(3)))
            settle(broker)
            broker.close()
            broker.join(timeout=DEADLINE)
            over.set()
        last = broker.stats()

    for before, after in zip(seen, [*seen[1:], last], strict=True):
        assert before.handled <= after.handled
        assert before.failed <= after.failed
    # What has settled it has no key.
    assert last.handled + sum(last.dead_letters.values()) == 901
    assert 0 < last.handled < 900


@pytest.mark.runs_once
@pytest.mark.parametrize("max_threads", [None, 1])
def test_a_forked_process_looks_at_what_it_does_not_have(max_threads: int | None) -> None:
    program = f"""
    inside, go_on = threading.Event(), threading.Event()

    def handle(key, message, resource):
        if message == "stay":
            inside.set()
            go_on.wait(15)

    config = mb.BrokerConfig(lambda each: each, lambda *_: 1, handle, lambda *_: None)
    broker = mb.Broker(config, max_threads={max_threads})
    broker.input.deliver(mb.Initialize("a", 1))
    until(lambda: broker.stats().handled == 1)
    broker.input.deliver(mb.Dispatch("a", "stay"))
    inside.wait(15)
    broker.input.deliver(mb.Dispatch("a", 2))

    def look():
        stats = broker.stats()
        print(stats.state, stats.busy, stats.waiting, stats.threads, stats.handled)
        print(list(broker.workers()), broker.hot(), broker.worker("a"))

    print(in_child(look))
    go_on.set()
    broker.close()
    broker.join()
    print(broker.stats().handled)
    """

    assert run(program) == ["made before os.fork() 0 0 0 1", "[] [] None", "0", "3"]
