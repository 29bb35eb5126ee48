"""A task of two keys: every interleaving of its lanes, its run, and its cancelling.

As `keyed.several` has it. Where nobody puts up gates, the placer's entry is left out.
"""

from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, explore

LANES = ("a", "b")


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    waiting: frozenset[str] = frozenset()
    missing: tuple[bool, ...] = (True, False)
    claim: bool = True
    over: bool = False
    scheduled: int = 0
    run: int = 0
    ran_beside: tuple[str, ...] = ()
    gone_on: tuple[str, ...] = ()


def lane(me: str, *bugs: str) -> Process[Memory]:
    """Return the thread that comes to the gate of a lane."""

    def add(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, waiting=m.waiting | {me}), "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        if "looks first" in bugs:
            return [(m, "go on" if m.over else "add late")]
        return [(m, "take out" if m.over else "count")]

    def add_late(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, waiting=m.waiting | {me}), "count")]

    def take_out(m: Memory) -> Outcomes[Memory]:
        if me not in m.waiting:
            return [(m, "count")]  # the other one has it
        return [(replace(m, waiting=m.waiting - {me}), "go on")]

    def count(m: Memory) -> Outcomes[Memory]:
        last, missing = m.missing[-1], m.missing[:-1]
        after = replace(m, missing=missing, scheduled=m.scheduled + last)
        return [(after, END)]

    def go_on(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, gone_on=(*m.gone_on, me)), END)]

    steps = {
        "add": add,
        "look": look,
        "add late": add_late,
        "take out": take_out,
        "count": count,
        "go on": go_on,
    }
    if "looks first" in bugs:
        steps = {"look": look, **steps}
    return Process(me, steps)


def ending(name: str, *bugs: str) -> Process[Memory]:
    """Return who lets the lanes go on: `runner`, once all of them wait; or `canceller`."""

    def begin(m: Memory) -> Outcomes[Memory]:
        if name == "canceller":
            return [(m, "claim"), (m, END)]
        if m.scheduled:
            return [(replace(m, scheduled=m.scheduled - 1), "claim")]
        return [(m, END)] if len(m.gone_on) == len(LANES) else []

    def claim(m: Memory) -> Outcomes[Memory]:
        if not m.claim and "takes no claim" not in bugs:
            return [(m, END if name == "canceller" else "over")]
        return [(replace(m, claim=False), "run" if name == "runner" else "over")]

    def run(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, run=m.run + 1, ran_beside=(*m.ran_beside, *m.gone_on)), "over")]

    def over(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, over=True), "drain")]

    def drain(m: Memory) -> Outcomes[Memory]:
        if not m.waiting:
            return [(m, END)]
        first = min(m.waiting)
        after = replace(m, waiting=m.waiting - {first}, gone_on=(*m.gone_on, first))
        return [(after, "drain")]

    return Process(name, {"begin": begin, "claim": claim, "run": run, "over": over, "drain": drain})


def placer(*bugs: str) -> Process[Memory]:
    """Return who puts up the gate of "b", which has no lane, while "a" comes to its own."""

    def put(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, waiting=m.waiting | {"b"}), "count")]

    def count(m: Memory, goto: str) -> Outcomes[Memory]:
        last, missing = m.missing[-1], m.missing[:-1]
        return [(replace(m, missing=missing, scheduled=m.scheduled + last), goto)]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "drain" if m.over else END)]

    def drain(m: Memory) -> Outcomes[Memory]:
        if not m.waiting:
            return [(m, END)]
        first = min(m.waiting)
        after = replace(m, waiting=m.waiting - {first}, gone_on=(*m.gone_on, first))
        return [(after, "drain")]

    last = END if "looks no more" in bugs else "look"
    return Process(
        "placer",
        {
            "put": put,
            "count": lambda m: count(m, "count itself"),
            "count itself": lambda m: count(m, last),
            "look": look,
            "drain": drain,
        },
    )


def each_once(m: Memory) -> str | None:
    """No lane goes on twice, or beside the task."""
    if len(set(m.gone_on)) < len(m.gone_on):
        return "a lane has gone on twice"
    return "the task has run beside a lane" if m.ran_beside else None


def run(*processes: Process[Memory], missing: tuple[bool, ...] = (True, False)) -> Explored[Memory]:
    def all_gone_on(m: Memory) -> str | None:
        return None if set(m.gone_on) == set(LANES) else "a lane waits for ever"

    memory = Memory(missing=missing)
    return explore(memory, list(processes), always=each_once, finally_=all_gone_on)


def test_lanes_go_on_once_and_never_beside_the_task() -> None:
    explored = run(lane("a"), lane("b"), ending("runner"), ending("canceller"))

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


def test_one_that_is_cancelled_while_gates_are_put_up_leaves_no_lane_behind() -> None:
    others = ending("runner"), ending("canceller")

    explored = run(lane("a"), placer(), *others, missing=(True, False, False))

    assert explored.counter_example is None, str(explored.counter_example)
    found = run(lane("a"), placer("looks no more"), *others, missing=(True, False, False))
    assert found.counter_example is not None
    assert "deadlock" in found.counter_example.claim


@pytest.mark.parametrize(
    ("of_lane", "of_canceller", "claim"),
    [
        ("looks first", "", "deadlock"),
        ("", "takes no claim", "the task has run beside a lane"),
    ],
)
def test_each_step_is_needed(of_lane: str, of_canceller: str, claim: str) -> None:
    lanes = [lane("a", of_lane), lane("b", of_lane)]

    found = run(*lanes, ending("runner"), ending("canceller", of_canceller)).counter_example

    assert found is not None
    assert found.claim.startswith((claim, "a lane")), str(found)
