"""Who waits gives its core away before it parks, but not where that costs a time slice."""

import itertools
import queue
from types import SimpleNamespace
from typing import Final

import pytest

from threadpool_mb.threads import waiting

QUICK: Final = 1e-6
"""Seconds without the core where nobody else wants it."""
SLICE: Final = 4e-3
"""Where a process that computes does."""


class Machine:
    """A clock, and a core that can be given away; messages come meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1.0
        self.given_away = 0
        self.takes = QUICK
        self.arrive = 1
        self.arrive_after = 1
        self.queue: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._numbers = itertools.count()
        monkeypatch.setattr(waiting, "os", SimpleNamespace(sched_yield=self._give_away))
        monkeypatch.setattr(waiting, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(waiting, "_not_before", 0.0)

    def _give_away(self) -> None:
        self.given_away += 1
        self.now += self.takes
        if self.given_away < self.arrive_after:
            return
        for _ in range(self.arrive):
            self.queue.put(next(self._numbers))

    def wait(self) -> int:
        """Wait for a message; return how often the core was given away for it."""
        before = self.given_away
        if self.now < waiting._not_before:
            self.queue.put(next(self._numbers))
        waiting.get_patiently(self.queue)
        while not self.queue.empty():
            self.queue.get()
        return self.given_away - before


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_the_core_is_given_away_until_there_is_a_message(machine: Machine) -> None:
    assert [machine.wait() for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_the_core_is_given_away_until_a_message_comes_and_three_times_at_most(
    machine: Machine, after: int
) -> None:
    machine.arrive_after = after

    assert machine.wait() == after


def test_who_finds_none_parks(machine: Machine) -> None:
    machine.arrive = 0
    parked: list[int] = []

    class Parked(queue.SimpleQueue[int]):
        def get(self, block: bool = True, timeout: float | None = None) -> int:  # noqa: FBT001, FBT002 - as in the original
            parked.append(machine.given_away)
            return 0

    assert waiting.get_patiently(Parked()) == 0
    assert parked == [3]


def test_who_lost_a_time_slice_for_one_message_parks_at_once_for_a_while(machine: Machine) -> None:
    machine.takes = SLICE

    assert [machine.wait() for _ in range(3)] == [1, 0, 0]

    machine.now += waiting._PARK_AT_ONCE_FOR
    machine.takes = QUICK
    assert [machine.wait() for _ in range(3)] == [1, 1, 1]


def test_several_messages_are_worth_a_time_slice(machine: Machine) -> None:
    machine.takes = SLICE
    machine.arrive = 2

    assert [machine.wait() for _ in range(3)] == [1, 1, 1]
