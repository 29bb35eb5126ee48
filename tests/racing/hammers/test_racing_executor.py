"""Hammers of `KeyedExecutor`: nothing is lost, doubled, out of order, or run twice at once."""

import concurrent.futures
import threading
from collections.abc import Callable

import pytest

from tests.helpers import DEADLINE, run_together
from tests.insides import table_of
from threadpool_mb import KeyedExecutor

pytestmark = pytest.mark.racing

KEYS = 7
EACH = 150


class Log:
    """What the tasks of a key have seen, and that no two of them ran at once."""

    def __init__(self) -> None:
        self.ran: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def run(self, sender: int, number: int) -> tuple[int, int]:
        """Note one task."""
        assert self._lock.acquire(blocking=False), "two tasks of one key run at once"
        self.ran.append((sender, number))
        self._lock.release()
        return sender, number


@pytest.mark.parametrize("cancels", [False, True], ids=["", "cancelling"])
def test_every_task_runs_once_and_in_its_senders_order_unless_it_was_cancelled(
    cancels: bool,  # noqa: FBT001 - a parameter
) -> None:
    logs = [Log() for _ in range(KEYS)]
    expected: list[list[tuple[int, int]]] = [[] for _ in range(KEYS)]
    lock = threading.Lock()
    futures: list[list[concurrent.futures.Future[tuple[int, int]]]] = [[] for _ in range(3)]

    def submit(executor: KeyedExecutor, sender: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(EACH):
                key = number % KEYS
                future = executor.submit_keyed(key, logs[key].run, sender, number)
                futures[sender].append(future)
                if not cancels or number % 3 or not future.cancel():
                    with lock:
                        expected[key].append((sender, number))

        return run

    with KeyedExecutor(3) as executor:
        run_together(*[submit(executor, sender) for sender in range(3)])

    for key, log in enumerate(logs):
        for sender in range(3):
            ran = [number for by, number in log.ran if by == sender]
            assert ran == [number for by, number in expected[key] if by == sender]
    assert table_of(executor).tasks == 0


def test_whoever_waits_for_a_future_is_woken() -> None:
    with KeyedExecutor(2) as executor:
        for round_ in range(20):
            future = executor.submit_keyed("a", lambda number: number, round_)
            results: list[int] = []

            run_together(
                lambda: results.append(future.result(DEADLINE)),  # noqa: B023 - run in this round
                lambda: results.append(future.result(DEADLINE)),  # noqa: B023
                lambda: concurrent.futures.wait([future], DEADLINE),  # noqa: B023
                lambda: next(concurrent.futures.as_completed([future], DEADLINE)),  # noqa: B023
            )

            assert results == [round_, round_]


def test_the_end_comes_whoever_submits_meanwhile() -> None:
    executor = KeyedExecutor(2)
    done: list[int] = []
    taken: list[concurrent.futures.Future[None]] = []

    def submit() -> None:
        for number in range(200):
            try:
                taken.append(executor.submit_keyed(number % 5, done.append, number))
            except RuntimeError:
                return

    run_together(submit, submit, lambda: executor.shutdown(wait=False))
    executor.shutdown()

    assert len(done) == len(taken)
    assert all(future.done() for future in taken)
