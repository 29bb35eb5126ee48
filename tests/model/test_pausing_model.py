"""Pausing a worker: every interleaving of a turn, a pause, a resume and an end.

As `pool.pausing` has it. A turn that holds the lane does nothing more; whoever takes the lane out
schedules it, once.
"""

from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, explore


@dataclass(frozen=True)
class Memory:
    """What the threads share."""

    paused: bool = False
    closed: bool = False
    held: bool = False
    scheduled: int = 1
    turns: int = 0
    ended: bool = False


def turns(*bugs: str) -> Process[Memory]:
    """Return the thread that takes the lane's turns, until the worker has ended."""

    def take(m: Memory) -> Outcomes[Memory]:
        if m.scheduled:
            return [(replace(m, scheduled=m.scheduled - 1), "which")]
        return []

    def which(m: Memory) -> Outcomes[Memory]:
        return [(m, "hold" if m.paused else "work")]

    def work(m: Memory) -> Outcomes[Memory]:
        if m.closed:
            return [(replace(m, ended=True), END)]
        # It stays busy, and goes to the end of the line.
        return [(replace(m, scheduled=m.scheduled + 1, turns=min(m.turns + 1, 2)), "take")]

    def hold(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, held=True), "take" if "looks no more" in bugs else "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "take" if m.paused else "take out")]

    def take_out(m: Memory) -> Outcomes[Memory]:
        if not m.held:
            return [(m, "take")]
        return [(replace(m, held=False, scheduled=m.scheduled + 1), "take")]

    return Process(
        "turns",
        {
            "take": take,
            "which": which,
            "work": work,
            "hold": hold,
            "look": look,
            "take out": take_out,
        },
    )


def _resuming(goto: str) -> dict[str, object]:
    def write(m: Memory) -> Outcomes[Memory]:
        if not m.paused:
            return [(m, goto)]
        return [(replace(m, paused=False), "let go")]

    def let_go(m: Memory) -> Outcomes[Memory]:
        if not m.held:
            return [(m, goto)]
        return [(replace(m, held=False, scheduled=m.scheduled + 1), goto)]

    return {"resume": write, "let go": let_go}


def pausing(*bugs: str) -> Process[Memory]:
    """Return who pauses the worker, and resumes it if it is to end."""

    def begin(m: Memory) -> Outcomes[Memory]:
        return [(m, END if m.closed else "pause")]

    def pause(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, paused=True), END if "looks no more" in bugs else "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "resume" if m.closed else END)]

    steps = {"begin": begin, "pause": pause, "look": look, **_resuming(END)}
    return Process("pausing", steps)  # type: ignore[arg-type]


def closing() -> Process[Memory]:
    """Return who closes the pool: it resumes what is paused."""

    def close(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, closed=True), "resume")]

    return Process("closing", {"close": close, **_resuming(END)})  # type: ignore[arg-type]


def once(m: Memory) -> str | None:
    """A lane is in one hand."""
    return "the lane is scheduled twice" if m.scheduled + m.held > 1 else None


def run(*processes: Process[Memory]) -> Explored[Memory]:
    return explore(
        Memory(),
        list(processes),
        always=once,
        finally_=lambda m: None if m.ended else "the worker never ends",
    )


def test_a_worker_that_is_paused_as_its_pool_is_closed_ends_all_the_same() -> None:
    explored = run(turns(), pausing(), closing())

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 50


@pytest.mark.parametrize(("of_turns", "of_pausing"), [("looks no more", ""), ("", "looks no more")])
def test_each_look_is_needed(of_turns: str, of_pausing: str) -> None:
    found = run(turns(of_turns), pausing(of_pausing), closing()).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)
