"""`KeyedExecutor`: names, and keys and tasks that are odd."""

import concurrent.futures
import functools
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor


def test_threads_without_a_given_name_are_named_after_the_executor() -> None:
    with KeyedExecutor(1) as first, KeyedExecutor(1) as second:
        names = [
            executor.submit(lambda: threading.current_thread().name).result(DEADLINE)
            for executor in (first, second)
        ]

    assert len(set(names)) == 2
    assert all(re.fullmatch(r"KeyedExecutor-\d+_0", name) for name in names)


def test_a_task_that_waits_for_itself_is_told_so(gate: Gate) -> None:
    own: list[concurrent.futures.Future[int]] = []

    def wait_for_myself() -> int:
        gate()
        return own[0].result()

    with KeyedExecutor(1) as executor:
        own.append(executor.submit(wait_for_myself))
        gate.open()

        with pytest.raises(RuntimeError, match="a task cannot wait for its own future"):
            own[0].result(DEADLINE)


def test_a_task_of_another_executor_may_wait_for_the_same_key() -> None:
    with KeyedExecutor(1) as executor, KeyedExecutor(1) as other:
        future = other.submit_keyed("a", lambda: executor.submit_keyed("a", int).result(DEADLINE))

        assert future.result(DEADLINE) == 0


class Mutable:
    """A key whose hash changes."""

    def __init__(self) -> None:
        self.value = 1

    def __hash__(self) -> int:
        return hash(self.value)


def test_a_key_that_changes_strands_none_of_its_tasks(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    with KeyedExecutor(1) as executor:
        key = Mutable()
        executor.submit_keyed(key, gate)
        behind = executor.submit_keyed(key, lambda: "behind")
        gate.wait_until_reached()

        key.value = 2
        gate.open()

        assert behind.result(DEADLINE) == "behind"
        until(lambda: "looking it up failed" in caplog.text)
        key.value = 1
        assert executor.submit_keyed(key, lambda: "again").result(DEADLINE) == "again"


@pytest.mark.parametrize("function", [None, 3])
@pytest.mark.parametrize("through", ["submit", "submit_keyed", "view"])
def test_what_cannot_be_called_fails_its_own_task_as_calling_it_does(
    function: Callable[[], object], through: str
) -> None:
    with KeyedExecutor(1) as executor:
        submit: dict[str, Callable[[Any], concurrent.futures.Future[Any]]] = {
            "submit": executor.submit,
            "submit_keyed": functools.partial(executor.submit_keyed, "a"),
            "view": executor.for_key("a").submit,
        }
        error = submit[through](function).exception(DEADLINE)

        assert type(error) is TypeError
        assert str(error) == f"'{type(function).__name__}' object is not callable"
        assert executor.submit(int).result(DEADLINE) == 0
