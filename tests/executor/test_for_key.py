"""`KeyedExecutor.for_key`: an executor that submits for one key."""

import asyncio
import concurrent.futures
from collections.abc import Iterator

import pytest

from tests.helpers import DEADLINE
from threadpool_mb import KeyedExecutor


@pytest.fixture
def executor() -> Iterator[KeyedExecutor]:
    """Return an executor of two threads that is shut down at the end."""
    with KeyedExecutor(2, "io") as executor:
        yield executor


def test_an_executor_of_a_key_submits_for_it(executor: KeyedExecutor) -> None:
    handled: list[int] = []
    of_key = executor.for_key("a")

    futures = [of_key.submit(handled.append, number) for number in range(100)]
    list(of_key.map(handled.append, range(100, 110)))
    concurrent.futures.wait(futures, DEADLINE)

    assert handled == list(range(110))
    of_key.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        of_key.submit(int)
    assert executor.submit_keyed("a", int).result(DEADLINE) == 0


def test_an_event_loop_runs_calls_in_the_executor_of_a_key(executor: KeyedExecutor) -> None:
    handled: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        of_key = executor.for_key("a")
        await asyncio.gather(
            *[loop.run_in_executor(of_key, handled.append, number) for number in range(50)]
        )
        await asyncio.wrap_future(executor.submit_keyed("a", handled.append, 50))

    asyncio.run(main())

    assert handled == list(range(51))
