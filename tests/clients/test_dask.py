"""dask computes on an executor of ours: `pool=KeyedExecutor()`, and on a view of one key."""

import threading
from collections.abc import Iterator

import dask
import dask.array
import dask.bag
import pytest

import threadpool_mb as mb


class Witness:
    """A function for tasks that notes on which threads they ran, and how many at once."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.most = 0
        self._lock = threading.Lock()
        self._running = 0

    def square(self, number: int) -> int:
        """Return the square of a number."""
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            self.threads.add(threading.current_thread().name)
        square = number * number
        with self._lock:
            self._running -= 1
        return square


@pytest.fixture(params=["the executor", "a view"])
def pool(
    request: pytest.FixtureRequest, executor: mb.KeyedExecutor
) -> Iterator[mb.KeyedExecutor | object]:
    """What dask is given."""
    given = executor if request.param == "the executor" else executor.for_key("dask")
    with dask.config.set(pool=given):
        yield given


@pytest.mark.usefixtures("pool")
def test_delayed_functions_run_on_the_threads_of_the_pool() -> None:
    witness = Witness()
    squares = [dask.delayed(witness.square)(number) for number in range(40)]

    (total,) = dask.compute(dask.delayed(sum)(squares))

    assert total == sum(number * number for number in range(40))
    assert witness.threads
    assert all(name.startswith("ours") for name in witness.threads)


def test_a_view_computes_one_at_a_time(executor: mb.KeyedExecutor) -> None:
    witness = Witness()
    squares = [dask.delayed(witness.square)(number) for number in range(40)]

    with executor.for_key("dask") as view:
        results = dask.compute(*squares, pool=view)

    assert results == tuple(number * number for number in range(40))
    assert witness.most == 1


def test_as_many_tasks_are_in_hand_as_the_executor_has_threads(executor: mb.KeyedExecutor) -> None:
    # Each waits for the other: with one in hand at a time both would wait in vain.
    barrier = threading.Barrier(2)
    tasks = [dask.delayed(barrier.wait)(10, dask_key_name=f"wait-{number}") for number in range(2)]

    places = dask.compute(*tasks, pool=executor)

    assert sorted(places) == [0, 1]


@pytest.mark.usefixtures("pool")
def test_arrays_are_computed() -> None:
    numbers = dask.array.arange(10_000, chunks=1_000)

    total = ((numbers + 1) * 2).sum().compute()

    assert total == 2 * sum(range(1, 10_001))


@pytest.mark.usefixtures("pool")
def test_bags_are_computed() -> None:
    bag = dask.bag.from_sequence(range(100), npartitions=10)

    counted = bag.map(lambda number: number % 3).frequencies().compute(scheduler="threads")

    assert dict(counted) == {0: 34, 1: 33, 2: 33}


@pytest.mark.usefixtures("pool")
def test_what_a_task_raises_comes_out_of_compute() -> None:
    def fail() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        dask.compute(dask.delayed(fail)())


@pytest.mark.usefixtures("pool")
def test_a_pool_goes_on_after_a_task_that_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        dask.compute(dask.delayed(divmod)(1, 0))

    assert dask.compute(dask.delayed(divmod)(7, 2)) == ((3, 1),)


def test_a_task_computes_on_a_view_of_another_executor(executor: mb.KeyedExecutor) -> None:
    with mb.KeyedExecutor(max_workers=1) as other:
        inner = other.for_key("inner")

        def outer(number: int) -> int:
            (result,) = dask.compute(dask.delayed(pow)(number, 2), pool=inner)
            return result

        results = dask.compute(*(dask.delayed(outer)(n) for n in range(8)), pool=executor)

    assert results == tuple(number**2 for number in range(8))
