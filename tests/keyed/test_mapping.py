"""`map` and `map_keyed`: what they leave out, what they refuse, and what they keep."""

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.insides import table_of
from tests.pool.doubles import Boom
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor


@pytest.fixture
def executor() -> Iterator[KeyedExecutor]:
    """Return an executor of one thread that is shut down at the end."""
    with KeyedExecutor(1, "io") as executor:
        yield executor


VIEWS: dict[str, Callable[[KeyedExecutor], Executor]] = {
    "executor": lambda executor: executor,
    "view": lambda executor: executor.for_key("a"),
}
EACH_VIEW = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


@EACH_VIEW
@pytest.mark.parametrize("buffersize", [None, 1, 2, 10, 20])
def test_a_map_of_a_view_or_executor_that_nobody_keeps_leaves_no_item_out(
    view: Callable[[KeyedExecutor], Any], buffersize: int | None
) -> None:
    executor = KeyedExecutor(2)
    threads = table_of(executor).threads
    alive = weakref.ref(executor)

    results = view(executor).map(lambda n: n + 1, range(10), buffersize=buffersize)
    first = next(results)
    del executor
    gc.collect()

    assert [first, *results] == list(range(1, 11))
    gc.collect()
    assert alive() is None
    until(lambda: len(threads) == 0)


def test_a_map_without_a_buffersize_does_not_keep_the_executor() -> None:
    executor = KeyedExecutor(1)
    alive = weakref.ref(executor)

    results = executor.map(str, range(3))
    del executor
    gc.collect()

    assert alive() is None
    assert list(results) == ["0", "1", "2"]


def test_results_of_map_keyed_keep_the_executor_until_all_is_submitted() -> None:
    executor = KeyedExecutor(1)
    results = executor.map_keyed(str, range(5), key=lambda _: "a", buffersize=1)
    alive = weakref.ref(executor)

    del executor
    gc.collect()

    assert list(results) == [str(n) for n in range(5)]
    gc.collect()
    assert alive() is None


def test_a_map_that_nobody_reads_runs_all_the_same(executor: KeyedExecutor, gate: Gate) -> None:
    ran: list[int] = []
    executor.submit(gate)

    executor.map(ran.append, range(5))
    gate.open()
    executor.submit(int).result(DEADLINE)

    assert ran == [0, 1, 2, 3, 4]


def test_closing_a_map_that_was_read_from_cancels_what_waits(executor: KeyedExecutor) -> None:
    ran: list[int] = []
    gate = Gate()

    def run(number: int) -> None:
        if number == 1:
            gate()
        ran.append(number)

    results: Any = executor.map(run, range(5))
    next(results)
    gate.wait_until_reached()
    results.close()
    gate.open()
    executor.submit(int).result(DEADLINE)

    assert ran == [0, 1]


def test_a_map_looks_no_further_ahead_than_it_is_told(executor: KeyedExecutor) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    results = executor.map(str, items(), buffersize=3)
    before = list(taken)
    first = next(results)

    assert (before, first, taken) == ([0, 1, 2], "0", [0, 1, 2, 3])


@EACH_VIEW
@pytest.mark.parametrize("timeout", [-1, 0])
def test_a_map_whose_time_has_run_out_raises_and_cancels(
    executor: KeyedExecutor, gate: Gate, view: Callable[[KeyedExecutor], Executor], timeout: float
) -> None:
    ran: list[int] = []
    executor.submit_keyed("a", gate)

    results = view(executor).map(ran.append, range(3), timeout=timeout)
    with pytest.raises(TimeoutError):
        next(results)
    gate.open()
    executor.submit_keyed("a", int).result(DEADLINE)

    assert ran == []


@pytest.mark.parametrize("timeout", [float("nan"), True, "1"])
def test_a_map_whose_timeout_is_none_is_refused_where_it_is_made(
    executor: KeyedExecutor,
    timeout: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match="timeout must be seconds"):
        executor.map(str, [1], timeout=timeout)


@pytest.mark.parametrize(
    ("buffersize", "error"), [("2", TypeError), (2.0, TypeError), (0, ValueError), (-1, ValueError)]
)
def test_a_map_whose_buffersize_is_none_is_refused_where_it_is_made(
    executor: KeyedExecutor,
    buffersize: Any,  # noqa: ANN401
    error: type[Exception],
) -> None:
    with pytest.raises(error, match="buffersize must be"):
        executor.map(str, [1], buffersize=buffersize)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            "x",
            (
                r"^key must be a function of an item, not 'x';"
                r" where all items have one key: for_key\(key\)\.map\(fn, items\)$"
            ),
        ),
        (None, "^key must be a function of an item, not None"),
        (lambda: 1, r"^key must take \(item\), but .* takes \(\): "),
        (lambda a, b: (a, b), r"^key must take \(item\), but .* takes \(a, b\): "),
    ],
)
def test_a_key_that_is_no_function_of_an_item_is_refused_where_it_is_given(
    executor: KeyedExecutor,
    key: Any,  # noqa: ANN401
    text: str,
) -> None:
    with pytest.raises(TypeError, match=text):
        executor.map_keyed(str, [], key=key)


def test_what_map_keyed_is_to_run_must_be_a_function(executor: KeyedExecutor) -> None:
    with pytest.raises(TypeError, match=r"^fn must be a function of an item, not \[1, 2\]$"):
        executor.map_keyed([1, 2], str, key=len)  # type: ignore[arg-type]


class Local:
    """A local variable of a task that can be watched."""


def told_of_itself(executor: KeyedExecutor, fn: Callable[[int], None]) -> None:
    """Run a task one of whose arguments has its future in it, and which has forgotten that."""
    mine: list[object] = []
    submitted = threading.Event()

    def run(box: list[object]) -> None:
        assert submitted.wait(DEADLINE)
        assert box
        del box
        fn(0)

    future = executor.submit(run, mine)
    mine.append(future)
    submitted.set()
    try:
        future.result()
    finally:
        del future, mine  # which the error's traceback would hold


FAILING: dict[str, Callable[[Any, Callable[[int], None]], Any]] = {
    "map_keyed": lambda executor, fn: list(executor.map_keyed(fn, range(3), key=int)),
    "map_keyed, buffered": lambda executor, fn: list(
        executor.map_keyed(fn, range(3), key=int, buffersize=1)
    ),
    "map": lambda executor, fn: list(executor.map(fn, range(3))),
    "map, buffered": lambda executor, fn: list(executor.map(fn, range(3), buffersize=1)),
    "map of a view": lambda executor, fn: list(executor.for_key("a").map(fn, range(3))),
    "result": lambda executor, fn: executor.submit(fn, 0).result(),
    "result, keyed": lambda executor, fn: executor.submit_keyed("a", fn, 0).result(DEADLINE),
    "result of a view": lambda executor, fn: executor.for_key("a").submit(fn, 0).result(),
    "exception": lambda executor, fn: executor.submit(fn, 0).exception(),
    "closed early": lambda executor, fn: executor.map_keyed(
        fn, range(3), key=lambda _: "a"
    ).close(),
    "out of time": lambda executor, fn: next(executor.map(fn, range(3), timeout=0)),
    "its own arguments": told_of_itself,
}


@pytest.mark.parametrize("fails", FAILING.values(), ids=FAILING)
def test_what_has_failed_leaves_no_cycle_that_keeps_the_tasks_locals(
    executor: KeyedExecutor, fails: Callable[[KeyedExecutor, Callable[[int], None]], Any]
) -> None:
    alive: list[weakref.ref[Local]] = []

    def fail(_: int) -> None:
        local = Local()
        alive.append(weakref.ref(local))
        raise Boom

    def fail_once() -> None:
        with contextlib.suppress(Boom, TimeoutError):
            fails(executor, fail)

    def are_gone() -> bool:
        executor.submit(int).result(DEADLINE)  # a t-build frees on the thread that has made it
        return [reference() for reference in alive] == [None] * len(alive)

    gc.disable()
    try:
        for _ in range(5):
            fail_once()
        until(are_gone)
    finally:
        gc.enable()


def test_results_keep_none_that_was_taken(executor: KeyedExecutor) -> None:
    for results in (
        executor.map(lambda _: Local(), range(3)),
        executor.map_keyed(lambda _: Local(), range(3), key=int),
        executor.map_keyed(lambda _: Local(), range(3), key=int, buffersize=1),
    ):
        alive = weakref.ref(next(results))

        def is_gone(alive: weakref.ref[Local] = alive) -> bool:
            executor.submit(int).result(DEADLINE)
            gc.collect()
            return alive() is None

        until(is_gone)


def test_a_map_waits_for_its_timeout_once_for_all_results() -> None:
    gate = Gate()
    with KeyedExecutor(1) as executor:
        began = time.monotonic()
        results = executor.map(lambda n: gate() if n == 1 else n, range(3), timeout=0.05)

        # On one thread the first is done by then, however long that has taken.
        gate.wait_until_reached()
        assert next(results) == 0
        with pytest.raises(TimeoutError):
            next(results)
        assert time.monotonic() - began >= 0.05
        gate.open()
