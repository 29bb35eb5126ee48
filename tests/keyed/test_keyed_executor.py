"""`KeyedExecutor`: order, exclusion, and what it shares with `ThreadPoolExecutor`."""

import concurrent.futures
import functools
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures.thread import BrokenThreadPool
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.insides import table_of
from tests.pool.doubles import Boom, EvilKey
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor


@pytest.fixture
def executor() -> Iterator[KeyedExecutor]:
    """Return an executor of two threads that is shut down at the end."""
    with KeyedExecutor(2, "io") as executor:
        yield executor


def test_tasks_of_a_key_run_in_the_order_in_which_they_came(executor: KeyedExecutor) -> None:
    handled: dict[int, list[int]] = {key: [] for key in range(5)}

    futures = [
        executor.submit_keyed(number % 5, handled[number % 5].append, number)
        for number in range(1000)
    ]
    concurrent.futures.wait(futures, DEADLINE)

    assert handled == {key: list(range(key, 1000, 5)) for key in range(5)}


def test_a_key_that_is_stuck_holds_up_no_other(executor: KeyedExecutor, gate: Gate) -> None:
    stuck = executor.submit_keyed("stuck", gate)
    behind = executor.submit_keyed("stuck", int)
    gate.wait_until_reached()

    assert executor.submit_keyed("other", lambda: "done").result(DEADLINE) == "done"
    assert executor.submit(lambda: "done").result(DEADLINE) == "done"
    assert not behind.running()
    assert not behind.done()
    gate.open()
    assert stuck.result(DEADLINE) is None
    assert behind.result(DEADLINE) == 0


def test_different_keys_run_at_once(executor: KeyedExecutor) -> None:
    together = threading.Barrier(2)

    futures = [executor.submit_keyed(key, together.wait, DEADLINE) for key in "ab"]

    assert sorted(future.result(DEADLINE) for future in futures) == [0, 1]


def test_tasks_without_a_key_run_at_once(executor: KeyedExecutor) -> None:
    together = threading.Barrier(2)

    futures = [executor.submit(together.wait, DEADLINE) for _ in range(2)]

    assert sorted(future.result(DEADLINE) for future in futures) == [0, 1]


def test_a_hot_key_gives_way_to_others() -> None:
    handled: list[str] = []
    with KeyedExecutor(1) as executor:
        gate = Gate()
        executor.submit(gate)
        for _ in range(100):
            executor.submit_keyed("hot", handled.append, "hot")
        executor.submit_keyed("cold", handled.append, "cold")
        gate.open()

    assert handled.index("cold") == 64
    assert handled.count("hot") == 100


def test_nothing_is_left_of_keys_that_are_idle(executor: KeyedExecutor) -> None:
    futures = [executor.submit_keyed(("key", number), int) for number in range(10_000)]
    concurrent.futures.wait(futures, DEADLINE)

    until(lambda: table_of(executor).tasks == 0)
    assert [shard.entries for shard in table_of(executor).shards if shard.entries] == []


def test_a_task_may_submit_for_its_own_key(executor: KeyedExecutor) -> None:
    def outer() -> concurrent.futures.Future[str]:
        return executor.submit_keyed("a", lambda: "inner")

    inner = executor.submit_keyed("a", outer).result(DEADLINE)

    assert inner.result(DEADLINE) == "inner"


@pytest.mark.parametrize("ask", ["result", "exception"])
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_task_that_waits_for_one_of_its_own_key_is_told_so(
    executor: KeyedExecutor, ask: str, timeout: float | None
) -> None:
    def outer() -> None:
        getattr(executor.submit_keyed("a", int), ask)(timeout)

    error = executor.submit_keyed("a", outer).exception(DEADLINE)

    assert isinstance(error, RuntimeError)
    assert str(error) == (
        "a task of key 'a' cannot wait for another one of its key, which runs only after it"
    )


def test_a_task_may_wait_for_one_of_another_key_and_look_at_one_of_its_own_that_is_done(
    executor: KeyedExecutor,
) -> None:
    before = executor.submit_keyed("a", lambda: 1)

    def outer() -> int:
        return executor.submit_keyed("b", lambda: 2).result(DEADLINE) + before.result()

    assert executor.submit_keyed("a", outer).result(DEADLINE) == 3


def test_what_a_task_raises_is_its_futures_and_the_next_one_runs(executor: KeyedExecutor) -> None:
    errors: list[BaseException] = [Boom(), KeyboardInterrupt()]

    def fail(error: BaseException) -> None:
        raise error

    futures = [executor.submit_keyed("a", fail, error) for error in errors]

    assert [future.exception(DEADLINE) for future in futures] == errors
    assert executor.submit_keyed("a", int).result(DEADLINE) == 0
    with pytest.raises(Boom):
        futures[0].result()


def test_a_task_that_is_cancelled_is_left_out_and_those_behind_it_run(
    executor: KeyedExecutor, gate: Gate
) -> None:
    handled: list[int] = []
    executor.submit_keyed("a", gate)
    futures = [executor.submit_keyed("a", handled.append, number) for number in range(3)]

    assert futures[1].cancel()
    gate.open()
    futures[2].result(DEADLINE)

    assert handled == [0, 2]
    assert futures[1].cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        futures[1].result(DEADLINE)
    assert not futures[0].cancel()


def test_results_of_map_keyed_come_in_the_order_of_the_items(executor: KeyedExecutor) -> None:
    results = executor.map_keyed(lambda n: n * n, range(100), key=lambda n: n % 3)

    assert list(results) == [n * n for n in range(100)]


def test_map_keyed_looks_no_further_ahead_than_it_is_told(executor: KeyedExecutor) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    results = executor.map_keyed(str, items(), key=lambda n: n, buffersize=3)
    before = list(taken)
    first = next(results)

    assert (before, first, taken) == ([0, 1, 2], "0", [0, 1, 2, 3])
    assert list(results) == [str(n) for n in range(1, 10)]


def test_futures_work_with_wait_and_as_completed(executor: KeyedExecutor, gate: Gate) -> None:
    held = executor.submit_keyed("held", gate)
    quick = [executor.submit_keyed("quick", int) for _ in range(10)]

    done, not_done = concurrent.futures.wait(
        [held, quick[-1]], DEADLINE, concurrent.futures.FIRST_COMPLETED
    )
    gate.open()
    completed = set(concurrent.futures.as_completed([held, *quick], DEADLINE))

    assert (done, not_done) == ({quick[-1]}, {held})
    assert completed == {held, *quick}


def test_a_callback_is_called_once_before_or_after_the_end(
    executor: KeyedExecutor, gate: Gate
) -> None:
    called: list[object] = []
    future = executor.submit_keyed("a", gate)
    future.add_done_callback(called.append)
    gate.open()
    future.result(DEADLINE)
    until(lambda: called)

    future.add_done_callback(called.append)

    assert called == [future, future]


def test_a_result_that_does_not_come_in_time_is_a_timeout(
    executor: KeyedExecutor, gate: Gate
) -> None:
    future = executor.submit_keyed("a", gate)

    with pytest.raises(TimeoutError):
        future.result(0)


def test_shutting_down_runs_what_was_submitted_and_refuses_the_rest(gate: Gate) -> None:
    executor = KeyedExecutor(1)
    executor.submit_keyed("a", gate)
    behind = executor.submit_keyed("a", lambda: "done")

    executor.shutdown(wait=False)
    gate.open()

    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit_keyed("a", int)
    assert behind.result(DEADLINE) == "done"
    executor.shutdown()
    assert len(table_of(executor).threads) == 0


def test_shutting_down_may_cancel_what_waits(gate: Gate) -> None:
    executor = KeyedExecutor(1)
    runs = executor.submit_keyed("a", gate)
    behind = executor.submit_keyed("a", int)
    other = executor.submit_keyed("b", int)
    gate.wait_until_reached()

    executor.shutdown(wait=False, cancel_futures=True)
    gate.open()
    executor.shutdown()

    assert runs.result() is None
    assert behind.cancelled()
    assert other.cancelled()


def test_an_executor_that_is_dropped_ends_its_threads_once_all_is_done(gate: Gate) -> None:
    executor = KeyedExecutor(1, "dropped")
    executor.submit_keyed("a", gate)
    behind = executor.submit_keyed("a", int)
    threads = table_of(executor).threads
    alive = weakref.ref(executor)

    del executor
    gc.collect()
    gate.open()

    assert alive() is None
    assert behind.result(DEADLINE) == 0
    until(lambda: len(threads) == 0)


def test_each_thread_is_initialized_before_its_first_task() -> None:
    local = threading.local()

    def initialize(value: str) -> None:
        local.value = value

    with KeyedExecutor(2, initializer=initialize, initargs=("set",)) as executor:
        assert executor.submit_keyed("a", lambda: local.value).result(DEADLINE) == "set"


def test_an_initializer_that_raises_breaks_the_executor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def initialize() -> None:
        raise Boom

    with KeyedExecutor(2, initializer=initialize) as executor:
        futures = [executor.submit_keyed("a", int) for _ in range(1)]

        assert isinstance(futures[0].exception(DEADLINE), BrokenThreadPool)
        with pytest.raises(BrokenThreadPool):
            executor.submit_keyed("a", int)

    assert "the initializer raised" in caplog.text


def test_threads_are_started_when_they_are_needed_and_no_more_than_there_may_be() -> None:
    with KeyedExecutor(2, "io") as executor:
        assert len(table_of(executor).threads) == 0
        gates = [Gate() for _ in range(3)]
        for number, gate in enumerate(gates):
            executor.submit_keyed(number, gate)
        gates[0].wait_until_reached()
        gates[1].wait_until_reached()

        names = sorted(t.name for t in threading.enumerate() if t.name.startswith("io"))
        for gate in gates:
            gate.open()

    assert names == ["io_0", "io_1"]


class Result:
    """Something that can be watched."""


def test_an_idle_thread_keeps_neither_task_nor_result_alive(executor: KeyedExecutor) -> None:
    def run(argument: Result) -> Result:
        return Result()

    argument = Result()
    future = executor.submit_keyed("a", run, argument)
    alive = [weakref.ref(argument), weakref.ref(future.result(DEADLINE)), weakref.ref(future)]
    until(lambda: table_of(executor).threads._idle == len(table_of(executor).threads))

    del argument, future
    gc.collect()
    executor.submit(int).result(DEADLINE)  # lets the thread free what it has made
    gc.collect()

    assert [reference() for reference in alive] == [None, None, None]


def test_its_repr_shows_name_counts_and_state() -> None:
    gate = Gate()
    executor = KeyedExecutor(1, "io")
    before = repr(executor)
    executor.submit_keyed("a", gate)
    executor.submit_keyed("a", int)
    gate.wait_until_reached()
    during = repr(executor)
    gate.open()
    executor.shutdown()

    assert before == "<KeyedExecutor 'io' [0 threads | 0 keys busy | running]>"
    assert during == "<KeyedExecutor 'io' [1 thread | 1 key busy | running]>"
    assert repr(executor) == "<KeyedExecutor 'io' [0 threads | 0 keys busy | shut down]>"


@pytest.mark.parametrize("max_workers", [0, -1, True, "2", 2.5, float("nan")], ids=repr)
def test_a_number_of_workers_that_is_none_is_refused(max_workers: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=f"than 0, and an int, not {max_workers!r}$"):
        KeyedExecutor(max_workers)


def test_an_initializer_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="initializer must be a callable, not 'x'"):
        KeyedExecutor(initializer="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "use",
    [lambda executor: executor.submit_keyed([], int), lambda executor: executor.for_key([])],
    ids=["submit_keyed", "for_key"],
)
def test_a_key_that_cannot_be_hashed_is_refused(
    executor: KeyedExecutor, use: Callable[[KeyedExecutor], object]
) -> None:
    with pytest.raises(TypeError, match=r"a key must be hashable, not \[\]"):
        use(executor)


def test_a_key_that_raises_when_it_comes_leaves_nothing_behind(executor: KeyedExecutor) -> None:
    first, second = EvilKey("a"), EvilKey("b")
    gate = Gate()
    executor.submit_keyed(first, gate)
    second.eq_raises = True

    with pytest.raises(Boom):
        executor.submit_keyed(second, int)
    gate.open()

    until(lambda: table_of(executor).tasks == 0)


@pytest.mark.parametrize("buffersize", [0, -1, 2.5, True])
def test_a_buffersize_that_is_none_is_refused(executor: KeyedExecutor, buffersize: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="buffersize must be an int of at least 1"):
        executor.map_keyed(str, [1], key=functools.partial(int), buffersize=buffersize)
