"""The roster against a model: for each key the workers that have not ended, in a line."""

import dataclasses
from typing import Any

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from tests.pool.doubles import new_incarnation
from threadpool_mb import PoolClosed
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster

pytestmark = pytest.mark.slow

KEYS = st.sampled_from("ab")


@dataclasses.dataclass(eq=False)
class Worker:
    """What the model knows of an incarnation."""

    incarnation: Incarnation[str, Any]
    current: bool = True
    running: bool = False


class RosterMachine(stateful.RuleBasedStateMachine):
    """Every sequence of steps that the dispatcher and the pool can take."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Incarnation[str, Any] | None] = []
        self.roster: Roster[str, Any] = Roster(self.told.append)
        self.office: DeadLetterOffice[str, Any] = DeadLetterOffice("roster")
        # The model: the workers that have not ended, oldest first; those that have; who must have
        # been told, and how many of them the dispatcher has taken note of.
        self.line: list[Worker] = []
        self.ended: list[Worker] = []
        self.expected: list[Incarnation[str, Any] | None] = []
        self.noted = 0
        self.closed = False
        self.entered = self.started = self.failed = 0

    def of_key(self, key: str) -> list[Worker]:
        """Return the key's workers that have not ended."""
        return [worker for worker in self.line if worker.incarnation.key == key]

    def current(self, key: str) -> Worker | None:
        """Return the key's current worker."""
        return next((worker for worker in self.of_key(key) if worker.current), None)

    def take_out(self, *workers: Worker) -> None:
        """End workers in the model; whoever comes first in a line then is told, and the end is."""
        for worker in workers:
            self.line.remove(worker)
            worker.current = worker.running = False
            self.ended.append(worker)
        for key in "ab":
            first = self.of_key(key)[:1]
            if first and first[0].incarnation not in self.expected:
                self.expected.append(first[0].incarnation)
        if self.closed and not self.line and None not in self.expected:
            self.expected.append(None)

    @stateful.rule(key=KEYS)
    def enter(self, key: str) -> None:
        """Enter a new worker."""
        incarnation: Incarnation[str, Any] = new_incarnation(key, self.office)

        if self.closed:
            with pytest.raises(PoolClosed):
                self.roster.enter(incarnation)
            return
        if self.current(key) is not None:
            assert self.roster.enter(incarnation) is False
            return
        assert self.roster.enter(incarnation) is True

        self.entered += 1
        assert incarnation.number == self.entered
        if not self.of_key(key):
            self.expected.append(incarnation)
        self.line.append(Worker(incarnation))

    @stateful.precondition(lambda self: self.noted < len(self.told) and self.told[self.noted])
    @stateful.rule()
    def begin(self) -> None:
        """Begin the next worker whose turn has come, as the dispatcher does."""
        incarnation = self.told[self.noted]
        assert incarnation is not None
        self.noted += 1
        worker = next((each for each in self.line if each.incarnation is incarnation), None)

        assert self.roster.begin(incarnation) is (worker is not None)

        if worker is not None:
            worker.running = True
            self.started += 1

    @stateful.rule(data=st.data(), may_start=st.booleans())
    def leave(self, data: st.DataObject, *, may_start: bool) -> None:
        """Take a worker out of the table, one that has left or ended before included."""
        everybody = self.line + self.ended
        if not everybody:
            return
        worker = data.draw(st.sampled_from(everybody), label="worker")
        dropped = not worker.running and not may_start

        left = self.roster.leave(worker.incarnation, may_start=may_start)

        assert left is worker.current
        if worker.current:
            worker.current = False
            if dropped:
                self.take_out(worker)

    @stateful.rule(data=st.data(), fails=st.booleans())
    def end(self, data: st.DataObject, *, fails: bool) -> None:
        """End a running worker, as the dispatcher does."""
        running = [worker for worker in self.line if worker.running]
        if not running:
            return
        worker = data.draw(st.sampled_from(running), label="worker")

        self.roster.leave(worker.incarnation, may_start=True)
        self.roster.end(worker.incarnation, "failed" if fails else "returned")

        self.failed += fails
        self.take_out(worker)

    @stateful.rule()
    def close(self) -> None:
        """Close."""
        self.closed = True

        assert self.roster.close() == [worker.incarnation for worker in self.line]

        self.take_out()

    @stateful.rule()
    def cancel(self) -> None:
        """Cancel."""
        pending = [worker for worker in self.line if not worker.running]
        running = [worker for worker in self.line if worker.running]
        self.closed = True

        told = self.roster.cancel()

        assert told == [worker.incarnation for worker in running]
        assert list(self.roster.untold) == [worker.incarnation for worker in pending]
        for incarnation in list(self.roster.untold):
            self.roster.told(incarnation, "abandon")
        self.take_out(*pending)

    @stateful.invariant()
    def who_was_told_is_as_in_the_model(self) -> None:
        """Each worker once, when all before it have ended; `None` once, at the end."""
        assert self.told == self.expected
        assert self.told.count(None) == (self.closed and not self.line)

    @stateful.invariant()
    def the_table_is_as_in_the_model(self) -> None:
        """The current worker of each key, and no other."""
        current = {
            worker.incarnation.key: worker.incarnation for worker in self.line if worker.current
        }
        assert self.roster.routes == current
        assert self.roster.workers == len(current)
        assert self.roster.keys() == list(self.roster.routes)
        assert [self.roster.has(key) for key in "ab"] == [key in current for key in "ab"]
        assert self.roster.unfinished() == [worker.incarnation for worker in self.line]
        assert self.roster.closed is self.closed

    @stateful.invariant()
    def at_most_one_worker_of_a_key_runs(self) -> None:
        """And it is the first in the key's line."""
        for key in "ab":
            states = [worker.incarnation.state for worker in self.of_key(key)]
            assert "ended" not in states
            assert "running" not in states[1:]
        assert {worker.incarnation.state for worker in self.ended} <= {"ended"}

    @stateful.invariant()
    def the_counts_are_as_in_the_model(self) -> None:
        """Started, failed."""
        assert (self.roster.started, self.roster.failed) == (self.started, self.failed)

    @stateful.invariant()
    def nothing_is_kept_of_workers_that_have_ended(self) -> None:
        """No entry of a table, no link."""
        unfinished = {worker.incarnation for worker in self.line}
        assert set(self.roster._leaving.values()) <= unfinished
        for worker in self.line:
            neighbours = {worker.incarnation.predecessor, worker.incarnation.successor} - {None}
            assert neighbours <= unfinished
        for worker in self.ended:
            assert worker.incarnation.predecessor is worker.incarnation.successor is None


# In parts: each test has the same time, however busy the machine is.
@pytest.mark.parametrize("part", range(4))
def test_the_roster_is_as_its_model(part: int) -> None:
    del part
    settings = hypothesis.settings(max_examples=50, stateful_step_count=40, deadline=None)
    stateful.run_state_machine_as_test(RosterMachine, settings=settings)
