"""Spare threads: every interleaving of senders, threads that become spare, and those that wake.

As `threads.spares` and `SharedThreads` have it. One turn needs another one to be done before it
ends: so a turn that stays while a thread sleeps is a deadlock.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

TURNS: Final = "abc"

NEEDS: Final = [(turn, other) for turn in TURNS for other in TURNS if turn != other]
"""Turns, and the one that has to be done before they can end."""


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    needs: tuple[str, str]
    queue: tuple[str, ...] = ()
    idle: int = 0
    permit: bool = True
    spares: tuple[str, ...] = ()
    rung: frozenset[str] = frozenset()
    hand: tuple[tuple[str, str], ...] = ()
    done: frozenset[str] = frozenset()

    @property
    def all_done(self) -> bool:
        return self.done == frozenset(TURNS)


def _asking(prefix: str, then: str) -> Mapping[str, Step[Memory]]:
    """Return the steps (2) and (3), from the one that is called `prefix` on."""
    look, permit, wake, grow = (f"{prefix}{step}" for step in ("", " permit", " wake", " grow"))

    def is_needed(m: Memory) -> Outcomes[Memory]:
        # What is read first alone can become untrue: a turn that waits, and no thread idle.
        return [(m, permit if m.queue and not m.idle else then)]

    def take_permit(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, permit=False), wake)] if m.permit else [(m, then)]

    def wake_one(m: Memory) -> Outcomes[Memory]:
        if not m.spares:
            return [(m, grow)]
        after = replace(m, spares=m.spares[:-1], rung=m.rung | {m.spares[-1]})
        return [(after, then)]

    def look_again(m: Memory) -> Outcomes[Memory]:
        after = replace(m, permit=True)
        if m.queue and not m.idle and m.spares:
            after = replace(after, spares=m.spares[:-1], rung=m.rung | {m.spares[-1]})
        return [(after, then)]

    return {look: is_needed, permit: take_permit, wake: wake_one, grow: look_again}


def sender(*bugs: str) -> Process[Memory]:
    """Return who puts all turns."""
    steps: dict[str, Step[Memory]] = {}
    for number, turn in enumerate(TURNS):
        then = END if number + 1 == len(TURNS) else f"put {TURNS[number + 1]}"
        if "asks before it puts" in bugs:
            steps |= _asking(f"ask for {turn}", f"really put {turn}")
            steps[f"put {turn}"] = steps[f"ask for {turn}"]
            steps[f"really put {turn}"] = functools.partial(_put, turn=turn, then=then)
        else:
            steps[f"put {turn}"] = functools.partial(_put, turn=turn, then=f"ask for {turn}")
            steps |= _asking(f"ask for {turn}", then)
    return Process("sender", {"put a": steps["put a"], **steps})


def _put(m: Memory, turn: str, then: str) -> Outcomes[Memory]:
    return [(replace(m, queue=(*m.queue, turn)), then)]


def thread(name: str, *bugs: str) -> Process[Memory]:  # noqa: C901 - a table of steps
    """Return a thread that takes turns until all are done."""

    def takes(m: Memory, then: str, otherwise: str) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, otherwise)]
        return [(replace(m, queue=m.queue[1:], hand=(*m.hand, (name, m.queue[0]))), then)]

    def enter(m: Memory) -> Outcomes[Memory]:
        if "becomes spare though none is idle" not in bugs and not m.idle:
            return [(replace(m, idle=1), "wait")]
        return [(replace(m, spares=(*m.spares, name)), "bell")]

    def wait(m: Memory) -> Outcomes[Memory]:
        if m.queue:
            return takes(m, "leave", "")
        return [(m, END)] if m.all_done else []

    def leave(m: Memory) -> Outcomes[Memory]:
        then = "run" if "is handed a turn and does not look" in bugs else "look"
        return [(replace(m, idle=m.idle - 1), then)]

    def bell(m: Memory) -> Outcomes[Memory]:
        if name in m.rung:
            return [(replace(m, rung=m.rung - {name}), "first")]
        return [(m, END)] if m.all_done else []

    def permit(m: Memory, then: str) -> Outcomes[Memory]:
        return [(m if "keeps the permit" in bugs else replace(m, permit=True), then)]

    def run(m: Memory) -> Outcomes[Memory]:
        turn = dict(m.hand)[name]
        if turn in m.needs[0] and m.needs[1] not in m.done:
            return []
        hand = tuple(each for each in m.hand if each[0] != name)
        return [(replace(m, hand=hand, done=m.done | {turn}), "next")]

    woken = "run" if "is woken and does not look" in bugs else "look"
    steps: dict[str, Step[Memory]] = {
        "next": lambda m: takes(m, "look", "enter"),
        "enter": enter,
        "wait": wait,
        "leave": leave,
        "bell": bell,
        "first": lambda m: takes(m, "permit, turn", "permit, none"),
        "permit, turn": lambda m: permit(m, woken),
        "permit, none": lambda m: permit(m, "enter"),
        "run": run,
    }
    return Process(name, {**steps, **_asking("look", "run")})


def each_once(m: Memory) -> str | None:
    """Nothing is taken twice, or lost, and one thread at most waits in the queue."""
    there = [*m.queue, *m.done, *(turn for _, turn in m.hand)]
    twice = [turn for turn in TURNS if there.count(turn) > 1]
    return f"{twice} are there twice" if twice else None if m.idle <= 1 else "two are idle"


def run(needs: tuple[str, str], *bugs: str, names: str = "AB") -> Explored[Memory]:
    return explore(
        Memory(needs),
        [sender(*bugs), *(thread(name, *bugs) for name in names)],
        always=each_once,
        finally_=lambda m: None if m.all_done else "a turn was lost",
    )


@pytest.mark.parametrize("needs", NEEDS, ids="-".join)
def test_no_turn_stays_while_a_thread_sleeps(needs: tuple[str, str]) -> None:
    explored = run(needs)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 500


def test_with_three_threads_none_stays_either() -> None:
    explored = run(("ab", "c"), names="ABC")

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 5000


@pytest.mark.parametrize(
    ("bug", "needs", "names"),
    [
        ("asks before it puts", ("b", "c"), "AB"),
        ("becomes spare though none is idle", ("a", "b"), "AB"),
        ("is handed a turn and does not look", ("a", "b"), "AB"),
        ("is woken and does not look", ("ab", "c"), "ABC"),
        ("keeps the permit", ("a", "b"), "AB"),
    ],
)
def test_each_step_is_needed(bug: str, needs: tuple[str, str], names: str) -> None:
    found = run(needs, bug, names=names).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)
