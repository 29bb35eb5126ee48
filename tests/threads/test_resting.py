"""Threads that rest: woken in place of a new one, or ended."""

import queue
import threading
from collections.abc import Callable

import pytest

from tests.helpers import Running
from tests.insides import Calls
from tests.points import interrupted_at_each_point
from threadpool_mb.threads import counting
from threadpool_mb.threads.counting import RestingThreads
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import ServingThread


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

    _, bell = threads.take_locked()
    bell.put(True)  # noqa: FBT003 - it goes on

    assert thread.result() is True
    with pytest.raises(KeyError):
        threads.take_locked()


def test_a_thread_that_nobody_needs_ends(
    threads: RestingThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_REST_SECONDS", 0.0)
    thread, _ = rested(threads)

    assert thread.result() is False
    with pytest.raises(KeyError):
        threads.take_locked()


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
        _, bell = threads.take_locked()
        bell.put(True)  # noqa: FBT003 - it goes on

    assert thread.result() is True


class Rests(threading.Thread):
    """A thread that rests, as far as others see."""


def at_rest(ask: Callable[[], object]) -> tuple[SharedThreads, Rests, "queue.SimpleQueue[bool]"]:
    """Return threads all of which wait, and one that rests."""
    threads, rests = SharedThreads("t", 1, ask), Rests()
    bell: queue.SimpleQueue[bool] = queue.SimpleQueue()
    threads._resting._resting[rests] = bell
    threads._threads.append(threading.current_thread())
    threads.block(ServingThread(threads))
    return threads, rests, bell


def test_an_interrupt_as_a_resting_thread_is_woken_neither_loses_it_nor_leaves_it_uncounted() -> (
    None
):
    def grow(scene: tuple[SharedThreads, Rests, object]) -> None:
        threads = scene[0]
        threads.put(Calls(int))
        threads.grow()

    for threads, rests, bell in interrupted_at_each_point(lambda: at_rest(list), grow):
        woken = rests not in threads._resting._resting
        assert bell.qsize() == woken
        assert threads._starting == woken
        assert (rests in threads._threads) == woken
        # One of them rests once it is not needed.
        assert threads._too_many == woken
        assert threads.growing != woken


def test_an_interrupt_as_resting_threads_are_told_to_end_loses_none() -> None:
    def close(scene: tuple[SharedThreads, Rests, object]) -> None:
        scene[0].close()

    for threads, rests, bell in interrupted_at_each_point(lambda: at_rest(list), close):
        threads.close()

        assert rests not in threads._resting._resting
        assert bell.qsize() == 1
        assert bell.get() is False
