"""Interrupts (Ctrl-C) in the middle of submitting leave no key stuck."""

from tests.helpers import DEADLINE
from tests.points import interrupted_at_each_point
from threadpool_mb import KeyedExecutor


def test_wherever_submitting_is_interrupted_the_key_goes_on() -> None:
    def prepare() -> KeyedExecutor:
        executor = KeyedExecutor(1)
        executor.submit(int).result(DEADLINE)
        return executor

    for executor in interrupted_at_each_point(
        prepare, lambda executor: executor.submit_keyed("a", int)
    ):
        assert executor.submit_keyed("a", lambda: 1).result(DEADLINE) == 1
        executor.shutdown()


def test_wherever_the_first_thread_is_interrupted_another_one_is_started() -> None:
    for executor in interrupted_at_each_point(
        lambda: KeyedExecutor(1), lambda executor: executor.submit_keyed("a", int)
    ):
        assert executor.submit_keyed("b", lambda: 1).result(DEADLINE) == 1
        assert executor.submit_keyed("a", lambda: 2).result(DEADLINE) == 2
        executor.shutdown()
