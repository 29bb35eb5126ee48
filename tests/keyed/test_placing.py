"""Gates of tasks of several keys are put up one task at a time, whatever thread it is that submits.

A finalizer or a signal handler may submit while its own thread puts up gates, or holds a shard.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest

from tests.helpers import DEADLINE, Running
from threadpool_mb.keyed.placing import Placing
from threadpool_mb.keyed.table import Table

Log = list[str]


class Future:
    """Keeps what it is told."""

    def __init__(self, *, cancellable: bool = True) -> None:
        self.cancellable: Final = cancellable
        self.told = False

    def cancel(self) -> bool:
        return self.cancellable

    def tell_cancelled(self) -> None:
        self.told = True


class Task:
    """Writes down when its gates are put up, and does something in the midst of that."""

    def __init__(
        self,
        log: Log,
        name: str,
        meanwhile: Callable[[], object] = str,
        future: Future | None = None,
    ) -> None:
        self.log, self.name, self.meanwhile, self.future = log, name, meanwhile, future

    def enter(self) -> None:
        self.log.append(f"{self.name} begins")
        self.meanwhile()
        self.log.append(f"{self.name} ends")


def _fail(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.fixture
def table() -> Table:
    of_one_shard: Any = SimpleNamespace(
        name="executor", shards=[SimpleNamespace(lock=threading.RLock())]
    )
    return of_one_shard


@pytest.fixture
def placing(table: Table) -> Placing:
    return Placing(table)


@pytest.fixture
def log() -> Log:
    return []


WHOLE: Final = ["first begins", "first ends", "second begins", "second ends"]


def test_what_a_handler_submits_while_its_thread_puts_up_gates_comes_after_them(
    placing: Placing, log: Log
) -> None:
    second = Task(log, "second")

    placing.place(Task(log, "first", lambda: placing.place(second)))

    assert log == WHOLE


def test_what_a_thread_with_a_shard_submits_waits_for_no_other_thread_and_is_left_to_it(
    placing: Placing, table: Table, log: Log
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def meanwhile() -> None:
        inside.set()
        go_on.wait(DEADLINE)

    other = Running(lambda: placing.place(Task(log, "first", meanwhile)))
    assert inside.wait(DEADLINE)
    with table.shards[0].lock:
        placing.place(Task(log, "second"))
    assert log == ["first begins"]

    go_on.set()
    other.result()

    assert log == WHOLE


def test_a_thread_without_a_shard_waits_for_the_one_that_puts_up_gates(
    placing: Placing, log: Log
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def meanwhile() -> None:
        inside.set()
        go_on.wait(DEADLINE)

    first = Running(lambda: placing.place(Task(log, "first", meanwhile)))
    assert inside.wait(DEADLINE)
    second = Running(lambda: placing.place(Task(log, "second")))
    go_on.set()
    first.result()
    second.result()

    assert log == WHOLE


@pytest.mark.parametrize("future", [None, Future(), Future(cancellable=False)])
def test_one_that_was_left_and_fails_is_logged_cancelled_and_costs_no_other(
    placing: Placing, log: Log, future: Future | None, caplog: pytest.LogCaptureFixture
) -> None:
    bad = Task(log, "bad", _fail(ValueError("no")), future)
    second = Task(log, "second")

    def submit() -> None:
        placing.place(bad)
        placing.place(second)

    with caplog.at_level(logging.ERROR, "threadpool_mb"):
        placing.place(Task(log, "first", submit))

    assert log == ["first begins", "first ends", "bad begins", "second begins", "second ends"]
    assert "executor: a task of several keys was not run" in caplog.text
    assert future is None or future.told is future.cancellable


class OneIn:
    """What is left to another thread: a task comes just after the last look of that thread."""

    def __init__(
        self, left: "queue.SimpleQueue[Any]", after: int, comes: Callable[[], object]
    ) -> None:
        self.left, self.looks, self.comes = left, after, comes
        self.put, self.get = left.put, left.get

    def qsize(self) -> int:
        found = self.left.qsize()
        self.looks -= 1
        if not self.looks:
            self.comes()
        return found


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
@pytest.mark.parametrize("error", [None, RuntimeError("closed"), KeyboardInterrupt()], ids=repr)
def test_what_is_left_to_a_thread_that_fails_is_put_up_as_well(
    placing: Placing,
    table: Table,
    log: Log,
    error: BaseException | None,
    waits: bool,  # noqa: FBT001 - a parameter
) -> None:
    """It comes from a thread with a shard, as the other one has looked, and lets go of the lock."""
    placing_any: Any = placing
    left = placing_any._left
    second = Task(log, "second")
    # That thread finds the lock taken, and leaves it there.
    placing_any._left = OneIn(left, 1, lambda: left.put(second))
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with placing_any._lock:
            held.set()
            go_on.wait(DEADLINE)

    if waits:
        holder = Running(hold)
        assert held.wait(DEADLINE)
        # Asked once the lock was found taken.
        shard: Any = table.shards[0]
        shard.lock = SimpleNamespace(_is_owned=go_on.set)
        go_on_at = Running(holder.result)
    first = Task(log, "first", str if error is None else _fail(error))
    with contextlib.nullcontext() if error is None else pytest.raises(type(error)):
        placing.place(first)
    if waits:
        go_on_at.result()

    assert log[-2:] == ["second begins", "second ends"]


def test_an_interrupt_in_one_that_was_left_reaches_the_thread_that_puts_it_up(
    placing: Placing, log: Log
) -> None:
    future = Future()
    bad = Task(log, "bad", _fail(KeyboardInterrupt()), future)

    with pytest.raises(KeyboardInterrupt):
        placing.place(Task(log, "first", lambda: placing.place(bad)))

    assert future.told
    placing.place(Task(log, "second"))
    assert log == ["first begins", "first ends", "bad begins", *WHOLE[2:]]
