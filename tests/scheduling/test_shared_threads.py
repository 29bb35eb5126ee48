"""Shared threads: when they are started, what they run, and how they end."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.pool.witness import Gate
from threadpool_mb import ThreadRefused
from threadpool_mb.arguments import Deadline
from threadpool_mb.scheduling.shared_threads import SharedThreads


class Calls:
    """A turn that calls a function."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def turn(self) -> None:
        """Call it."""
        self._function()


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
