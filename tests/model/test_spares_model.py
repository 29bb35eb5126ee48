"""Spare threads: every interleaving of senders, threads that become spare, and those that wake.

As `threads.spares`, `ThreadCount` and `SharedThreads` have it. One turn needs another one to be
done before it ends: so a turn that stays while a thread sleeps is a deadlock. There are as many
threads as there may be, so a sender is to look (`growing`) where none is idle and one is spare; or
there may be one more, which is asked for and never comes.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.model.explorer import END, Check, Explored, Outcomes, Process, Step, explore

TURNS: Final = "abc"

NEEDS: Final = [(turn, other) for turn in TURNS for other in TURNS if turn != other]
"""Turns, and the one that has to be done before they can end."""


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    needs: tuple[str, str]
    queue: tuple[str, ...] = ()
    idle: int = 0
    permit: bool = True
    spares: tuple[str, ...] = ()
    rung: frozenset[str] = frozenset()
    woken: int = 0
    """How many were woken and have not worked out `growing` since."""
    may_start: bool = False
    growing: bool = False
    locked: bool = False
    hand: tuple[tuple[str, str], ...] = ()
    done: frozenset[str] = frozenset()
    turns: str = TURNS

    @property
    def all_done(self) -> bool:
        return self.done == frozenset(self.turns)

    @property
    def one_is_needed(self) -> bool:
        return bool(self.queue) and not self.idle


def _woken(m: Memory) -> Memory:
    return replace(m, spares=m.spares[:-1], rung=m.rung | {m.spares[-1]}, woken=m.woken + 1)


def _asking(prefix: str, then: str, *bugs: str) -> Mapping[str, Step[Memory]]:
    """Return the steps (2) to (4), from the one that is called `prefix` on."""
    names = ("", " needed", " spare", " permit", " wake", " back", " grow")
    look, needed, spare, permit, wake, back, grow = (f"{prefix}{step}" for step in names)

    def is_growing(m: Memory) -> Outcomes[Memory]:
        return [(m, needed if m.growing else then)]

    def is_needed(m: Memory) -> Outcomes[Memory]:
        # What is read first alone can become untrue: a turn that waits, and no thread idle.
        return [(m, spare if m.one_is_needed else then)]

    def is_spare(m: Memory) -> Outcomes[Memory]:
        return [(m, permit if m.spares else grow)]

    def take_permit(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, permit=False), wake)] if m.permit else [(m, then)]

    def wake_one(m: Memory) -> Outcomes[Memory]:
        return [(_woken(m), then) if m.spares else (m, back)]

    def put_back(m: Memory) -> Outcomes[Memory]:
        again = then if "puts the permit back and does not look" in bugs else look
        return [(replace(m, permit=True), again)]

    def ask(m: Memory) -> Outcomes[Memory]:
        # No thread is started.
        if m.locked:
            return []
        return [(_woken(m) if m.one_is_needed and m.spares else m, then)]

    return {
        look: is_growing,
        needed: is_needed,
        spare: is_spare,
        permit: take_permit,
        wake: wake_one,
        back: put_back,
        grow: ask,
    }


def nudger() -> Process[Memory]:
    """Return who wakes a thread at any time, without a permit."""
    return Process("nudger", {"wake": lambda m: [(_woken(m) if m.spares else m, END)]})


def sender(*bugs: str, turns: str = TURNS) -> Process[Memory]:
    """Return who puts all turns."""
    steps: dict[str, Step[Memory]] = {}
    for number, turn in enumerate(turns):
        then = END if number + 1 == len(turns) else f"put {turns[number + 1]}"
        if "asks before it puts" in bugs:
            steps |= _asking(f"ask for {turn}", f"really put {turn}", *bugs)
            steps[f"put {turn}"] = steps[f"ask for {turn}"]
            steps[f"really put {turn}"] = functools.partial(_put, turn=turn, then=then)
        else:
            steps[f"put {turn}"] = functools.partial(_put, turn=turn, then=f"ask for {turn}")
            steps |= _asking(f"ask for {turn}", then, *bugs)
    first = f"put {turns[0]}"
    return Process("sender", {first: steps[first], **steps})


def _put(m: Memory, turn: str, then: str) -> Outcomes[Memory]:
    return [(replace(m, queue=(*m.queue, turn)), then)]


def _working_out(prefix: str, then: str, *, woken: bool, locks: bool) -> Mapping[str, Step[Memory]]:
    """Return the steps in which `growing` is worked out, and the lock let go of.

    If it `locks`, the lock is acquired before that.
    """

    def read(m: Memory) -> Outcomes[Memory]:
        # The lock is acquired in the same step: acquiring it early only keeps others waiting.
        if locks and m.locked:
            return []
        growing = not m.idle and (m.may_start or bool(m.spares))
        return [(replace(m, locked=True) if locks else m, f"{prefix} writes {growing}")]

    def write(m: Memory, *, growing: bool) -> Outcomes[Memory]:
        locked = m.locked and woken and not locks  # another thread's
        return [(replace(m, growing=growing, locked=locked, woken=m.woken - woken), then)]

    return {
        prefix: read,
        f"{prefix} writes True": functools.partial(write, growing=True),
        f"{prefix} writes False": functools.partial(write, growing=False),
    }


def thread(name: str, *bugs: str) -> Process[Memory]:  # noqa: C901 - a table of steps
    """Return a thread that takes turns until all are done."""

    def takes(m: Memory, then: str, otherwise: str) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, otherwise)]
        return [(replace(m, queue=m.queue[1:], hand=(*m.hand, (name, m.queue[0]))), then)]

    def enter(m: Memory) -> Outcomes[Memory]:
        if m.locked:
            return []
        if "becomes spare though none is idle" not in bugs and not m.idle:
            return [(replace(m, idle=1, locked=True), "idle")]
        if "lets go of the lock before it enters its bell" in bugs:
            return [(m, "spare")]
        return spare(m)

    def spare(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, spares=(*m.spares, name)), "bell")]

    def idle(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, growing=False, locked=False), "wait")]

    def wait(m: Memory) -> Outcomes[Memory]:
        if m.queue:
            return takes(m, "leave", "")
        return [(m, END)] if m.all_done else []

    def leave(m: Memory) -> Outcomes[Memory]:
        if m.locked:
            return []
        if "leaves and does not work it out" in bugs:
            return [(replace(m, idle=m.idle - 1), "look")]
        return [(replace(m, idle=m.idle - 1, locked=True), "left")]

    def bell(m: Memory) -> Outcomes[Memory]:
        if name in m.rung:
            return [(replace(m, rung=m.rung - {name}), "first")]
        return [(m, END)] if m.all_done else []

    def permit(m: Memory, then: str) -> Outcomes[Memory]:
        m = m if "keeps the permit" in bugs else replace(m, permit=True)
        if "is woken and does not work it out" in bugs:
            return [(replace(m, woken=m.woken - 1), woken if then == "turn" else "enter")]
        return [(m, then)]

    def run(m: Memory) -> Outcomes[Memory]:
        turn = dict(m.hand)[name]
        if turn in m.needs[0] and m.needs[1] not in m.done:
            return []
        hand = tuple(each for each in m.hand if each[0] != name)
        return [(replace(m, hand=hand, done=m.done | {turn}), "next")]

    left = "run" if "is handed a turn and does not look" in bugs else "look"
    woken = "run" if "is woken and does not look" in bugs else "look"
    locks = "writes without the lock" not in bugs
    steps: dict[str, Step[Memory]] = {
        "next": lambda m: takes(m, "look", "enter"),
        "enter": enter,
        "idle": idle,
        "spare": spare,
        "wait": wait,
        "leave": leave,
        "bell": bell,
        "first": lambda m: takes(m, "permit, turn", "permit, none"),
        "permit, turn": lambda m: permit(m, "turn"),
        "permit, none": lambda m: permit(m, "none"),
        "run": run,
        **_working_out("left", left, woken=False, locks=False),
        **_working_out("turn", woken, woken=True, locks=locks),
        **_working_out("none", "enter", woken=True, locks=locks),
        **_asking("look", "run", *bugs),
    }
    return Process(name, steps)


def each_once(m: Memory) -> str | None:
    """Nothing is taken twice, or lost, and one thread at most waits in the queue."""
    there = [*m.queue, *m.done, *(turn for _, turn in m.hand)]
    twice = [turn for turn in m.turns if there.count(turn) > 1]
    return f"{twice} are there twice" if twice else None if m.idle <= 1 else "two are idle"


def none_overlooked(m: Memory) -> str | None:
    """Senders look for a spare thread where there is one, and none is idle."""
    overlooked = m.spares and not (m.growing or m.idle or m.locked)
    return "senders do not look" if overlooked else each_once(m)


def worked_out(m: Memory) -> str | None:
    """They look in vain for a moment at most, too: until each that was woken has told."""
    in_vain = m.growing and not (m.spares or m.may_start or m.woken or m.locked)
    return "senders look in vain" if in_vain else none_overlooked(m)


def run(
    needs: tuple[str, str],
    *bugs: str,
    names: str = "AB",
    waiting: str = "",
    put: str = TURNS,
    may_start: bool = False,
    nudges: bool = True,
    always: Check[Memory] = worked_out,
) -> Explored[Memory]:
    turns = waiting + put
    return explore(
        Memory(needs, queue=tuple(waiting), turns=turns, may_start=may_start, growing=may_start),
        [
            sender(*bugs, turns=put),
            *([nudger()] if nudges else []),
            *(thread(name, *bugs) for name in names),
        ],
        always=always,
        finally_=lambda m: None if m.all_done else "a turn was lost",
    )


@pytest.mark.parametrize("needs", NEEDS, ids="-".join)
def test_no_turn_stays_while_a_thread_sleeps(needs: tuple[str, str]) -> None:
    explored = run(needs)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 500


def test_none_stays_either_where_a_thread_that_is_asked_for_never_comes() -> None:
    explored = run(("a", "b"), may_start=True)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 500


def test_with_three_threads_none_stays_either() -> None:
    explored = run(("ab", "c"), names="ABC", nudges=False)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 5000


@pytest.mark.parametrize(
    ("bug", "needs", "names"),
    [
        ("asks before it puts", ("b", "c"), "AB"),
        ("becomes spare though none is idle", ("a", "b"), "AB"),
        ("is handed a turn and does not look", ("a", "b"), "AB"),
        ("is woken and does not look", ("ab", "c"), "ABC"),
        ("keeps the permit", ("a", "b"), "AB"),
    ],
)
def test_each_step_is_needed(bug: str, needs: tuple[str, str], names: str) -> None:
    found = run(needs, bug, names=names, may_start=True, nudges=len(names) == 2).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


@pytest.mark.parametrize("bug", ["", "puts the permit back and does not look"])
def test_who_has_held_the_permit_for_nothing_looks_again(bug: str) -> None:
    """A different sender has found no permit, and counts on this one."""
    explored = run(
        ("ac", "d"), bug, names="ABC", waiting="ab", put="cd", may_start=True, nudges=False
    )

    assert (explored.counter_example is None) == (not bug), str(explored.counter_example)


@pytest.mark.parametrize(
    "bug", ["leaves and does not work it out", "lets go of the lock before it enters its bell"]
)
def test_a_turn_stays_where_whether_senders_are_to_look_is_not_worked_out(bug: str) -> None:
    found = run(("a", "b"), bug, always=each_once).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_it_is_worked_out_under_the_lock() -> None:
    found = run(
        ("a", "b"), "writes without the lock", names="ABC", always=none_overlooked
    ).counter_example

    assert found is not None
    assert found.claim == "senders do not look", str(found)


def test_it_is_worked_out_once_a_thread_was_woken() -> None:
    found = run(("a", "b"), "is woken and does not work it out").counter_example

    assert found is not None
    assert found.claim == "senders look in vain", str(found)
