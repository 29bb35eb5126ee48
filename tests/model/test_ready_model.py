"""Turns that are moved: every interleaving of who moves them and who takes turns.

As `threads.turns` and `SharedThreads` have it. A turn in here may need another one to be done
before it ends: so a turn that stays while a thread sleeps is a deadlock.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, explore

NUDGE: Final = "nudge"

TURNS: Final = "abs"

NEEDS: Final = [(turn, other) for turn in TURNS for other in TURNS if turn != other]
"""A turn, and the one that has to be done before it can end."""


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    queue: tuple[str, ...] = ()
    put: int = 0
    lock: str = ""
    moved: bool = False
    ahead: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    woken: tuple[str, ...] = ()
    idle: int = 0
    spares: tuple[str, ...] = ()
    rung: frozenset[str] = frozenset()
    read: int = 0
    hand: tuple[tuple[str, str], ...] = field(default=())
    done: tuple[str, ...] = ()
    needs: tuple[str, str] = ("a", "b")
    turns: str = TURNS

    @property
    def all_done(self) -> bool:
        return set(self.turns) <= set(self.done)


def waking(m: Memory) -> Memory:
    """Wake a spare thread, if one is needed: (2) to (4) of `threads.spares`, in one step."""
    some = m.queue or (m.moved and (m.ahead or m.aside or m.woken))
    if not some or not m.spares or m.idle:
        return m
    return replace(m, spares=m.spares[:-1], rung=m.rung | {m.spares[-1]})


def sender(turns: str = TURNS) -> Process[Memory]:
    """Return who puts the turns."""

    def put(m: Memory) -> Outcomes[Memory]:
        if m.put == len(turns):
            return [(m, END)]
        return [(waking(replace(m, put=m.put + 1, queue=(*m.queue, turns[m.put]))), "put")]

    return Process("sender", {"put": put})


def mover(*bugs: str) -> Process[Memory]:  # noqa: C901 - a table of steps
    """Return a thread that brings `s` forward, and then waits until it is done."""

    def lock(m: Memory) -> Outcomes[Memory]:
        return [] if m.lock else [(replace(m, lock="mover", moved=True), "gather")]

    def gather(m: Memory) -> Outcomes[Memory]:
        if not m.woken:
            return [(m, "pop")]
        return [(replace(m, woken=m.woken[1:], ahead=(*m.ahead, m.woken[0])), "gather")]

    def pop(m: Memory) -> Outcomes[Memory]:
        if not m.queue or "s" in m.ahead or m.queue[0] == NUDGE:
            return [(m, "clear")]
        turn, *rest = m.queue
        after = replace(m, queue=tuple(rest))
        if turn == "s":
            return [(replace(after, ahead=(*m.ahead, turn)), "pop")]
        return [(replace(after, aside=(*m.aside, turn)), "pop")]

    def clear(m: Memory) -> Outcomes[Memory]:
        if m.ahead or m.aside or m.woken:
            return [(m, "unlock")]
        return [(replace(m, moved=False), "unlock")]

    def unlock(m: Memory) -> Outcomes[Memory]:
        goto = "nudge" if "idle is read first" in bugs else "read idle"
        return [(replace(m, lock="", moved=m.moved or bool(m.woken)), goto)]

    def read_idle(m: Memory) -> Outcomes[Memory]:
        goto = "lock" if "idle is read first" in bugs else "nudge"
        return [(replace(m, read=m.idle - len(m.queue)), goto)]

    def nudge(m: Memory) -> Outcomes[Memory]:
        if m.read <= 0:
            return [(waking(m), "wait")]
        return [(replace(m, read=m.read - 1, queue=(*m.queue, NUDGE)), "nudge")]

    def wait(m: Memory) -> Outcomes[Memory]:
        return [(m, END)] if "s" in m.done else []

    steps = {
        "lock": lock,
        "gather": gather,
        "pop": pop,
        "clear": clear,
        "unlock": unlock,
        "read idle": read_idle,
        "nudge": nudge,
        "wait": wait,
    }
    if "idle is read first" in bugs:
        steps = {"read idle": read_idle, **{k: v for k, v in steps.items() if k != "read idle"}}
    return Process("mover", steps)


def waker(turns: str) -> Process[Memory]:
    """Return who puts turns ahead, one after the other, without the lock."""

    def put(m: Memory, turn: str) -> Outcomes[Memory]:
        return [(replace(m, woken=(*m.woken, turn)), f"say so of {turn}")]

    def say_so(m: Memory, turn: str) -> Outcomes[Memory]:
        return [(replace(m, moved=True), f"read idle for {turn}")]

    def read_idle(m: Memory, turn: str) -> Outcomes[Memory]:
        return [(replace(m, read=m.idle - len(m.queue)), f"nudge for {turn}")]

    def nudge(m: Memory, turn: str) -> Outcomes[Memory]:
        if m.read <= 0:
            then = turns[turns.index(turn) + 1 :]
            return [(waking(m), f"put {then[0]}" if then else END)]
        return [(replace(m, read=m.read - 1, queue=(*m.queue, NUDGE)), f"nudge for {turn}")]

    steps = {"put": put, "say so of": say_so, "read idle for": read_idle, "nudge for": nudge}
    return Process(
        "waker",
        {
            f"{name} {turn}": functools.partial(step, turn=turn)
            for turn in turns
            for name, step in steps.items()
        },
    )


def thread(  # noqa: C901 - a table of steps
    name: str,
    *bugs: str,
    crowded: bool = False,
    spare: bool = False,
    by_another: bool = False,
) -> Process[Memory]:
    """Return a thread that takes turns until all are done.

    `spare`: whether one alone waits in the queue. `by_another`: whether turns are put ahead.
    """

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "take" if m.moved else "get")]

    def taken(m: Memory, goto: str, otherwise: str) -> Outcomes[Memory]:
        if m.woken and not m.ahead:
            hand = (*m.hand, (name, m.woken[0]))
            return [(replace(m, woken=m.woken[1:], hand=hand), goto)]
        if m.lock:
            return []
        if m.ahead:
            turn, after = m.ahead[0], replace(m, ahead=m.ahead[1:])
        elif m.aside and not (crowded and m.queue):
            turn, after = m.aside[0], replace(m, aside=m.aside[1:])
        else:
            return clear(m, otherwise)
        return clear(replace(after, hand=(*m.hand, (name, turn))), goto)

    def clear(m: Memory, goto: str) -> Outcomes[Memory]:
        if m.ahead or m.aside or m.woken:
            return [(m, goto)]
        if "cleared as it was seen" in bugs:
            return [(replace(m, lock=name), f"write, {goto}")]
        if not by_another:
            return [(replace(m, lock=name, moved=False), f"look again, {goto}")]
        # What is put ahead between the two is hidden for a moment.
        return [(replace(m, lock=name), f"clear, {goto}")]

    def look_again(m: Memory, goto: str) -> Outcomes[Memory]:
        if m.woken and "sets it again and sleeps" not in bugs:
            goto = {"get": "take", "wait": "take idle"}.get(goto, goto)
        return [(replace(m, lock="", moved=m.moved or bool(m.woken)), goto)]

    def clear_seen(m: Memory, goto: str) -> Outcomes[Memory]:
        return [(replace(m, moved=False), f"look again, {goto}")]

    def write(m: Memory, goto: str) -> Outcomes[Memory]:
        return [(replace(m, lock="", moved=False), goto)]

    def again(goto: str) -> str:
        return goto if "no second nudge" in bugs else f"again, {goto}"

    def nudge_again(m: Memory, goto: str) -> Outcomes[Memory]:
        if m.moved and m.idle > len(m.queue):
            return [(replace(m, queue=(*m.queue, NUDGE)), goto)]
        return [(waking(m), goto)]

    def get(m: Memory) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, "count")]
        return [(in_hand(m), again("run"))]

    def in_hand(m: Memory) -> Memory:
        return replace(m, queue=m.queue[1:], hand=(*m.hand, (name, m.queue[0])))

    def count(m: Memory) -> Outcomes[Memory]:
        if spare and m.idle:
            return [(replace(m, spares=(*m.spares, name)), "bell")]
        goto = "wait" if "moved is not looked at" in bugs else "look once more"
        return [(replace(m, idle=m.idle + 1), goto)]

    def bell(m: Memory) -> Outcomes[Memory]:
        if name in m.rung:
            return [(replace(m, rung=m.rung - {name}), "look")]
        return [(m, END)] if m.all_done else []

    def look_once_more(m: Memory) -> Outcomes[Memory]:
        return [(m, "take idle" if m.moved else "wait")]

    def wait(m: Memory) -> Outcomes[Memory]:
        if m.queue:
            return [(in_hand(m), "uncount")]
        return [(m, END)] if m.all_done else []

    def uncount(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, idle=m.idle - 1), again("run"))]

    def run(m: Memory) -> Outcomes[Memory]:
        turn = dict(m.hand)[name]
        if turn == m.needs[0] and m.needs[1] not in m.done:
            return []
        hand = tuple(each for each in m.hand if each[0] != name)
        done = m.done if turn == NUDGE else (*m.done, turn)
        return [(replace(m, hand=hand, done=done), "look")]

    return Process(
        name,
        {
            "look": look,
            "take": lambda m: taken(m, again("run"), "get"),
            "get": get,
            "count": count,
            "bell": bell,
            "look once more": look_once_more,
            "take idle": lambda m: taken(m, "uncount", "wait"),
            **{
                step: functools.partial(look_again, goto=step.partition(", ")[2])
                for step in (
                    f"look again, {again('run')}",
                    "look again, get",
                    "look again, uncount",
                    "look again, wait",
                )
            },
            **{
                f"clear, {goto}": functools.partial(clear_seen, goto=goto)
                for goto in (again("run"), "get", "uncount", "wait")
            },
            **{
                step: functools.partial(write, goto=step.partition(", ")[2])
                for step in (
                    f"write, {again('run')}",
                    "write, get",
                    "write, uncount",
                    "write, wait",
                )
            },
            "again, run": lambda m: nudge_again(m, "run"),
            "wait": wait,
            "uncount": uncount,
            "run": run,
        },
    )


def each_once(m: Memory) -> str | None:
    """Nothing is taken twice, or lost."""
    there = [*m.queue, *m.woken, *m.ahead, *m.aside, *m.done, *(turn for _, turn in m.hand)]
    for turn in TURNS:
        if there.count(turn) > 1:
            return f"{turn} is there twice"
    return None


def run(
    *processes: Process[Memory],
    needs: tuple[str, str] = ("a", "b"),
    put: str = TURNS,
    turns: str = TURNS,
) -> Explored[Memory]:
    return explore(
        Memory(needs=needs, turns=turns),
        [sender(put), *processes],
        always=each_once,
        finally_=lambda m: None if m.all_done else "a turn was lost",
    )


@pytest.mark.parametrize("needs", NEEDS, ids="-".join)
@pytest.mark.parametrize("crowded", [False, True], ids=["few threads", "crowded"])
def test_no_turn_stays_while_a_thread_sleeps(
    crowded: bool,  # noqa: FBT001 - a case
    needs: tuple[str, str],
) -> None:
    threads = [thread(name, crowded=crowded) for name in "AB"]

    explored = run(mover(), *threads, needs=needs)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 500


@pytest.mark.parametrize(
    ("of_mover", "of_thread"),
    [("idle is read first", ""), ("", "moved is not looked at"), ("", "no second nudge")],
)
def test_each_step_is_needed(of_mover: str, of_thread: str) -> None:
    found = run(mover(of_mover), thread("A", of_thread), thread("B", of_thread)).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


@pytest.mark.parametrize("spare", [False, True], ids=["idle", "spare"])
@pytest.mark.parametrize("needs", [("a", "b"), ("b", "a")], ids="-".join)
def test_no_turn_that_is_put_ahead_stays_while_a_thread_sleeps(
    needs: tuple[str, str],
    spare: bool,  # noqa: FBT001 - a case
) -> None:
    threads = [thread(name, spare=spare, by_another=True) for name in "AB"]

    for put in ("", "a"):
        ahead = "ba".replace(put, "")
        explored = run(waker(ahead), *threads, needs=needs, put=put, turns="ab")

        assert explored.counter_example is None, str(explored.counter_example)
        assert explored.states > 100


@pytest.mark.parametrize("spare", [False, True], ids=["idle", "spare"])
def test_a_thread_that_sets_moved_again_and_sleeps_hides_a_turn_that_is_put_ahead(
    spare: bool,  # noqa: FBT001 - a case
) -> None:
    faulty = "sets it again and sleeps"
    threads = [thread(name, faulty, spare=spare, by_another=True) for name in "AB"]

    found = run(waker("ba"), *threads, put="", turns="ab").counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_a_turn_that_is_put_ahead_and_one_that_is_brought_forward_do_not_hide_each_other() -> None:
    # One thread, and no turn that needs the other: with two it takes twenty times as long.
    explored = run(waker("a"), mover(), thread("A"), needs=("", ""), put="s", turns="as")

    assert explored.counter_example is None, str(explored.counter_example)


def test_a_thread_that_clears_what_it_has_seen_hides_a_turn_that_is_put_ahead() -> None:
    faulty = "cleared as it was seen"

    threads = [thread("A", faulty), thread("B", faulty)]

    found = run(waker("ba"), *threads, put="", turns="ab").counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_no_turn_that_is_brought_forward_stays_while_a_thread_is_spare() -> None:
    threads = [thread(name, spare=True) for name in "AB"]

    explored = run(mover(), *threads)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 500
