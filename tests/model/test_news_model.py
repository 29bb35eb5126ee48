"""How a node of a cluster wakes what tells the client: every interleaving.

As `cluster.news` has it. The time after which a loop looks by itself is left out: what is put must
wake it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore


@dataclass(frozen=True)
class Memory:
    """What threads and the loop share."""

    threads: int
    put: int = 0
    waiter: int = 0
    """The number of the round that waits; 0: none."""
    taken: tuple[int, ...] = ()
    """The waiter that each thread has in hand."""
    set: frozenset[int] = frozenset()
    round: int = 0
    gathered: int = 0


def _held(m: Memory, me: int, waiter: int) -> Memory:
    return replace(m, taken=(*m.taken[:me], waiter, *m.taken[me + 1 :]))


def thread(me: int, things: int, *bugs: str) -> Process[Memory]:
    """Return a thread that puts things."""
    steps: dict[str, Step[Memory]] = {}
    for place in range(things):
        after = f"put {place + 1}" if place + 1 < things else END

        def put(m: Memory, place: int = place) -> Outcomes[Memory]:
            return [(replace(m, put=m.put + 1), f"take {place}")]

        def take(m: Memory, place: int = place, after: str = after) -> Outcomes[Memory]:
            if not m.waiter:
                return [(m, after)]
            held = _held(m, me, m.waiter)
            if "takes in two steps" in bugs:
                return [(held, f"clear {place}")]
            return [(replace(held, waiter=0), f"set {place}")]

        def clear(m: Memory, place: int = place) -> Outcomes[Memory]:
            return [(replace(m, waiter=0), f"set {place}")]

        def set_(m: Memory, after: str = after) -> Outcomes[Memory]:
            return [(_held(replace(m, set=m.set | {m.taken[me]}), me, 0), after)]

        steps |= {f"put {place}": put, f"take {place}": take}
        steps |= {f"clear {place}": clear, f"set {place}": set_}
    if "takes before it puts" in bugs:
        return _hasty(me)
    return Process(f"thread {me}", steps)


def _hasty(me: int) -> Process[Memory]:
    def take(m: Memory) -> Outcomes[Memory]:
        woken = m.set | frozenset((m.waiter,) if m.waiter else ())
        return [(replace(m, waiter=0, set=woken), "put")]

    def put(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, put=m.put + 1), END)]

    return Process(f"thread {me}", {"take": take, "put": put})


def loop(total: int, *bugs: str) -> Process[Memory]:
    """Return the loop that gathers, until it has all."""
    looks_first = "looks before it waits" in bugs

    def begin(m: Memory) -> Outcomes[Memory]:
        if looks_first and m.put > m.gathered:
            return [(m, "gather")]
        return [(replace(m, round=m.round + 1), "register")]

    def register(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, waiter=m.round), "wait" if looks_first else "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "clear" if m.put > m.gathered else "wait")]

    def wait(m: Memory) -> Outcomes[Memory]:
        return [(m, "clear")] if m.round in m.set else []

    def clear(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, waiter=0), "gather")]

    def gather(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, gathered=m.put), END if m.put == total else "begin")]

    steps: dict[str, Step[Memory]] = {
        "begin": begin,
        "register": register,
        "look": look,
        "wait": wait,
        "clear": clear,
        "gather": gather,
    }
    return Process("loop", steps)


def run(*bugs: str, things: Sequence[int] = (2, 1, 1)) -> Explored[Memory]:
    return explore(
        Memory(len(things), taken=(0,) * len(things)),
        [
            *(thread(me, count, *bugs) for me, count in enumerate(things)),
            loop(sum(things), *bugs),
        ],
        always=lambda _: None,
        finally_=lambda m: None if m.gathered == sum(things) else "something was not gathered",
    )


def test_what_is_put_wakes_the_loop() -> None:
    explored = run()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 1_000


@pytest.mark.parametrize(
    "bug", ["takes in two steps", "takes before it puts", "looks before it waits"]
)
def test_a_fault_is_found(bug: str) -> None:
    found = run(bug, things=(1, 1, 1)).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)
