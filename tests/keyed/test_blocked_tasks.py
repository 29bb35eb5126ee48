"""Tasks that wait for futures of their own executor: where all threads do, there is one more."""

import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future
from typing import Any

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, Running, refusing_threads, until
from tests.insides import blocked, table_of
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.threads import waiting


@pytest.fixture
def executor() -> Iterator[KeyedExecutor]:
    """Return an executor of one thread that is shut down at the end."""
    with KeyedExecutor(1, "io") as executor:
        yield executor


WAYS: dict[str, Callable[[list[Future[int]]], object]] = {
    "result": lambda futures: [future.result() for future in futures],
    "result, timeout": lambda futures: [future.result(DEADLINE) for future in futures],
    "exception": lambda futures: [future.exception() for future in futures],
    "wait": concurrent.futures.wait,
    "wait, timeout": lambda futures: concurrent.futures.wait(futures, DEADLINE),
    "wait, first": lambda futures: concurrent.futures.wait(futures, return_when=FIRST_COMPLETED),
    "wait, error": lambda futures: concurrent.futures.wait(futures, return_when=FIRST_EXCEPTION),
    "as_completed": lambda futures: list(concurrent.futures.as_completed(futures)),
    "as_completed, timeout": lambda futures: list(
        concurrent.futures.as_completed(futures, DEADLINE)
    ),
}


@pytest.mark.parametrize("wait", WAYS.values(), ids=WAYS)
def test_a_task_that_waits_for_others_does_not_starve_them(
    executor: KeyedExecutor, wait: Callable[[list[Future[int]]], object]
) -> None:
    def outer() -> str:
        wait([executor.submit_keyed(key, lambda: 1) for key in "bc"])
        return "done"

    assert executor.submit_keyed("a", outer).result(DEADLINE) == "done"


def test_a_task_that_maps_does_not_starve_its_items(executor: KeyedExecutor) -> None:
    def outer() -> list[str]:
        return [
            *executor.map(str, range(3)),
            *executor.map_keyed(str, range(3), key=int, buffersize=1),
            *executor.for_key("b").map(str, range(3)),
        ]

    assert executor.submit_keyed("a", outer).result(DEADLINE) == ["0", "1", "2"] * 3


def test_tasks_that_wait_for_each_other_in_a_chain_all_end(executor: KeyedExecutor) -> None:
    def down(depth: int) -> int:
        return 1 + executor.submit_keyed(depth, down, depth - 1).result() if depth else 0

    assert executor.submit_keyed("top", down, 20).result(DEADLINE) == 20
    # The others had nothing to do any more.
    until(lambda: len(table_of(executor).threads) == 1)


def test_a_task_that_comes_when_all_threads_wait_gets_one(executor: KeyedExecutor) -> None:
    future: KeyedFuture[int] = KeyedFuture(table_of(executor).shard("b"), "b")
    waits = executor.submit_keyed("a", future.result)
    until(lambda: blocked(table_of(executor).threads))

    executor.submit_keyed("c", future.set_result, 3)

    assert waits.result(DEADLINE) == 3


def test_there_is_one_thread_more_than_wait_and_no_second_one() -> None:
    threads: set[int] = set()
    with KeyedExecutor(2, "io") as executor:

        def inner() -> None:
            threads.add(len(table_of(executor).threads))

        def outer() -> None:
            concurrent.futures.wait([executor.submit(inner) for _ in range(20)])

        concurrent.futures.wait([executor.submit(outer) for _ in range(2)], DEADLINE)

    assert max(threads) <= 3


def test_who_only_looks_whether_another_one_is_done_gets_no_thread(
    executor: KeyedExecutor,
) -> None:
    def outer() -> int:
        future = executor.submit_keyed("b", int)
        for timeout in (0, -1):
            with pytest.raises(TimeoutError):
                future.result(timeout)
            assert concurrent.futures.wait([future], timeout).not_done
            with pytest.raises(TimeoutError):
                list(concurrent.futures.as_completed([future], timeout))
        return len(table_of(executor).threads)

    assert executor.submit_keyed("a", outer).result(DEADLINE) == 1


def test_a_task_that_waits_for_another_executor_keeps_its_place() -> None:
    """The bound is often there to bound just that: how many wait for something else at once."""
    gate = Gate()
    with KeyedExecutor(1, "outer") as outer, KeyedExecutor(1, "inner") as inner:
        held = inner.submit(gate)
        for wait in (lambda: held.result(), lambda: concurrent.futures.wait([held])):  # noqa: PLW0108
            outer.submit(wait)
        behind = outer.submit(int)
        gate.wait_until_reached()
        until(lambda: held._made is not None and held._made._waiters)  # type: ignore[attr-defined]

        assert len(outer._table.threads) == 1
        assert not behind.done()
        gate.open()
        assert behind.result(DEADLINE) == 0


@pytest.mark.parametrize("wait", ["result", "wait"])
def test_a_task_whose_second_thread_was_refused_asks_for_it_again(
    executor: KeyedExecutor, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    monkeypatch.setattr(waiting, "_LONGEST_PAUSE", 0.01)
    refuses = refusing_threads(monkeypatch, "io")
    executor.submit(int).result(DEADLINE)
    refuses.set()

    def outer() -> object:
        future = executor.submit_keyed("b", lambda: "b")
        return future.result() if wait == "result" else concurrent.futures.wait([future])

    waits = executor.submit_keyed("a", outer)
    until(lambda: table_of(executor).threads._refused)
    refuses.clear()

    assert waits.result(DEADLINE)


def test_a_wait_for_futures_of_several_kinds_is_told_of_once(executor: KeyedExecutor) -> None:
    """The event of a waiter is replaced once, under the conditions of all the futures."""
    own: Any = None

    with KeyedExecutor(1, "other") as other:

        def outer() -> int:
            futures: list[Future[int]] = [
                other.submit(int),
                executor.submit_keyed("b", int),
                executor.submit_keyed("c", int),
                Future(),
            ]
            futures[-1].set_result(0)
            return len(concurrent.futures.wait(futures).done)

        own = executor.submit_keyed("a", outer)
        assert own.result(DEADLINE) == 4

    assert blocked(table_of(executor).threads) == 0


def test_a_thread_of_nobodys_gets_the_event_that_the_standard_library_has_made(
    executor: KeyedExecutor, gate: Gate
) -> None:
    future = executor.submit(gate)
    waits = Running(lambda: concurrent.futures.wait([future]))
    until(lambda: isinstance(future, KeyedFuture) and future._listeners)

    (waiter,) = future._waiters  # type: ignore[attr-defined]
    assert type(waiter.event) is threading.Event
    gate.open()
    assert waits.result().done == {future}


def test_a_wait_that_an_error_ends_counts_no_more(executor: KeyedExecutor, gate: Gate) -> None:
    with KeyedExecutor(2, "two") as two:
        two.submit_keyed("b", gate)
        gate.wait_until_reached()

        def outer() -> None:
            two.submit_keyed("b", int).result(0.001)

        assert isinstance(two.submit_keyed("a", outer).exception(DEADLINE), TimeoutError)
        assert blocked(table_of(two).threads) == 0
        gate.open()


class Ask(mb.Command[int]):
    """What is asked."""


def fails_for_want_of_room(pool: mb.Pool[str, Any], way: str) -> bool:
    if way == "dispatch":
        return not pool.dispatch("full", "no room")
    try:
        mb.call(pool.ref("full"), Ask(), timeout=0.05)
    except mb.CallError:
        return True
    return False


@pytest.mark.parametrize("way", ["dispatch", "call"])
@pytest.mark.parametrize("runs", ["executor", "broker"])
def test_a_task_waits_for_room_in_a_workers_mailbox_for_as_long_as_it_was_told(
    way: str, runs: str
) -> None:
    """Its thread takes turns, and runs no worker."""
    hold = threading.Event()

    def worker(_key: str, mailbox: mb.Mailbox[Any]) -> None:
        hold.wait(DEADLINE)
        for _ in mailbox:
            pass

    failed: list[bool] = []
    with mb.Pool(worker, mailbox=mb.Waiting(1, deliver_timeout=0.05)) as pool:
        pool.initialize("full")
        pool.dispatch("full", "the one that there is room for")
        if runs == "executor":
            with mb.KeyedExecutor(1) as executor:
                future = executor.submit_keyed("key", fails_for_want_of_room, pool, way)
                failed.append(future.result(DEADLINE))
        else:
            config: mb.BrokerConfig[str, str, str, None] = mb.BrokerConfig(
                demultiplex=lambda message: mb.Initialize("key", message),
                create=lambda *_: None,
                handle=lambda *_: failed.append(fails_for_want_of_room(pool, way)),
                clean=lambda *_: None,
            )
            with mb.Broker(config, max_threads=1) as broker:
                broker.input.deliver("go")
                until(lambda: failed)
        hold.set()

    assert failed == [True]


def test_a_task_that_waits_for_a_time_for_one_that_does_not_end_goes_on(
    executor: KeyedExecutor,
) -> None:
    release = threading.Event()
    behind: list[Future[bool]] = []

    def wait_for_it() -> object:
        behind.append(executor.submit_keyed("b", release.wait, DEADLINE))
        return concurrent.futures.wait(behind, timeout=0.01)

    done, not_done = executor.submit_keyed("a", wait_for_it).result(DEADLINE)  # type: ignore[misc]
    release.set()

    assert (done, not_done) == (set(), set(behind))
    assert behind[0].result(DEADLINE)
