"""Waking a task: every interleaving of senders and a task that says idle, looks and waits.

The steps are those of `aio.doors` and `aio.waking`. A lane's turn has a lock beside them, and
a model of its own: `test_lanes_model`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

MESSAGES: Final = {"A": 2, "B": 1}


@dataclass(frozen=True)
class Memory:
    """What the threads share."""

    queue: tuple[str, ...] = ()
    told: bool = False
    called: bool = False
    """Whether the loop is to wake the task; it does so once the task waits."""
    received: tuple[str, ...] = ()


def sender(name: str, *bugs: str) -> Process[Memory]:
    """Return a process that puts its messages, and tells the task each time."""
    early = "tells before it puts" in bugs
    steps: dict[str, Step[Memory]] = {}
    for number in range(MESSAGES[name]):
        last = number + 1 == MESSAGES[name]
        following = END if last else f"{'look' if early else 'put'} {number + 1}"
        steps |= _sending(name, number, following, early=early)
    return Process(name, steps)


def _sending(name: str, number: int, following: str, *, early: bool) -> Mapping[str, Step[Memory]]:
    put_it, look_it, tell_it, call_it = (f"{w} {number}" for w in ("put", "look", "tell", "call"))
    after_telling, after_putting = (put_it, following) if early else (following, look_it)

    def put(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, queue=(*m.queue, f"{name}{number}")), after_putting)]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, after_telling if m.told else tell_it)]

    def tell(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, told=True), call_it)]

    def call(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, called=True), after_telling)]

    steps: dict[str, Step[Memory]] = {put_it: put, look_it: look, tell_it: tell, call_it: call}
    return {look_it: look, **steps} if early else steps


def task(*bugs: str) -> Process[Memory]:
    """Return a task that receives all messages."""

    def take(m: Memory, empty: str) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, empty)]
        after = replace(m, queue=m.queue[1:], received=(*m.received, m.queue[0]))
        return [(after, END if len(after.received) == sum(MESSAGES.values()) else "look")]

    def clear(m: Memory) -> Outcomes[Memory]:
        blind = {"looks but once", "clears after it has looked"} & set(bugs)
        return [(replace(m, told=False), "wait" if blind else "look again")]

    def wait(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, called=False), "look")] if m.called else []

    late = "clears after it has looked" in bugs
    return Process(
        "task",
        {
            "look": lambda m: take(m, "look again" if late else "clear"),
            "clear": clear,
            "look again": lambda m: take(m, "clear" if late else "wait"),
            "wait": wait,
        },
    )


def each_once_in_order(m: Memory) -> str | None:
    """Each message was received once, those of one sender in their order."""
    sent = sorted(f"{name}{number}" for name, many in MESSAGES.items() for number in range(many))
    of_a = [message for message in m.received if message.startswith("A")]
    return None if sorted(m.received) == sent and of_a == sorted(of_a) else f"{m.received}"


def run(*bugs: str) -> Explored[Memory]:
    processes = [sender("A", *bugs), sender("B", *bugs), task(*bugs)]
    return explore(Memory(), processes, finally_=each_once_in_order)


def test_a_task_that_says_idle_and_looks_once_more_is_woken_for_each_message() -> None:
    explored = run()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


@pytest.mark.parametrize(
    "bug", ["looks but once", "clears after it has looked", "tells before it puts"]
)
def test_a_seeded_bug_of_waking_leaves_the_task_waiting(bug: str) -> None:
    found = run(bug).counter_example

    assert found is not None
    assert found.claim == "deadlock: task", str(found)
