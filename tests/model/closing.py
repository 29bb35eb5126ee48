"""The protocol of `threadpool_mb.mailbox.sending`, one atomic access a step.

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
    "give_back does not read done": "what is given back after the last look is forgotten",
}
"""What can be done wrong, and what comes of it."""


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    queue: tuple[str, ...] = ()
    open: bool = True
    closed: bool = False
    done: bool = False
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


def sender(me: str, messages: Sequence[str], *bugs: str) -> Process[Memory]:
    """Return a process that delivers each of `messages`; a shut mailbox refuses it and the rest."""
    steps: dict[str, Step[Memory]] = {}
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        goto = END if following is None else f"check {following}"
        steps |= _delivering(me, message, goto, bugs)
    return Process(me, steps)


def _delivering(
    me: str, message: str, goto: str, bugs: Sequence[str]
) -> Mapping[str, Step[Memory]]:
    early = "sender reads done before it puts" in bugs
    look, put_it, sweep_it, accept_it = (
        f"{w} {message}" for w in ("look", "put", "sweep", "accept")
    )

    def check(m: Memory) -> Outcomes[Memory]:
        if not m.open:
            return [(replace(m, refused=m.refused | {message}), END)]
        return [(m, look if early else put_it)]

    def put(m: Memory) -> Outcomes[Memory]:
        after = replace(m, queue=(*m.queue, message))
        if "sender does not read done" in bugs:
            return [(after, accept_it)]
        if early:
            return [(after, sweep_it if me in m.saw_done else accept_it)]
        return [(after, look)]

    def look_at_done(m: Memory) -> Outcomes[Memory]:
        flag = m.closed if "sender sweeps on closed" in bugs else m.done
        if early:
            return [(replace(m, saw_done=m.saw_done | {me}) if flag else m, put_it)]
        return [(m, sweep_it if flag else accept_it)]

    def accept(m: Memory) -> Outcomes[Memory]:
        before = m.before_close if m.ended else m.before_close | {message}
        return [(replace(m, accepted=m.accepted | {message}, before_close=before), goto)]

    return {
        f"check {message}": check,
        look: look_at_done,
        put_it: put,
        accept_it: accept,
        **sweeping(me, bugs, accept_it, sweep_it),
    }


def shutting(bugs: Sequence[str], after: str) -> Mapping[str, Step[Memory]]:
    """Return the steps of `shut`: refuse, say closed, and be the one who puts the end marker."""

    def refuse(m: Memory) -> Outcomes[Memory]:
        goto = (
            "write back" if "shut writes back an old done" in bugs and not m.done else "say closed"
        )
        return [(replace(m, open=False, ended=True), goto)]

    def write_back(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, done=False), "say closed")]

    def say_closed(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, closed=True), after if m.closed else "put marker")]

    def put_marker(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, queue=(*m.queue, MARKER)), after)]

    return {
        "refuse": refuse,
        "write back": write_back,
        "say closed": say_closed,
        "put marker": put_marker,
    }


def closer(name: str, *bugs: str) -> Process[Memory]:
    """Return a process that closes the mailbox."""
    return Process(name, shutting(bugs, END))


def abandoner(name: str, *bugs: str) -> Process[Memory]:
    """Return a process that abandons the mailbox."""

    def finish(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, done=True), "sweep")]

    sweep = sweeping(name, bugs, END)
    return Process(name, {**shutting(bugs, "finish"), "finish": finish, **sweep})


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
            return [(after, "refuse")]
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

    def finish(self, m: Memory) -> Outcomes[Memory]:
        blind = "receiver takes no last look" in self._bugs
        return [(replace(m, done=True), END if blind else "last look")]


def receiver(*bugs: str, most: int | None = None) -> Process[Memory]:
    """Return a process that receives until the end; or `most` messages, and then abandons."""
    it = _Receiver(bugs, most)
    steps: dict[str, Step[Memory]] = {
        "wait": it.wait,
        "look": it.look,
        "look beside": it.look_beside,
        "finish": it.finish,
        "last look": it.last_look,
    }
    if most is None:
        return Process("receiver", steps)
    rename = {"finish": "abandon finish"}
    abandon = {
        rename.get(label, label): _renamed(step, rename)
        for label, step in abandoner("receiver", *bugs).steps.items()
    }
    return Process("receiver", {**steps, **abandon} if most else abandon)


def _renamed(step: Step[Memory], rename: Mapping[str, str]) -> Step[Memory]:
    return lambda m: [(after, rename.get(label, label)) for after, label in step(m)]
