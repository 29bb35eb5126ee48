"""A worker's wait that begins beside the answer and a thread that stops it: every interleaving."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore


@dataclass(frozen=True)
class Memory:
    """What the three threads share."""

    suspended: bool = False
    token: bool = False
    locked: bool = False
    stopping: bool = False
    answered: bool = False
    callback: bool = False
    scheduled: int = 0


def step(goto: str, **changes: Callable[[Memory], Any]) -> Step[Memory]:
    """Return a step that changes the memory and goes on to `goto`."""
    return lambda m: [(replace(m, **{name: of(m) for name, of in changes.items()}), goto)]


def waking(name: str, *bugs: str) -> dict[str, Step[Memory]]:
    """Return the steps that end the wait: who takes the token, the lane, schedules the lane."""
    if "no token" in bugs:
        return {name: step(END, scheduled=lambda m: m.scheduled + 1)}

    def lock(m: Memory) -> Outcomes[Memory]:
        return [] if m.locked else [(replace(m, locked=True), f"{name}: look")]

    def look(m: Memory) -> Outcomes[Memory]:
        if m.token:
            return [(m, f"{name}: take")]
        writes = "a thread that finds no token writes that" in bugs
        return [(m, f"{name}: write" if writes else f"{name}: unlock")]

    return {
        name: lock,
        f"{name}: look": look,
        f"{name}: take": step(f"{name}: schedule", token=lambda _: False),
        f"{name}: write": step(f"{name}: unlock", token=lambda _: False),
        f"{name}: unlock": step(END, locked=lambda _: False),
        f"{name}: schedule": step(END, locked=lambda _: False, scheduled=lambda m: m.scheduled + 1),
    }


def turn(*bugs: str) -> Process[Memory]:
    """Return the turn that begins the wait."""

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "wake" if m.stopping and "no look at the flag" not in bugs else "watch")]

    def watch(m: Memory) -> Outcomes[Memory]:
        # One step: the log of an answer (`calls.cell`) says whether it was there before.
        return [(replace(m, callback=True), "wake for the answer" if m.answered else END)]

    first: dict[str, Step[Memory]] = {
        "suspend": step("give the token", suspended=lambda _: True),
        # Without the lock.
        "give the token": step("look", token=lambda _: True),
        "look": look,
    }
    if "it looks before it is suspended" in bugs:
        first = {
            "look": lambda m: [(m, "suspend and wake" if m.stopping else "suspend")],
            "suspend": step("watch", suspended=lambda _: True, token=lambda _: True),
            "suspend and wake": step("wake", suspended=lambda _: True, token=lambda _: True),
        }
    return Process(
        "turn",
        {
            **first,
            **waking("wake", *bugs),
            "watch": watch,
            **waking("wake for the answer", *bugs),
        },
    )


def answerer(*bugs: str) -> Process[Memory]:
    """Return the thread that answers."""

    return Process(
        "answerer",
        {
            # With what is there before it, in one step; see `watch`.
            "answer": lambda m: [
                (replace(m, answered=True), "wake" if m.callback else END),
            ],
            **waking("wake", *bugs),
        },
    )


def stopper(*bugs: str) -> Process[Memory]:
    """Return the thread that removes the worker."""
    return Process(
        "stopper",
        {
            "say so": step("look", stopping=lambda _: True),
            "look": lambda m: [(m, "wake" if m.suspended else END)],
            **waking("wake", *bugs),
        },
    )


def waits(*bugs: str, answers: bool = True, stops: bool = True) -> Explored[Memory]:
    """Explore the beginning of a wait."""

    def scheduled_once(m: Memory) -> str | None:
        return None if m.scheduled == 1 else f"the lane was scheduled {m.scheduled} times"

    processes = [turn(*bugs)]
    if answers:
        processes.append(answerer(*bugs))
    if stops:
        processes.append(stopper(*bugs))
    return explore(Memory(), processes, finally_=scheduled_once)


@pytest.mark.parametrize(("answers", "stops"), [(True, True), (True, False), (False, True)])
def test_whatever_ends_a_wait_the_lane_is_scheduled_once(
    answers: bool,  # noqa: FBT001 - a parameter of the test
    stops: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert waits(answers=answers, stops=stops).counter_example is None


@pytest.mark.parametrize(
    "bug",
    [
        "no token",
        "no look at the flag",
        "it looks before it is suspended",
        "a thread that finds no token writes that",
    ],
)
def test_the_model_finds_waits_that_never_end_or_end_twice(bug: str) -> None:
    found = [waits(bug, answers=answers).counter_example is not None for answers in (True, False)]
    assert any(found)
