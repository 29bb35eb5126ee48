"""A lane lies down as a message comes for it; every interleaving of `pool.census`.

The dispatcher, two senders, and the thread that runs the lane.
"""

from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, explore


@dataclass(frozen=True)
class Memory:
    """What the threads share: the lane's lock and flags, its queue, and who counts as awake."""

    held: bool = False
    idle: bool = True
    queue: int = 0
    scheduled: bool = False
    dormant: bool = False
    listed: bool = True
    handled: int = 0


def attending(name: str, then: str, *bugs: str) -> dict[str, object]:
    """Return the steps of `Lane.attend`, and of waking up."""

    def try_lock(m: Memory) -> Outcomes[Memory]:
        if m.held:
            return [(m, then)]
        return [(replace(m, held=True), f"{name}: busy")]

    def busy(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, idle=False), f"{name}: schedule")]

    def schedule(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, scheduled=True), f"{name}: dormant?")]

    def look(m: Memory) -> Outcomes[Memory]:
        rouses = m.dormant and "nobody wakes it" not in bugs
        return [(m, f"{name}: rouse" if rouses else then)]

    def rouse(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, dormant=False, listed=True), then)]

    return {
        f"{name}: lock": try_lock,
        f"{name}: busy": busy,
        f"{name}: schedule": schedule,
        f"{name}: dormant?": look,
        f"{name}: rouse": rouse,
    }


def sender(name: str, *bugs: str) -> Process[Memory]:
    """Return a thread that sends one message."""

    def put(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, queue=m.queue + 1), "idle?")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, f"{name}: lock" if m.idle else END)]

    return Process(name, {"put": put, "idle?": look, **attending(name, END, *bugs)})  # type: ignore[dict-item]


def dispatcher(*bugs: str) -> Process[Memory]:
    """Return the thread that has idle lanes lie down."""

    def lock(m: Memory) -> Outcomes[Memory]:
        if m.held or not m.idle:
            return [(m, END)]
        return [(replace(m, held=True), "empty?")]

    def empty(m: Memory) -> Outcomes[Memory]:
        if (m.queue and "no look into the queue" not in bugs) or not m.idle:
            return [(m, "release")]
        return [(m, "lie down")]

    def lie_down(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, dormant=True, listed=False), "release")]

    def release(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, held=False), END if "no second look" in bugs else "look again")]

    def look_again(m: Memory) -> Outcomes[Memory]:
        return [(m, "it: lock" if m.idle and m.queue else END)]

    return Process(
        "dispatcher",
        {
            "lock": lock,
            "empty?": empty,
            "lie down": lie_down,
            "release": release,
            "look again": look_again,
            **attending("it", END, *bugs),  # type: ignore[dict-item]
        },
    )


def runner() -> Process[Memory]:
    """Return the thread that takes the lane's turns, each of one message."""

    def turn(m: Memory) -> Outcomes[Memory]:
        ends = [(m, END)] if not m.scheduled else []
        if not m.scheduled:
            # It waits for a turn; where none comes any more, it is not asked again.
            return ends
        handled = min(1, m.queue)
        return [(replace(m, queue=m.queue - handled, handled=m.handled + handled), "let go?")]

    def let_go(m: Memory) -> Outcomes[Memory]:
        if m.queue:
            return [(m, "turn")]
        return [(replace(m, scheduled=False, idle=True), "release")]

    def release(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, held=False), "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "it: lock" if m.idle and m.queue else "wait")]

    def wait(m: Memory) -> Outcomes[Memory]:
        # For good, or until there is a turn again.
        return [(m, "turn")] if m.scheduled else [(m, END)]

    return Process(
        "runner",
        {
            "wait first": lambda m: [(m, "turn")] if m.scheduled else [],
            "turn": turn,
            "let go?": let_go,
            "release": release,
            "look": look,
            "wait": wait,
            **attending("it", "wait"),  # type: ignore[dict-item]
        },
    )


def counted_while_it_waits(m: Memory) -> str | None:
    """A message that is scheduled counts, but for the moment in which its sender wakes the lane."""
    if m.dormant and m.listed:
        return "it is in both"
    return None


def none_is_forgotten(m: Memory) -> str | None:
    """Each message was handled, or waits for a turn that will come; and such a lane counts."""
    if m.queue and not m.scheduled:
        return f"a message waits for ever: {m}"
    if m.queue and not m.listed:
        return f"a message waits and is not counted: {m}"
    return None


def run(*bugs: str) -> Explored[Memory]:
    return explore(
        Memory(),
        [sender("one", *bugs), sender("two", *bugs), dispatcher(*bugs), runner()],
        always=counted_while_it_waits,
        finally_=none_is_forgotten,
    )


def test_no_message_is_forgotten_or_left_uncounted() -> None:
    explored = run()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 300


@pytest.mark.parametrize(
    ("bug", "claim"),
    [
        ("no second look", "deadlock: runner"),
        ("nobody wakes it", "a message waits and is not counted"),
    ],
)
def test_a_step_that_is_left_out_is_missed(bug: str, claim: str) -> None:
    found = run(bug).counter_example

    assert found is not None
    assert found.claim.startswith(claim), str(found)
