"""`KeyedExecutor(pinned=True)`: all tasks of a key run on one thread."""

import collections
import threading
from collections.abc import Callable

import pytest

from tests.helpers import DEADLINE, run_together, until
from tests.insides import table_of
from threadpool_mb import KeyedExecutor, ThreadRefused
from threadpool_mb.threads.pinned import waiting_upon


def test_all_tasks_of_a_key_run_on_one_thread_and_each_thread_has_keys() -> None:
    seen: dict[int, set[int]] = collections.defaultdict(set)

    def note(key: int) -> None:
        seen[key].add(threading.get_ident())

    def submit() -> None:
        for _ in range(30):
            for key in range(64):
                executor.submit_keyed(key, note, key)

    with KeyedExecutor(4, pinned=True) as executor:
        for _ in range(2):
            run_together(submit, submit)
            until(lambda: not table_of(executor).keys)

        assert all(len(threads) == 1 for threads in seen.values())
        assert len(set[int]().union(*seen.values())) == 4


def test_what_a_thread_keeps_for_itself_is_found_again() -> None:
    local = threading.local()

    def prepare() -> None:
        local.sums = collections.Counter[str]()

    def add(key: str) -> int:
        local.sums[key] += 1
        return local.sums[key]

    with KeyedExecutor(3, initializer=prepare, pinned=True) as executor:
        for already in (0, 20):
            sums = {
                key: [executor.submit_keyed(key, add, key) for _ in range(20)] for key in "abcdefgh"
            }

            for of_key in sums.values():
                assert [one.result() for one in of_key] == list(range(already + 1, already + 21))


def test_a_task_that_waits_for_one_of_its_thread_is_told() -> None:
    def ask() -> None:
        executor.submit_keyed("other", int).result(DEADLINE)

    with KeyedExecutor(1, pinned=True) as executor:
        future = executor.submit_keyed("one", ask)

        with pytest.raises(RuntimeError, match="a pinned task cannot wait for"):
            future.result(DEADLINE)


def keys_of_two_threads(executor: KeyedExecutor) -> tuple[list[int], list[int]]:
    """Return some keys of each."""
    homes: dict[int, list[int]] = collections.defaultdict(list)
    for key in range(10):
        homes[executor.submit_keyed(key, threading.get_ident).result()].append(key)
    one, other = homes.values()
    return one, other


def test_a_task_may_wait_for_one_of_another_thread_and_a_circle_is_told() -> None:
    with KeyedExecutor(2, pinned=True) as executor:
        one, other = keys_of_two_threads(executor)

        def last() -> int:
            return 1

        def asks_back() -> int:
            return executor.submit_keyed(one[1], last).result(DEADLINE)

        def asks(function: Callable[[], int]) -> int:
            return executor.submit_keyed(other[0], function).result(DEADLINE)

        assert executor.submit_keyed(one[0], asks, last).result(DEADLINE) == 1
        with pytest.raises(RuntimeError, match="a pinned task cannot wait"):
            executor.submit_keyed(one[0], asks, asks_back).result(DEADLINE)
        # Nothing is left of it.
        assert executor.submit_keyed(one[0], asks, last).result(DEADLINE) == 1


def test_tasks_without_a_key_and_a_shutdown_are_as_ever() -> None:
    with KeyedExecutor(3, pinned=True) as executor:
        lone = [executor.submit(int, number) for number in range(100)]

        assert [future.result() for future in lone] == list(range(100))
        kept = [executor.submit_keyed(number, int, number) for number in range(100)]
    assert [future.result() for future in kept] == list(range(100))
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(int)


def test_there_are_at_most_as_many_threads_as_shards() -> None:
    with KeyedExecutor(100, pinned=True) as executor:
        futures = [executor.submit_keyed(key, threading.get_ident) for key in range(200)]

        assert len({future.result() for future in futures}) == 64


def test_tasks_whose_thread_is_refused_are_left_out_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with KeyedExecutor(2, pinned=True) as executor:
        home = executor.submit_keyed(0, threading.get_ident).result()

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ThreadRefused):
            executor.submit_keyed(1, int)

        assert executor.submit_keyed(2, threading.get_ident).result() == home


def test_its_threads_are_those_of_all_its_homes_and_none_is_started_twice() -> None:
    with KeyedExecutor(3, pinned=True) as executor:
        assert executor._threads == set()
        assert not table_of(executor).threads.any
        one = executor.submit_keyed("one", threading.current_thread).result()
        assert executor._threads == {one}
        assert table_of(executor).threads.any

        threads = {
            executor.submit_keyed(key, threading.current_thread).result() for key in range(64)
        }
        until(lambda: executor._idle_semaphore._value == 3)
        executor._adjust_thread_count()

        assert executor._threads == threads
        assert len(threads) == 3


def test_a_wait_inside_another_one_leaves_that_one_in_force() -> None:
    """A finalizer waits for another thread in the midst of a wait for a second one."""
    told: list[str] = []

    def asks_back() -> None:
        executor.submit_keyed(one[1], int).result(DEADLINE)

    with KeyedExecutor(2, pinned=True) as executor:
        one, other = keys_of_two_threads(executor)
        upon = table_of(executor).shard(other[0]).threads

        def waits() -> None:
            with waiting_upon(upon, "what comes"):
                # The inner wait is over.
                assert executor.submit_keyed(other[1], int).result(DEADLINE) == 0
                # The outer one closes a circle, still.
                with pytest.raises(RuntimeError, match="a pinned task cannot wait") as raised:
                    executor.submit_keyed(other[0], asks_back).result(DEADLINE)
                told.append(str(raised.value))

        executor.submit_keyed(one[0], waits).result(DEADLINE)
        # Nothing is left of it.
        assert executor.submit_keyed(other[0], asks_back).result(DEADLINE) is None

    assert len(told) == 1
