"""The end of a worker of which no caller is to be told: `Roster.end`, every interleaving.

Beside it a sender that has found the worker in the table, a caller that begins to watch the worker,
a removal that has taken it out of the table and now closes its mailbox, a thread that starts the
next worker of the key, and a finalizer that does so in the midst of the end, on its thread. None of
the first three takes the roster's lock. In a pool whose keys live by themselves there may also be a
thread that could not evict the worker, as its key has raised, and notes that (`pool.keeping`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    locked: bool = False
    current: bool = True
    open: bool = True
    done: bool = False
    marked: bool = False
    marked_before: bool = False
    size_before: int = 0
    queue: tuple[str, ...] = ()
    gone: bool = False
    watched: bool = False
    told: bool = False
    ended: bool = False
    next_began: bool = False
    taken: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    quiet: bool = True
    noted: bool = False


def step(goto: str, **changes: Callable[[Memory], Any]) -> Step[Memory]:
    """Return a step that changes the memory and goes on to `goto`."""
    return lambda m: [(replace(m, **{name: of(m) for name, of in changes.items()}), goto)]


MARKER = "marker"


def _bury_all(m: Memory) -> tuple[str, ...]:
    return (*m.dead, *(each for each in m.queue if each != MARKER))


def _nothing(_: Memory) -> tuple[str, ...]:
    return ()


def ender(*bugs: str) -> Process[Memory]:
    """Return the thread that runs the worker, which has returned."""

    def lock(m: Memory) -> Outcomes[Memory]:
        return [] if m.locked else [(replace(m, locked=True), "look for watchers first")]

    def first(m: Memory) -> Outcomes[Memory]:
        loud = not m.quiet and "it is quiet beside a note" not in bugs
        return [(m, "unlock" if m.watched or loud else "leave")]

    def look(m: Memory) -> Outcomes[Memory]:
        if "the size before the marker" in bugs:
            over = m.size_before == m.marked
        else:
            over = len(m.queue) == m.marked_before
        return [(m, "gone" if over or "no look into the queue" in bugs else "take back")]

    def look_for_watchers(m: Memory) -> Outcomes[Memory]:
        return [(m, "end it" if not m.watched or "no second look" in bugs else "take back")]

    def locking(goto: str, **changes: object) -> Step[Memory]:
        return lambda m: [] if m.locked else [(replace(m, **changes), goto)]  # type: ignore[arg-type]

    early = "it looks before it is done" in bugs
    return Process(
        "ender",
        {
            "lock": lock,
            "look for watchers first": first,
            "leave": step("refuse", current=lambda _: False),
            "refuse": step("look" if early else "be done", open=lambda _: False),
            "be done": step("gone" if early else "look first", done=lambda _: True),
            "look first": step(
                "look", marked_before=lambda m: m.marked, size_before=lambda m: len(m.queue)
            ),
            "look": (lambda m: [(m, "be done" if not m.queue else "take back")]) if early else look,
            "gone": step("look for watchers", gone=lambda _: True),
            "look for watchers": look_for_watchers,
            "end it": step(END, ended=lambda _: True, locked=lambda _: False),
            "take back": step("unlock", current=lambda _: True),
            "unlock": step("leave slowly", locked=lambda _: False),
            "leave slowly": locking("refuse slowly", current=False),
            "refuse slowly": step("be done slowly", open=lambda _: False),
            "be done slowly": step("sweep", done=lambda _: True),
            "sweep": step("gone slowly", dead=_bury_all, queue=_nothing),
            "gone slowly": step("tell", gone=lambda _: True),
            "tell": step("forget", told=lambda m: m.told or m.watched),
            "forget": locking("end slowly", noted=False, quiet=True),
            "end slowly": step(END, ended=lambda _: True),
        },
    )


def sender() -> Process[Memory]:
    """Return a thread that has found the worker in the table, and puts into it directly."""

    def look_whether_open(m: Memory) -> Outcomes[Memory]:
        if m.open:
            return [(m, "put")]
        return [(replace(m, refused=("message",)), END)]

    def look_whether_done(m: Memory) -> Outcomes[Memory]:
        return [(m, "sweep" if m.done else END)]

    return Process(
        "sender",
        {
            "open?": look_whether_open,
            "put": step(
                "done?", queue=lambda m: (*m.queue, "message"), taken=lambda _: ("message",)
            ),
            "done?": look_whether_done,
            "sweep": step(END, dead=_bury_all, queue=_nothing),
        },
    )


def closer() -> Process[Memory]:
    """Return a thread that closes the mailbox of the worker, which it has taken out before."""
    return Process(
        "closer",
        {
            "refuse": step("put the marker", open=lambda _: False),
            "put the marker": step("mark", queue=lambda m: (*m.queue, MARKER)),
            "mark": step(END, marked=lambda _: True),
        },
    )


def caller() -> Process[Memory]:
    """Return a thread whose call the worker had in hand, and which begins to watch it."""
    return Process(
        "caller",
        {
            "watch": step("gone?", watched=lambda _: True),
            "gone?": lambda m: [(replace(m, told=m.told or m.gone), END)],
        },
    )


def starter() -> Process[Memory]:
    """Return a thread that starts the next worker of the key, behind this one."""

    def enter(m: Memory) -> Outcomes[Memory]:
        if m.locked:
            return []
        # A duplicate, while this one is current; behind it, while it leaves.
        return [(m, END if m.current else "begin")]

    def begin(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, next_began=True), END)] if m.ended else []

    return Process("starter", {"enter": enter, "begin": begin})


def finalizer(*bugs: str) -> Process[Memory]:
    """Return what runs on the ender's thread, under the lock, and starts the next worker."""

    def enter(m: Memory) -> Outcomes[Memory]:
        if not m.locked or m.current:
            return [(m, END)]
        # It is in the table, and not current: the next one stands behind it.
        began = "it stands behind nobody" in bugs
        return [(replace(m, next_began=began), END if began else "begin")]

    def begin(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, next_began=True), END)] if m.ended else []

    return Process("finalizer", {"enter": enter, "begin": begin})


def noter(*bugs: str) -> Process[Memory]:
    """Return a thread that was to evict the worker, and notes that its key has raised."""

    def lock(m: Memory) -> Outcomes[Memory]:
        return [] if m.locked else [(replace(m, locked=True), "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "be loud" if m.current or "no look at the worker" in bugs else "unlock")]

    return Process(
        "noter",
        {
            "lock": lock,
            "look": look,
            "be loud": step("note", quiet=lambda _: False),
            "note": step("unlock", noted=lambda _: True),
            "unlock": step(END, locked=lambda _: False),
        },
    )


def one_after_the_other(m: Memory) -> str | None:
    """The next worker begins when all is accounted for that this one was sent before."""
    if m.next_began and not m.ended:
        return "two workers of one key"
    return None


def all_accounted_for(m: Memory) -> str | None:
    """A message that was taken is a dead letter, once, and the caller is told."""
    if sorted(m.taken) != sorted(m.dead):
        return f"lost or doubled: taken {m.taken}, dead {m.dead}"
    if m.watched and not m.told:
        return "a caller waits for ever"
    if m.noted:
        return "noted for ever"
    return None


def run(*bugs: str, noting: bool = False) -> Explored[Memory]:
    beside = [caller(), noter(*bugs)] if noting else [caller(), starter(), finalizer(*bugs)]
    return explore(
        Memory(),
        [ender(*bugs), sender(), closer(), *beside],
        always=one_after_the_other,
        finally_=all_accounted_for,
    )


@pytest.mark.parametrize("noting", [False, True])
def test_no_message_and_no_caller_is_forgotten_and_each_note_is(
    noting: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    explored = run(noting=noting)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 300


@pytest.mark.parametrize(
    ("bug", "claim"),
    [
        ("no look into the queue", "lost or doubled"),
        ("it looks before it is done", "lost or doubled"),
        ("the size before the marker", "lost or doubled"),
        ("no second look", "a caller waits for ever"),
        ("it stands behind nobody", "two workers of one key"),
    ],
)
def test_a_step_that_is_left_out_is_missed(bug: str, claim: str) -> None:
    found = run(bug).counter_example

    assert found is not None
    assert found.claim.startswith(claim), str(found)


@pytest.mark.parametrize("bug", ["it is quiet beside a note", "no look at the worker"])
def test_a_note_that_would_outlive_its_worker_is_found(bug: str) -> None:
    found = run(bug, noting=True).counter_example

    assert found is not None
    assert found.claim.startswith("noted for ever"), str(found)
