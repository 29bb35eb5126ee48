"""Staged races of lanes: a sender and the end of a turn, a step at a time.

The thread that ends a turn is stopped after it has found the queue empty, and as it releases the
lock; the sender as it tries the lock.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.helpers import Running, until
from tests.insides import worker_of
from tests.pool.witness import Gate, Witness, finish
from threadpool_mb import Pool
from threadpool_mb.line.inlet import IDLE
from threadpool_mb.pool import generator_workers


class _StagedLane(generator_workers.GeneratorLane[str, object]):
    """A lane that stops who looks the last time whether it is empty, once it is told to.

    A turn finds it empty, and then `turn` looks again before it says that the lane is idle.
    """

    last_look: Gate | None = None
    _looks = 0

    def qsize(self) -> int:
        size = super().qsize()
        if self.last_look is not None and not size:
            self._looks += 1
            if self._looks == 2:
                gate, self.last_look = self.last_look, None
                gate()
        return size


class _StagedLock:
    """A lock that stops who releases it, or tries it, once it is told to."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock: Final = lock
        self.before_release: Gate | None = None
        self.before_try: Gate | None = None

    def acquire(self, blocking: bool, /) -> bool:  # noqa: FBT001 - as in the original
        gate, self.before_try = self.before_try, None
        if gate is not None:
            gate()
        return self._lock.acquire(blocking=blocking)

    def release(self) -> None:
        gate, self.before_release = self.before_release, None
        if gate is not None:
            gate()
        self._lock.release()


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    """Return a witness of generator workers whose lanes are staged."""
    monkeypatch.setattr(generator_workers.GeneratorWorkers, "_lane", _StagedLane)
    return Witness("generator")


def idle_lane(pool: Pool[Any, Any], key: str) -> tuple[_StagedLane, _StagedLock]:
    """Give the key a worker, and return its lane and its lock once it is idle."""
    pool.initialize(key)
    incarnation = worker_of(pool, key)
    assert incarnation is not None
    lane: Any = incarnation.mailbox
    until(lambda: lane.unattended == IDLE and not lane._busy.locked())
    lane._busy = _StagedLock(lane._busy)
    return lane, lane._busy


def stop_at_the_look(lane: _StagedLane, _lock: _StagedLock, gate: Gate) -> None:
    """Stop the thread between finding the queue empty and the word idle."""
    lane.last_look = gate


def stop_at_the_release(_lane: _StagedLane, lock: _StagedLock, gate: Gate) -> None:
    """Stop the thread between the word idle and releasing the lock."""
    lock.before_release = gate


@pytest.mark.parametrize("stop", [stop_at_the_look, stop_at_the_release])
def test_a_message_that_comes_while_a_turn_ends_is_handled(
    witness: Witness, stop: Callable[[_StagedLane, _StagedLock, Gate], None]
) -> None:
    gate = witness.gate()
    with witness.pool() as pool:
        staged, lock = idle_lane(pool, "a")
        stop(staged, lock, gate)
        pool.dispatch("a", 1)
        gate.wait_until_reached()

        pool.dispatch("a", 2)
        gate.open()
        until(lambda: len(witness.handled) == 2)

        finish(pool)

    assert witness.handled == [("a", 1), ("a", 2)]


def test_two_senders_who_both_find_a_lane_idle_schedule_it_once(witness: Witness) -> None:
    gate = witness.gate()
    turns: list[str] = []

    def worker(key: str) -> Any:  # noqa: ANN401 - a generator
        while True:
            message = yield
            turns.append(f"begin {message}")
            witness.handled.append((key, message))
            turns.append(f"end {message}")

    with witness.pool(worker) as pool:
        _, lock = idle_lane(pool, "a")
        lock.before_try = gate
        sender = Running(lambda: pool.dispatch("a", 1))
        gate.wait_until_reached()

        pool.dispatch("a", 2)
        until(lambda: len(witness.handled) == 2)
        gate.open()

        assert sender.result() is True
        pool.dispatch("a", 3)
        finish(pool)

    assert witness.handled == [("a", 1), ("a", 2), ("a", 3)]
    assert turns == [f"{word} {number}" for number in (1, 2, 3) for word in ("begin", "end")]


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_an_end_that_comes_between_the_look_and_the_word_idle_ends_the_worker(
    witness: Witness, end: str
) -> None:
    gate = witness.gate()
    with witness.pool() as pool:
        staged, _ = idle_lane(pool, "a")
        staged.last_look = gate
        pool.dispatch("a", 1)
        gate.wait_until_reached()

        getattr(pool, end)()
        gate.open()
        until(lambda: witness.exits)

    assert witness.handled == [("a", 1)]
    assert witness.ended == [("a", None)]


def test_a_lane_does_not_run_before_the_one_before_it_has_ended(witness: Witness) -> None:
    ending = witness.gate()

    def worker(key: str) -> Any:  # noqa: ANN401 - a generator
        try:
            while True:
                witness.handled.append((key, (yield)))
        finally:
            if not witness.exits:
                ending()

    with witness.pool(worker, max_threads=3) as pool:
        idle_lane(pool, "a")
        pool.remove("a")
        ending.wait_until_reached()

        pool.initialize("a", "first")
        successor: Any = worker_of(pool, "a")
        pool.dispatch("a", "second")

        # It was born busy: nobody can schedule it but who ends the one before it.
        assert successor.mailbox._busy is None
        assert successor.mailbox.unattended == 0
        assert witness.handled == []
        ending.open()
        finish(pool)

    assert witness.handled == [("a", "first"), ("a", "second")]
