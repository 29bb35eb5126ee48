"""Running threads together, waiting for a state, and running code in another thread."""

import contextlib
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from threadpool_mb import Pool, WorkerStats

DEADLINE: Final = float(os.environ.get("TESTS_DEADLINE", "15"))
"""Seconds after which what a test waits for is held to be stuck. Never part of what is tested.

`python -m reliability` allows for more: its runs are long, and beside other work.
"""


def told_of_ended_threads(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """Have what ends threads told nobody; return of what kind it was, of each that has ended.

    A test waits for these: what ends a thread is told last of all that the thread does.
    """
    told: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    return told


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition()` holds, looking again and again; fail if it never does.

    `seen and more` is no condition where `seen` is a list: see `tests/test_conditions.py`.
    """
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "the state that the test waits for never came"
        time.sleep(0)  # gives the core away; waits for nothing


def leaving(pool: Pool[Any, Any]) -> list[WorkerStats[Any]]:
    """Return the workers of a pool that were told to end and have not."""
    return [each for each in pool.workers() if each.told_to_end]


class RaisingHandler(logging.Handler):
    """A log handler that lets its error pass, as a careless one does; it keeps the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.emitted: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, and raise."""
        self.emitted.append(record.getMessage())
        raise KeyError("the log handler's")


class Running[T]:
    """A function that runs in a thread of its own; `result` joins it and returns or raises."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, name="test-running")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            self._error = error

    @property
    def running(self) -> bool:
        """Whether the function has not ended."""
        return self._thread.is_alive()

    def result(self) -> T:
        """Return or raise what the function did; fail if it is stuck."""
        self._thread.join(DEADLINE)
        if self._thread.is_alive():
            faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
            msg = f"stuck: {self._function}"
            raise AssertionError(msg)
        if self._error is not None:
            raise self._error
        return self._value[0]


def run_together(*functions: Callable[[], object]) -> None:
    """Run all functions at once, each in a thread; raise all their errors in one group."""
    barrier = threading.Barrier(len(functions))

    def started_together(function: Callable[[], object]) -> Callable[[], object]:
        def run() -> object:
            barrier.wait(DEADLINE)
            return function()

        return run

    threads = [Running(started_together(function)) for function in functions]
    errors: list[BaseException] = []
    for thread in threads:
        try:
            thread.result()
        except BaseException as error:  # noqa: BLE001 - collected
            errors.append(error)
    if errors:
        msg = "errors in threads that ran together"
        raise BaseExceptionGroup(msg, errors)


@contextlib.contextmanager
def in_thread[T](function: Callable[[], T]) -> Iterator[Running[T]]:
    """Run `function` in a thread during the block, and join it at its end."""
    thread = Running(function)
    try:
        yield thread
    finally:
        thread.result()


def refusing_threads(monkeypatch: pytest.MonkeyPatch, prefix: str = "") -> threading.Event:
    """Return an event: while it is set, no thread is started whose name begins so."""
    refuses = threading.Event()
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if refuses.is_set() and thread.name.startswith(prefix):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    return refuses


class _Closing:
    """Asks for the current thread as it is let go of, as whatever logs that it is closed does."""

    def __init__(self, seen: list[threading.Thread]) -> None:
        self._seen = seen

    def __del__(self) -> None:
        self._seen.append(threading.current_thread())


@contextlib.contextmanager
def listed_after_its_end() -> Iterator[threading.Thread]:
    """Have `threading.enumerate()` list a thread that has ended; see `launching.runs`."""
    own, seen = threading.local(), list[threading.Thread]()
    thread = threading.Thread(target=lambda: setattr(own, "closing", _Closing(seen)))
    thread.start()
    thread.join()
    (dummy,) = seen
    assert dummy in threading.enumerate()
    try:
        yield dummy
    finally:
        # As a new thread with the same ident would.
        threading._active.pop(dummy.ident, None)  # type: ignore[attr-defined]
