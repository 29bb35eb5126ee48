"""An interrupt that becomes due in the very call that takes something."""

import _thread
import functools
import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from threadpool_mb.interrupts import after, trying

LOCKS = pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
type Lock = threading.Lock | threading.RLock


class Interrupted:
    """A lock that is acquired as a signal comes in, in one call of C; `wrapped` is released."""

    def __init__(self, wrapped: Lock) -> None:
        both: Iterator[object] = zip(
            map(wrapped.acquire, (False,)),
            itertools.starmap(_thread.interrupt_main, ((),)),
            strict=False,
        )
        self.acquire: Callable[[bool], object] = functools.partial(next, both)


def is_free(lock: Lock) -> bool:
    """Ask on another thread: the owner of an `RLock` could acquire it again."""
    free: list[bool] = []
    thread = threading.Thread(target=lambda: free.append(lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    return free[0]


@LOCKS
def test_an_interrupt_as_a_lock_is_acquired_comes_in_the_body_which_releases_it(
    make: Callable[[], Lock],
) -> None:
    lock = make()
    lock_as_a_signal_comes = Interrupted(lock)
    begun: list[bool] = []

    def act() -> None:
        for _ in trying(lock_as_a_signal_comes):
            try:
                begun.append(True)
            finally:
                lock.release()

    with pytest.raises(KeyboardInterrupt):
        act()

    assert begun == [True]
    assert is_free(lock)


@LOCKS
def test_behind_a_plain_call_it_comes_before_the_try_and_the_lock_stays_held(
    make: Callable[[], Lock],
) -> None:
    """What `trying` is there for: without this the test above could not fail."""
    lock = make()
    lock_as_a_signal_comes = Interrupted(lock)
    begun: list[bool] = []

    def act() -> None:
        if lock_as_a_signal_comes.acquire(False):  # noqa: FBT003 - as `trying` calls it
            try:
                begun.append(True)
            finally:
                lock.release()

    with pytest.raises(KeyboardInterrupt):
        act()

    assert begun == []
    assert not is_free(lock)


@LOCKS
def test_the_body_runs_once_with_the_lock_held_if_it_was_free(make: Callable[[], Lock]) -> None:
    lock = make()

    free = [is_free(lock) for _ in trying(lock)]

    assert free == [False]


def test_the_body_does_not_run_if_the_lock_is_held() -> None:
    lock = threading.Lock()
    lock.acquire()

    assert list(trying(lock)) == []


def test_an_interrupt_in_a_call_comes_when_the_body_has_taken_note_of_the_call() -> None:
    called = False

    def act() -> None:
        nonlocal called
        for _ in after(_thread.interrupt_main):
            called = True

    with pytest.raises(KeyboardInterrupt):
        act()

    assert called


def test_the_body_gets_what_the_call_has_returned() -> None:
    entries = {"a": 1}

    assert [got for _ in range(2) for got in after(entries.pop, "a", 0)] == [1, 0]
