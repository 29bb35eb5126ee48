"""Lanes: every interleaving of senders, turns and the end, as `line.lane` has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

MARKER: Final = "the end marker"


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    busy: bool = True
    unattended: str = ""
    ready: int = 0
    queue: tuple[str, ...] = ()
    open: bool = True
    cancelled: bool = False
    marker_taken: bool = False
    running: int = 0
    ended: bool = False
    accepted: tuple[str, ...] = ()
    handled: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()


def step(goto: str, **changes: Callable[[Memory], Any]) -> Step[Memory]:
    """Return a step that changes the memory and goes on to `goto`."""
    return lambda m: [(replace(m, **{name: of(m) for name, of in changes.items()}), goto)]


def attending(bugs: tuple[str, ...], then: str) -> Mapping[str, Step[Memory]]:
    """Return the steps of who has put something, and goes on to `then`."""

    def look(m: Memory) -> Outcomes[Memory]:
        if m.unattended == "done" and "nobody sweeps" in bugs:
            return [(m, then)]
        return [(m, {"": then, "idle": "try", "done": "sweep"}[m.unattended])]

    def try_lock(m: Memory) -> Outcomes[Memory]:
        return [(m, then)] if m.busy else [(replace(m, busy=True), "claim")]

    def sweep(m: Memory) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, then)]
        item, *rest = m.queue
        dead = m.dead if item == MARKER else (*m.dead, item)
        return [(replace(m, queue=tuple(rest), dead=dead), "sweep")]

    return {
        "look": look,
        "try": try_lock,
        "claim": step("schedule", unattended=lambda _: ""),
        "schedule": step(then, ready=lambda m: m.ready + 1),
        "sweep": sweep,
    }


def sender(name: str, *bugs: str, messages: int = 2) -> Process[Memory]:
    """Return a process that delivers messages, one after the other."""

    def check(m: Memory) -> Outcomes[Memory]:
        sent = sum(item.startswith(name) for item in m.accepted)
        return [(m, "put" if m.open and sent < messages else END)]

    def put(m: Memory) -> Outcomes[Memory]:
        item = f"{name}{sum(each.startswith(name) for each in m.accepted)}"
        return [(replace(m, queue=(*m.queue, item), accepted=(*m.accepted, item)), "look")]

    return Process(name, {"check": check, "put": put, **attending(bugs, "check")})


def closer(*, cancels: bool) -> Process[Memory]:
    """Return a process that closes the lane, or cancels it."""
    return Process(
        "closer",
        {
            "cancel": step("refuse", cancelled=lambda _: cancels),
            "refuse": step("put marker", open=lambda _: False),
            "put marker": step("look", queue=lambda m: (*m.queue, MARKER)),
            **attending((), END),
        },
    )


def control() -> Process[Memory]:
    """Return the control plane, which has the lane begin once the one before it has ended."""
    return Process("control", {"begin": step(END, ready=lambda m: m.ready + 1)})


def _take(m: Memory) -> Outcomes[Memory]:
    if m.ready:
        return [(replace(m, ready=m.ready - 1, running=m.running + 1), "begin")]
    return [(m, END)] if m.ended else []


def _begin(m: Memory) -> Outcomes[Memory]:
    if m.cancelled:
        return [(m, "finish")]
    return [(m, "get" if m.queue else "find drained")]


def _get(m: Memory) -> Outcomes[Memory]:
    item, *rest = m.queue
    if item == MARKER:
        return [(replace(m, queue=tuple(rest), marker_taken=True), "find drained")]
    return [(replace(m, queue=tuple(rest), handled=(*m.handled, item)), "find drained")]


def _find_drained(m: Memory) -> Outcomes[Memory]:
    return [(m, "finish" if m.marker_taken and not m.queue else "find empty")]


def _find_empty(m: Memory) -> Outcomes[Memory]:
    return [(m, "requeue" if m.queue else "idle")]


def _last_look(m: Memory) -> Outcomes[Memory]:
    if m.queue:
        item, *rest = m.queue
        dead = m.dead if item == MARKER else (*m.dead, item)
        return [(replace(m, queue=tuple(rest), dead=dead), "last look")]
    return [(replace(m, ended=True, running=m.running - 1), "take")]


def _not_running(m: Memory) -> int:
    return m.running - 1


def thread(name: str, *bugs: str) -> Process[Memory]:
    """Return a shared thread, with one message in a turn."""

    def recheck(m: Memory) -> Outcomes[Memory]:
        return [(m, "try" if m.queue and "no re-check" not in bugs else "take")]

    idle, release = step("release", unattended=lambda _: "idle"), "recheck"
    if "released before it is idle" in bugs:
        steps = {
            "idle": step("say idle", busy=lambda _: False, running=_not_running),
            "say idle": step(release, unattended=lambda _: "idle"),
        }
    else:
        steps = {
            "idle": idle,
            "release": step(release, busy=lambda _: False, running=_not_running),
        }
    return Process(
        name,
        {
            "take": _take,
            "begin": _begin,
            "get": _get,
            "find drained": _find_drained,
            "find empty": _find_empty,
            "requeue": step("take", ready=lambda m: m.ready + 1, running=_not_running),
            **steps,
            "recheck": recheck,
            "finish": step("last look", unattended=lambda _: "done"),
            "last look": _last_look,
            **{label: each for label, each in attending((), "take").items() if label != "look"},
        },
    )


def one_turn_at_a_time(m: Memory) -> str | None:
    """No two threads run the lane, and it waits for one turn at most."""
    if m.running > 1:
        return "two threads run one lane"
    return None if m.ready + m.running <= 1 else "scheduled twice"


def all_accounted_for(m: Memory) -> str | None:
    """Each message that was accepted was handled in order, or died, once."""
    if sorted(m.handled + m.dead) != sorted(m.accepted):
        return f"lost or doubled: accepted {m.accepted}, handled {m.handled}, dead {m.dead}"
    for name in "AB":
        numbers = [item for item in m.handled if item.startswith(name)]
        if numbers != sorted(numbers):
            return f"out of order: {m.handled}"
    return None


def run(*processes: Process[Memory], memory: Memory | None = None) -> Explored[Memory]:
    return explore(
        Memory() if memory is None else memory,
        processes,
        always=one_turn_at_a_time,
        finally_=all_accounted_for,
    )


@pytest.mark.parametrize("cancels", [False, True], ids=["closed", "cancelled"])
@pytest.mark.parametrize(
    ("senders", "threads"),
    [
        ([sender("A"), sender("B", messages=1)], 1),
        ([sender("A", messages=1), sender("B", messages=1)], 2),
        ([sender("A")], 2),
    ],
    ids=["two senders, one thread", "two senders, two threads", "one sender, two threads"],
)
def test_no_message_is_lost_doubled_or_out_of_order_and_no_lane_runs_twice_at_once(
    senders: list[Process[Memory]],
    threads: int,
    cancels: bool,  # noqa: FBT001 - a parameter
) -> None:
    explored = run(
        control(),
        *senders,
        closer(cancels=cancels),
        *[thread(f"thread {number}") for number in range(threads)],
    )

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 1_000


def test_without_the_second_look_a_wake_up_is_lost() -> None:
    found = run(
        control(), sender("A"), closer(cancels=False), thread("thread", "no re-check")
    ).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_a_lock_that_is_released_before_the_lane_is_called_idle_is_caught() -> None:
    found = run(
        control(),
        sender("A"),
        closer(cancels=False),
        thread("thread 0", "released before it is idle"),
        thread("thread 1", "released before it is idle"),
    ).counter_example

    assert found is not None


def test_a_lane_that_is_born_idle_runs_before_its_turn() -> None:
    found = run(
        control(),
        sender("A"),
        closer(cancels=False),
        thread("thread 0"),
        thread("thread 1"),
        memory=Memory(busy=False, unattended="idle"),
    ).counter_example

    assert found is not None
    assert found.claim in {"two threads run one lane", "scheduled twice"}, str(found)


def test_a_sender_that_does_not_sweep_a_lane_that_is_done_loses_its_message() -> None:
    found = run(
        control(), sender("A", "nobody sweeps"), closer(cancels=False), thread("thread")
    ).counter_example

    assert found is not None
    assert found.claim.startswith("lost or doubled"), str(found)
