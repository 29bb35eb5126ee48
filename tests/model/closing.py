"""The protocol of `line.inlet`, and of `mailbox.sending`, one atomic access a step.

A sender has an input, which it is handed out first and which has copies of the inlet's flags; or it
is *direct* and looks at the inlet's own.

Seeded bugs are switched on by name; see `BUGS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.model.explorer import END, Outcomes, Process, Step

MARKER: Final = "marker"

BUGS: Final = {
    "sender does not read done": "a message that comes after the last look is forgotten",
    "sender reads done before it puts": "the same: the flag may be set in between",
    "receiver takes no last look": "a message put before done was set, and read, is forgotten",
    "sender sweeps on closed": "the backlog is stolen from a receiver that is still draining",
    "shut writes back an old done": "two ends at once: done is lost, and with it a late message",
    "sweep forgets the end marker": "a receiver that comes later waits for ever",
    "a marker always means the end": "a message that was given back is forgotten",
    "the marker comes before what is given back": "it is taken for the end",
    "a new input does not look": "it was made as the mailbox ended, and accepts for ever",
    "the input is not told of done": "what it puts after the last look is forgotten",
    "the last look comes before the input is told": "the same: it puts in between",
    "give_back does not read done": "what is given back after the last look is forgotten",
}
"""What can be done wrong, and what comes of it."""


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    queue: tuple[str, ...] = ()
    open: bool = True
    """Whether the input's `deliver` goes on: its copy of `closed`."""
    closed: bool = False
    marked: bool = False
    done: bool = False
    knows_done: bool = False
    """The input's copy of `done`."""
    has_input: bool = False
    """Whether an input was handed out, which is to be told."""
    shut: bool = False
    """Whether somebody's `shut` has returned."""
    late: bool = False
    """Whether a message was taken whose `deliver` began after that."""
    received: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    accepted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    before_close: frozenset[str] = frozenset()
    """What was accepted before anybody began to end the mailbox."""
    ended: bool = False
    """Whether somebody has begun to end the mailbox."""
    saw_done: frozenset[str] = frozenset()
    """Who has read `done` as set, where it is read before it is used."""
    holds_marker: frozenset[str] = frozenset()
    """Who holds the marker of the end while sweeping."""
    returned: tuple[str, ...] = ()
    """Messages that were given back; the queue holds a marker for each."""
    ending: bool = False
    """Whether the receiver has taken the marker of the end."""


def take(m: Memory) -> tuple[str | None, Memory]:
    """Take the oldest item; `None` if there is none."""
    return (m.queue[0], replace(m, queue=m.queue[1:])) if m.queue else (None, m)


def sweeping(
    me: str, bugs: Sequence[str], after: str, label: str = "sweep"
) -> Mapping[str, Step[Memory]]:
    """Return the steps of a sweep, which go round until the queue is empty, and then to `after`."""
    look = f"{label} marker"

    def sweep(m: Memory) -> Outcomes[Memory]:
        item, rest = take(m)
        if item == MARKER:
            return [(rest, look)]
        if item is not None:
            return [(replace(rest, dead=(*m.dead, item)), label)]
        if me in m.holds_marker:
            put = () if "sweep forgets the end marker" in bugs else (MARKER,)
            return [(replace(m, queue=put, holds_marker=m.holds_marker - {me}), after)]
        return [(m, after)]

    def look_beside(m: Memory) -> Outcomes[Memory]:
        if m.returned:
            dead = (*m.dead, m.returned[0])
            return [(replace(m, returned=m.returned[1:], dead=dead), label)]
        return [(replace(m, holds_marker=m.holds_marker | {me}), label)]

    return {label: sweep, look: look_beside}


def sender(me: str, messages: Sequence[str], *bugs: str, direct: bool = False) -> Process[Memory]:
    """Return a process that delivers each of `messages`; a shut mailbox refuses it and the rest."""
    first = f"check {messages[0]}"
    steps = {} if direct else dict(_making(first, bugs))
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        goto = END if following is None else f"check {following}"
        steps |= _delivering(me, message, goto, bugs, direct=direct)
    return Process(me, steps)


def _making(after: str, bugs: Sequence[str]) -> Mapping[str, Step[Memory]]:
    """Return the steps of `new_input`."""

    def enter(m: Memory) -> Outcomes[Memory]:
        blind = "a new input does not look" in bugs
        return [(replace(m, has_input=True), after if blind else "look at closed")]

    def look_at_closed(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, open=False) if m.closed else m, "look at done")]

    def look_at_done(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, knows_done=True) if m.done else m, after)]

    return {"enter": enter, "look at closed": look_at_closed, "look at done": look_at_done}


def _delivering(  # noqa: C901 - a step each
    me: str, message: str, goto: str, bugs: Sequence[str], *, direct: bool
) -> Mapping[str, Step[Memory]]:
    early = "sender reads done before it puts" in bugs
    look, put_it, attend_it, sweep_it, accept_it = (
        f"{w} {message}" for w in ("look", "put", "attend", "sweep", "accept")
    )

    def check(m: Memory) -> Outcomes[Memory]:
        if m.closed if direct else not m.open:
            return [(replace(m, refused=m.refused | {message}), END)]
        return [(replace(m, late=m.late or m.shut), look if early else put_it)]

    def put(m: Memory) -> Outcomes[Memory]:
        after = replace(m, queue=(*m.queue, message))
        if "sender does not read done" in bugs:
            return [(after, accept_it)]
        if early:
            return [(after, sweep_it if me in m.saw_done else accept_it)]
        return [(after, look)]

    def look_at_done(m: Memory) -> Outcomes[Memory]:
        known = m.done if direct else m.knows_done
        if "sender sweeps on closed" in bugs:
            return [(m, sweep_it if m.closed else accept_it)]
        if early:
            return [(replace(m, saw_done=m.saw_done | {me}) if known else m, put_it)]
        return [(m, attend_it if known else accept_it)]

    def attend(m: Memory) -> Outcomes[Memory]:
        return [(m, sweep_it if m.done else accept_it)]

    def accept(m: Memory) -> Outcomes[Memory]:
        before = m.before_close if m.ended else m.before_close | {message}
        return [(replace(m, accepted=m.accepted | {message}, before_close=before), goto)]

    return {
        f"check {message}": check,
        look: look_at_done,
        put_it: put,
        attend_it: attend,
        accept_it: accept,
        **sweeping(me, bugs, accept_it, sweep_it),
    }


def shutting(bugs: Sequence[str], after: str) -> Mapping[str, Step[Memory]]:
    """Return the steps of `shut`: say closed, put the end marker once, have the input refuse."""

    def say_closed(m: Memory) -> Outcomes[Memory]:
        writes_back = "shut writes back an old done" in bugs and not m.done
        goto = "write back" if writes_back else "put marker"
        return [(replace(m, closed=True, ended=True), goto)]

    def write_back(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, done=False), "put marker")]

    def put_marker(m: Memory) -> Outcomes[Memory]:
        if m.marked:
            return [(m, "refuse")]
        return [(replace(m, queue=(*m.queue, MARKER), marked=True), "refuse")]

    def refuse(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, open=m.open and not m.has_input, shut=True), after)]

    return {
        "say closed": say_closed,
        "write back": write_back,
        "put marker": put_marker,
        "refuse": refuse,
    }


def finishing(bugs: Sequence[str], after: str) -> Mapping[str, Step[Memory]]:
    """Return the steps of `finish`: write done, and have the input know of it."""

    def finish(m: Memory) -> Outcomes[Memory]:
        untold = "the input is not told of done" in bugs
        return [(replace(m, done=True), after if untold else "tell")]

    def tell(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, knows_done=m.knows_done or m.has_input), after)]

    return {"finish": finish, "tell": tell}


def closer(name: str, *bugs: str) -> Process[Memory]:
    """Return a process that closes the mailbox."""
    return Process(name, shutting(bugs, END))


def abandoner(name: str, *bugs: str) -> Process[Memory]:
    """Return a process that abandons the mailbox."""

    sweep = sweeping(name, bugs, END)
    return Process(name, {**shutting(bugs, "finish"), **finishing(bugs, "sweep"), **sweep})


def finalizer(message: str, *bugs: str) -> Process[Memory]:
    """Return a process that gives `message` back, which was accepted and taken before."""
    first, second = "return", "put marker"
    if "the marker comes before what is given back" in bugs:
        first, second = second, first
    blind = "give_back does not read done" in bugs

    def give(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, returned=(*m.returned, message)), _next(first, "return"))]

    def put_marker(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, queue=(*m.queue, MARKER)), _next(first, "put marker"))]

    def _next(first: str, this: str) -> str:
        return second if this == first else (END if blind else "look")

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "sweep" if m.done else END)]

    both = {"return": give, "put marker": put_marker}
    ordered = {first: both[first], second: both[second]}
    return Process("finalizer", {**ordered, "look": look, **sweeping("finalizer", bugs, END)})


class _Receiver:
    """The receiver's steps, each from one label to the next."""

    def __init__(self, bugs: Sequence[str], most: int | None) -> None:
        self._bugs = bugs
        self._most = most

    def _received(self, m: Memory, item: str) -> Outcomes[Memory]:
        after = replace(m, received=(*m.received, item))
        if len(after.received) == self._most:
            return [(after, "say closed")]
        return [(after, "look" if m.ending else "wait")]

    def _taken(self, m: Memory, empty: Outcomes[Memory]) -> Outcomes[Memory]:
        item, rest = take(m)
        if item is None:
            return empty
        return [(rest, "look beside")] if item == MARKER else self._received(rest, item)

    def wait(self, m: Memory) -> Outcomes[Memory]:
        return self._taken(m, empty=[])

    def look(self, m: Memory) -> Outcomes[Memory]:
        return self._taken(m, empty=[(m, "finish")])

    def last_look(self, m: Memory) -> Outcomes[Memory]:
        return self._taken(m, empty=[(m, END)])

    def look_beside(self, m: Memory) -> Outcomes[Memory]:
        if m.returned and "a marker always means the end" not in self._bugs:
            return self._received(replace(m, returned=m.returned[1:]), m.returned[0])
        return [(replace(m, ending=True), "look")]

    def finishing(self) -> Mapping[str, Step[Memory]]:
        if "the last look comes before the input is told" in self._bugs:
            early = {"finish": "last look", "last look": "tell", "tell": END}
            steps = {**finishing((), END), "last look": self.last_look}
            return {
                label: lambda m, label=label, step=step: [
                    (after, goto if goto == "look beside" else early[label])
                    for after, goto in step(m)
                ]
                for label, step in steps.items()
            }
        blind = "receiver takes no last look" in self._bugs
        return finishing(self._bugs, END if blind else "last look")


def receiver(*bugs: str, most: int | None = None) -> Process[Memory]:
    """Return a process that receives until the end; or `most` messages, and then abandons."""
    it = _Receiver(bugs, most)
    steps: dict[str, Step[Memory]] = {
        "wait": it.wait,
        "look": it.look,
        "look beside": it.look_beside,
        "last look": it.last_look,
        **it.finishing(),
    }
    if most is None:
        return Process("receiver", steps)
    rename = {"finish": "abandon finish", "tell": "abandon tell"}
    abandon = {
        rename.get(label, label): _renamed(step, rename)
        for label, step in abandoner("receiver", *bugs).steps.items()
    }
    return Process("receiver", {**steps, **abandon} if most else abandon)


def _renamed(step: Step[Memory], rename: Mapping[str, str]) -> Step[Memory]:
    return lambda m: [(after, rename.get(label, label)) for after, label in step(m)]
