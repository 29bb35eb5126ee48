"""The model checker finds what it is there to find."""

from dataclasses import dataclass, replace

from tests.model.explorer import END, Outcomes, Process, explore


@dataclass(frozen=True)
class Counter:
    value: int = 0
    read: tuple[int, int] = (0, 0)
    locked: bool = False


def incrementing(me: int, *, with_lock: bool) -> Process[Counter]:
    """Return a process that reads the counter, and then writes one more."""

    def acquire(m: Counter) -> Outcomes[Counter]:
        return [] if m.locked else [(replace(m, locked=True), "read")]

    def read(m: Counter) -> Outcomes[Counter]:
        seen = (m.value, m.read[1]) if me == 0 else (m.read[0], m.value)
        return [(replace(m, read=seen), "write")]

    def write(m: Counter) -> Outcomes[Counter]:
        after = replace(m, value=m.read[me] + 1)
        return [(after, "release" if with_lock else END)]

    def release(m: Counter) -> Outcomes[Counter]:
        return [(replace(m, locked=False), END)]

    steps = {"acquire": acquire, "read": read, "write": write, "release": release}
    if not with_lock:
        del steps["acquire"], steps["release"]
    return Process(f"incrementing {me}", steps)


def both_counted(m: Counter) -> str | None:
    return None if m.value == 2 else f"an increment was lost: {m.value}"


def test_a_lost_update_is_found_with_its_shortest_interleaving() -> None:
    processes = [incrementing(me, with_lock=False) for me in (0, 1)]

    found = explore(Counter(), processes, finally_=both_counted).counter_example

    assert found is not None
    assert found.claim == "an increment was lost: 1"
    assert len(found.trace) == 4
    assert sorted(found.trace[:2]) == [
        "incrementing 0: read -> write",
        "incrementing 1: read -> write",
    ]
    assert "1. incrementing" in str(found)


def test_with_a_lock_no_update_is_lost() -> None:
    processes = [incrementing(me, with_lock=True) for me in (0, 1)]

    explored = explore(Counter(), processes, finally_=both_counted)

    assert explored.counter_example is None


def test_every_interleaving_is_run_through() -> None:
    def step(m: frozenset[str], mine: str) -> Outcomes[frozenset[str]]:
        return [(m | {mine}, END)]

    processes = [Process(name, {"go": lambda m, name=name: step(m, name)}) for name in "abc"]

    explored = explore(frozenset[str](), processes)

    assert explored.states == 2**3


def test_a_claim_that_a_passing_state_breaks_is_found() -> None:
    def up(m: int) -> Outcomes[int]:
        return [(m + 1, "down")]

    def down(m: int) -> Outcomes[int]:
        return [(m - 1, END)]

    process = Process("hill", {"up": up, "down": down})

    found = explore(0, [process], always=lambda m: "too high" if m > 0 else None).counter_example

    assert found is not None
    assert (found.claim, found.trace) == ("too high", ["hill: up -> down"])


def test_a_deadlock_is_found_and_names_who_is_stuck() -> None:
    def take(first: str, second: str) -> Process[frozenset[str]]:
        def acquire(lock: str, goto: str) -> dict:
            return lambda m: [] if lock in m else [(m | {lock}, goto)]  # type: ignore[return-value]

        def release(m: frozenset[str]) -> Outcomes[frozenset[str]]:
            return [(m - {first, second}, END)]

        return Process(
            f"{first} then {second}",
            {"one": acquire(first, "two"), "two": acquire(second, "three"), "three": release},  # type: ignore[dict-item]
        )

    found = explore(frozenset[str](), [take("a", "b"), take("b", "a")]).counter_example

    assert found is not None
    assert found.claim == "deadlock: a then b, b then a"


def test_a_step_with_two_outcomes_is_followed_both_ways() -> None:
    process = Process("coin", {"toss": lambda m: [("heads", END), ("tails", END)]})

    claims = [
        explore("", [process], finally_=lambda m, side=side: side if m == side else None)
        for side in ("heads", "tails")
    ]

    assert [found.counter_example.memory for found in claims if found.counter_example] == [
        "heads",
        "tails",
    ]
