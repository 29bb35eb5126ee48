"""A message that comes as its worker ends: another life, or the next worker; every interleaving.

Two senders that have found the inlet open beside the end of the worker, and the second message of
one of them; see `pool.keeping`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore


@dataclass(frozen=True)
class Memory:
    """What the threads share."""

    locked: str = ""
    closed: bool = False
    done: bool = False
    queue: tuple[str, ...] = ()
    in_hand: tuple[str, ...] = ()
    next_queue: tuple[str, ...] = ()
    handled: tuple[str, ...] = ()


def step(goto: str, **changes: Callable[[Memory], Any]) -> Step[Memory]:
    """Return a step that changes the memory and goes on to `goto`."""
    return lambda m: [(replace(m, **{name: of(m) for name, of in changes.items()}), goto)]


def ender(*bugs: str) -> Process[Memory]:  # noqa: C901 - small steps
    """Return the thread of the worker, which has ended once, and its next life."""

    def lock(m: Memory) -> Outcomes[Memory]:
        return [] if m.locked else [(replace(m, locked="ender"), "done")]

    def look(m: Memory) -> Outcomes[Memory]:
        if m.queue:
            # Another life is to find them.
            done = "it stays done" in bugs
            return [(replace(m, done=done, locked=""), "live again")]
        return [(replace(m, locked=""), "next begins")]

    def live_again(m: Memory) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, "lock")]
        return [(replace(m, handled=(*m.handled, m.queue[0]), queue=m.queue[1:]), "live again")]

    def next_begins(m: Memory) -> Outcomes[Memory]:
        # It may end at any time: what is left in its queue it would handle in that order.
        outcomes = [(m, END)]
        if m.next_queue:
            handled = (*m.handled, m.next_queue[0])
            rest = replace(m, handled=handled, next_queue=m.next_queue[1:])
            outcomes.append((rest, "next begins"))
        return outcomes

    steps: dict[str, Step[Memory]] = {
        "close": step("lock", closed=lambda _: True),
        "lock": lock,
        "done": step("look", done=lambda _: True),
        "look": look,
        "live again": live_again,
        "next begins": next_begins,
    }
    if "it looks before it is done" in bugs:

        def early(m: Memory) -> Outcomes[Memory]:
            if m.queue:
                return [(replace(m, locked=""), "live again")]
            return [(m, "late done")]

        steps["lock"] = lambda m: [] if m.locked else [(replace(m, locked="ender"), "look")]
        steps["look"] = early
        steps["late done"] = step("next begins", done=lambda _: True, locked=lambda _: "")
    return Process("ender", steps)


def sender(  # noqa: C901 - small steps
    name: str, *bugs: str, second: bool = False
) -> Process[Memory]:
    """Return a thread that has found the inlet open, and puts its message, then another one."""
    unlocked = "it sweeps without the lock" in bugs

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "lock" if m.done else "second")]

    def lock(m: Memory) -> Outcomes[Memory]:
        if unlocked:
            return [(m, "may?")]
        return [] if m.locked else [(replace(m, locked=name), "may?")]

    def may(m: Memory) -> Outcomes[Memory]:
        return [(m, "take" if m.done else "unlock")]

    def take(m: Memory) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, "unlock")]
        first, rest = m.queue[0], m.queue[1:]
        return [(replace(m, queue=rest, in_hand=(*m.in_hand, f"{name}:{first}")), "give")]

    def give(m: Memory) -> Outcomes[Memory]:
        mine = next(each for each in m.in_hand if each.startswith(f"{name}:"))
        hand = tuple(each for each in m.in_hand if each != mine)
        message = mine.removeprefix(f"{name}:")
        return [(replace(m, in_hand=hand, next_queue=(*m.next_queue, message)), "take")]

    def unlock(m: Memory) -> Outcomes[Memory]:
        return [(m if unlocked else replace(m, locked=""), "second")]

    def send_second(m: Memory) -> Outcomes[Memory]:
        if not second or not m.closed:
            return [(m, END)]
        # It finds the inlet closed: for the next worker.
        return [(replace(m, next_queue=(*m.next_queue, f"{name}2")), END)]

    return Process(
        name,
        {
            "put": step("done?", queue=lambda m: (*m.queue, f"{name}1")),
            "done?": look,
            "lock": lock,
            "may?": may,
            "take": take,
            "give": give,
            "unlock": unlock,
            "second": send_second,
        },
    )


def _in_order(m: Memory) -> str | None:
    handled = (*m.handled, *m.next_queue)
    for name in "ab":
        mine = [each for each in handled if each.startswith(name)]
        if mine[:1] != [f"{name}1"]:
            return f"the first message of {name} was lost, or overtaken: {handled}"
        if len(mine) != len(set(mine)):
            return f"a message of {name} was handled twice: {handled}"
    return f"a message is left: {m.queue}" if m.queue or m.in_hand else None


def late(*bugs: str) -> Explored[Memory]:
    """Explore two late senders."""
    return explore(
        Memory(),
        [ender(*bugs), sender("a", *bugs, second=True), sender("b", *bugs)],
        finally_=_in_order,
    )


def test_no_late_message_is_lost_or_overtaken() -> None:
    explored = late()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


@pytest.mark.parametrize(
    "bug", ["it stays done", "it sweeps without the lock", "it looks before it is done"]
)
def test_the_model_finds_late_messages_that_are_lost_or_overtaken(bug: str) -> None:
    assert late(bug).counter_example is not None
