"""`KeyedExecutor.for_key`: an executor that submits for one key."""

import asyncio
import concurrent.futures
import contextlib
import gc
import pathlib
import weakref
from collections.abc import Iterator

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.mailbox.stepping import each_step
from tests.points import interrupted_at_each_point
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor
from threadpool_mb.keyed import views

CODE = str(pathlib.Path(views.__file__).parent)


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


def test_shutting_a_view_down_waits_for_what_was_submitted_to_it(
    executor: KeyedExecutor, gate: Gate
) -> None:
    of_key = executor.for_key("a")
    futures = [of_key.submit(gate), *(of_key.submit(int) for _ in range(3))]
    gate.wait_until_reached()

    ending = Running(lambda: (of_key.shutdown(), [future.done() for future in futures])[1])
    until(lambda: of_key._shutdown)  # type: ignore[attr-defined]
    assert ending.running
    gate.open()

    assert ending.result() == [True] * 4
    assert executor.submit_keyed("a", int).result(DEADLINE) == 0


def test_shutting_a_view_down_cancels_what_was_submitted_to_it_and_waits_for_what_runs(
    executor: KeyedExecutor, gate: Gate
) -> None:
    of_key = executor.for_key("a")
    runs = of_key.submit(gate)
    behind = [of_key.submit(int) for _ in range(3)]
    gate.wait_until_reached()

    ending = Running(lambda: of_key.shutdown(cancel_futures=True))
    until(lambda: all(future.cancelled() for future in behind))
    assert ending.running
    gate.open()
    ending.result()

    assert runs.done()
    assert not runs.cancelled()
    # Whoever waits for them is told.
    assert concurrent.futures.wait(behind, DEADLINE).done == set(behind)


def test_shutting_a_view_down_without_waiting_returns_at_once(
    executor: KeyedExecutor, gate: Gate
) -> None:
    of_key = executor.for_key("a")
    runs, behind = of_key.submit(gate), of_key.submit(int)
    gate.wait_until_reached()

    of_key.shutdown(wait=False)
    kept = behind.done()
    of_key.shutdown(wait=False, cancel_futures=True)

    assert (kept, runs.done(), behind.cancelled()) == (False, False, True)
    gate.open()


def test_shutting_a_view_down_concerns_neither_another_view_nor_the_executor(
    executor: KeyedExecutor, gate: Gate
) -> None:
    mine, other = executor.for_key("a"), executor.for_key("a")
    executor.submit_keyed("a", gate)
    gate.wait_until_reached()
    mine.submit(int)
    others = [other.submit(int), executor.submit_keyed("a", int)]

    mine.shutdown(cancel_futures=True)  # waits for none of the others

    assert not any(future.done() for future in others)
    gate.open()
    assert [future.result(DEADLINE) for future in others] == [0, 0]
    assert other.submit(int).result(DEADLINE) == 0


def test_leaving_a_view_as_a_context_manager_waits_for_what_was_submitted_to_it(
    executor: KeyedExecutor,
) -> None:
    ran: list[int] = []
    with executor.for_key("a") as of_key:
        for number in range(100):
            of_key.submit(ran.append, number)

    assert ran == list(range(100))


def test_a_task_that_waits_for_the_end_of_its_own_view_is_told_so(executor: KeyedExecutor) -> None:
    of_key = executor.for_key("a")

    error = of_key.submit(of_key.shutdown).exception(DEADLINE)

    assert isinstance(error, RuntimeError)
    with pytest.raises(RuntimeError, match="after shutdown"):
        of_key.submit(int)


def test_a_task_of_another_key_may_wait_for_the_end_of_a_view() -> None:
    with KeyedExecutor(1) as executor:

        def run() -> bool:
            of_key = executor.for_key("a")
            future = of_key.submit(int)
            of_key.shutdown()
            return future.done()

        assert executor.submit_keyed("b", run).result(DEADLINE)


def test_a_view_whose_executor_is_shut_down_refuses_and_waits_for_nothing_more() -> None:
    executor = KeyedExecutor(1)
    of_key = executor.for_key("a")
    executor.shutdown()

    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        of_key.submit(int)

    of_key.shutdown()


def test_a_view_keeps_nothing_of_what_is_done(executor: KeyedExecutor) -> None:
    class Result:
        pass

    of_key = executor.for_key("a")
    alive = weakref.ref(of_key.submit(Result).result(DEADLINE))

    def is_gone() -> bool:
        executor.submit(int).result(DEADLINE)  # a t-build frees on the thread that has made it
        gc.collect()
        return alive() is None

    until(is_gone)


def test_a_future_of_a_view_keeps_neither_the_view_nor_the_executor() -> None:
    executor = KeyedExecutor(1)
    of_key = executor.for_key("a")
    future = of_key.submit(int)
    alive = [weakref.ref(executor), weakref.ref(of_key)]

    assert future.result(DEADLINE) == 0
    del executor, of_key
    gc.collect()

    assert [reference() for reference in alive] == [None, None]


def test_wherever_submitting_to_a_view_is_interrupted_it_can_be_shut_down() -> None:
    class Scene:
        def __init__(self) -> None:
            self.executor = KeyedExecutor(1)
            self.executor.submit(int).result(DEADLINE)
            self.of_key = self.executor.for_key("a")

        def submit(self) -> None:
            self.of_key.submit(int)

    for scene in interrupted_at_each_point(Scene, Scene.submit):
        Running(scene.of_key.shutdown).result()
        scene.executor.shutdown()


def test_of_a_view_that_is_shut_down_wherever_something_is_submitted_both_agree() -> None:
    """Either it is refused, or `shutdown` waits for it."""

    class Scene:
        def __init__(self) -> None:
            self.executor = KeyedExecutor(1)
            self.of_key = self.executor.for_key("a")
            self.futures: list[concurrent.futures.Future[int]] = []
            self.gate = Gate()
            self.executor.submit_keyed("a", self.gate)

        def submit(self) -> None:
            with contextlib.suppress(RuntimeError):
                self.futures.append(self.of_key.submit(int))

        def shut_down(self) -> list[bool]:
            self.of_key.shutdown()
            return [future.done() for future in self.futures]

    accepted = 0
    for scene, stepped in each_step(Scene, Scene.submit, CODE):
        ending = Running(scene.shut_down)
        until(lambda: scene.of_key._shut)  # type: ignore[attr-defined]  # noqa: B023
        stepped.result()
        # Not before: if it was taken, it is not done yet, and is waited for.
        scene.gate.open()

        assert ending.result() == [True] * len(scene.futures)
        accepted += len(scene.futures)
        scene.executor.shutdown()
    assert accepted
