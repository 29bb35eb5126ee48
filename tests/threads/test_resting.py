"""Threads that rest: woken in place of a new one, or ended."""

import threading

import pytest

from tests.helpers import Running
from threadpool_mb.threads import counting
from threadpool_mb.threads.counting import RestingThreads


@pytest.fixture
def lock() -> threading.RLock:
    return threading.RLock()


@pytest.fixture
def threads(lock: threading.RLock) -> RestingThreads:
    return RestingThreads(lock)


def rested(threads: RestingThreads) -> tuple[Running[bool], threading.Event]:
    """Have a thread rest; return it and the event that says that it has begun."""
    began = threading.Event()

    def rest() -> bool:
        bell = threads.add_locked()
        began.set()
        return threads.rest(bell)

    return Running(rest), began


def test_a_thread_that_is_woken_goes_on(
    threads: RestingThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_REST_SECONDS", 60.0)
    thread, began = rested(threads)
    began.wait()

    woken = threads.wake_locked()

    assert thread.result() is True
    assert woken is not None
    assert threads.wake_locked() is None


def test_a_thread_that_nobody_needs_ends(
    threads: RestingThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_REST_SECONDS", 0.0)
    thread, _ = rested(threads)

    assert thread.result() is False
    assert threads.wake_locked() is None


def test_all_end_when_they_are_told_to(
    threads: RestingThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_REST_SECONDS", 60.0)
    sleepers = [rested(threads) for _ in range(3)]
    for _, began in sleepers:
        began.wait()

    threads.end_locked()

    assert [thread.result() for thread, _ in sleepers] == [False] * 3


def test_a_thread_that_is_woken_as_its_time_runs_out_goes_on(
    threads: RestingThreads, lock: threading.RLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has stopped waiting, and is taken off before it has looked: the staged race."""
    monkeypatch.setattr(counting, "_REST_SECONDS", 0.0)
    with lock:
        thread, began = rested(threads)
        began.wait()
        # It cannot look whether it is still one of them: that takes the lock.
        woken = threads.wake_locked()

    assert woken is not None
    assert thread.result() is True
