"""What is kept of a task that is done: nothing, once its lane goes on, or its thread is idle."""

import contextvars
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.insides import table_of
from tests.pool.doubles import Boom
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor, Rate
from threadpool_mb.threads.shared import SharedThreads

VARIABLE: Final = contextvars.ContextVar[object]("VARIABLE")

TURN: Final = 64
"""The most tasks of a key in a turn."""


class Thing:
    """Is referred to weakly."""


def nothing(_: object) -> None:
    """Do nothing."""


def return_error(_: object) -> ValueError:
    """Return an error that this has caught: its traceback refers back to who calls this."""
    try:
        int("x")
    except ValueError as error:
        return error
    raise AssertionError


type Submit = Callable[..., Future[Any]]

SUBMITS: Final[dict[str, Callable[[KeyedExecutor], Submit]]] = {
    "keyed": lambda executor: lambda *call: executor.submit_keyed("a", *call),
    "view": lambda executor: executor.for_key("a").submit,
    "several": lambda executor: lambda *call: executor.submit_multi(["a", "b"], *call),
    "all": lambda executor: executor.submit_exclusive,
}
EACH_SUBMIT = pytest.mark.parametrize("submit", SUBMITS.values(), ids=SUBMITS)


class Held:
    """A task, and what it holds, referred to weakly but for its future, if that is kept."""

    def __init__(
        self, submit: Submit, function: Callable[..., object] = nothing, *, kept: bool = False
    ) -> None:
        argument, value = Thing(), Thing()

        def go() -> Future[Any]:
            VARIABLE.set(value)
            return submit(function, argument)

        future = contextvars.Context().run(go)
        self.kept: Final = future if kept else None
        self.value: Final = weakref.ref(value)
        self.all: Final[list[weakref.ref[Any]]] = [
            weakref.ref(argument),
            self.value,
            weakref.ref(future),
        ]

    def is_gone(self) -> bool:
        """Return whether nothing of it is left."""
        return [each() for each in self.all] == [None] * 3


@EACH_SUBMIT
@pytest.mark.parametrize("first", [True, False])
def test_a_task_is_gone_once_its_lane_has_gone_on(
    submit: Callable[[KeyedExecutor], Submit], *, first: bool
) -> None:
    before, behind = Gate(), Gate()
    with KeyedExecutor(1) as executor:
        executor.submit_keyed("other" if first else "a", before)
        before.wait_until_reached()
        held = Held(submit(executor))
        executor.submit_keyed("a", behind)
        before.open()
        behind.wait_until_reached()

        until(held.is_gone)
        behind.open()


@EACH_SUBMIT
@pytest.mark.parametrize("rate", [None, Rate(1e6)], ids=["plain", "throttled"])
def test_a_task_is_gone_once_its_thread_is_idle(
    submit: Callable[[KeyedExecutor], Submit], rate: Rate | None
) -> None:
    with KeyedExecutor(1, rate=rate) as executor:
        held = Held(submit(executor))
        until(lambda: table_of(executor).threads.idle == 1)

        until(held.is_gone)


def test_a_task_is_gone_while_its_thread_starts_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, growing = Gate(), Gate()
    ran: list[object] = []

    def grow(_: SharedThreads) -> None:
        if ran and threading.current_thread() is not threading.main_thread():
            growing()

    with KeyedExecutor(2) as executor:
        executor.submit(before)
        before.wait_until_reached()
        monkeypatch.setattr(SharedThreads, "grow_if_needed", grow)
        held = Held(executor.submit, lambda _: ran.append(None))
        executor.submit(int)
        before.open()
        growing.wait_until_reached()

        until(held.is_gone)
        growing.open()


def test_a_task_is_gone_while_its_lane_waits_for_its_rate() -> None:
    with KeyedExecutor(1, rate=Rate(1e-3)) as executor:
        held = Held(SUBMITS["keyed"](executor))
        waits = executor.submit_keyed("a", int)

        until(held.is_gone)
        assert waits.cancel()


@pytest.mark.parametrize("kind", ["keyed", "view"])
def test_what_takes_tasks_back_keeps_none_that_has_run(kind: str) -> None:
    gate = Gate()
    with KeyedExecutor(1) as executor:
        of = executor if kind == "keyed" else executor.for_key("a")
        submit = SUBMITS[kind](executor) if kind == "keyed" else of.submit
        submit(gate)
        gate.wait_until_reached()
        taken = submit(int)
        held = [Held(submit) for _ in range(3)]

        assert of._work_queue.get_nowait().future is taken
        gate.open()

        until(lambda: all(each.is_gone() for each in held))


def test_an_error_that_is_kept_keeps_no_task_with_which_a_later_turn_has_begun() -> None:
    gate = Gate()
    with KeyedExecutor(1) as executor:
        submit = SUBMITS["keyed"](executor)
        executor.submit(gate)
        gate.wait_until_reached()
        failed = submit(int, "x")
        for _ in range(TURN - 1):
            submit(int)
        held = Held(submit)
        gate.open()

        assert isinstance(failed.exception(DEADLINE), ValueError)
        until(held.is_gone)


@EACH_SUBMIT
def test_an_error_that_a_task_has_caught_and_returns_keeps_nothing_of_its_context(
    submit: Callable[[KeyedExecutor], Submit],
) -> None:
    with KeyedExecutor(1) as executor:
        held = Held(submit(executor), return_error, kept=True)
        assert held.kept is not None
        assert isinstance(held.kept.result(DEADLINE), ValueError)

        until(lambda: held.value() is None)


class EvilKey:
    """A key that cannot be hashed any more, once it was told so."""

    def __init__(self, error: BaseException) -> None:
        self._error: Final = error
        self.raises = False

    def __hash__(self) -> int:
        if self.raises:
            raise self._error
        return 7


@pytest.mark.parametrize("kind", ["keyed", "several"])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
@pytest.mark.parametrize("error", [Boom(), SystemExit()], ids=["error", "exit"])
def test_an_entry_that_stays_keeps_no_task_and_holds_up_no_end(
    kind: str, error: BaseException, *, closed: bool
) -> None:
    gate, key = Gate(), EvilKey(error)
    ran: list[int] = []

    def function(_: object) -> None:
        gate()
        key.raises = True

    executor = KeyedExecutor(1)
    if kind == "keyed":
        held = Held(lambda *call: executor.submit_keyed(key, *call), function)
    else:
        held = Held(lambda *call: executor.submit_multi([key, "b"], *call), function)
    gate.wait_until_reached()
    executor.submit_keyed(key, ran.append, 1)
    executor.submit_keyed("b", ran.append, 2)
    closing = Running(executor.shutdown) if closed else None
    until(lambda: table_of(executor).closed is closed)
    gate.open()

    until(held.is_gone)
    if closing is None:
        until(lambda: len(ran) == 2)
        key.raises = False
        executor.shutdown()
    else:
        closing.result()
    assert sorted(ran) == [1, 2]
