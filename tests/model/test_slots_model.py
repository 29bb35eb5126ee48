"""The free slots of a bounded mailbox: every interleaving of the protocol in `slots`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

MARKER: Final = "the end marker"


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    limit: int
    unissued: int
    free: int = 0
    queue: tuple[str, ...] = ()
    open: bool = True
    closed: bool = False
    held: int = 0
    """Slots in senders' hands: taken, and their message not yet put."""
    receiving: int = 0
    """Messages in the receiver's hand: taken, and their slot not yet freed."""
    accepted: frozenset[str] = frozenset()
    refused_with_room: frozenset[str] = frozenset()
    received: tuple[str, ...] = ()

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        return len([item for item in self.queue if item != MARKER])


def sender(  # noqa: C901 - a step each, and they share their names
    me: str, *bugs: str, timeout: str = "none"
) -> Process[Memory]:
    """Return a process that delivers one message.

    `timeout` is `none` for a sender that waits for ever, `zero` for one that does not wait, and
    `runs out` for one whose wait may end at any moment.
    """

    def take(m: Memory) -> Outcomes[Memory]:
        if m.free:
            return [(replace(m, free=m.free - 1, held=m.held + 1), "check")]
        return [(m, "issue")]

    def issue(m: Memory) -> Outcomes[Memory]:
        if not m.unissued:
            return [(m, "look")]
        batch = min(m.unissued, max(1, m.limit - m.unissued))
        after = replace(m, unissued=m.unissued - batch, held=m.held + 1)
        if "slots are issued outside the lock" in bugs and batch > 1:
            return [(after, f"free {batch - 1}")]
        return [(replace(after, free=m.free + batch - 1), "check")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, END if m.closed else "wait")]

    def wait(m: Memory) -> Outcomes[Memory]:
        got = [(replace(m, free=m.free - 1, held=m.held + 1), "check")] if m.free else []
        in_vain = timeout == "runs out" or (timeout == "zero" and not m.free)
        if not in_vain:
            return got
        room = m.waiting + m.held + m.receiving < m.limit and not m.closed and timeout == "zero"
        after = replace(m, refused_with_room=m.refused_with_room | {me}) if room else m
        return [*got, (after, END)]

    def check(m: Memory) -> Outcomes[Memory]:
        return [(m, "put" if m.open else "free")]

    def put(m: Memory) -> Outcomes[Memory]:
        after = replace(m, queue=(*m.queue, me), held=m.held - 1, accepted=m.accepted | {me})
        return [(after, END)]

    def free(m: Memory) -> Outcomes[Memory]:
        kept = "a sender that finds the mailbox closed keeps its slot" in bugs
        return [(replace(m, held=m.held - 1, free=m.free if kept else m.free + 1), END)]

    def freeing(left: int) -> Step[Memory]:
        goto = f"free {left - 1}" if left > 1 else "check"
        return lambda m: [(replace(m, free=m.free + 1), goto)]

    steps: dict[str, Step[Memory]] = {
        "take": take,
        "issue": issue,
        "look": look,
        "wait": wait,
        "check": check,
        "put": put,
        "free": free,
    }
    return Process(me, steps | {f"free {left}": freeing(left) for left in (1, 2, 3)})


def receiver(*bugs: str, most: int | None = None) -> Process[Memory]:
    """Return a process that receives until the end, or `most` messages."""
    early = "the receiver frees the slot before it takes the message" in bugs

    def take(m: Memory) -> Outcomes[Memory]:
        if not m.queue:
            return []
        item, *rest = m.queue
        if item == MARKER:
            return [(replace(m, queue=tuple(rest)), "drain")]
        after = replace(m, queue=tuple(rest), received=(*m.received, item))
        if early:
            return [(after, "free first")]
        return [(replace(after, receiving=1), "free")]

    def free(m: Memory) -> Outcomes[Memory]:
        goto = END if len(m.received) == most else "take"
        return [(replace(m, free=m.free + 1, receiving=0), goto)]

    def free_first(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, free=m.free + 1), "take")] if m.queue else []

    def drain(m: Memory) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, END)]
        after = replace(m, queue=m.queue[1:], received=(*m.received, m.queue[0]))
        return [(replace(after, free=m.free + 1), "drain")]

    first: Mapping[str, Step[Memory]] = {"free first": free_first} if early else {}
    return Process("receiver", {**first, "take": take, "free": free, "drain": drain})


def closer(*bugs: str) -> Process[Memory]:
    """Return a process that closes the mailbox."""

    def refuse(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, open=False), "say closed")]

    def say_closed(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, closed=True), "put marker")]

    def put_marker(m: Memory) -> Outcomes[Memory]:
        goto = END if "closing frees no slot" in bugs else "free"
        return [(replace(m, queue=(*m.queue, MARKER)), goto)]

    def free(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, free=m.free + 1), END)]

    steps = {"refuse": refuse, "say closed": say_closed, "put marker": put_marker, "free": free}
    return Process("closer", steps)


def within_the_limit(m: Memory) -> str | None:
    """Never more messages wait than the limit, and nobody is refused while there is room."""
    if m.waiting > m.limit:
        return f"too many: {m.queue}"
    if m.refused_with_room:
        return f"refused while there was room: {sorted(m.refused_with_room)}"
    return None


def exactly_the_limit(m: Memory) -> str | None:
    """No slot was lost or made while the mailbox was open."""
    slots = m.unissued + m.free + m.waiting
    return None if m.closed or slots == m.limit else f"{slots} slots for a limit of {m.limit}"


def run(limit: int, *processes: Process[Memory]) -> Explored[Memory]:
    memory = Memory(limit=limit, unissued=limit)
    return explore(memory, processes, always=within_the_limit, finally_=exactly_the_limit)


def senders(count: int, *bugs: str, timeout: str = "none") -> list[Process[Memory]]:
    return [sender(f"sender {number}", *bugs, timeout=timeout) for number in range(count)]


@pytest.mark.parametrize("timeout", ["none", "runs out", "zero"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("limit", [1, 2])
def test_every_sender_wakes_when_the_mailbox_is_closed_and_never_too_many_messages_wait(
    limit: int, count: int, timeout: str
) -> None:
    explored = run(limit, *senders(count, timeout=timeout), receiver(), closer())

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


@pytest.mark.parametrize("count", [2, 3])
def test_every_sender_wakes_when_a_mailbox_is_closed_that_nobody_receives_from(count: int) -> None:
    explored = run(1, *senders(count), closer())

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize("timeout", ["none", "runs out", "zero"])
def test_an_open_mailbox_gains_and_loses_no_slot(timeout: str) -> None:
    taking = receiver(most=2) if timeout == "none" else None
    processes = senders(3, timeout=timeout)
    if taking is not None:
        processes.append(taking)

    explored = run(1, *processes)

    assert explored.counter_example is None, str(explored.counter_example)


def test_nobody_is_refused_while_there_is_room_although_slots_are_issued_bit_by_bit() -> None:
    explored = run(4, *senders(4, timeout="zero"))

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize(
    "bug", ["a sender that finds the mailbox closed keeps its slot", "closing frees no slot"]
)
def test_a_seeded_bug_that_leaves_a_sender_waiting_is_caught_as_a_deadlock(bug: str) -> None:
    found = run(1, *senders(3, bug), closer(bug)).counter_example

    assert found is not None
    assert found.claim.startswith("deadlock: sender"), str(found)


def test_a_receiver_that_frees_the_slot_too_early_is_caught_as_breaking_the_limit() -> None:
    bug = "the receiver frees the slot before it takes the message"

    found = run(1, *senders(3, bug), receiver(bug), closer(bug)).counter_example

    assert found is not None
    assert found.claim.startswith("too many"), str(found)


def test_slots_that_are_issued_outside_the_lock_are_caught_as_refusing_while_there_is_room() -> (
    None
):
    found = run(4, *senders(4, "slots are issued outside the lock", timeout="zero")).counter_example

    assert found is not None
    assert found.claim.startswith("refused while there was room"), str(found)
