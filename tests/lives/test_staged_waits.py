"""A wait that begins, and a thread that stops its worker: each stops before each instruction."""

import threading
from collections.abc import Iterator
from typing import Any, final

import pytest

from tests.helpers import DEADLINE, Running
from tests.mailbox.stepping import STEPS, each_step, held
from threadpool_mb.pool import waits
from threadpool_mb.pool.waits import Suspended, Wait

pytestmark = [pytest.mark.slow, STEPS]


@final
class _ForNothing(Wait):
    """What never comes."""

    def begin(self, suspended: Suspended) -> None:
        """Do nothing."""


class Scene:
    """A lane that is about to be suspended."""

    waits_for = None

    def __init__(self) -> None:
        self.cancelled = False
        self.scheduled: list[object] = []
        self.looked = threading.Event()
        self.wait = Suspended(None, _ForNothing(), None, sets_up=False)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def qsize(self) -> int:
        """Return how many messages there are, as a lane does."""
        self.looked.set()
        return 0

    def schedule(self, turns: Iterator[Any]) -> None:
        """Be scheduled."""
        self.scheduled += turns

    def begins(self) -> None:
        """Begin the wait, as the turn does."""
        self.wait.begin(self, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def stops(self) -> None:
        """Stop the worker, as `GeneratorLane.cancel` does."""
        self.cancelled = True
        self.qsize()
        self.wait.wake()


def test_a_worker_whose_wait_begins_as_a_thread_stops_it_is_woken_once() -> None:
    for scene, stopping in each_step(Scene, Scene.stops, waits.__file__):
        scene.looked.clear()
        beginning = Running(scene.begins)
        assert scene.looked.wait(DEADLINE)
        # The thread that was stopped may hold the lock.
        stopping.result()
        beginning.result()

        assert scene.scheduled == [scene]


def test_a_worker_that_is_stopped_as_its_wait_begins_is_woken_once() -> None:
    for scene, beginning in each_step(Scene, Scene.begins, waits.__file__):
        if held(waits._claiming):
            beginning.result()
        scene.stops()
        beginning.result()

        assert scene.scheduled == [scene]
