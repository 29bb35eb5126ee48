"""Room for tasks: every interleaving of who frees a slot and who waits, as `keyed.room` has it."""

from dataclasses import dataclass, replace

from tests.model.explorer import END, Explored, Outcomes, Process, explore


@dataclass(frozen=True)
class Memory:
    """Where the slots are. Both senders look at both stripes; the line is what threads wait in."""

    stripes: tuple[int, int] = (0, 0)
    line: int = 0
    waiting: frozenset[str] = frozenset()
    have: frozenset[str] = frozenset()
    hand: int = 0


def _with(m: Memory, stripe: int, more: int) -> Memory:
    stripes = list(m.stripes)
    stripes[stripe] += more
    return replace(m, stripes=(stripes[0], stripes[1]))


def sender(me: str, *bugs: str) -> Process[Memory]:  # noqa: C901 - a table of steps
    """Return a process that takes one slot."""

    def look(m: Memory, stripe: int, goto: str) -> Outcomes[Memory]:
        if m.stripes[stripe]:
            return [(replace(_with(m, stripe, -1), have=m.have | {me}), "leave")]
        return [(m, goto)]

    def take(m: Memory) -> Outcomes[Memory]:
        if m.line:
            return [(replace(m, line=m.line - 1, have=m.have | {me}), "leave")]
        return [(m, "move 0" if "says nothing" in bugs else "say so")]

    def say_so(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, waiting=m.waiting | {me}), "move 0")]

    def move(m: Memory, stripe: int, goto: str) -> Outcomes[Memory]:
        if not m.stripes[stripe]:
            return [(m, goto)]
        return [(replace(_with(m, stripe, -1), hand=m.hand + 1), f"line {stripe}")]

    def to_line(m: Memory, stripe: int) -> Outcomes[Memory]:
        return [(replace(m, line=m.line + 1, hand=m.hand - 1), f"move {stripe}")]

    def wait(m: Memory) -> Outcomes[Memory]:
        if not m.line:
            return []
        return [(replace(m, line=m.line - 1, have=m.have | {me}), "leave")]

    return Process(
        me,
        {
            "look 0": lambda m: look(m, 0, "look 1"),
            "look 1": lambda m: look(m, 1, "take"),
            "take": take,
            "say so": say_so,
            "move 0": lambda m: move(m, 0, "move 1"),
            "line 0": lambda m: to_line(m, 0),
            "move 1": lambda m: move(m, 1, "wait"),
            "line 1": lambda m: to_line(m, 1),
            "wait": wait,
            "leave": lambda m: [(replace(m, waiting=m.waiting - {me}), END)],
        },
    )


def freeing(stripe: int, *bugs: str) -> Process[Memory]:
    """Return a process that frees one slot, into a stripe."""

    def put(m: Memory) -> Outcomes[Memory]:
        return [(_with(m, stripe, 1), END if "looks first" in bugs else "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        if "looks first" in bugs:
            return [(m, "to the line" if m.waiting else "put")]
        return [(m, "move" if m.waiting else END)]

    def move(m: Memory) -> Outcomes[Memory]:
        if not m.stripes[stripe]:
            return [(m, END)]
        return [(replace(_with(m, stripe, -1), hand=m.hand + 1), "line")]

    def line(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, line=m.line + 1, hand=m.hand - 1), "move")]

    steps = {
        "put": put,
        "look": look,
        "move": move,
        "line": line,
        "to the line": lambda m: [(replace(m, line=m.line + 1), END)],
    }
    if "looks first" in bugs:
        steps = {"look": look, **steps}
    return Process(f"freeing {stripe}", steps)


def run(*processes: Process[Memory]) -> Explored[Memory]:
    def conserved(m: Memory) -> str | None:
        there = sum(m.stripes) + m.line + len(m.have) + m.hand
        return None if there <= 2 else "there are more slots than were freed"

    return explore(
        Memory(),
        list(processes),
        always=conserved,
        finally_=lambda m: None if m.have == {"A", "B"} else "a sender has no slot",
    )


def test_who_waits_gets_a_slot_that_is_freed() -> None:
    explored = run(sender("A"), sender("B"), freeing(0), freeing(1))

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 500


def test_a_sender_that_does_not_say_so_may_wait_for_ever() -> None:
    silent = "says nothing"

    found = run(sender("A", silent), sender("B", silent), freeing(0), freeing(1)).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)


def test_who_frees_a_slot_puts_it_before_it_looks() -> None:
    found = run(sender("A"), sender("B"), freeing(0, "looks first"), freeing(1)).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock"), str(found)
