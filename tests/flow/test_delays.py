"""Lanes that wait for a time, staged: whatever comes at each point of beginning to wait."""

import queue
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import Running
from tests.keyed.doubles import NoLanes
from tests.points import at_each_point
from tests.pool.witness import Gate
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.keyed.delays import Delays, Due
from threadpool_mb.keyed.flow import FlowFuture
from threadpool_mb.threads.timers import Timers


class Lane:
    """A lane, its shard, and its threads, which note what they are to run."""

    broken = False
    growing = False

    def __init__(self, scheduled: "list[Lane]") -> None:
        self.scheduled = scheduled

    @property
    def shard(self) -> "Lane":
        """Return itself: it is its own."""
        return self

    threads = shard

    def schedule(self, lane: "Lane") -> None:
        """Take note."""
        self.scheduled.append(lane)

    @property
    def put(self) -> Callable[["Lane"], None]:
        """Return what does."""
        return self.scheduled.append

    def grow_if_needed(self) -> None:
        """Have no threads."""

    def turn(self) -> int:
        """Do nothing."""
        return 0


class Scene:
    """Delays with timers that the test runs; a lane, and its task's future."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers = Timers(queue.SimpleQueue[None]().qsize, now=lambda: self.now)
        self.delays = Delays(self.timers)
        self.scheduled: list[Any] = []
        self.lane: Any = Lane(self.scheduled)
        self.future: FlowFuture[int] = FlowFuture(NoLanes(), "key")  # type: ignore[arg-type]

    def wait(self, when: float = 1.0) -> None:
        """Have the lane wait."""
        self.delays.wait(when, self.lane, self.future)

    def turn_to(self, now: float) -> None:
        """Have the time come."""
        self.now = now
        self.timers.until_next()

    def break_down(self) -> None:
        """Have nothing wait."""
        self.lane.broken = True
        self.timers.drop(Due)


def cancel_as_the_time_comes(scene: Scene) -> None:
    """Do both."""
    scene.turn_to(1.0)
    scene.future.cancel()


CAUSES: dict[str, Callable[[Scene], object]] = {
    "cancelled": lambda scene: scene.future.cancel(),
    "due": lambda scene: scene.turn_to(1.0),
    "broken": Scene.break_down,
    "cancelled as the time comes": cancel_as_the_time_comes,
}


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_a_lane_goes_on_once_whatever_comes_as_it_begins_to_wait(
    cause: Callable[[Scene], object],
) -> None:
    for scene in at_each_point(Scene, Scene.wait, cause):
        # One that began to wait for a time that had just been there is due at once.
        scene.turn_to(1.0)
        assert scene.scheduled == [scene.lane]
        assert not len(scene.delays)


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_a_lane_goes_on_once_whatever_comes_as_its_task_is_cancelled(
    cause: Callable[[Scene], object],
) -> None:
    def prepare() -> Scene:
        scene = Scene()
        scene.wait()
        return scene

    for scene in at_each_point(prepare, lambda scene: scene.future.cancel(), cause):
        assert scene.scheduled == [scene.lane]
        assert not len(scene.delays)


def test_a_lane_that_comes_as_the_last_one_of_its_time_is_cancelled_waits_no_longer() -> None:
    """It is scheduled at its time, or early, and looks whether that has come."""
    others: list[Any] = []

    def prepare() -> Scene:
        scene = Scene()
        scene.wait()
        return scene

    def come(scene: Scene) -> None:
        other: Any = Lane(scene.scheduled)
        future: FlowFuture[int] = FlowFuture(NoLanes(), "other")  # type: ignore[arg-type]
        others.append(other)
        scene.delays.wait(1.0, other, future)

    for scene in at_each_point(prepare, lambda scene: scene.future.cancel(), come):
        assert len(scene.delays) == 1 + len(others) - len(scene.scheduled)
        scene.turn_to(1.0)
        assert not len(scene.delays)
        assert set(scene.scheduled) == {scene.lane, *others}
        assert len(scene.scheduled) == 1 + len(others)
        others.clear()


def test_a_lane_that_is_just_being_scheduled_is_counted() -> None:
    class Stopping(Lane):
        """Is popped, and not scheduled yet."""

        gate: Gate

        @property
        def put(self) -> Callable[[Lane], None]:
            def stop_and_put(lane: Lane) -> None:
                self.gate()
                self.schedule(lane)

            return stop_and_put

    counts: list[int] = []
    cancelling: list[Running[bool]] = []

    def prepare() -> Scene:
        scene = Scene()
        scene.lane = Stopping(scene.scheduled)
        scene.lane.gate = Gate()
        scene.wait()
        return scene

    def cancel(scene: Scene) -> None:
        cancelling.append(Running(scene.future.cancel))
        scene.lane.gate.wait_until_reached()

    for scene in at_each_point(prepare, lambda scene: counts.append(len(scene.delays)), cancel):
        assert counts.pop() > 0
        scene.lane.gate.open()
        if cancelling:
            assert cancelling.pop().result()
            assert not len(scene.delays)


def test_nothing_is_kept_of_times_whose_lanes_were_all_cancelled() -> None:
    scene = Scene()
    for number in range(1000):
        future: FlowFuture[int] = FlowFuture(NoLanes(), number)  # type: ignore[arg-type]
        scene.delays.wait(3600.0 + number, scene.lane, future)
        assert future.cancel()
    scene.timers.until_next()
    assert len(scene.scheduled) == 1000
    assert not len(scene.delays)
    assert not scene.delays._times
    assert len(scene.timers) <= 128


def test_lanes_wait_together_for_a_time_that_is_not_before_their_own() -> None:
    scene = Scene()
    lanes: list[Any] = [Lane(scene.scheduled) for _ in range(100)]
    for number, lane in enumerate(lanes):
        future: FlowFuture[int] = FlowFuture(NoLanes(), number)  # type: ignore[arg-type]
        scene.delays.wait(1.0 + number / 100_000, lane, future)
    assert len(scene.delays) == 100
    assert len(scene.timers) <= 3
    scene.turn_to(1.0)
    assert scene.scheduled == lanes[:1]
    scene.turn_to(1.0 + 1 / 1024)
    assert scene.scheduled == lanes[:98]
    scene.turn_to(1.0 + 2 / 1024)
    assert scene.scheduled == lanes


def test_a_lane_that_gets_no_thread_keeps_no_other_one_of_its_time_waiting() -> None:
    scene = Scene()

    class Refused(Lane):
        """A lane whose threads are none."""

        def schedule(self, lane: Lane) -> None:
            """Have it in the queue, and no thread."""
            super().schedule(lane)
            raise ThreadRefused("the system started no thread")

    lanes: list[Any] = [Refused(scene.scheduled), Lane(scene.scheduled)]
    for number, lane in enumerate(lanes):
        future: FlowFuture[int] = FlowFuture(NoLanes(), number)  # type: ignore[arg-type]
        scene.delays.wait(1.0, lane, future)
    scene.turn_to(1.0)
    assert scene.scheduled == lanes
    assert not len(scene.delays)


@pytest.mark.parametrize("when", [1e300, 1.7e308])
def test_a_time_may_be_far_away(when: float) -> None:
    scene = Scene()
    scene.wait(when)
    assert len(scene.delays) == 1
    assert scene.future.cancel()
    assert scene.scheduled == [scene.lane]
    assert not len(scene.delays)
