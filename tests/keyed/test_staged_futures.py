"""A future that finishes while somebody begins to wait for it: stopped before each instruction."""

import concurrent.futures
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.keyed.doubles import NoLanes
from tests.mailbox.stepping import Stepped, each_step, held
from threadpool_mb.keyed import futures
from threadpool_mb.keyed.futures import KeyedFuture, NoKey

CODE = str(pathlib.Path(futures.__file__).parent)


def stepping[S](
    prepare: Callable[[], S], act: Callable[[S], object]
) -> Iterator[tuple[S, Stepped[object]]]:
    """Return `each_step` in the futures' code."""
    return each_step(prepare, act, CODE)


def new() -> KeyedFuture[Any]:
    return KeyedFuture(NoLanes(), NoKey())


def two() -> tuple[KeyedFuture[Any], KeyedFuture[Any]]:
    return new(), new()


FINISH: list[Callable[[KeyedFuture[Any]], object]] = [
    lambda future: future.set_result(1),
    lambda future: future.set_exception(ValueError()),
    lambda future: future.cancel() and future.set_running_or_notify_cancel(),
]


@pytest.mark.parametrize("finish", FINISH, ids=["result", "exception", "cancel"])
@pytest.mark.parametrize(
    "wait",
    [
        lambda futures: concurrent.futures.wait(futures, DEADLINE).done,
        lambda futures: set(concurrent.futures.as_completed(futures, DEADLINE)),
    ],
    ids=["wait", "as_completed"],
)
def test_who_waits_for_two_futures_gets_both_wherever_the_first_one_finishes(
    finish: Callable[[KeyedFuture[Any]], object],
    wait: Callable[[list[KeyedFuture[Any]]], set[KeyedFuture[Any]]],
) -> None:
    def act(scene: tuple[KeyedFuture[Any], KeyedFuture[Any]]) -> None:
        finish(scene[0])

    for (first, second), stepped in stepping(two, act):
        waits = Running(lambda: wait([first, second]))  # noqa: B023 - joined in this round
        if not held(first._mutex):
            until(lambda: second._listeners)  # noqa: B023
        stepped.result()
        until(lambda: second._listeners)  # noqa: B023
        second.set_result(2)

        assert waits.result() == {first, second}
        assert (first._listeners, second._listeners) == ([], [])


@pytest.mark.parametrize("finish", FINISH, ids=["result", "exception", "cancel"])
def test_who_waits_for_a_result_is_woken_wherever_it_finishes(
    finish: Callable[[KeyedFuture[Any]], object],
) -> None:
    def ask(future: KeyedFuture[Any]) -> object:
        try:
            return future.result(DEADLINE)
        except (ValueError, concurrent.futures.CancelledError) as error:
            return type(error)

    expected = {0: 1, 1: ValueError, 2: concurrent.futures.CancelledError}[FINISH.index(finish)]
    for future, stepped in stepping(new, finish):
        waits = Running(lambda: ask(future))  # noqa: B023 - joined in this round
        stepped.result()

        assert waits.result() == expected


class Waited:
    """A future that is finished by whoever comes first: the test, or who sees that it waits."""

    def __init__(self) -> None:
        self.future = new()
        self._finished = threading.Lock()
        self._last = Running(self._finish_when_waited_for)

    def _finish_when_waited_for(self) -> None:
        until(
            lambda: (
                self.future.done() or (self.future._made is not None and self.future._made._waiters)
            )
        )
        self.finish()

    def finish(self) -> None:
        """Finish it, if nobody has."""
        if self._finished.acquire(blocking=False):
            self.future.set_result(1)

    def join(self) -> None:
        """Wait for the thread that looks."""
        self._last.result()


def test_a_result_that_comes_wherever_somebody_begins_to_wait_wakes_him() -> None:
    for scene, stepped in stepping(Waited, lambda scene: scene.future.result(DEADLINE)):
        # Blocks if the one who waits has stopped under the lock.
        finishes = Running(scene.finish)

        assert stepped.result() == 1
        finishes.result()
        scene.join()


def test_a_condition_that_a_signal_handler_makes_meanwhile_is_everybodys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    future, seen = new(), list[threading.Condition]()

    made = futures._Condition

    class Interrupted(made):
        """Has a handler ask for the future's condition as it is made, once."""

        def __init__(self, lock: Any) -> None:  # noqa: ANN401 - of some kind
            super().__init__(lock)
            monkeypatch.undo()
            seen.append(future._condition)

    monkeypatch.setattr(futures, "_Condition", Interrupted)

    assert future._condition is seen[0]
    assert type(seen[0]) is made
