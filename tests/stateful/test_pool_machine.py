"""A pool's routing against a model, step by step.

Each worker waits for orders of the test before it does anything, so that every step has one
outcome: the test waits until it is there, and compares all that can be seen.
"""

import dataclasses
import queue
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from tests.helpers import DEADLINE, leaving, until
from threadpool_mb import (
    DeadLetter,
    Dispatch,
    Initialize,
    Mailbox,
    NonBlocking,
    Pool,
    PoolClosed,
    Remove,
    Unlimited,
    WorkerExit,
)

KEYS = st.sampled_from("ab")
ORDERS = st.sampled_from([*["receive"] * 6, "return", "fail"])


pytestmark = pytest.mark.slow


class Failure(Exception):
    """Raised by workers that are told to fail."""


@dataclasses.dataclass(eq=False)
class Worker:
    """What the model knows of a worker."""

    key: str
    number: int
    backlog: list[int] = dataclasses.field(default_factory=list)
    current: bool = True
    running: bool = False
    closed: bool = False
    cancelled: bool = False
    reason: str = "worker ended"


class PoolMachine(stateful.RuleBasedStateMachine):
    """Every sequence of calls and of workers' deeds, without two at once."""

    @stateful.initialize(limit=st.sampled_from([None, 1, 2]), removes=st.booleans())
    def make(self, limit: int | None, *, removes: bool) -> None:
        """Make a pool and its model."""
        self.limit = limit
        self.removes = removes
        self.handled: list[tuple[str, int]] = []
        self.letters: list[DeadLetter[str, int]] = []
        self.exits: list[WorkerExit[str]] = []
        # A worker that has started puts the queue here from which it takes its orders.
        self.started: queue.SimpleQueue[tuple[str, queue.SimpleQueue[str]]] = queue.SimpleQueue()
        self.orders: dict[str, queue.SimpleQueue[str]] = {}
        self.pool: Pool[str, int] = Pool(
            self.work,
            mailbox=Unlimited() if limit is None else NonBlocking(limit),
            overflow="remove_worker" if removes else "refuse",
            on_dead_letter=self.letters.append,
            on_worker_exit=self.exits.append,
            name="model",
        )
        # The model.
        self.line: list[Worker] = []
        self.numbers = 0
        self.messages = 0
        self.closed = False
        self.model_handled: list[tuple[str, int]] = []
        self.model_dead: list[tuple[str, int, str]] = []
        self.model_exits: list[tuple[str, int, type | None]] = []
        for key in "ab":
            self.initialize(key, first=False, by_input=False)

    def work(self, key: str, mailbox: Mailbox[int]) -> None:
        """Do what the test orders."""
        orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.started.put((key, orders))
        while (order := orders.get()) == "receive":
            self.handled.append((key, mailbox.receive()))
        if order == "fail":
            raise Failure

    def teardown(self) -> None:
        """End the pool, whatever it is at."""
        if not hasattr(self, "pool"):
            return
        self.pool.cancel()
        for orders in self.orders.values():
            orders.put("return")
        assert self.pool.join(timeout=DEADLINE).finished

    def of_key(self, key: str) -> list[Worker]:
        """Return the key's workers that have not ended, the running one first."""
        return [worker for worker in self.line if worker.key == key]

    def current(self, key: str) -> Worker | None:
        """Return the key's current worker."""
        return next((worker for worker in self.of_key(key) if worker.current), None)

    def message(self) -> int:
        """Return a message that was not sent before."""
        self.messages += 1
        return self.messages

    def start_first_ones(self) -> None:
        """Wait until each worker whose turn has come has started."""
        for key in "ab":
            first = self.of_key(key)[:1]
            if first and not first[0].running:
                started, orders = self.started.get(timeout=DEADLINE)
                assert started == key
                self.orders[key] = orders
                first[0].running = True

    def bury(self, worker: Worker) -> None:
        """Take a worker out of the model, and make dead letters of its backlog."""
        self.line.remove(worker)
        self.model_dead += [(worker.key, message, worker.reason) for message in worker.backlog]

    def model_remove(self, worker: Worker, *, drain: bool) -> None:
        """Remove a current worker in the model."""
        worker.current = False
        worker.reason = "worker removed"
        worker.closed = True
        if not drain:
            worker.cancelled = True
            if not worker.running:
                self.bury(worker)

    @stateful.rule(key=KEYS, first=st.booleans(), by_input=st.booleans())
    def initialize(self, key: str, *, first: bool, by_input: bool) -> None:
        """Start a worker, with a first message or without."""
        message = self.message()
        content = (message,) if first else ()

        def act() -> bool:
            if by_input:
                return self.pool.input.deliver(Initialize(key, *content))
            return self.pool.initialize(key, *content)

        taken = self.current(key) is not None
        if self.closed:
            self.refused(act)
            return
        assert act() is not taken
        if not taken:
            self.numbers += 1
            self.line.append(Worker(key, self.numbers, list(content)))
            self.start_first_ones()
        elif first:
            self.model_dead.append((key, message, "duplicate initialize"))

    @stateful.rule(
        key=KEYS, by=st.sampled_from(["method", "input", "ref"]), count=st.integers(1, 4)
    )
    def dispatch(self, key: str, by: str, count: int) -> None:
        """Send some messages."""
        for _ in range(count):
            self.dispatch_one(key, by)

    def dispatch_one(self, key: str, by: str) -> None:
        """Send a message."""
        message = self.message()

        def act() -> bool:
            if by == "input":
                return self.pool.input.deliver(Dispatch(key, message))
            if by == "ref":
                return self.pool.ref(key).deliver(message)
            return self.pool.dispatch(key, message)

        if self.closed:
            self.refused(act)
            return
        worker = self.current(key)
        if worker is None:
            assert act() is False
            self.model_dead.append((key, message, "unknown key"))
        elif self.limit is None or len(worker.backlog) < self.limit:
            assert act() is True
            worker.backlog.append(message)
        else:
            assert act() is False
            if self.removes:
                self.model_remove(worker, drain=False)
            self.model_dead.append((key, message, "refused by the limit"))

    def refused(self, act: Callable[[], object]) -> None:
        """Do what a pool that was closed refuses."""
        with pytest.raises(PoolClosed):
            act()

    @stateful.rule(key=KEYS, drain=st.booleans(), by_input=st.booleans())
    def remove(self, key: str, *, drain: bool, by_input: bool) -> None:
        """Remove a worker."""
        worker = self.current(key)

        removed = (
            self.pool.input.deliver(Remove(key, drain=drain))
            if by_input
            else self.pool.remove(key, drain=drain)
        )

        assert removed is (worker is not None)
        if worker is not None:
            self.model_remove(worker, drain=drain)

    @stateful.rule(data=st.data(), order=ORDERS)
    def let_a_worker_go_on(self, data: st.DataObject, order: str) -> None:
        """Let a running worker receive, where that does not wait, or end."""
        running = [worker for worker in self.line if worker.running]
        if not running:
            return
        worker = data.draw(st.sampled_from(running), label="worker")
        if order == "receive" and not (worker.backlog or worker.closed):
            return

        self.orders[worker.key].put(order)

        if order == "receive" and worker.backlog and not worker.cancelled:
            self.model_handled.append((worker.key, worker.backlog.pop(0)))
            until(lambda: len(self.handled) == len(self.model_handled))
            return
        if order == "fail":
            worker.reason = "worker failed"
        error = Failure if order == "fail" else None
        self.model_exits.append((worker.key, worker.number, error))
        self.bury(worker)
        until(lambda: worker.number not in self.unfinished())
        self.start_first_ones()

    def unfinished(self) -> list[int]:
        """Return the numbers of the workers that have not ended."""
        return [each.incarnation for each in self.pool.join(timeout=0).unfinished]

    @stateful.precondition(lambda self: self.messages > 20)
    @stateful.rule()
    def close(self) -> None:
        """Close the pool."""
        self.pool.close()

        self.closed = True
        for worker in self.line:
            worker.closed = True

    @stateful.precondition(lambda self: self.messages > 20)
    @stateful.rule()
    def cancel(self) -> None:
        """Cancel the pool."""
        self.pool.cancel()

        self.closed = True
        for worker in list(self.line):
            worker.closed = worker.cancelled = True
            worker.reason = "pool closed"
            if not worker.running:
                self.bury(worker)

    @stateful.invariant()
    def what_was_handled_is_as_in_the_model(self) -> None:
        """Every message, in order; every dead letter, with its reason; every end."""
        if not hasattr(self, "pool"):
            return
        dead: list[tuple[Any, int, str]] = [
            (letter.key, letter.message, str(letter.reason)) for letter in self.letters
        ]
        ends = [
            (exit_.key, exit_.incarnation, None if exit_.error is None else type(exit_.error))
            for exit_ in self.exits
        ]
        assert self.handled == self.model_handled
        assert dead == self.model_dead
        assert ends == self.model_exits

    @stateful.invariant()
    def what_the_pool_shows_is_as_in_the_model(self) -> None:
        """Who lives, what waits, who is to end."""
        if not hasattr(self, "pool"):
            return
        keys = sorted(worker.key for worker in self.line if worker.current)
        stats = self.pool.stats()
        assert sorted(self.pool.keys()) == keys
        assert len(self.pool) == stats.keys == len(keys)
        assert [key for key in "ab" if key in self.pool] == keys
        assert stats.waiting == sum(len(worker.backlog) for worker in self.line)
        assert stats.started == len(self.model_exits) + sum(each.running for each in self.line)
        assert [
            (each.key, each.incarnation, each.running, each.messages) for each in leaving(self.pool)
        ] == [
            (worker.key, worker.number, worker.running, len(worker.backlog))
            for worker in self.line
            if worker.closed
        ]


# In parts: each test has the same time, however busy the machine is.
@pytest.mark.parametrize("part", range(3))
def test_the_pool_is_as_its_model(part: int) -> None:
    del part
    settings = hypothesis.settings(max_examples=20, stateful_step_count=50, deadline=None)
    stateful.run_state_machine_as_test(PoolMachine, settings=settings)
