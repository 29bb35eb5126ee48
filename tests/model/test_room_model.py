"""Room for tasks and messages: every interleaving of threads that free a slot, or wait for one.

As `line.striped` has it. The line is that of `line.slots`, whose own races `test_slots_model` has.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.model.explorer import END, Explored, Outcomes, Process, explore


@dataclass(frozen=True)
class Memory:
    """Where the slots are, and who stands in the line. Both senders look at both stripes."""

    stripes: tuple[int, int] = (0, 0)
    wanted: tuple[bool, bool] = (False, False)
    queue: int = 0
    line: tuple[str, ...] = ()
    lock: str = ""
    have: frozenset[str] = frozenset()
    hand: int = 0


def _with(m: Memory, stripe: int, more: int) -> Memory:
    stripes = list(m.stripes)
    stripes[stripe] += more
    return replace(m, stripes=(stripes[0], stripes[1]))


def _telling(m: Memory, stripe: int, wanted: bool) -> Memory:  # noqa: FBT001 - a value
    told = list(m.wanted)
    told[stripe] = wanted
    return replace(m, wanted=(told[0], told[1]))


class Steps:
    """The steps of one thread, by label."""

    def __init__(self, me: str, *bugs: str) -> None:
        self.me = me
        self.bugs = bugs
        self.table: dict[str, Callable[[Memory], Outcomes[Memory]]] = {}

    def tell_stripes(self, name: str, then: str) -> None:
        """Have the stripes say whether slots are wanted, by what the line is then."""

        # To take the lock and to tell the first stripe are one step: the line changes under the
        # lock alone, so nothing that this thread looks at changes between the two.
        def lock(m: Memory) -> Outcomes[Memory]:
            if m.lock:
                return []
            return [(replace(_telling(m, 0, bool(m.line)), lock=self.me), f"{name} 1")]

        def unlock(m: Memory) -> Outcomes[Memory]:
            return [(replace(_telling(m, 1, bool(m.line)), lock=""), then)]

        if "decides before" in self.bugs:
            for wanted in (True, False):
                self.table[f"{name} {wanted} 0"] = lambda m, w=wanted: [  # type: ignore[misc]
                    (_telling(m, 0, w), f"{name} {w} 1")
                ]
                self.table[f"{name} {wanted} 1"] = lambda m, w=wanted: [(_telling(m, 1, w), then)]  # type: ignore[misc]
            self.table[name] = lambda m: [(m, f"{name} {bool(m.line)} 0")]
            return
        self.table[name] = lock
        self.table[f"{name} 1"] = unlock

    @staticmethod
    def give(m: Memory, again: str, then: str) -> Outcomes[Memory]:
        """Give a slot of the queue to the first one in the line, if there are both."""
        if m.lock:
            return []
        if not m.line or not m.queue:
            return [(m, then)]
        first, *others = m.line
        given = replace(m, queue=m.queue - 1, line=tuple(others), have=m.have | {first})
        return [(given, again)]

    def move(self, stripe: int, then: str) -> None:
        """Have the slots of a stripe come to those in the line, as long as there are any."""
        name = f"move {stripe}"

        def look(m: Memory) -> Outcomes[Memory]:
            return [(m, f"{name} take" if m.line and m.stripes[stripe] else f"{name} last")]

        def take(m: Memory) -> Outcomes[Memory]:
            if not m.stripes[stripe]:
                return [(m, f"{name} last")]
            return [(replace(_with(m, stripe, -1), hand=m.hand + 1), f"{name} put")]

        def put(m: Memory) -> Outcomes[Memory]:
            return [(replace(m, queue=m.queue + 1, hand=m.hand - 1), f"{name} asks")]

        self.table |= {
            name: look,
            f"{name} take": take,
            f"{name} put": put,
            f"{name} asks": lambda m: [(m, f"{name} give" if m.line else name)],
            f"{name} give": lambda m: self.give(m, f"{name} give", name),
            f"{name} last": lambda m: [(m, then if m.line else f"{name} over")],
        }
        self.tell_stripes(f"{name} over", then)


def sender(me: str, *bugs: str, looks: bool) -> Process[Memory]:
    """Return a process that takes one slot; if it `looks`, first in the first stripe."""
    steps = Steps(me, *bugs)

    def look(m: Memory, stripe: int, goto: str) -> Outcomes[Memory]:
        if m.stripes[stripe]:
            return [(replace(_with(m, stripe, -1), have=m.have | {me}), END)]
        return [(m, goto)]

    def take(m: Memory) -> Outcomes[Memory]:
        if m.queue:
            return [(replace(m, queue=m.queue - 1, have=m.have | {me}), END)]
        return [(m, "tell" if "tells before" in bugs else "stand")]

    def stand(m: Memory) -> Outcomes[Memory]:
        goto = "move 0" if {"tells before", "tells nobody"} & set(bugs) else "tell"
        return [] if m.lock else [(replace(m, line=(*m.line, me)), goto)]

    if looks:
        steps.table |= {
            "look": lambda m: look(m, 0, "wanted"),
            "wanted": lambda m: [(m, "take" if m.wanted[0] else "other")],
            "other": lambda m: look(m, 1, "take"),
        }
    steps.table |= {"take": take, "stand": stand}
    steps.tell_stripes("tell", "stand" if "tells before" in bugs else "move 0")
    steps.move(0, "move 1")
    steps.move(1, "last look")
    steps.table["last look"] = lambda m: steps.give(m, "last look", "wait")
    steps.table["wait"] = lambda m: [(m, END)] if me in m.have else []
    return Process(me, steps.table)


def freeing(stripe: int, me: str, *bugs: str) -> Process[Memory]:
    """Return a process that frees one slot, into a stripe."""
    steps = Steps(me, *bugs)

    def put(m: Memory) -> Outcomes[Memory]:
        return [(_with(m, stripe, 1), END if "looks first" in bugs else "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        if "looks first" in bugs:
            return [(m, "put and move" if m.wanted[stripe] else "put")]
        return [(m, f"move {stripe}" if m.wanted[stripe] else END)]

    order = {"look": look, "put": put} if "looks first" in bugs else {"put": put, "look": look}
    steps.table |= order
    steps.table["put and move"] = lambda m: [(_with(m, stripe, 1), f"move {stripe}")]
    steps.move(stripe, END)
    return Process(steps.me, steps.table)


def run(*processes: Process[Memory]) -> Explored[Memory]:
    def conserved(m: Memory) -> str | None:
        there = sum(m.stripes) + m.queue + len(m.have) + m.hand
        return None if there <= 2 else "there are more slots than were freed"

    return explore(
        Memory(),
        list(processes),
        always=conserved,
        finally_=lambda m: None if m.have == {"A", "B"} else "a sender has no slot",
    )


def both(*bugs: str, free: tuple[int, int] = (0, 1), looks: bool = False) -> Explored[Memory]:
    """Explore two senders, and two that free a slot each."""
    first, second = free
    others = freeing(first, "first", *bugs), freeing(second, "second", *bugs)
    return run(sender("A", *bugs, looks=looks), sender("B", *bugs, looks=False), *others)


def test_who_waits_gets_a_slot_that_is_freed() -> None:
    explored = both(looks=True)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 50_000


def test_so_it_does_where_both_are_freed_in_one_place() -> None:
    explored = both(free=(0, 0))

    assert explored.counter_example is None, str(explored.counter_example)


def test_a_sender_that_tells_no_stripe_may_wait_for_ever() -> None:
    found = both("tells nobody").counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_a_sender_gets_in_line_before_it_tells_the_stripes() -> None:
    found = both("tells before").counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_what_the_stripes_are_told_is_what_holds_as_they_are_told() -> None:
    found = run(
        sender("A", looks=False),
        sender("B", looks=False),
        freeing(0, "first", "decides before"),
        freeing(0, "second"),
    ).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_who_frees_a_slot_puts_it_before_it_looks() -> None:
    found = both("looks first").counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)
