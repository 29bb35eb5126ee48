"""more-executors wraps a view: what it adds holds, and the key's order too."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor

import pytest
from more_executors import Executors
from more_executors.futures import f_sequence

import threadpool_mb as mb
from tests.helpers import Running, until


@pytest.fixture
def view(executor: mb.KeyedExecutor) -> Iterator[Executor]:
    """An executor for one key."""
    with executor.for_key("key") as view:
        yield view


def test_results_are_mapped_and_the_order_is_kept(view: Executor) -> None:
    ran: list[int] = []

    def note(number: int) -> int:
        ran.append(number)
        return number

    with Executors.with_map(view, str) as mapped:
        results = [future.result() for future in [mapped.submit(note, n) for n in range(50)]]

    assert results == [str(number) for number in range(50)]
    assert ran == list(range(50))


def test_futures_of_futures_are_made_flat(executor: mb.KeyedExecutor) -> None:
    inner = executor.for_key("inner")

    with Executors.with_flat_map(
        executor.for_key("outer"), lambda number: inner.submit(pow, number, 2)
    ) as flat:
        results = f_sequence([flat.submit(abs, -number) for number in range(10)]).result()

    assert list(results) == [number**2 for number in range(10)]


def test_what_fails_is_tried_again(view: Executor) -> None:
    tries: list[int] = []

    def at_the_third() -> str:
        tries.append(len(tries))
        if len(tries) < 3:
            raise LookupError("not yet")
        return "done"

    with Executors.with_retry(view, max_attempts=3, sleep=0, max_sleep=0) as retrying:
        assert retrying.submit(at_the_third).result() == "done"

    assert tries == [0, 1, 2]


def test_what_fails_for_good_raises_what_was_raised_last(view: Executor) -> None:
    with Executors.with_retry(view, max_attempts=2, sleep=0, max_sleep=0) as retrying:
        future = retrying.submit(divmod, 1, 0)

        with pytest.raises(ZeroDivisionError):
            future.result()


def test_at_most_so_many_are_in_hand(executor: mb.KeyedExecutor) -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1

    with Executors.with_throttle(executor, 1) as throttled:
        for future in [throttled.submit(work) for _ in range(50)]:
            future.result()

    assert most == 1


def test_what_is_over_its_time_before_its_turn_is_cancelled(view: Executor) -> None:
    go = threading.Event()
    blocking = view.submit(go.wait)

    with Executors.with_timeout(view, 0.01) as timed:
        late = timed.submit(abs, -1)
        with pytest.raises(CancelledError):
            late.result()
        go.set()

    assert blocking.result()


def test_leaving_cancels_what_waits_and_waits_for_what_runs(executor: mb.KeyedExecutor) -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait()
        ended.set()

    wrapped = Executors.with_cancel_on_shutdown(executor.for_key("key"))
    futures = [wrapped.submit(work), *(wrapped.submit(abs, -number) for number in range(3))]
    begun.wait()
    leaving = Running(lambda: (wrapped.shutdown(wait=True), ended.is_set()))
    until(lambda: all(future.done() for future in futures[1:]))
    was_waiting = leaving.running
    go.set()

    assert leaving.result() == (None, True)
    assert was_waiting
    assert [future.cancelled() for future in futures] == [False, True, True, True]


def test_leaving_a_wrapped_view_waits_for_all_of_its_key_and_no_other(
    executor: mb.KeyedExecutor,
) -> None:
    go = threading.Event()
    other = executor.submit_keyed("other", go.wait)
    ran: list[int] = []

    with Executors.with_map(executor.for_key("key"), str) as wrapped:
        for number in range(50):
            wrapped.submit(ran.append, number)
    ran_when_left = len(ran)
    other_was_done = other.done()
    go.set()

    assert ran_when_left == 50
    assert not other_was_done
    assert executor.submit(abs, -1).result() == 1


def test_asyncio_futures_come_out_of_a_wrapped_view(view: Executor) -> None:
    async def main() -> list[int]:
        with Executors.with_asyncio(view) as wrapped:
            return [await wrapped.submit(abs, -number) for number in range(10)]

    assert asyncio.run(main()) == list(range(10))
