"""The line of tasks and threads before a full mailbox: every interleaving of what `slots` does.

`test_slots_model` is of senders that wait in the queue of slots; here some stand in the line, too.
"""

from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

LIMIT: Final = 1


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    senders: int
    free: int = 0
    """Slots in the queue."""
    waiting: tuple[str, ...] = ()
    """Threads that wait in the queue, the first one first."""
    handed: frozenset[str] = frozenset()
    """Those of them that were handed a slot, and have not run since."""
    parking: frozenset[str] = frozenset()
    """Threads that count as waiting in the queue."""
    line: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    """Who was told to try again, the mailbox being closed."""
    closed: bool = False
    messages: int = LIMIT
    held: int = 0
    """Slots in hands: a sender's, or the receiver's who has taken a message."""
    ended: int = 0


def put_slot(m: Memory) -> Memory:
    """Put a slot into the queue: it is handed to the first one that waits there."""
    if m.waiting:
        return replace(m, waiting=m.waiting[1:], handed=m.handed | {m.waiting[0]})
    return replace(m, free=m.free + 1)


def tell(m: Memory) -> Memory:
    """Give the free slots to those in the line; one step, since it is under the lock."""
    while m.line and m.free and not m.parking:
        first, *line = m.line
        m = replace(m, free=m.free - 1, line=tuple(line), given=m.given | {first})
    return m


def without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)


def common(me: str, *bugs: str) -> dict[str, Step[Memory]]:
    """Return the steps that tasks and threads share, from the slot in hand on."""

    def put(m: Memory) -> Outcomes[Memory]:
        if m.closed:
            return [(m, "give back")]
        return [(replace(m, held=m.held - 1, messages=m.messages + 1), "ended")]

    def give_back(m: Memory) -> Outcomes[Memory]:
        return [(put_slot(replace(m, held=m.held - 1)), "look and end")]

    def look_and_end(m: Memory) -> Outcomes[Memory]:
        blind = "who gives a slot back does not look at the line" in bugs
        return [(m if blind else tell(m), "ended")]

    def leave(m: Memory) -> Outcomes[Memory]:
        after = replace(m, line=without(m.line, me), given=m.given - {me})
        if me not in m.given or "who leaves keeps what it was given" in bugs:
            return [(after, "ended")]
        return [(replace(after, held=m.held + 1), "give back")]

    def end(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, ended=m.ended + 1), END)]

    def line_look(m: Memory) -> Outcomes[Memory]:
        blind = "a sender does not look for a slot after it got in line" in bugs
        return [(m if blind else tell(m), "line check")]

    def line_check(m: Memory) -> Outcomes[Memory]:
        return [(m, "leave" if m.closed else "stand")]

    return {
        "put": put,
        "give back": give_back,
        "look and end": look_and_end,
        "leave": leave,
        "ended": end,
        "line look": line_look,
        "line check": line_check,
    }


def thread(  # noqa: C901 - a step each, and they share their names
    me: str, *bugs: str, impatient: bool = False
) -> Process[Memory]:
    """Return a thread that sends one message; one that is impatient may give up at any moment."""
    blind = "a thread that leaves the queue does not look at the line" in bugs

    def take(m: Memory) -> Outcomes[Memory]:
        if m.free:
            return [(replace(m, free=m.free - 1, held=m.held + 1), "put")]
        return [(m, "enter")]

    def enter(m: Memory) -> Outcomes[Memory]:
        if m.line or m.given:
            return [(replace(m, line=(*m.line, me)), "line look")]
        return [(replace(m, parking=m.parking | {me}), "check")]

    def check(m: Memory) -> Outcomes[Memory]:
        return [(m, "unpark in vain" if m.closed else "get")]

    def get(m: Memory) -> Outcomes[Memory]:
        if m.free:
            return [(replace(m, free=m.free - 1, held=m.held + 1), "unpark")]
        return [(replace(m, waiting=(*m.waiting, me)), "parked")]

    def parked(m: Memory) -> Outcomes[Memory]:
        if me in m.handed:
            return [(replace(m, handed=m.handed - {me}, held=m.held + 1), "unpark")]
        if impatient:
            return [(replace(m, waiting=without(m.waiting, me)), "unpark in vain")]
        return []

    def unpark(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, parking=m.parking - {me}), "look")]

    def unpark_in_vain(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, parking=m.parking - {me}), "look in vain")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m if blind else tell(m), "put")]

    def look_in_vain(m: Memory) -> Outcomes[Memory]:
        return [(m if blind else tell(m), "ended")]

    def stand(m: Memory) -> Outcomes[Memory]:
        if me in m.given:
            return [(replace(m, given=m.given - {me}, held=m.held + 1), "put")]
        return [(m, "leave")] if me in m.told or impatient else []

    steps = {
        "take": take,
        "enter": enter,
        "check": check,
        "get": get,
        "parked": parked,
        "unpark": unpark,
        "unpark in vain": unpark_in_vain,
        "look": look,
        "look in vain": look_in_vain,
        "stand": stand,
    }
    return Process(me, steps | common(me, *bugs))


def task(me: str, *bugs: str, cancelled: bool = False) -> Process[Memory]:
    """Return a task that sends one message; it may be cancelled at any moment at which it waits."""

    def take(m: Memory) -> Outcomes[Memory]:
        if m.free:
            return [(replace(m, free=m.free - 1, held=m.held + 1), "put")]
        return [(m, "ask")]

    def ask(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, line=(*m.line, me)), "line look")]

    def stand(m: Memory) -> Outcomes[Memory]:
        can = [(m, "leave")] if cancelled or me in m.told else []
        return [*can, (m, "offer")] if me in m.given else can

    def offer(m: Memory) -> Outcomes[Memory]:
        # What came free meanwhile is taken first; what was given is passed on.
        if m.free:
            return [(replace(m, free=m.free - 1, held=m.held + 1), "pass on")]
        return [(replace(m, given=m.given - {me}, held=m.held + 1), "put")]

    def pass_on(m: Memory) -> Outcomes[Memory]:
        return [(tell(put_slot(replace(m, given=m.given - {me}))), "put")]

    steps = {"take": take, "ask": ask, "stand": stand, "offer": offer, "pass on": pass_on}
    return Process(me, steps | common(me, *bugs))


def receiver(*bugs: str) -> Process[Memory]:
    """Return a process that receives until all senders have ended."""

    def take(m: Memory) -> Outcomes[Memory]:
        if m.messages:
            return [(replace(m, messages=m.messages - 1, held=m.held + 1), "free")]
        return [(m, END)] if m.ended == m.senders else []

    def free(m: Memory) -> Outcomes[Memory]:
        return [(put_slot(replace(m, held=m.held - 1)), "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        blind = "the receiver does not look at the line" in bugs
        return [(m if blind else tell(m), "take")]

    return Process("receiver", {"take": take, "free": free, "look": look})


def closer(*bugs: str) -> Process[Memory]:
    """Return a process that closes the mailbox, which has one slot more then."""

    def say_closed(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, closed=True), "put slot")]

    def slot(m: Memory) -> Outcomes[Memory]:
        return [(put_slot(m), "tell all")]

    def tell_all(m: Memory) -> Outcomes[Memory]:
        if "closing tells nobody in the line" in bugs:
            return [(m, END)]
        return [(replace(m, told=m.told | set(m.line)), END)]

    return Process("closer", {"say closed": say_closed, "put slot": slot, "tell all": tell_all})


def no_slot_is_lost_or_made(m: Memory) -> str | None:
    """Of an open mailbox; and of a closed one there is one more, once that was put."""
    slots = m.free + len(m.handed) + len(m.given) + m.messages + m.held
    if slots == LIMIT or (m.closed and slots == LIMIT + 1):
        return None
    return f"{slots} slots for a limit of {LIMIT}"


def nobody_is_left(m: Memory) -> str | None:
    """At the end the line is empty, and no thread counts as waiting."""
    left = (*m.line, *m.given, *m.parking, *m.waiting, *m.handed)
    return f"left: {left}" if left else None


def run(*processes: Process[Memory]) -> Explored[Memory]:
    senders = sum("sender" in process.name for process in processes)
    return explore(
        Memory(senders), processes, always=no_slot_is_lost_or_made, finally_=nobody_is_left
    )


def of_both_kinds(*bugs: str, impatient: bool = False) -> list[Process[Memory]]:
    return [
        thread("sender 1, a thread", *bugs, impatient=impatient),
        thread("sender 2, a thread", *bugs),
        task("sender 3, a task", *bugs, cancelled=impatient),
    ]


@pytest.mark.parametrize("impatient", [False, True])
def test_every_sender_gets_its_slot_and_none_is_lost(
    impatient: bool,  # noqa: FBT001 - a case
) -> None:
    explored = run(*of_both_kinds(impatient=impatient), receiver())

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 500


@pytest.mark.parametrize("impatient", [False, True])
def test_two_tasks_and_a_thread_get_their_slots_and_none_is_lost(
    impatient: bool,  # noqa: FBT001 - a case
) -> None:
    explored = run(
        thread("sender 1, a thread"),
        task("sender 2, a task", cancelled=impatient),
        task("sender 3, a task"),
        receiver(),
    )

    assert explored.counter_example is None, str(explored.counter_example)


def test_closing_wakes_every_sender_of_a_mailbox_that_nobody_receives_from() -> None:
    explored = run(*of_both_kinds(), closer())

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize("impatient", [False, True])
def test_closing_wakes_every_sender_beside_a_receiver(
    impatient: bool,  # noqa: FBT001 - a case
) -> None:
    explored = run(
        thread("sender 1, a thread", impatient=impatient),
        task("sender 2, a task", cancelled=impatient),
        closer(),
        receiver(),
    )

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize(
    "bug",
    [
        "the receiver does not look at the line",
        "a sender does not look for a slot after it got in line",
    ],
)
def test_a_seeded_bug_that_leaves_a_sender_waiting_is_caught_as_a_deadlock(bug: str) -> None:
    found = run(*of_both_kinds(bug), receiver(bug)).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock: sender"), str(found)


def test_a_thread_that_leaves_the_queue_without_a_look_at_the_line_is_caught_as_a_deadlock() -> (
    None
):
    bug = "a thread that leaves the queue does not look at the line"

    found = run(
        thread("sender 1, a thread", bug, impatient=True), task("sender 2, a task"), receiver()
    ).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock: sender 2"), str(found)


def test_one_who_gives_a_slot_back_without_a_look_at_the_line_is_caught_as_a_deadlock() -> None:
    bug = "who gives a slot back does not look at the line"

    found = run(
        task("sender 1, a task", bug, cancelled=True), task("sender 2, a task", bug), receiver(bug)
    ).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock: sender 2"), str(found)


def test_one_who_leaves_with_a_slot_is_caught_as_losing_it() -> None:
    bug = "who leaves keeps what it was given"

    found = run(*of_both_kinds(bug, impatient=True), receiver(bug)).counter_example

    assert found is not None
    assert found.claim.startswith("0 slots"), str(found)


def test_closing_without_a_word_to_the_line_is_caught_as_a_deadlock() -> None:
    bug = "closing tells nobody in the line"

    found = run(*of_both_kinds(bug), closer(bug)).counter_example

    assert found is not None
    assert "sender" in found.claim, str(found)
