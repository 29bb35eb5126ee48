"""Entries that are cancelled as the thread that keeps them looks for such: every interleaving.

Two of them are too many.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

TOO_MANY = 2


@dataclass(frozen=True)
class Memory:
    """What the threads share; `at` is what each of them keeps for itself."""

    new: int = 0
    """Entries that the thread has not taken over, also those of them that are cancelled."""
    new_marked: int = 0
    marked: int = 0
    counter: int = 0
    gone: int = 0
    any: bool = False
    asked: bool = False
    woken: bool = False
    looks: bool = False
    """Whether the thread looks for such."""
    running: int = 0
    number: int = 0
    """The one that the thread has taken."""
    here: tuple[int, ...] = ()
    """For each of those who cancel."""


def step(goto: str, **changes: Callable[[Memory], Any]) -> Step[Memory]:
    """Return a step that changes the memory and goes on to `goto`."""
    return lambda m: [(replace(m, **{name: of(m) for name, of in changes.items()}), goto)]


def canceller(index: int, *bugs: str) -> Process[Memory]:
    """Return a thread that cancels an entry, which may be new; perhaps it adds one before."""

    def add(m: Memory) -> Outcomes[Memory]:
        return [(m, first), (replace(m, new=m.new + 1), first)]

    def mark(m: Memory) -> Outcomes[Memory]:
        yield replace(m, marked=m.marked + 1), "count"
        if m.new > m.new_marked:
            yield replace(m, new_marked=m.new_marked + 1), "count"

    def count(m: Memory) -> Outcomes[Memory]:
        here = (*m.here[:index], m.counter + 1 - m.gone, *m.here[index + 1 :])
        return [(replace(m, counter=m.counter + 1, here=here), "any?")]

    def asked(m: Memory) -> Outcomes[Memory]:
        enough = m.here[index] >= TOO_MANY
        return [(m, "ask" if enough and not m.asked else "done")]

    counting: dict[str, Step[Memory]] = {
        "mark": mark,
        "count": count,
        "any?": lambda m: [(m, "asked?" if m.any else "write")],
        "write": step("asked?", any=lambda _: True),
    }
    if "it is written before it is counted" in bugs:
        counting = {
            "mark": lambda m: ((after, "write") for after, _ in mark(m)),
            "write": step("count", any=lambda _: True),
            "count": lambda m: ((after, "asked?") for after, _ in count(m)),
        }
    if "it is counted before it is marked" in bugs:
        counting = {
            "count": count,
            "any?": step("mark", any=lambda _: True),
            "mark": lambda m: ((after, "asked?") for after, _ in mark(m)),
        }
    first = next(iter(counting))
    return Process(
        f"canceller {index}",
        {
            "add": add,
            **counting,
            "asked?": asked,
            "ask": step("wake", asked=lambda _: True),
            "wake": step("done", woken=lambda _: True),
            "done": step(END, running=lambda m: m.running - 1),
        },
    )


def take_over(m: Memory) -> Outcomes[Memory]:
    """Have the thread take over what is new."""
    # Each that is seen to be marked goes. Where none is expected, nobody looks.
    if m.looks:
        after = replace(m, gone=m.gone + m.new_marked, new=0, new_marked=0)
    else:
        after = replace(m, marked=m.marked + m.new_marked, new=0, new_marked=0)
    return [(after, "too many?" if m.looks else "begin")]


def take_number(m: Memory) -> Outcomes[Memory]:
    """Have the thread take a number."""
    after = replace(m, counter=m.counter + 1, gone=m.gone + 1, number=m.counter + 1, looks=True)
    return [(after, "take over")]


def too_many(m: Memory, *bugs: str) -> Outcomes[Memory]:
    """Have the thread let go of them, if there are too many."""
    here = m.number - m.gone
    m = replace(m, number=0, looks=False)
    if here < TOO_MANY:
        return [(m, "write" if here > 0 else "more?")]
    m = replace(m, gone=m.gone + here, marked=0)
    if "it forgets what comes meanwhile" in bugs:
        m = replace(m, gone=m.counter, any=False)
    return [(m, "more?")]


def sleep(m: Memory) -> Outcomes[Memory]:
    """Have the thread sleep, until it is woken."""
    if m.woken:
        return [(replace(m, woken=False), "begin")]
    return [] if m.running else [(m, END)]


def take_back(goto: str) -> Step[Memory]:
    """Return the step that says that nobody has asked, and that there are none."""
    return step(goto, asked=lambda _: False, any=lambda _: False)


def keeper(*bugs: str) -> Process[Memory]:
    """Return the thread that keeps the entries; it begins as it was woken for something else."""

    def begin(m: Memory) -> Outcomes[Memory]:
        return [(m, looks if m.any else "take over" if m.new else "sleep")]

    looks = "take back"
    steps: dict[str, Step[Memory]] = {
        "begin": begin,
        "take back": take_back("number"),
        "number": take_number,
        "take over": take_over,
        "too many?": lambda m: too_many(m, *bugs),
        "write": step("more?", any=lambda _: True),
        "more?": lambda m: [(m, "begin" if m.new else "sleep")],
        "sleep": sleep,
    }
    if "it takes back last" in bugs:
        looks = "number"
        steps["too many?"] = lambda m: [(after, f"take back, {to}") for after, to in too_many(m)]
        steps |= {f"take back, {to}": take_back(to) for to in ("write", "more?")}
    return Process("keeper", steps)


def cancelling(*bugs: str) -> Explored[Memory]:
    """Explore two that are cancelled, as two were before; in the end, two must not be left."""

    def claim(m: Memory) -> str | None:
        left = m.marked + m.new_marked
        return None if left < TOO_MANY else f"{left} are left that were cancelled"

    memory = Memory(marked=2, counter=2, any=True, running=2, here=(0, 0))
    cancellers = [canceller(index, *bugs) for index in range(2)]
    return explore(memory, [*cancellers, keeper(*bugs)], finally_=claim)


def test_too_many_are_let_go_of() -> None:
    explored = cancelling()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


@pytest.mark.parametrize(
    "bug",
    [
        "it is written before it is counted",
        "it is counted before it is marked",
        "it takes back last",
        "it forgets what comes meanwhile",
    ],
)
def test_the_model_finds_some_that_are_left(bug: str) -> None:
    assert cancelling(bug).counter_example is not None
