"""Shared threads: when they are started, what they run, and how they end."""

import functools
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, RaisingHandler, Running, until
from tests.insides import Calls, ready
from tests.points import interrupted_at_each_point
from tests.pool.witness import Gate
from threadpool_mb import ThreadRefused
from threadpool_mb.arguments import Deadline
from threadpool_mb.line.lane import Lane
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import ServingThread


@pytest.fixture
def threads() -> Iterator[SharedThreads]:
    """Return at most three threads that grow when they ask for it."""
    threads = SharedThreads("t", 3)
    yield threads
    threads.close()
    assert threads.join(Deadline(DEADLINE))


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    """Return gates that are opened at the end."""
    gates = [Gate() for _ in range(4)]
    yield gates
    for gate in gates:
        gate.open()


def test_what_is_scheduled_at_once_gets_threads_at_once(
    threads: SharedThreads, gates: list[Gate]
) -> None:
    for gate in gates[:3]:
        threads.schedule(Calls(gate))

    for gate in gates[:3]:
        gate.wait_until_reached()
    assert len(threads) == 3


def test_what_comes_when_all_are_busy_waits_for_the_first_that_is_not(
    threads: SharedThreads, gates: list[Gate]
) -> None:
    for gate in gates:
        threads.schedule(Calls(gate))
    for gate in gates[:3]:
        gate.wait_until_reached()

    gates[1].open()
    gates[3].wait_until_reached()

    assert len(threads) == 3


def test_an_idle_thread_is_used_before_another_one_is_started(threads: SharedThreads) -> None:
    names: list[str] = []

    for count in range(1, 11):
        threads.schedule(Calls(lambda: names.append(threading.current_thread().name)))
        until(lambda: len(names) == count and threads._idle == 1)  # noqa: B023 - in this round

    assert names == ["t-shared-1"] * 10


def test_a_turn_that_is_scheduled_as_an_idle_thread_takes_another_gets_a_thread(
    threads: SharedThreads, gates: list[Gate]
) -> None:
    threads.schedule(Calls(lambda: None))
    until(lambda: threads._idle == 1)

    # The one that is idle is still counted so when the second one comes.
    with threads._lock:
        threads._idle += 1
    threads.put(Calls(gates[0]))
    threads.schedule(Calls(gates[1]))
    with threads._lock:
        threads._idle -= 1
    threads.grow_if_needed()

    gates[0].wait_until_reached()
    gates[1].wait_until_reached()


def test_join_waits_for_a_thread_that_was_started_meanwhile(gates: list[Gate]) -> None:
    threads = SharedThreads("t", 2)
    threads.schedule(Calls(gates[0]))
    gates[0].wait_until_reached()
    joiner = Running(lambda: threads.join(Deadline(None)))

    threads.schedule(Calls(gates[1]))
    gates[1].wait_until_reached()
    threads.close()
    gates[0].open()
    until(lambda: len(threads) == 1)
    waits_for_the_second = joiner.running
    gates[1].open()

    assert waits_for_the_second
    assert joiner.result() is True


def test_join_says_that_the_deadline_came_first(threads: SharedThreads, gates: list[Gate]) -> None:
    threads.schedule(Calls(gates[0]))

    assert threads.join(Deadline(0)) is False


def test_the_first_thread_that_is_refused_is_an_error_and_the_next_try_may_have_it(
    threads: SharedThreads, refusing: threading.Event
) -> None:
    refusing.set()

    with pytest.raises(ThreadRefused, match=r"no thread \(0 are running\)"):
        threads.grow(least=1)
    refusing.clear()
    threads.grow(least=1)

    assert len(threads) == 1


def test_where_a_further_thread_is_refused_those_that_are_there_do(
    threads: SharedThreads, refusing: threading.Event, gates: list[Gate]
) -> None:
    done: list[Any] = []
    threads.schedule(Calls(gates[0]))
    gates[0].wait_until_reached()
    refusing.set()

    threads.schedule(Calls(lambda: done.append(1)))
    gates[0].open()
    until(lambda: done)

    assert len(threads) == 1


def test_who_asks_for_a_thread_does_not_wait_for_one_who_starts_one(
    threads: SharedThreads, gates: list[Gate]
) -> None:
    asked: list[None] = []
    asking = SharedThreads("t", 3, lambda: asked.append(None))
    with asking._lock:
        # As where a finalizer runs under the lock and waits for one that the asker holds.
        Running(lambda: asking.schedule(Calls(gates[0]))).result()

    assert asked == [None]


@pytest.mark.parametrize("error", [KeyError, SystemExit])
def test_a_turn_that_raises_is_logged_and_its_thread_goes_on(
    threads: SharedThreads, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error("the turn's")

    names: list[str] = []
    threads.schedule(Calls(fail))
    until(lambda: "t: a turn raised" in caplog.messages and threads._idle == 1)

    threads.schedule(Calls(lambda: names.append(threading.current_thread().name)))
    until(lambda: names)

    assert names == ["t-shared-1"]


def test_a_turn_is_taken_though_asking_for_one_more_thread_raises(gates: list[Gate]) -> None:
    def ask() -> None:
        raise KeyError("asking")

    threads = SharedThreads("t", 2, ask)
    threads.grow(least=1)
    threads.put(Calls(gates[0]))
    gates[0].wait_until_reached()
    done: list[int] = []
    for number in (1, 2):
        threads.put(Calls(lambda number=number: done.append(number)))
    gates[0].open()
    until(lambda: len(done) == 2)
    threads.close()

    assert threads.join(Deadline(DEADLINE))
    assert done == [1, 2]


def test_a_thread_whose_start_was_interrupted_before_it_was_seen_to_run_is_one_of_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start
    interrupted: list[threading.Thread] = []

    def interrupt(thread: threading.Thread) -> None:
        interrupted.append(thread)
        raise KeyboardInterrupt

    threads = SharedThreads("t", 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            threads.grow(least=1)
    # The interpreter starts it all the same: the interrupt came while it was waited for.
    start(interrupted[0])
    until(lambda: threads.any)

    assert (len(threads), interrupted[0] in threads, threads.growing) == (1, True, False)
    threads.close()
    assert threads.join(Deadline(DEADLINE))


def test_a_log_handler_that_raises_costs_no_turn(
    refusing: threading.Event, gates: list[Gate], raising_log: RaisingHandler
) -> None:
    threads = SharedThreads("t", 2)
    threads.schedule(Calls(gates[0]))
    gates[0].wait_until_reached()
    refusing.set()
    done: list[int] = []

    threads.schedule(Calls(lambda: done.append(1)))
    gates[0].open()
    until(lambda: done)
    threads.close()

    assert threads.join(Deadline(DEADLINE))
    assert any("starts no further thread" in line for line in raising_log.emitted)


def test_a_turn_that_a_starting_thread_will_take_is_no_reason_for_another_one(
    threads: SharedThreads, gates: list[Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads.schedule(Calls(gates[0]))
    gates[0].wait_until_reached()
    start = threading.Thread.start

    def start_late(thread: threading.Thread) -> None:
        if thread.name == "t-shared-2":
            gates[1]()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_late)
    sender = Running(lambda: threads.schedule(Calls(gates[2])))
    gates[1].wait_until_reached()

    threads.grow()
    while_starting = len(threads._threads)
    gates[1].open()
    sender.result()
    gates[2].wait_until_reached()

    assert (while_starting, len(threads)) == (2, 2)


@pytest.mark.parametrize("of", ["threads", "lane"])
def test_who_is_interrupted_while_a_turn_is_scheduled_has_asked_for_a_thread(of: str) -> None:
    asked: list[SharedThreads] = []

    class IdleLane(Lane[None]):
        def __init__(self, threads: SharedThreads) -> None:
            super().__init__(types.SimpleNamespace(threads=threads), None)
            self._let_go()

    def prepare() -> SharedThreads:
        threads = SharedThreads("t", 1, lambda: asked.append(threads))
        return threads

    def schedule(threads: SharedThreads) -> None:
        if of == "threads":
            threads.schedule(Calls(int))
        else:
            IdleLane(threads).attend()

    for threads in interrupted_at_each_point(prepare, schedule):
        assert not len(ready(threads)) or threads in asked


def test_whoever_is_interrupted_as_it_ends_a_threads_wait_leaves_no_lock_held() -> None:
    def prepare() -> tuple[SharedThreads, ServingThread]:
        threads = SharedThreads("t", 1, int)
        thread = ServingThread(threads)
        thread.blocked()
        return threads, thread

    def end_wait(scene: tuple[SharedThreads, ServingThread]) -> None:
        _, thread = scene
        thread.goes_on(thread.wait)

    for threads, _ in interrupted_at_each_point(prepare, end_wait):
        # On another thread: this one could acquire its own once more.
        assert Running(functools.partial(threads._lock.acquire, blocking=False)).result()
