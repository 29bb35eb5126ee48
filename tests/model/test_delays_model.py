"""Lanes that wait for a time: every interleaving of two that begin to wait, a cancel, and the time.

As `keyed.delays` has it. Lane "b"'s future is cancelled; "a" and "b" wait for the same time.
"""

from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, explore

_MOST = 3
"""How many times there are at most, one after the other in the same place."""

_BOTH = frozenset({"a", "b"})


@dataclass(frozen=True)
class Memory:
    """What the threads share."""

    place: int = -1
    """The time that a lane finds; below 0 for none."""
    made: int = 0
    lanes: tuple[frozenset[str], ...] = (frozenset[str](),) * _MOST
    over: tuple[bool, ...] = (False,) * _MOST
    timers: frozenset[int] = frozenset()
    held: int = -1
    """The time that the future of "b" knows of."""
    found: tuple[tuple[str, int], ...] = ()
    """The time that each thread has in hand."""
    cancelled: bool = False
    now: bool = False
    """Whether the time has come."""
    scheduled: frozenset[str] = _BOTH
    twice: bool = False
    done: frozenset[str] = frozenset()


def in_hand(m: Memory, thread: str) -> int:
    return dict(m.found)[thread]


def taking(m: Memory, thread: str, time: int) -> Memory:
    return replace(m, found=tuple(sorted({**dict(m.found), thread: time}.items())))


def forgetting(m: Memory, thread: str) -> Memory:
    return replace(m, found=tuple(each for each in m.found if each[0] != thread))


def schedule(m: Memory, lane: str) -> Memory:
    return replace(m, scheduled=m.scheduled | {lane}, twice=m.twice or lane in m.scheduled)


def without(m: Memory, time: int, lane: str) -> Memory:
    lanes = [each - {lane} if at == time else each for at, each in enumerate(m.lanes)]
    return replace(m, lanes=tuple(lanes))


def end(m: Memory, time: int) -> Memory:
    return replace(m, over=tuple(each or at == time for at, each in enumerate(m.over)))


def turn(  # noqa: C901 - small steps
    lane: str, number: int, *bugs: str
) -> Process[Memory]:
    """Return a thread that takes one turn of the lane."""
    me = f"{lane}{number}"

    def take(m: Memory) -> Outcomes[Memory]:
        if lane in m.done:
            return [(m, END)]
        if lane not in m.scheduled:
            return []
        m = replace(m, scheduled=m.scheduled - {lane})
        if m.now or (lane == "b" and m.cancelled):
            return [(replace(m, done=m.done | {lane}), END)]
        return [(m, "look up")]

    def look_up(m: Memory) -> Outcomes[Memory]:
        # Nobody reads what the future of "a" waits for.
        then = "write" if lane == "b" else "add"
        if m.place >= 0:
            return [(taking(m, me, m.place), then)]
        new = m.made
        m = replace(m, place=new, made=new + 1, timers=m.timers | {new})
        return [(taking(m, me, new), then)]

    def write(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, held=in_hand(m, me)), "add")]

    def add(m: Memory) -> Outcomes[Memory]:
        time = in_hand(m, me)
        lanes = [each | {lane} if at == time else each for at, each in enumerate(m.lanes)]
        after = replace(m, lanes=tuple(lanes))
        return [(forgetting(after, me), END) if "looks no more" in bugs else (after, "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        if m.over[in_hand(m, me)]:
            return [(m, "pop")]
        return [(m, "look again") if lane == "b" else (forgetting(m, me), END)]

    def look_again(m: Memory) -> Outcomes[Memory]:
        return [(m, "pop") if m.cancelled else (forgetting(m, me), END)]

    def pop(m: Memory) -> Outcomes[Memory]:
        time = in_hand(m, me)
        after = forgetting(without(m, time, lane), me)
        if lane in m.lanes[time]:
            return [(after, "schedule")]
        return [(schedule(m, lane) if "does not look what it got" in bugs else after, END)]

    def have_it_go_on(m: Memory) -> Outcomes[Memory]:
        return [(schedule(m, lane), END)]

    return Process(
        me,
        {
            "take": take,
            "look up": look_up,
            "write": write,
            "add": add,
            "look": look,
            "look again": look_again,
            "pop": pop,
            "schedule": have_it_go_on,
        },
    )


def cancelling(*bugs: str) -> Process[Memory]:  # noqa: C901 - small steps
    """Return the thread that cancels the future of "b"."""

    def cancel(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, cancelled=True), "read")]

    def read(m: Memory) -> Outcomes[Memory]:
        if m.held < 0:
            return [(m, END)]
        return [(taking(m, "canceller", m.held), "pop")]

    def pop(m: Memory) -> Outcomes[Memory]:
        time = in_hand(m, "canceller")
        if "b" not in m.lanes[time]:
            return [(forgetting(m, "canceller"), END)]
        return [(without(m, time, "b"), "schedule")]

    def have_it_go_on(m: Memory) -> Outcomes[Memory]:
        return [(schedule(m, "b"), "any left")]

    def any_left(m: Memory) -> Outcomes[Memory]:
        if m.lanes[in_hand(m, "canceller")]:
            return [(forgetting(m, "canceller"), END)]
        return [(m, "take away")]

    def take_away(m: Memory) -> Outcomes[Memory]:
        mine = m.place == in_hand(m, "canceller")
        after = replace(m, place=-1) if mine else m
        return [(after, "is over")]

    def end_it(m: Memory) -> Outcomes[Memory]:
        after = m if "does not end it" in bugs else end(m, in_hand(m, "canceller"))
        return [(after, "let go" if "leaves what came meanwhile" in bugs else "pop others")]

    def pop_others(m: Memory) -> Outcomes[Memory]:
        time = in_hand(m, "canceller")
        if not m.lanes[time]:
            return [(m, "let go")]
        lane = min(m.lanes[time])
        return [(schedule(without(m, time, lane), lane), "pop others")]

    def let_go(m: Memory) -> Outcomes[Memory]:
        """Let go of the timer: the thread that has the timers does so, when it looks."""
        time = in_hand(m, "canceller")
        if m.over[time] or "does not end it" in bugs:
            return [(m, "look at lanes")]
        return [(forgetting(m, "canceller"), END)]

    def look_at_lanes(m: Memory) -> Outcomes[Memory]:
        if m.lanes[in_hand(m, "canceller")]:
            return [(forgetting(m, "canceller"), END)]
        return [(m, "drop")]

    def drop(m: Memory) -> Outcomes[Memory]:
        time = in_hand(m, "canceller")
        return [(forgetting(replace(m, timers=m.timers - {time}), "canceller"), END)]

    return Process(
        "canceller",
        {
            "cancel": cancel,
            "read": read,
            "pop": pop,
            "schedule": have_it_go_on,
            "any left": any_left,
            "take away": take_away,
            "is over": end_it,
            "pop others": pop_others,
            "let go": let_go,
            "look at lanes": look_at_lanes,
            "drop": drop,
        },
    )


def clock(*bugs: str) -> Process[Memory]:
    """Return the thread that has the timers."""

    def wait(m: Memory) -> Outcomes[Memory]:
        # Also before there is any: what comes later is due at once.
        return [(replace(m, now=True), "fire")]

    def fire(m: Memory) -> Outcomes[Memory]:
        if m.done == _BOTH:
            return [(m, END)]
        return [
            (taking(replace(m, timers=m.timers - {time}), "clock", time), "take away")
            for time in sorted(m.timers)[:1]
        ]

    def take_away(m: Memory) -> Outcomes[Memory]:
        mine = m.place == in_hand(m, "clock")
        return [(replace(m, place=-1) if mine else m, "is over")]

    def end_it(m: Memory) -> Outcomes[Memory]:
        return [(m if "is not over" in bugs else end(m, in_hand(m, "clock")), "pop")]

    def pop(m: Memory) -> Outcomes[Memory]:
        time = in_hand(m, "clock")
        if not m.lanes[time]:
            return [(forgetting(m, "clock"), "fire")]
        lane = min(m.lanes[time])
        return [(schedule(without(m, time, lane), lane), "pop")]

    return Process(
        "clock", {"wait": wait, "fire": fire, "take away": take_away, "is over": end_it, "pop": pop}
    )


def fault(m: Memory) -> str | None:
    """Return what must never be."""
    if m.twice:
        return "a lane is in two hands"
    in_hands = {time for _, time in m.found}
    counted = {m.place, *in_hands}
    if any(lanes for time, lanes in enumerate(m.lanes) if time not in counted):
        return "a lane waits where nothing counts it"
    return None


def run(of_turns: str = "", of_cancelling: str = "", of_clock: str = "") -> Explored[Memory]:
    return explore(
        Memory(),
        [
            *(turn("a", number, of_turns) for number in range(3)),
            *(turn("b", number, of_turns) for number in range(2)),
            cancelling(of_cancelling),
            clock(of_clock),
        ],
        always=fault,
        finally_=lambda m: None if m.done == _BOTH else "a lane waits for ever",
    )


def test_each_lane_goes_on_once() -> None:
    explored = run()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 1000


@pytest.mark.parametrize(
    ("of_turns", "of_cancelling", "of_clock"),
    [
        ("looks no more", "", ""),
        ("does not look what it got", "", ""),
        ("", "does not end it", ""),
        ("", "leaves what came meanwhile", ""),
        ("", "", "is not over"),
    ],
)
def test_each_step_is_needed(of_turns: str, of_cancelling: str, of_clock: str) -> None:
    found = run(of_turns, of_cancelling, of_clock).counter_example

    assert found is not None
