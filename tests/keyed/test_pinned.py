"""`KeyedExecutor(pinned=True)`: all tasks of a key run on one thread."""

import collections
import concurrent.futures
import threading

import pytest

from tests.helpers import DEADLINE, run_together, until
from tests.insides import table_of
from threadpool_mb import KeyedExecutor


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


@pytest.mark.parametrize("waits", ["result", "wait", "as_completed"])
def test_a_task_may_wait_for_another_one_of_its_thread(waits: str) -> None:
    def ask() -> int:
        future = executor.submit_keyed("other", threading.get_ident)
        if waits == "wait":
            concurrent.futures.wait([future], timeout=DEADLINE)
        elif waits == "as_completed":
            [future] = concurrent.futures.as_completed([future], timeout=DEADLINE)
        return future.result(DEADLINE)

    with KeyedExecutor(1, pinned=True) as executor:
        here = executor.submit_keyed("one", threading.get_ident).result()

        assert executor.submit_keyed("one", ask).result() == here


def test_a_task_that_runs_while_another_one_waits_cannot_wait_for_that_one() -> None:
    def outer() -> str:
        inner = executor.submit_keyed("other", lambda: again.result(DEADLINE))
        again = executor.submit_keyed("one", str)
        with pytest.raises(RuntimeError, match="cannot wait for another one of its key"):
            inner.result(DEADLINE)
        return "told"

    with KeyedExecutor(1, pinned=True) as executor:
        assert executor.submit_keyed("one", outer).result() == "told"


def test_there_is_no_thread_more_though_all_wait() -> None:
    release = threading.Event()
    names: set[str] = set()

    def waits(key: int) -> None:
        names.add(threading.current_thread().name)
        executor.submit_keyed(key + 64, release.wait, DEADLINE).result(DEADLINE)

    with KeyedExecutor(2, "t", pinned=True) as executor:
        futures = [executor.submit_keyed(key, waits, key) for key in range(2)]
        until(lambda: len(names) == 2)
        most = len(table_of(executor).threads)
        release.set()
        for future in futures:
            future.result(DEADLINE)

    assert most == 2
    assert names == {"t_0", "t_1"}


def test_tasks_without_a_key_and_a_shutdown_are_as_ever() -> None:
    with KeyedExecutor(3, pinned=True) as executor:
        lone = [executor.submit(int, number) for number in range(100)]

        assert [future.result() for future in lone] == list(range(100))
        kept = [executor.submit_keyed(number, int, number) for number in range(100)]
    assert [future.result() for future in kept] == list(range(100))
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(int)
