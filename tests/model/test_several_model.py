"""A task of two keys: every interleaving of its submitter, its lanes, its run, and its cancelling.

As `keyed.several` has it. Where no thread puts up gates, the placer's entry is left out. A lane
comes to a gate in its own turn, or at the end of a task that stood before: the steps are the same.
The canceller has the future; or one of the keys, and looks for gates in its lane.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, explore

LANES = ("a", "b")


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    waiting: frozenset[str] = frozenset()
    missing: tuple[bool, ...] | None = (True, False)
    put: frozenset[str] = frozenset(LANES)
    claim: bool = True  # whether its future is neither cancelled nor running
    over: bool = False
    scheduled: int = 0
    running: bool = False
    gone_on: tuple[str, ...] = ()
    in_place: frozenset[str] = frozenset(LANES)  # gates that one who looks at their lanes finds
    missed: bool = False


def counted(m: Memory) -> Memory:
    """Pop an entry; the thread that pops the last one has the task run."""
    if m.missing is None:
        return m  # nothing was there to be popped
    last, missing = m.missing[-1], m.missing[:-1]
    return replace(m, missing=missing, scheduled=m.scheduled + last)


def counting(m: Memory) -> Outcomes[Memory]:
    """Pop an entry, and end."""
    return [(counted(m), END)]


def lane(me: str, *bugs: str) -> Process[Memory]:
    """Return the thread that comes to the gate of a lane."""

    def add(m: Memory) -> Outcomes[Memory]:
        if me not in m.put:
            return []
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

    def go_on(m: Memory) -> Outcomes[Memory]:
        return [(gone_on(m, me), END)]

    steps = {
        "take": taking(me, *bugs),
        "put back": lambda m: [(replace(m, in_place=m.in_place | {me}), "add")],
        "add": add,
        "look": look,
        "add late": add_late,
        "take out": take_out,
        "count": counting,
        "go on": go_on,
    }
    if "looks first" in bugs:
        steps = {"look": look, **steps}
    return Process(me, steps)


def taking(me: str, *bugs: str) -> Callable[[Memory], Outcomes[Memory]]:
    """Return the step with which a lane has the gate in its hand."""
    taken = {me} if "takes gates" in bugs else frozenset[str]()

    def take(m: Memory) -> Outcomes[Memory]:
        if me not in m.put:
            return []
        return [(replace(m, in_place=m.in_place - taken), "put back")]

    return take


def gone_on(m: Memory, lane: str) -> Memory:
    """Take the gate away from its lane, which goes on."""
    return replace(m, gone_on=(*m.gone_on, lane), in_place=m.in_place - {lane})


def ending(name: str, *bugs: str) -> Process[Memory]:
    """Return who lets the lanes go on: `runner`, once all of them wait; or `canceller`."""

    def begin(m: Memory) -> Outcomes[Memory]:
        if name == "canceller":
            return [(m, "claim"), (m, "cancel key"), (m, END)]
        if m.scheduled:
            return [(replace(m, scheduled=m.scheduled - 1), "claim")]
        return [(m, END)] if len(m.gone_on) == len(LANES) else []

    def claim(m: Memory) -> Outcomes[Memory]:
        if not m.claim and "takes no claim" not in bugs:
            return [(m, END if name == "canceller" else "over")]
        return [(replace(m, claim=False), "run" if name == "runner" else "over")]

    def run(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, running=True), "has run")]

    def has_run(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, running=False), "over")]

    def over(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, over=True), "drain")]

    steps = {"begin": begin, "cancel key": cancel_key, "claim": claim}
    steps |= {"run": run, "has run": has_run}
    return Process(name, {**steps, "over": over, "drain": draining})


def cancel_key(m: Memory) -> Outcomes[Memory]:
    """Look for the gate of a key."""
    if "b" in m.in_place & m.put:
        return [(m, "claim")]
    return [(replace(m, missed="b" in m.put and not m.over), END)]


def draining(m: Memory) -> Outcomes[Memory]:
    """Take out a lane that waits, and have it go on."""
    if not m.waiting:
        return [(m, END)]
    first = min(m.waiting)
    return [(gone_on(replace(m, waiting=m.waiting - {first}), first), "drain")]


def placer(*bugs: str) -> Process[Memory]:
    """Return the thread that puts up both gates: "a", without a lane, then "b", behind others."""

    def put_first(m: Memory) -> Outcomes[Memory]:
        goto = "put" if "counts later" in bugs else "make"
        return [(replace(m, waiting=m.waiting | {"a"}, put=frozenset("a")), goto)]

    def make(m: Memory) -> Outcomes[Memory]:
        after = replace(m, missing=(True, False))
        return [(after, "count itself" if "counts later" in bugs else "put")]

    def put(m: Memory) -> Outcomes[Memory]:
        goto = "make" if "counts later" in bugs else "count itself"
        return [(replace(m, put=frozenset(LANES)), goto)]

    def count_itself(m: Memory) -> Outcomes[Memory]:
        after = counted(m)
        if after.scheduled > m.scheduled:
            # It may be interrupted as it has scheduled the task.
            return [(after, END), (after, "take back")]
        return [(after, END if "looks no more" in bugs else "look")]

    def take_back(m: Memory) -> Outcomes[Memory]:
        if not m.claim and "takes back what runs" not in bugs:
            return [(m, END)]
        return [(replace(m, claim=False), "over")]

    return Process(
        "placer",
        {
            "put first": put_first,
            "make": make,
            "put": put,
            "count itself": count_itself,
            "look": lambda m: [(m, "drain" if m.over else END)],
            "take back": take_back,
            "over": lambda m: [(replace(m, over=True), "drain")],
            "drain": draining,
        },
    )


def each_once(m: Memory) -> str | None:
    """No lane goes on twice, or beside the task, which is found as long as it is not over."""
    if m.missed:
        return "a task that waits was not found in its lane"
    if len(set(m.gone_on)) < len(m.gone_on):
        return "a lane has gone on twice"
    return "the task runs beside a lane" if m.running and m.gone_on else None


def run(*processes: Process[Memory], memory: Memory = Memory()) -> Explored[Memory]:
    def all_gone_on(m: Memory) -> str | None:
        return None if set(m.gone_on) == set(LANES) else "a lane waits for ever"

    return explore(memory, list(processes), always=each_once, finally_=all_gone_on)


def test_lanes_go_on_once_and_never_beside_the_task() -> None:
    explored = run(lane("a"), lane("b"), ending("runner"), ending("canceller"))

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


PLACED: Memory = Memory(missing=None, put=frozenset())
"""Before any gate is put up."""


def test_gates_that_are_put_up_beside_all_others_leave_no_lane_behind() -> None:
    others = lane("b"), ending("runner"), ending("canceller")

    explored = run(placer(), *others, memory=PLACED)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


@pytest.mark.parametrize(
    ("bug", "claim"),
    [
        ("looks no more", "deadlock"),
        ("counts later", "deadlock"),
        ("takes back what runs", "the task runs beside a lane"),
    ],
)
def test_each_step_of_putting_up_gates_is_needed(bug: str, claim: str) -> None:
    others = lane("b"), ending("runner"), ending("canceller")

    found = run(placer(bug), *others, memory=PLACED).counter_example

    assert found is not None
    assert found.claim.startswith(claim), str(found)


@pytest.mark.parametrize(
    ("of_lane", "of_canceller", "claim"),
    [
        ("looks first", "", "deadlock"),
        ("", "takes no claim", "the task runs beside a lane"),
        ("takes gates", "", "a task that waits was not found in its lane"),
    ],
)
def test_each_step_is_needed(of_lane: str, of_canceller: str, claim: str) -> None:
    lanes = [lane("a", of_lane), lane("b", of_lane)]

    found = run(*lanes, ending("runner"), ending("canceller", of_canceller)).counter_example

    assert found is not None
    assert found.claim.startswith((claim, "a lane")), str(found)
