"""Where a `ThreadPoolExecutor` is expected: `isinstance`, asyncio, and what is private in it."""

import asyncio
import concurrent.futures
import concurrent.futures.thread
import gc
import inspect
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.insides import table_of
from tests.pool.doubles import Boom
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor
from threadpool_mb.keyed.standard import StandardExecutor
from threadpool_mb.keyed.views import KeyView

VIEWS: dict[str, Callable[[KeyedExecutor], Any]] = {
    "executor": lambda executor: executor,
    "view": lambda executor: executor.for_key("a"),
}
EACH_VIEW = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


@pytest.fixture
def executor() -> Iterator[KeyedExecutor]:
    """Return an executor of two threads that is shut down at the end."""
    with KeyedExecutor(2, "io") as executor:
        yield executor


@EACH_VIEW
def test_an_executor_is_a_thread_pool_executor(
    executor: KeyedExecutor, view: Callable[[KeyedExecutor], Any]
) -> None:
    assert isinstance(view(executor), ThreadPoolExecutor)


def test_no_method_of_the_standard_ones_insides_is_inherited() -> None:
    """A new one in a coming version is to be looked at; see `keyed.standard`."""
    fine = {
        "__enter__",
        "__exit__",
        # Makes what 3.14's threads run tasks with, from an initializer; ours have none.
        "prepare_context",
        # Numbers threads' names.
        "_counter",
        "BROKEN",
    }
    theirs = {
        name
        for kind in (ThreadPoolExecutor, concurrent.futures.Executor)
        for name, value in vars(kind).items()
        if name.strip("_") not in {"init", "module", "doc", "dict", "weakref"}
        and not name.startswith("__static")
        and not name.startswith("__firstlineno")
    }

    for ours in (KeyedExecutor, KeyView):
        known = {
            name
            for kind in inspect.getmro(ours)[: inspect.getmro(ours).index(ThreadPoolExecutor)]
            for name in vars(kind)
        }
        assert StandardExecutor in inspect.getmro(ours)
        assert theirs - known <= fine


def test_an_executor_has_what_an_instance_of_the_standard_one_has(executor: KeyedExecutor) -> None:
    with ThreadPoolExecutor(1) as standard:
        theirs = set(vars(standard))

    missing = {name for name in theirs if not hasattr(executor, name)}

    assert missing <= {
        # Guards what is not there; a lock that guards nothing would be a lie.
        "_shutdown_lock",
        # Of 3.14: make what its threads run tasks with.
        "_create_worker_context",
        "_resolve_work_item_task",
    }


def test_what_was_given_to_an_executor_can_be_read_from_it() -> None:
    def initialize(_: int) -> None:
        pass

    with KeyedExecutor(3, "io", initialize, (1,)) as executor:
        for each, workers in ((executor, 3), (executor.for_key("a"), 1)):
            assert each._max_workers == workers
            assert each._thread_name_prefix == "io"
            assert each._initializer is initialize
            assert each._initargs == (1,)
    with KeyedExecutor() as executor, ThreadPoolExecutor() as standard:
        assert executor._max_workers == standard._max_workers
        assert executor._thread_name_prefix == table_of(executor).name


def test_threads_and_what_waits_are_as_they_are(executor: KeyedExecutor, gate: Gate) -> None:
    assert (executor._threads, executor._work_queue.qsize()) == (set(), 0)
    assert executor._work_queue.empty()
    futures = [executor.submit_keyed("a", gate), *(executor.submit_keyed("a", int) for _ in "123")]
    gate.wait_until_reached()

    (thread,) = executor._threads
    waiting = executor._work_queue.qsize()
    futures[1].cancel()

    assert thread.name == "io_0"
    assert (waiting, executor._work_queue.qsize()) == (3, 2)
    assert not executor._work_queue.empty()
    assert executor._idle_semaphore._value == 0
    gate.open()
    until(lambda: executor._idle_semaphore._value == 1)
    assert executor._work_queue.qsize() == 0


def test_of_a_view_what_waits_is_what_was_submitted_to_it(
    executor: KeyedExecutor, gate: Gate
) -> None:
    of_key: Any = executor.for_key("a")
    executor.submit_keyed("a", gate)
    gate.wait_until_reached()
    executor.submit_keyed("a", int)
    of_key.submit(int)

    assert of_key._work_queue.qsize() == 1
    assert executor._work_queue.qsize() == 2
    assert of_key._threads == executor._threads
    gate.open()


@EACH_VIEW
def test_whether_it_is_shut_down_or_broken_can_be_read(
    view: Callable[[KeyedExecutor], Any],
) -> None:
    def initialize() -> None:
        raise Boom

    executor = KeyedExecutor(1, "io")
    each = view(executor)
    before = each._shutdown, each._broken
    executor.shutdown()
    broken = KeyedExecutor(1, "io", initialize)
    error = view(broken).submit(int).exception(DEADLINE)

    assert before == (False, False)
    assert (each._shutdown, each._broken) == (True, False)
    assert isinstance(error, concurrent.futures.thread.BrokenThreadPool)
    assert view(broken)._broken == "a thread initializer failed, io is not usable any more"


def test_a_view_that_is_shut_down_says_so_and_its_executor_does_not(
    executor: KeyedExecutor,
) -> None:
    of_key: Any = executor.for_key("a")
    of_key.shutdown()

    assert (of_key._shutdown, executor._shutdown) == (True, False)


@EACH_VIEW
def test_what_waits_can_be_taken_back_as_pub_sub_clients_do_before_they_shut_down(
    executor: KeyedExecutor, gate: Gate, view: Callable[[KeyedExecutor], Any]
) -> None:
    ran: list[int] = []
    each = view(executor)
    executor.submit_keyed("a", gate)
    gate.wait_until_reached()
    for_key = executor.for_key("a") if each is executor else each
    futures = [for_key.submit(ran.append, number) for number in range(3)]
    kept = executor.submit_keyed("a", ran.append, 3) if each is not executor else None

    taken = [each._work_queue.get(block=False) for _ in range(3)]
    with pytest.raises(queue.Empty):
        each._work_queue.get(block=False)
    gate.open()
    each.shutdown(wait=True)

    assert [item.args for item in taken] == [(0,), (1,), (2,)]
    assert [item.future for item in taken] == futures
    assert all(item.task == (item.fn, item.args, item.kwargs) for item in taken)
    assert all(future.cancelled() for future in futures)
    if kept is not None:
        kept.result(DEADLINE)
    assert ran == ([] if kept is None else [3])


@pytest.mark.parametrize("block", [True, False])
def test_where_nothing_waits_nothing_is_taken_nor_waited_for(
    executor: KeyedExecutor, *, block: bool
) -> None:
    executor.submit(int).result(DEADLINE)

    with pytest.raises(queue.Empty):
        executor._work_queue.get(block)
    with pytest.raises(queue.Empty):
        executor._work_queue.get_nowait()


def test_what_is_private_keeps_no_executor_that_is_dropped() -> None:
    executor = KeyedExecutor(1)
    of_key = executor.for_key("a")
    waiting: object = [executor._work_queue, of_key._work_queue]
    alive = [weakref.ref(executor), weakref.ref(of_key)]

    gc.disable()
    try:
        del executor, of_key
        gone = [reference() for reference in alive]
    finally:
        gc.enable()

    assert gone == [None, None]
    assert waiting


def test_a_loop_takes_it_as_its_default_executor_and_shuts_it_down() -> None:
    executor = KeyedExecutor(2, "loop")

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        return await asyncio.gather(
            asyncio.to_thread(lambda: threading.current_thread().name),
            loop.run_in_executor(None, lambda: threading.current_thread().name),
        )

    names = asyncio.run(main())

    assert all(name.startswith("loop_") for name in names)
    assert executor._shutdown
    assert len(table_of(executor).threads) == 0


def test_a_loop_takes_a_view_as_its_default_executor(executor: KeyedExecutor) -> None:
    ran: list[int] = []

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(executor.for_key("a"))
        await asyncio.gather(*(asyncio.to_thread(ran.append, number) for number in range(50)))

    asyncio.run(main())

    assert ran == list(range(50))
    assert executor.submit_keyed("a", int).result(DEADLINE) == 0


def test_what_the_standard_ones_threads_would_call_does_what_it_says(gate: Gate) -> None:
    with KeyedExecutor(1, "io") as executor:
        executor.submit(gate)
        gate.wait_until_reached()
        waits = executor.submit(int)

        executor._adjust_thread_count()
        executor._initializer_failed()
        gate.open()

        assert isinstance(waits.exception(DEADLINE), concurrent.futures.BrokenExecutor)
        with pytest.raises(concurrent.futures.BrokenExecutor):
            executor.submit(int)


def test_nothing_of_it_is_in_the_standard_ones_books_of_threads(executor: KeyedExecutor) -> None:
    executor.submit(int).result(DEADLINE)

    ours = executor._threads & set(concurrent.futures.thread._threads_queues)  # type: ignore[attr-defined]

    assert ours == set()


def test_a_task_that_is_taken_back_wherever_it_begins_runs_or_is_handed_over_whole(
    executor: KeyedExecutor,
) -> None:
    """See `Task.withdraw`; hammered."""
    ran: list[int] = []
    taken: list[int] = []

    def take() -> None:
        while len(ran) + len(taken) < 2000:
            try:
                taken.append(executor._work_queue.get_nowait().args[0])
            except queue.Empty:
                continue

    taking = Running(take)
    for number in range(2000):
        executor.submit_keyed(number % 3, ran.append, number)
    taking.result()

    assert sorted(ran + taken) == list(range(2000))


def test_a_task_that_is_cancelled_once_it_was_found_is_left_out(
    executor: KeyedExecutor, gate: Gate
) -> None:
    ran: list[int] = []
    executor.submit_keyed("a", gate)
    gate.wait_until_reached()
    futures = [executor.submit_keyed("a", ran.append, number) for number in range(3)]

    first = executor._work_queue.get()
    futures[1].cancel()
    second = executor._work_queue.get()
    gate.open()
    executor.shutdown()

    assert [first.future, second.future] == [futures[0], futures[2]]
    assert ran == []
