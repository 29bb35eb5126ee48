"""A worker that has failed and begins anew, beside its removal and a sender: every interleaving.

The message that it had in hand is tried again, one waits in its mailbox, and one is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore


@dataclass(frozen=True)
class Memory:
    """What the threads share."""

    state: str = "running"
    current: bool = True
    stopping: bool = False
    retry: tuple[str, ...] = ()
    queue: tuple[str, ...] = ("waits",)
    handled: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    done: bool = False


def step(goto: str, **changes: Callable[[Memory], Any]) -> Step[Memory]:
    """Return a step that changes the memory and goes on to `goto`."""
    return lambda m: [(replace(m, **{name: of(m) for name, of in changes.items()}), goto)]


def bury(m: Memory, *bugs: str) -> Memory:
    """Make dead letters of what the worker has."""
    retry = () if "the retry is forgotten" in bugs else m.retry
    return replace(m, dead=(*m.dead, *retry, *m.queue), retry=(), queue=(), done=True)


def worker(*bugs: str) -> Process[Memory]:  # noqa: C901 - small steps
    """Return the thread that has the worker, which has failed with a message in hand.

    Steps under the roster's lock are one step. The new life is the dispatcher's and a thread's.
    """

    def again(m: Memory) -> Outcomes[Memory]:
        if m.stopping and "it does not look whether it is to stop" not in bugs:
            return [(replace(m, retry=("hand",)), "bury")]
        return [(replace(m, state="pending", retry=("hand",)), "begin")]

    def begin(m: Memory) -> Outcomes[Memory]:
        if m.state != "pending" and "it begins though it was dropped" not in bugs:
            return [(m, END)]
        return [(replace(m, state="running"), "run")]

    def run(m: Memory) -> Outcomes[Memory]:
        if m.stopping:
            return [(m, "bury")]
        if m.retry:
            return [(replace(m, handled=(*m.handled, *m.retry), retry=()), "run")]
        if m.queue:
            return [(replace(m, handled=(*m.handled, m.queue[0]), queue=m.queue[1:]), "run")]
        # It may be told to stop later, or never.
        return [(replace(m, state="idle"), "idle")]

    def idle(m: Memory) -> Outcomes[Memory]:
        if m.queue or m.stopping:
            return [(m, "run")]
        return [(m, END)] if m.refused or "sent" in m.handled else []

    return Process(
        "worker",
        {
            "again": again,
            "begin": begin,
            "run": run,
            "idle": idle,
            "bury": lambda m: [(replace(bury(m, *bugs), state="ended"), END)],
        },
    )


def remover(*bugs: str) -> Process[Memory]:
    """Return a thread that removes the worker."""

    def leave(m: Memory) -> Outcomes[Memory]:
        dropped = m.state == "pending"
        state = "ended" if dropped else m.state
        left = replace(m, current=False, state=state)
        return [(left, "bury" if dropped else "stop")]

    return Process(
        "remover",
        {
            "leave": leave,
            "stop": step(END, stopping=lambda _: True),
            "bury": lambda m: [(bury(m, *bugs), END)],
        },
    )


def sender() -> Process[Memory]:
    """Return a thread that sends a message to the key's worker, if it has one."""

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "put")] if m.current else [(replace(m, refused=("sent",)), END)]

    def put(m: Memory) -> Outcomes[Memory]:
        if m.done:
            # It has swept: the sender does it again.
            return [(replace(m, dead=(*m.dead, "sent")), END)]
        return [(replace(m, queue=(*m.queue, "sent")), END)]

    return Process("sender", {"look": look, "put": put})


def restarts(*bugs: str, removed: bool) -> Explored[Memory]:
    """Explore a restart."""

    def accounted(m: Memory) -> str | None:
        all_of_them = sorted([*m.handled, *m.dead, *m.refused])
        if all_of_them != ["hand", "sent", "waits"]:
            return f"not each message once: {all_of_them}"
        order = [each for each in ("hand", "waits", "sent") if each in m.handled]
        return None if list(m.handled) == order else f"out of order: {m.handled}"

    processes = [worker(*bugs), sender()]
    if removed:
        processes.append(remover(*bugs))
    return explore(Memory(), processes, finally_=accounted)


@pytest.mark.parametrize("removed", [True, False])
def test_each_message_is_handled_in_order_or_dead(
    removed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    explored = restarts(removed=removed)

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize("bug", ["the retry is forgotten", "it begins though it was dropped"])
def test_the_model_finds_restarts_that_lose_or_double(bug: str) -> None:
    assert restarts(bug, removed=True).counter_example is not None
