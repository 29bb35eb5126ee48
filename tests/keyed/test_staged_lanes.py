"""The races of a lane: a sender or the lane's thread stopped before each instruction."""

import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers import Running
from tests.keyed.unthreaded import table_without_threads
from tests.mailbox.stepping import STEPS, Stepped, each_step, held
from threadpool_mb.keyed import tasks
from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.looking import look_at
from threadpool_mb.keyed.tasks import Task

pytestmark = STEPS

CODE = str(pathlib.Path(tasks.__file__).parent)
KEY = "key"


def stepping[S](
    prepare: Callable[[], S], act: Callable[[S], object]
) -> Iterator[tuple[S, Stepped[object]]]:
    """Return `each_step` in the executor's code."""
    return each_step(prepare, act, CODE)


class Scene:
    """A table without threads; what its tasks note, and whether two of them ran at once."""

    def __init__(self, *names: str, cancelled: str = "") -> None:
        self.table, self.threads = table_without_threads()
        self.ran: list[str] = []
        self.futures: list[KeyedFuture[Any]] = []
        self._runs = threading.Lock()
        for name in names:
            if self.submit(name) and name == cancelled:
                assert self._last.cancel()

    def submit(self, name: str) -> bool:
        """Submit a task of the one key."""
        future = KeyedFuture[Any](self.table.shard(KEY), KEY)
        self._last = future
        self.futures.append(future)
        self.table.submit(Task(self.table.shard(KEY), KEY, future, self._note, (name,), {}, None))
        return True

    def _note(self, name: str) -> None:
        assert self._runs.acquire(blocking=False), "two tasks of a key run at once"
        self.ran.append(name)
        self._runs.release()

    def turn(self) -> None:
        """Run the lane that was scheduled first."""
        self.threads.scheduled.popleft().turn()

    def finish(self) -> None:
        """Run turns until none is scheduled."""
        while self.threads.scheduled:
            self.turn()

    @property
    def locked(self) -> bool:
        """Whether another thread holds the key's shard."""
        return held(self.table.shard(KEY).lock)

    @property
    def entries(self) -> dict[object, Task]:
        """The table of the key's shard."""
        return self.table.shard(KEY).entries


@pytest.mark.parametrize("before", [("a",), ("a", "b"), ("a", "b", "c")])
def test_a_task_that_comes_wherever_its_lanes_turn_is_runs_once_and_last(
    before: tuple[str, ...],
) -> None:
    for scene, stepped in stepping(lambda: Scene(*before), Scene.turn):
        submits = Running(lambda: scene.submit("last"))  # noqa: B023 - joined in this round
        if not scene.locked:
            submits.result()
        stepped.result()
        submits.result()
        scene.finish()

        assert scene.ran == [*before, "last"]
        assert scene.entries == {}


@pytest.mark.parametrize("throughput", [tasks._THROUGHPUT, 1], ids=["goes on", "its turn is over"])
def test_another_thread_that_runs_a_lane_wherever_the_last_one_leaves_it_runs_it_alone(
    throughput: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_THROUGHPUT", throughput)
    for scene, stepped in stepping(lambda: Scene("0", "1"), Scene.turn):
        submits = Running(lambda: scene.submit("2"))  # noqa: B023 - joined in this round
        if not scene.locked:
            submits.result()
            scene.finish()
        stepped.result()
        submits.result()
        scene.finish()

        assert scene.ran == ["0", "1", "2"]
        assert scene.entries == {}


@pytest.mark.parametrize("before", [(), ("a",), ("a", "b")])
def test_turns_that_come_wherever_a_sender_is_lose_nothing(before: tuple[str, ...]) -> None:
    for scene, stepped in stepping(lambda: Scene(*before), lambda scene: scene.submit("last")):
        turns = Running(scene.finish)
        if not scene.locked:
            turns.result()
        stepped.result()
        turns.result()
        scene.finish()

        assert scene.ran == [*before, "last"]
        assert scene.entries == {}


def test_a_cancelled_task_leaves_the_order_as_it_is() -> None:
    scene = Scene("a", "b", "c", cancelled="b")

    scene.finish()

    assert scene.ran == ["a", "c"]
    assert scene.entries == {}


def test_closing_wherever_the_last_task_ends_ends_the_threads() -> None:
    for scene, stepped in stepping(lambda: Scene("a"), Scene.turn):
        closes = Running(scene.table.close)
        if not scene.locked:
            closes.result()
        stepped.result()
        closes.result()

        assert scene.threads.closed
        assert scene.ran == ["a"]


def test_the_threads_are_not_ended_before_a_task_that_was_taken_is_done() -> None:
    for scene, stepped in stepping(Scene, _taken):
        closes = Running(scene.table.close)
        if not scene.locked:
            closes.result()
        taken = stepped.result()
        closes.result()
        if taken:
            assert not scene.threads.closed
            scene.finish()

        assert scene.threads.closed
        assert scene.ran == (["a"] if taken else [])
        assert scene.entries == {}


def _taken(scene: Scene) -> bool:
    try:
        return scene.submit("a")
    except RuntimeError:
        return False


def test_cancelling_wherever_a_turn_is_cancels_or_runs_each_task() -> None:
    for scene, stepped in stepping(lambda: Scene("a", "b"), Scene.turn):
        cancels = Running(scene.table.cancel_pending)
        # It asks each future that is not done.
        if not (scene.locked or any(held(future._mutex) for future in scene.futures)):
            cancels.result()
        stepped.result()
        cancels.result()
        scene.finish()

        assert scene.ran in (["a", "b"], ["a"], ["b"], [])
        assert scene._last.done()
        assert scene._last.cancelled() == ("b" not in scene.ran)
        assert scene.entries == {}


def test_a_look_wherever_a_turn_is_counts_none_that_has_begun() -> None:
    for scene, stepped in stepping(lambda: Scene("a", "b", "c", cancelled="b"), Scene.turn):
        if not scene.locked:
            pending = sum(not (each.running() or each.done()) for each in scene.futures)
            ready = [scene.table.waiting, scene.table.not_begun, look_at(scene.table).waiting]
            found = len(list(scene.table.pending()))
            # The thread may have one in hand, that has not begun. One that was cancelled may count.
            assert pending - 1 <= found == ready[0] <= pending
            assert pending - 1 <= ready[1] <= pending + 1
            assert pending - 1 <= ready[2] <= pending + 1
        stepped.result()
        scene.finish()
        assert scene.ran == ["a", "c"]
        assert [scene.table.waiting, scene.table.not_begun, look_at(scene.table).waiting] == [0] * 3
