"""What is shown as ended is shown with all that it has done: nobody looks at it again."""

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.insides import NEVER_BY_ITSELF, dispatcher_of, table_of
from tests.pool.witness import Gate
from threadpool_mb import (
    Broker,
    BrokerConfig,
    DeadLetter,
    Dispatch,
    DrainReport,
    KeepResource,
    KeyedExecutor,
    Observer,
    Pool,
    Restart,
)
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.threads.watching import Watch


def a_pool(gate: Gate) -> tuple[Any, Callable[[], object]]:
    """Return a pool that holds a message, and what waits for its end."""

    def worker(_key: str) -> Generator[None, object]:
        while True:
            yield
            gate()

    pool = Pool[str, object](worker, start="on_demand", stuck_after=NEVER_BY_ITSELF)
    pool.dispatch("a", 1)
    return pool, lambda: (pool.close(), pool.join())


def an_executor(gate: Gate) -> tuple[Any, Callable[[], object]]:
    """Return an executor that runs a task."""
    executor = KeyedExecutor(1, stuck_after=NEVER_BY_ITSELF)
    executor.submit_keyed("a", gate)
    return executor, executor.shutdown


def a_broker(gate: Gate) -> tuple[Any, Callable[[], object]]:
    """Return a broker that handles a message."""

    def handle(_key: str, _resource: None, _message: str) -> KeepResource:
        gate()
        return KeepResource()

    config = BrokerConfig[str, str, str, None](
        lambda message: Dispatch(message, message),
        lambda _key, _message: None,
        handle,
        lambda _key, _resource: None,
    )
    broker = Broker(config, start="on_demand", stuck_after=NEVER_BY_ITSELF)
    broker.input.deliver("a")
    return broker, lambda: (broker.close(), broker.join())


@pytest.mark.parametrize("make", [a_pool, an_executor, a_broker])
def test_what_ends_as_it_is_looked_at_is_not_shown_as_ended_with_less_than_it_has_done(
    make: Callable[[Gate], tuple[Any, Callable[[], object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    shown, end = make(gate)
    gate.wait_until_reached()
    now = Watch.now

    def ends_meanwhile(watch: Watch) -> object:
        looked = now(watch)
        gate.open()
        end()
        return looked

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "now", ends_meanwhile)
        meanwhile = shown.stats()
    later = shown.stats()

    assert meanwhile.state == "running"
    assert (later.state, later.handled, later.busy, later.threads) == ("ended", 1, 0, 0)


@pytest.mark.parametrize("make", [a_pool, an_executor])
def test_what_has_ended_in_a_turn_that_goes_on_is_not_shown_as_ended(
    make: Callable[[Gate], tuple[Any, Callable[[], object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread counts what a turn has handled once the turn is over."""
    gate, last = Gate(), Gate()
    kind: Any = GeneratorLane if make is a_pool else Task
    turn = kind.turn

    def goes_on(lane: Any) -> int:  # noqa: ANN401 - of either kind
        handled: int = turn(lane)
        if shown_at and over(shown_at[0]):  # else it has waited for the gate before that
            last()
        return handled

    monkeypatch.setattr(kind, "turn", goes_on)
    shown_at: list[Any] = []
    shown, end = make(gate)
    gate.wait_until_reached()
    shown_at.append(shown)
    (shown.close if make is a_pool else lambda: shown.shutdown(wait=False))()
    gate.open()
    last.wait_until_reached()
    if make is a_pool:
        until(lambda: not dispatcher_of(shown)._thread.is_alive())
    meanwhile = shown.stats()
    last.open()
    end()

    assert (meanwhile.state, meanwhile.threads) == ("closing", 1)
    assert (shown.stats().state, shown.stats().handled) == ("ended", 1)


def over(shown: Any) -> bool:  # noqa: ANN401 - a pool or an executor
    """Return whether all workers, or tasks, of what was closed are over."""
    if isinstance(shown, Pool):
        return not list(shown.workers())
    return table_of(shown)._ended.is_open


class Ending(Observer):
    """Keeps what was counted when the end was told, and what is told after it."""

    def __init__(self) -> None:
        self.dead_letters: list[int] = []
        self.late = 0

    def attach(self, name: str, stats: Callable[[], Any], /) -> None:
        del name
        self._stats = stats

    def dead_letter(self, letter: DeadLetter[Any, Any], /) -> None:
        del letter
        self.late += bool(self.dead_letters)

    def detach(self, name: str, /) -> None:
        del name
        self.dead_letters.append(sum(self._stats().dead_letters.values()))


def raising(_key: str) -> Generator[None, object]:
    """Fail at each message."""
    yield
    raise ValueError


def test_a_pool_ends_after_the_dead_letters_of_workers_that_never_start() -> None:
    observer = Ending()
    letters = list[object]()

    def keep(letter: DeadLetter[str, object]) -> None:
        letters.append(letter.message)
        # What the dispatcher has been told before this, it has done then; it has not ended.
        passed = threading.Event()
        dispatcher_of(pool).call_soon(passed.set)
        assert passed.wait(5)

    pool = Pool[str, object](
        raising,
        start="on_demand",
        restart=Restart(delay=NEVER_BY_ITSELF, max_delay=NEVER_BY_ITSELF),
        on_dead_letter=keep,
        observe=observer,
    )
    pool.dispatch("a", "bad")
    until(lambda: pool.stats().failed == 1)
    pool.dispatch_many("a", range(3))
    pool.cancel()

    report = pool.join()

    assert letters == [0, 1, 2]
    assert sum(report.dead_letters.values()) == len(letters)
    assert (observer.dead_letters, observer.late) == ([len(letters)], 0)


def test_a_hook_that_waits_for_the_end_as_the_pool_is_cancelled_comes_back() -> None:
    reports = list[DrainReport[str]]()
    pool = Pool[str, object](
        raising,
        start="on_demand",
        restart=Restart(delay=NEVER_BY_ITSELF, max_delay=NEVER_BY_ITSELF),
        on_dead_letter=lambda _: reports.append(pool.join(timeout=DEADLINE)),
    )
    pool.dispatch("a", "bad")
    until(lambda: pool.stats().failed == 1)
    pool.dispatch_many("a", range(3))

    pool.cancel()

    assert reports
    assert all(report.finished for report in reports)
