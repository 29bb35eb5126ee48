"""Closing a mailbox loses no message: every interleaving of the protocol in `inlet`."""

from collections.abc import Sequence

import pytest

from tests.model.closing import (
    BUGS,
    MARKER,
    Memory,
    abandoner,
    closer,
    finalizer,
    receiver,
    sender,
)
from tests.model.explorer import Explored, Process, explore

TWO_SENDERS = (("sender a", ("a1", "a2")), ("sender b", ("b1",)))


def each_once(m: Memory) -> str | None:
    """Every accepted message was received or is dead, once; no refused one is either."""
    if lost := m.accepted - set(m.received) - set(m.dead):
        return f"lost: {sorted(lost)}"
    if len({*m.received, *m.dead}) != len(m.received) + len(m.dead):
        return "doubled"
    if m.late:
        return "taken after `shut` had returned"
    if m.refused & {*m.received, *m.dead}:
        return "refused and yet taken in"
    for name, messages in TWO_SENDERS:
        of_one = [message for message in m.received if message in messages]
        if of_one != sorted(of_one):
            return f"out of order: {name}"
    return None


def each_once_and_none_stolen(m: Memory) -> str | None:
    """The same; and what was accepted before the mailbox was closed was received."""
    if stolen := m.before_close & set(m.dead):
        return f"stolen: {sorted(stolen)}"
    if set(m.queue) - {MARKER}:
        return f"left behind: {m.queue}"
    return each_once(m)


def senders(*bugs: str) -> list[Process[Memory]]:
    return [sender(name, messages, *bugs) for name, messages in TWO_SENDERS]


def closing(*bugs: str, closers: int = 1) -> Explored[Memory]:
    """Explore two senders, a receiver that drains, and those who close."""
    ends = [closer(f"closer {number}", *bugs) for number in range(closers)]
    processes = [*senders(*bugs), receiver(*bugs), *ends]
    return explore(Memory(), processes, finally_=each_once_and_none_stolen)


def abandoning(*bugs: str, most: int) -> Explored[Memory]:
    """Explore two senders, a closer, and a receiver that ends after some messages and abandons."""
    processes = [*senders(*bugs), receiver(*bugs, most=most)]
    if most == 0:
        processes.append(closer("closer", *bugs))
    return explore(Memory(), processes, finally_=each_once)


def test_closing_loses_doubles_and_steals_no_message_and_leaves_nobody_waiting() -> None:
    explored = closing()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 1000


def test_two_who_close_at_once_lose_nothing_either() -> None:
    explored = closing(closers=2)

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize("direct", [1, 2])
def test_senders_that_look_at_the_inlet_itself_lose_nothing_either(direct: int) -> None:
    processes = [
        *(
            sender(name, messages, direct=number < direct)
            for number, (name, messages) in enumerate(TWO_SENDERS)
        ),
        receiver(),
        closer("closer"),
    ]

    explored = explore(Memory(), processes, finally_=each_once_and_none_stolen)

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_receiver_that_ends_early_and_abandons_loses_and_doubles_no_message(most: int) -> None:
    explored = abandoning(most=most)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


def test_a_mailbox_that_is_abandoned_under_its_receiver_loses_and_doubles_nothing() -> None:
    processes = [*senders(), receiver(), abandoner("owner")]

    explored = explore(Memory(), processes, finally_=each_once)

    assert explored.counter_example is None, str(explored.counter_example)


def test_a_mailbox_that_is_closed_and_abandoned_at_once_loses_and_doubles_nothing() -> None:
    processes = [
        sender("sender a", ("a1",)),
        sender("sender b", ("b1",)),
        receiver(),
        closer("closer"),
        abandoner("owner"),
    ]

    explored = explore(Memory(), processes, finally_=each_once)

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize(
    ("bug", "claim"),
    [
        ("sender does not read done", "lost"),
        ("sender reads done before it puts", "lost"),
        ("receiver takes no last look", "lost"),
        ("sender sweeps on closed", "stolen"),
        ("a new input does not look", "taken after"),
        ("the input is not told of done", "lost"),
        ("the last look comes before the input is told", "lost"),
    ],
)
def test_a_seeded_bug_of_closing_is_caught(bug: str, claim: str) -> None:
    found = closing(bug).counter_example

    assert found is not None, BUGS[bug]
    assert found.claim.startswith((claim, "left behind")), str(found)


def test_the_seeded_bug_of_two_ends_at_once_needs_both_of_them() -> None:
    bug = "shut writes back an old done"

    alone = closing(bug).counter_example
    found = closing(bug, closers=2).counter_example

    assert alone is None
    assert found is not None, BUGS[bug]
    assert found.claim.startswith(("lost", "left behind")), str(found)


def test_a_sweep_that_forgets_the_end_marker_leaves_the_receiver_waiting() -> None:
    bug = "sweep forgets the end marker"
    processes = [receiver(bug), abandoner("owner", bug)]

    found = explore(Memory(), processes, finally_=each_once).counter_example

    assert found is not None, BUGS[bug]
    assert found.claim == "deadlock: receiver"


def test_a_sender_that_does_not_read_done_loses_messages_of_an_abandoned_mailbox_too() -> None:
    found = abandoning("sender does not read done", most=0).counter_example

    assert found is not None
    assert found.claim.startswith("lost"), str(found)


GIVEN_BACK = Memory(accepted=frozenset({"f"}))
"""A future holds the accepted message `f`, and is going to be dropped."""


def giving_back(*bugs: str, ends: Sequence[Process[Memory]]) -> Explored[Memory]:
    """Explore a sender, a receiver, a finalizer that gives a message back, and those who end it."""
    processes = [sender("sender b", ("b1",), *bugs), receiver(*bugs), finalizer("f", *bugs), *ends]
    return explore(GIVEN_BACK, processes, finally_=each_once)


@pytest.mark.parametrize(
    "ends", [[closer("closer")], [abandoner("owner")]], ids=["close", "abandon"]
)
def test_a_message_that_is_given_back_while_the_mailbox_ends_is_received_or_dead_once(
    ends: list[Process[Memory]],
) -> None:
    explored = giving_back(ends=ends)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 1000


def test_a_message_that_is_given_back_while_two_end_the_mailbox_is_received_or_dead_once() -> None:
    processes = [receiver(), finalizer("f"), closer("closer"), abandoner("owner")]

    explored = explore(GIVEN_BACK, processes, finally_=each_once)

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize("bug", ["a marker always means the end", "give_back does not read done"])
def test_a_seeded_bug_of_giving_back_is_caught(bug: str) -> None:
    found = giving_back(bug, ends=[closer("closer")]).counter_example

    assert found is not None, BUGS[bug]
    assert found.claim.startswith("lost: ['f']"), str(found)


def test_a_marker_that_comes_before_what_is_given_back_is_taken_for_the_end() -> None:
    bug = "the marker comes before what is given back"
    processes = [sender("sender b", ("b1",)), receiver(), finalizer("f", bug), closer("closer")]

    def never_done_while_open(m: Memory) -> str | None:
        return "ended while it was open" if m.ending and not m.closed else None

    found = explore(GIVEN_BACK, processes, always=never_done_while_open).counter_example
    sound = explore(
        GIVEN_BACK,
        [*processes[:2], finalizer("f"), processes[3]],
        always=never_done_while_open,
    ).counter_example

    assert found is not None, BUGS[bug]
    assert sound is None
