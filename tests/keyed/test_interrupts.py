"""A signal handler that runs in the middle of a call: one that interrupts, one that submits."""

import contextlib
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future, as_completed, wait
from types import FrameType
from typing import Any

import pytest

from tests.helpers import DEADLINE, until
from tests.insides import table_of
from tests.points import at_each_point, interrupted_at_each_point
from tests.pool.witness import Gate
from tests.strides import STRIDE
from threadpool_mb import KeyedExecutor
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.keyed.released import schedule
from threadpool_mb.threads.shared import SharedThreads


class Busy:
    """An executor with a thread, whose key holds a task in hand, and perhaps one behind it."""

    def __init__(self, *, held: bool, behind: bool) -> None:
        self.executor = KeyedExecutor(1)
        self.executor.submit(int).result(DEADLINE)
        self.ran: list[str] = []
        self.gate = Gate()
        if held:
            self.executor.submit_keyed("key", self.gate)
            self.gate.wait_until_reached()
        if behind:
            self.executor.submit_keyed("key", self.ran.append, "behind")

    def submit(self) -> None:
        """Submit for the key, where it is interrupted."""
        self.executor.submit_keyed("key", self.ran.append, "act")

    def handle(self) -> None:
        """Submit for the key in the middle of that."""
        self.executor.submit_keyed("key", self.ran.append, "handler")

    def finish(self) -> list[str]:
        """Return what has run; fail if the key is stuck."""
        self.gate.open()
        self.executor.submit_keyed("key", self.ran.append, "last").result(DEADLINE)
        self.executor.shutdown()
        assert table_of(self.executor).tasks == 0
        return self.ran


SCENES = pytest.mark.parametrize(
    ("held", "behind"), [(False, False), (True, False), (True, True)], ids=["idle", "one", "two"]
)


@SCENES
def test_a_key_is_not_stuck_wherever_submitting_is_interrupted(held: bool, behind: bool) -> None:  # noqa: FBT001
    for scene in interrupted_at_each_point(lambda: Busy(held=held, behind=behind), Busy.submit):
        before = ["behind"] if behind else []

        assert scene.finish() in ([*before, "act", "last"], [*before, "last"])


@SCENES
def test_a_handler_may_submit_wherever_submitting_is(held: bool, behind: bool) -> None:  # noqa: FBT001
    def handle(scene: Busy) -> None:
        scene.handle()

    handled = 0
    for scene in at_each_point(lambda: Busy(held=held, behind=behind), Busy.submit, handle):
        before = ["behind"] if behind else []
        ran = scene.finish()

        handled += "handler" in ran
        assert ran in (
            [*before, "act", "handler", "last"],
            [*before, "handler", "act", "last"],
            [*before, "act", "last"],  # the last time, without the handler
        )
    assert handled * STRIDE > 5


@pytest.mark.usefixtures("few_shards")
def test_a_shutdown_that_was_interrupted_can_be_called_again() -> None:
    def prepare() -> KeyedExecutor:
        executor = KeyedExecutor(1)
        executor.submit_keyed("key", int)
        return executor

    for executor in interrupted_at_each_point(prepare, KeyedExecutor.shutdown):
        executor.shutdown()

        until(lambda: len(table_of(executor).threads) == 0)  # noqa: B023 - in this round


def test_results_of_map_keyed_are_cancelled_wherever_waiting_for_them_is_interrupted() -> None:
    class Mapped:
        def __init__(self) -> None:
            self.executor = KeyedExecutor(1)
            self.gate = Gate()
            self.results: Iterator[None] = self.executor.map_keyed(
                lambda number: number or None, range(3), key=lambda _: "key", buffersize=2
            )

        def take(self) -> None:
            with contextlib.suppress(StopIteration):
                next(self.results)

    for scene in interrupted_at_each_point(Mapped, Mapped.take):
        scene.executor.shutdown()

        assert table_of(scene.executor).tasks == 0


@pytest.mark.parametrize("options", [{}, {"max_waiting": 1}, {"max_waiting": 1, "pinned": True}])
def test_wherever_the_first_thread_is_interrupted_another_one_is_started(
    options: dict[str, Any],
) -> None:
    """Also where what has no thread has all the room."""
    for executor in interrupted_at_each_point(
        lambda: KeyedExecutor(1, **options), lambda executor: executor.submit_keyed("a", int)
    ):
        assert executor.submit_keyed("b", lambda: 1).result(DEADLINE) == 1
        assert executor.submit_keyed("a", lambda: 2).result(DEADLINE) == 2
        executor.shutdown()


def test_a_wait_that_is_interrupted_as_it_takes_the_lock_does_not_keep_it() -> None:
    """As it would in `Condition.__enter__`: behind the acquiring, and before the `with` knows."""
    gate, entered = Gate(), list[str]()
    enter = threading.Condition.__enter__.__code__

    def passing(frame: FrameType, event: str, _: object) -> None:
        if event == "c_return" and frame.f_code is enter:
            entered.append(event)
            raise KeyboardInterrupt

    with KeyedExecutor(1) as executor:
        executor.submit_keyed("key", gate)
        gate.wait_until_reached()
        future = executor.submit_keyed("key", int)
        sys.setprofile(passing)
        try:
            with pytest.raises(TimeoutError):
                future.result(0.001)
        finally:
            sys.setprofile(None)
            gate.open()

        assert not entered
        assert future.result(DEADLINE) == 0


def _completed(future: Future[int]) -> None:
    for _ in as_completed([future], 0.001):
        pass


@pytest.mark.parametrize("await_", [lambda future: wait([future], 0.001), _completed])
def test_a_wait_for_several_that_is_interrupted_as_it_ends_does_not_keep_the_lock(
    await_: Callable[[Future[int]], object],
) -> None:
    """`concurrent.futures` enters the condition with `with`: no frame of Python is begun there."""
    entered = list[str]()
    of_conditions = {
        each.__code__ for each in (threading.Condition.__enter__, threading.Condition.__exit__)
    }

    def passing(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code in of_conditions and frame.f_locals["self"] is condition:
            entered.append(event)
            raise KeyboardInterrupt

    with KeyedExecutor(1) as executor:
        future = executor.submit_keyed("key", int)
        assert future.result(DEADLINE) == 0
        condition = future._condition
        sys.setprofile(passing)
        try:
            await_(future)
        finally:
            sys.setprofile(None)

        assert not entered
        assert not wait([executor.submit(future.cancel)], DEADLINE).not_done


def test_a_task_whose_submitting_is_interrupted_has_a_spare_thread_at_once() -> None:
    """Its future is lost; those behind it, of its key, have it done before."""

    class OneIsSpare:
        def __init__(self) -> None:
            self.executor = KeyedExecutor(2)
            gates = [Gate(), Gate()]
            self.gate = Gate()
            for gate in gates:
                self.executor.submit(gate)
            for gate in gates:
                gate.wait_until_reached()
            for gate in gates:
                gate.open()
            until(lambda: table_of(self.executor).threads.idle == 2)
            self.executor.submit(self.gate)
            self.gate.wait_until_reached()

        def submit(self) -> None:
            self.executor.submit_keyed("key", int)

    for scene in interrupted_at_each_point(OneIsSpare, OneIsSpare.submit):
        until(lambda: table_of(scene.executor).tasks == 1)  # noqa: B023 - in this round
        scene.gate.open()
        scene.executor.shutdown()


@pytest.mark.parametrize("refused", [False, True])
def test_a_lane_that_goes_on_has_a_thread_asked_for_wherever_that_is_interrupted(
    *, refused: bool
) -> None:
    asked: list[SharedThreads] = []

    def prepare() -> tuple[SharedThreads, list[Any]]:
        def ask() -> None:
            asked.append(threads)
            if refused:
                raise ThreadRefused

        threads = SharedThreads("t", 1, ask)
        return threads, [types.SimpleNamespace(shard=types.SimpleNamespace(threads=threads))]

    interrupted = 0

    def go_on(scene: tuple[SharedThreads, list[Any]]) -> None:
        nonlocal interrupted
        try:
            schedule(scene[1])
        except KeyboardInterrupt:
            interrupted += 1
            raise

    rounds = 0
    for threads, in_hand in interrupted_at_each_point(prepare, go_on):
        rounds += 1
        assert len(in_hand) != len(threads._ready)
        assert in_hand or threads in asked
    assert interrupted == rounds - 1
