"""The races of tasks of several keys: a thread stopped before each instruction of what it does."""

import itertools
import pathlib
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.helpers import Running
from tests.keyed.unthreaded import table_without_threads
from tests.mailbox.stepping import STEPS, each_step, held
from threadpool_mb.keyed import several as module
from threadpool_mb.keyed.exclusive import Exclusive
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.placing import Placing
from threadpool_mb.keyed.several import Several
from threadpool_mb.keyed.several_future import SeveralFuture
from threadpool_mb.keyed.tasks import Task

pytestmark = [STEPS, pytest.mark.usefixtures("few_shards")]

CODE: Final = str(pathlib.Path(module.__file__).parent)
KEYS: Final = (0, 1, 2)


class Scene:
    """A table without threads; what its tasks note, and whether two of them used a key at once."""

    def __init__(self, *submitted: tuple[int, ...]) -> None:
        self.table, self.threads = table_without_threads()
        self.placing = Placing(self.table)
        self._uses = {key: threading.Lock() for key in KEYS}
        self._numbers = itertools.count()
        self.futures: dict[int, KeyedFuture[Any]] = {}
        self.ran: list[int] = []
        for keys in submitted:
            self.submit(*keys)

    def submit(self, *keys: int) -> None:
        """Submit a task of one key, of several, or of all if there is none."""
        table, number = self.table, next(self._numbers)
        shard = table.shard(keys[0]) if keys else table.shards[0]
        future: KeyedFuture[Any]
        if len(keys) == 1:
            future = KeyedFuture(shard, keys[0])
            self.futures[number] = future
            table.submit(Task(shard, keys[0], future, self._use, (number, keys), None, None))
            return
        table.gated = True
        several = Several(shard, keys, None) if keys else Exclusive(table, None)
        future = SeveralFuture(several, keys or None)
        future.of_all = not keys
        self.futures[number] = future
        key = keys[0] if keys else table.of_all
        several.call = Task(shard, key, future, self._use, (number, keys or KEYS), None, several)
        self.placing.place(several)

    def _use(self, number: int, keys: tuple[int, ...]) -> None:
        for key in keys:
            assert self._uses[key].acquire(blocking=False), "two tasks of a key run at once"
        self.ran.append(number)
        for key in keys:
            self._uses[key].release()

    def turn(self) -> None:
        """Run what was scheduled first."""
        self.threads.scheduled.popleft().turn()

    def finish(self) -> None:
        """Run turns until none is scheduled."""
        while self.threads.scheduled:
            self.turn()

    @property
    def locked(self) -> bool:
        """Whether another thread holds what a thread may have to wait for."""
        locks: list[Any] = [shard.lock for shard in self.table.shards]
        locks += [self.placing._lock, *(future._mutex for future in self.futures.values())]
        return any(held(lock) for lock in locks)

    def check(self) -> None:
        """See that all is done, once, and nothing is left."""
        self.finish()
        errors = [each.exception() for each in self.futures.values() if not each.cancelled()]
        assert errors == [None] * len(errors)
        taken = [number for number, each in self.futures.items() if not each.cancelled()]
        assert sorted(self.ran) == sorted(taken)
        assert not any(shard.entries or shard.barriers for shard in self.table.shards)


def race(
    prepare: Callable[[], Scene],
    act: Callable[[Scene], object],
    other: Callable[[Scene], object],
    code: str = CODE,
) -> None:
    """Stop a thread that acts at each place, and have another one do something there."""
    for scene, stepped in each_step(prepare, act, code):
        locked = scene.locked
        does = Running(lambda: other(scene))  # noqa: B023 - joined in this round
        if not locked:
            does.result()
        stepped.result()
        does.result()
        scene.check()


OTHERS: Final[dict[str, Callable[[Scene], object]]] = {
    "runs what is scheduled": Scene.finish,
    "submits": lambda scene: (scene.submit(1), scene.submit(1, 0), scene.finish()),
    "cancels": lambda scene: (scene.table.shard(1).cancel_waiting(1), scene.finish()),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("before", [[], [(0,)], [(1, 2)], [()]], ids=str)
def test_wherever_gates_are_put_up_another_thread_loses_nothing(
    before: list[tuple[int, ...]], other: str
) -> None:
    race(lambda: Scene(*before), lambda scene: scene.submit(0, 1), OTHERS[other])


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("behind", [[], [(0,), (1, 2)], [(0, 1), (1, 0)]], ids=str)
def test_wherever_the_turn_of_a_task_is_another_thread_loses_nothing(
    behind: list[tuple[int, ...]], other: str
) -> None:
    race(lambda: Scene((0, 1), *behind), Scene.turn, OTHERS[other])


@pytest.mark.parametrize("behind", [[(1, 2)], [()]], ids=["several", "all"])
def test_wherever_a_lane_comes_to_a_gate_its_task_may_be_cancelled(
    behind: list[tuple[int, ...]],
) -> None:
    race(lambda: Scene((1,), *behind, (2,)), Scene.turn, OTHERS["cancels"])


@pytest.mark.parametrize("before", [[(1,)], [(1,), (1,)], [(1, 0)]], ids=str)
def test_wherever_a_lane_comes_to_a_gate_its_task_is_among_those_that_are_cancelled(
    before: list[tuple[int, ...]],
) -> None:
    counts: list[tuple[int, list[bool]]] = []

    def cancel(scene: Scene) -> None:
        cancelled = scene.table.shard(1).cancel_waiting(1)
        counts.append((cancelled, [each.cancelled() for each in scene.futures.values()]))
        scene.finish()

    # The turn has the task of the keys 1 and 2 scheduled, but does not run it.
    race(lambda: Scene(*before, (2,), (1, 2), (2,)), Scene.turn, cancel)

    where = len(before) + 1
    assert all(each[where] and cancelled == sum(each) for cancelled, each in counts)
    assert {cancelled for cancelled, _ in counts} >= {1, len(before)}


@pytest.mark.parametrize("cancelled", [(1, 2), ()], ids=["several", "all"])
@pytest.mark.parametrize("other", ["runs what is scheduled", "submits"])
def test_wherever_one_is_cancelled_in_the_midst_of_its_lines_they_go_on(
    cancelled: tuple[int, ...], other: str
) -> None:
    race(
        lambda: Scene((0, 1), cancelled, (1,), (2,)),
        lambda scene: scene.futures[1].cancel(),
        OTHERS[other],
    )


def test_what_waits_for_a_task_runs_in_the_turn_in_which_that_ends() -> None:
    scene = Scene((0, 1), (1, 2), (2, 0))

    scene.turn()

    assert scene.ran == [0, 1, 2]
    assert not scene.threads.scheduled


def test_a_turn_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IN_A_ROW", 2)
    scene = Scene(*[(0, 1)] * 5)

    scene.turn()
    assert scene.ran == [0, 1]
    scene.finish()

    assert scene.ran == [0, 1, 2, 3, 4]


def test_of_two_tasks_that_can_run_one_is_left_to_another_thread() -> None:
    scene = Scene((0, 1), (0,), (1, 2), (0, 2))
    both = Scene((0, 1), (0, 2), (1,))
    both.submit(1, 0)

    scene.turn()
    both.turn()

    assert scene.ran == [0, 2]
    assert len(scene.threads.scheduled) == 1
    assert both.ran == [0, 1]
    assert len(both.threads.scheduled) == 1
    scene.check()
    both.check()
