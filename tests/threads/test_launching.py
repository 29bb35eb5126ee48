"""Who joins threads misses none: also one whose starter has not come back from starting it."""

import _thread
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import DEADLINE, Running, listed_after_its_end, until
from tests.pool.witness import Gate
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.launching import Launches, runs
from threadpool_mb.threads.shared import SharedThreads


@pytest.fixture
def launches() -> Launches:
    return Launches(threading.RLock())


def test_a_joiner_waits_for_a_launch_that_is_not_over(launches: Launches) -> None:
    thread = threading.Thread(target=lambda: None)
    launches.launch_locked(thread)
    joiner = Running(lambda: launches.join(Deadline(None)))

    before = launches.join(Deadline(0))
    thread.start()
    launches.started(thread)

    assert before is False
    assert joiner.result() is True
    assert not thread.is_alive()


def test_a_launch_that_has_failed_is_not_waited_for(launches: Launches) -> None:
    thread = threading.Thread(target=lambda: None)
    launches.launch_locked(thread)
    joiner = Running(lambda: launches.join(Deadline(None)))

    does_not_run = launches.failed_locked(thread)

    assert does_not_run is True
    assert joiner.result() is True


def test_a_launch_that_was_interrupted_behind_the_start_is_joined(launches: Launches) -> None:
    gate = Gate()
    thread = threading.Thread(target=gate)
    launches.launch_locked(thread)
    thread.start()

    does_not_run = launches.failed_locked(thread)
    before = launches.join(Deadline(0))
    gate.open()

    assert (does_not_run, before) == (False, False)
    assert launches.join(Deadline(DEADLINE)) is True


def test_several_joiners_wait_for_one_launch(launches: Launches) -> None:
    thread = threading.Thread(target=lambda: None)
    launches.launch_locked(thread)
    joiners = [Running(lambda: launches.join(Deadline(None))) for _ in range(3)]

    thread.start()
    launches.started(thread)

    assert [each.result() for each in joiners] == [True, True, True]


def test_in_a_child_nobody_waits_for_a_launch_of_the_parents(launches: Launches) -> None:
    launches.launch_locked(threading.Thread(target=lambda: None))
    joiner = Running(lambda: launches.join(Deadline(None)))

    launches.forked()

    assert joiner.result() is True


def test_join_waits_for_a_thread_whose_starter_has_stopped_behind_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread runs, and its starter has not entered it yet: the staged race."""
    stopped, in_turn = Gate(), Gate()
    start = threading.Thread.start

    def start_and_stop(thread: threading.Thread) -> None:
        start(thread)
        if "-shared-" in thread.name:
            stopped()

    class Turn:
        def turn(self) -> int:
            in_turn()
            return 0

    threads = SharedThreads("io", 1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_and_stop)
        starter = Running(lambda: threads.schedule(Turn()))
        stopped.wait_until_reached()
    in_turn.wait_until_reached()
    threads.close()

    early = threads.join(Deadline(0))
    joiner = Running(lambda: threads.join(Deadline(None)))
    in_turn.open()
    stopped.open()
    starter.result()

    assert early is False
    assert joiner.result() is True
    assert len(threads) == 0


def test_a_thread_that_ended_before_its_starter_came_back_is_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = Gate()
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_and_stop(thread: threading.Thread) -> None:
        start(thread)
        if "-shared-" in thread.name:
            started.append(thread)
            stopped()

    class Turn:
        def turn(self) -> int:
            return 0

    threads = SharedThreads("io", 1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_and_stop)
        starter = Running(lambda: threads.schedule(Turn()))
        stopped.wait_until_reached()
    threads.close()
    until(lambda: not started[0].is_alive())
    stopped.open()
    starter.result()

    assert threads.join(Deadline(DEADLINE)) is True


@pytest.fixture
def dummy() -> Iterator[threading.Thread]:
    with listed_after_its_end() as dummy:
        yield dummy


def test_a_thread_that_has_ended_does_not_run_though_it_is_listed(dummy: threading.Thread) -> None:
    assert dummy in threading.enumerate()
    assert dummy.is_alive()

    assert not runs(dummy)


def test_where_the_system_cannot_tell_a_dummy_runs(
    dummy: threading.Thread, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("threadpool_mb.threads.launching._TASKS", tmp_path / "none")

    assert runs(dummy)


def test_threads_run_until_they_end_whoever_has_started_them() -> None:
    gate = threading.Event()
    foreign: list[threading.Thread] = []

    def wait() -> None:
        foreign.append(threading.current_thread())
        gate.wait(DEADLINE)

    own = threading.Thread(target=gate.wait)
    own.start()
    _thread.start_new_thread(wait, ())
    until(lambda: foreign)
    during = [runs(own), runs(foreign[0]), runs(threading.current_thread())]
    gate.set()
    own.join()
    until(lambda: not runs(foreign[0]))

    assert during == [True, True, True]
    assert not runs(own)
