"""An entry that is added as the thread goes to sleep, or ends: every interleaving."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore


@dataclass(frozen=True)
class Memory:
    """What the two threads share."""

    new: int = 0
    heap: int = 0
    sleeps_until: str = "earlier"  # than the entry: the time of one that was fired just now
    woken: bool = False
    leave: bool = True
    over: bool = False
    dropped: int = 0


def step(goto: str, **changes: Callable[[Memory], Any]) -> Step[Memory]:
    """Return a step that changes the memory and goes on to `goto`."""
    return lambda m: [(replace(m, **{name: of(m) for name, of in changes.items()}), goto)]


def adder(*bugs: str, name: str = "adder") -> Process[Memory]:
    """Return a thread that adds an entry that comes before all others."""

    def read(m: Memory) -> Outcomes[Memory]:
        # Whether the thread sleeps for longer.
        return [(m, "take leave" if m.sleeps_until == "ever" else "over?")]

    def take_leave(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, leave=False), "wake" if m.leave else "over?")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "drop" if m.over and "no look at the end" not in bugs else END)]

    first: dict[str, Step[Memory]] = {
        "put": step("read", new=lambda m: m.new + 1),
        "read": read,
    }
    if "it wakes before it puts" in bugs:
        first = {
            "read": lambda m: [(m, "take leave" if m.sleeps_until == "ever" else "put")],
            "put": step("over?", new=lambda m: m.new + 1),
        }
    first |= {
        "take leave": take_leave,
        "wake": step("put" if next(iter(first)) == "read" else "over?", woken=lambda _: True),
    }
    return Process(
        name,
        {
            **first,
            "over?": look,
            "drop": step(END, dropped=lambda m: m.dropped + m.new, new=lambda _: 0),
        },
    )


def sleeper(*bugs: str, of: int = 1) -> Process[Memory]:
    """Return the thread that has the heap, and goes to sleep; at its end there are `of` entries."""

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, again if m.new and "no second look" not in bugs else "sleep")]

    def sleep(m: Memory) -> Outcomes[Memory]:
        # It wakes at the first time in its heap. A wake-up is an entry of the inbox, and stays.
        if m.heap == of:
            return [(m, END)]
        return [(replace(m, woken=False), again)] if m.woken else []

    again = "sort in" if "the leave is given once" in bugs else "give leave"
    steps = {
        "give leave": step("sort in", leave=lambda _: True),
        "sort in": step("write", heap=lambda m: m.heap + m.new, new=lambda _: 0),
        "write": step("look again", sleeps_until=lambda m: "entry" if m.heap == of else "ever"),
        "look again": look,
        "sleep": sleep,
    }
    if "the leave is given last" in bugs:
        again = "sort in"
        steps["look again"] = lambda m: [(m, "sort in" if m.new else "give leave")]
        steps["give leave"] = step("sleep", leave=lambda _: True)
    return Process("sleeper", steps)


def ender(*bugs: str) -> Process[Memory]:
    """Return the thread that has the heap, at its end."""
    steps: dict[str, Step[Memory]] = {
        "say so": step("take", over=lambda _: True),
        "take": step(END, dropped=lambda m: m.dropped + m.new, new=lambda _: 0),
    }
    if "it says so last" in bugs:
        steps = {
            "take": step("say so", dropped=lambda m: m.dropped + m.new, new=lambda _: 0),
            "say so": step(END, over=lambda _: True),
        }
    return Process("ender", steps)


def sleeping(*bugs: str) -> Explored[Memory]:
    """Explore an entry that is added as the thread goes to sleep; it must not sleep for ever."""
    adders = [adder(*bugs, name=f"adder {number}") for number in range(2)]
    return explore(Memory(), [*adders, sleeper(*bugs, of=2)])


def ending(*bugs: str) -> Explored[Memory]:
    """Explore an entry that is added as the thread ends."""

    def claim(m: Memory) -> str | None:
        return None if m.dropped == 1 else f"the entry was dropped {m.dropped} times"

    return explore(Memory(), [adder(*bugs), ender(*bugs)], finally_=claim)


def test_no_entry_is_slept_through() -> None:
    assert sleeping().counter_example is None
    assert sleeping().states > 10


@pytest.mark.parametrize(
    "bug",
    [
        "no second look",
        "it wakes before it puts",
        "the leave is given once",
        "the leave is given last",
    ],
)
def test_the_model_finds_an_entry_that_is_slept_through(bug: str) -> None:
    assert sleeping(bug).counter_example is not None


def test_an_entry_that_comes_at_the_end_is_dropped_once() -> None:
    assert ending().counter_example is None


@pytest.mark.parametrize("bug", ["no look at the end", "it says so last"])
def test_the_model_finds_an_entry_that_is_forgotten(bug: str) -> None:
    assert ending(bug).counter_example is not None
