"""Small programs, drawn at random: turns that need each other to go on, and what moves threads.

Each has to end: either so few turns wait for others that there is a thread for each that does; or
they tell that they wait, and none waits for itself through others.
"""

import functools
import os
import queue
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pytest

from tests.helpers import DEADLINE, Running
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.waiting import parked

PROGRAMS: Final = 8
"""How many the same threads run, one after the other."""

type _Op = Callable[[], object]


class Needing:
    """A turn that may send others, and then waits until others have begun, or are done."""

    def __init__(self, threads: SharedThreads, *, tells: bool) -> None:
        self.needs: list[threading.Event] = []
        self.sends: list[Needing] = []
        self.begun: Final = threading.Event()
        self.done: Final = threading.Event()
        self.number = 0
        self._threads: Final = threads
        self._tells: Final = tells

    def turn(self) -> int:
        """Begin, send, wait, and be done."""
        self.number += 1
        self.begun.set()
        for other in self.sends:
            self._threads.schedule(other)
        # Not for as long as it is waited for: a turn that gave up would hide one that stays.
        deadline = 2 * DEADLINE
        for event in self.needs:
            if self._tells:
                with parked(self._threads):
                    event.wait(deadline)
            else:
                event.wait(deadline)
        self.done.set()
        return 1


class Program:
    """Some turns, and what senders do with them."""

    def __init__(
        self, rng: random.Random, threads: SharedThreads, most: int, *, tells: bool
    ) -> None:
        self._rng: Final = rng
        self._threads: Final = threads
        self.turns: Final = [
            Needing(threads, tells=tells) for _ in range(rng.randint(1, 2 * most + 3))
        ]
        by_turns = self._draw_those_that_tell() if tells else self._draw_few(most)
        sent = [turn for turn in self.turns if turn not in by_turns]
        rng.shuffle(sent)
        self.ops: Final = list(self._draw_ops(sent))

    def _draw_those_that_tell(self) -> Sequence[Needing]:
        """Have any number wait for those before them."""
        turns, rng = self.turns, self._rng
        for number, turn in enumerate(turns[1:], 1):
            if rng.random() < 0.6:
                needed = rng.sample(turns[:number], min(number, rng.randint(1, 2)))
                turn.needs = [each.done for each in needed]
        return self._draw_sent(turns[0], turns[1:])

    def _draw_few(self, most: int) -> Sequence[Needing]:
        """Have so many wait for others as there may be threads, or fewer."""
        turns, rng = self.turns, self._rng
        count = rng.randint(0, min(most, len(turns)))
        waiting, others = turns[:count], turns[count:]
        for number, turn in enumerate(waiting):
            turn.needs = [each.begun for each in waiting if rng.random() < 0.5]
            if count < most:  # there is a thread for those that do not wait
                before = [*others, *waiting[:number]]
                needed = rng.sample(before, min(len(before), rng.randint(0, 2)))
                turn.needs += [each.done for each in needed]
        if not others:
            return ()
        return self._draw_sent(others[0], [*others[1:], *(waiting if count < most else ())])

    def _draw_sent(self, by: Needing, of: list[Needing]) -> Sequence[Needing]:
        by.sends = [each for each in of if self._rng.random() < 0.15]
        return by.sends

    def _draw_ops(self, sent: list[Needing]) -> Iterator[_Op]:
        threads, rng = self._threads, self._rng
        put = functools.partial(rng.choices, ["one", "some", "expedite", "nudge", "grow", "yield"])
        while sent:
            match put([60, 15, 8, 7, 3, 7])[0]:
                case "one":
                    yield functools.partial(threads.schedule, sent.pop())
                case "some":
                    some = [sent.pop() for _ in range(min(len(sent), rng.randint(1, 3)))]
                    yield functools.partial(threads.schedule_ahead, some)
                case "expedite":
                    yield functools.partial(threads.expedite, rng.choice(self.turns))
                case "nudge":
                    yield self._nudge
                case "grow":
                    yield threads.grow
                case _:
                    yield os.sched_yield

    def _nudge(self) -> None:
        self._threads._next_nudge = 0.0
        self._threads.nudge()

    def run(self) -> None:
        """Do all, on one thread or two, and wait until each turn is done."""
        cut = self._rng.choice([0, len(self.ops) // 2])
        other = Running(functools.partial(_do, self.ops[:cut])) if cut else None
        _do(self.ops[cut:])
        if other is not None:
            other.result()
        assert all(turn.done.wait(DEADLINE) for turn in self.turns), "a turn stays"
        assert {turn.number for turn in self.turns} == {1}


def _do(ops: Sequence[_Op]) -> None:
    for op in ops:
        op()


def _grow_when_asked(asked: "queue.SimpleQueue[str | None]", threads: list[SharedThreads]) -> None:
    while asked.get() is not None:
        threads[0].grow()


def run_all(seed: int) -> None:
    """Run some programs, one after the other, on the same threads."""
    rng = random.Random(seed)  # noqa: S311 - a draw of programs
    most, tells, late = rng.randint(1, 5), rng.random() < 0.4, rng.random() < 0.3
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    ask = functools.partial(asked.put, "grow") if late else None
    threads = SharedThreads("t", most, ask, own_waits_only=rng.random() < 0.5)
    starter = Running(functools.partial(_grow_when_asked, asked, [threads]))
    try:
        for _ in range(PROGRAMS):
            Program(rng, threads, most, tells=tells).run()
    finally:
        threads.close()
        asked.put(None)
        starter.result()
    assert threads.join(Deadline(DEADLINE))
    assert not threads._spares


@pytest.mark.parametrize("block", range(5))
def test_each_program_ends(block: int) -> None:
    for seed in range(20 * block, 20 * (block + 1)):
        run_all(seed)
