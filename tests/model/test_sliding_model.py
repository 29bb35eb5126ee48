"""A sliding mailbox: every interleaving of displacing, receiving, closing; see `line.sliding`."""

from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

MESSAGE: Final = "a token for a message"
MARKER: Final = "the end marker"


@dataclass(frozen=True)
class Memory:
    """What the threads share, and what the checks want to know."""

    limit: int
    messages: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    held: str = ""
    """Who holds the store's lock."""
    closed: bool = False
    done: bool = False
    accepted: frozenset[str] = frozenset()
    received: tuple[str, ...] = ()
    displaced: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    last: str = ""
    """The message that was put last."""
    wrong: str = ""


def released(m: Memory, me: str) -> Memory:
    """Return the memory after a process has released the lock, if it had it."""
    return replace(m, held="" if m.held == me else m.held)


def sender(me: str, count: int, *bugs: str) -> Process[Memory]:
    """Return a process that delivers `count` messages."""
    steps: dict[str, Step[Memory]] = {}
    for number in range(count):
        after = f"{number + 1} check" if number + 1 < count else END
        steps |= _delivering(me, number, after, *bugs)
    return Process(me, steps)


def _delivering(  # noqa: C901 - a step each, and they share their names
    me: str, number: int, after: str, *bugs: str
) -> dict[str, Step[Memory]]:
    message = f"{me} {number}"
    unlocked = "whether it is full is decided without the lock" in bugs
    token_first = "the token is put before the lock is acquired" in bugs

    def check(m: Memory) -> Outcomes[Memory]:
        return [(m, END if m.closed else f"{number} {'token' if token_first else 'lock'}")]

    def lock(m: Memory) -> Outcomes[Memory]:
        if unlocked:
            return [(m, f"{number} append")]
        if m.held:
            return []
        return [(replace(m, held=me), f"{number} append")]

    def append(m: Memory) -> Outcomes[Memory]:
        m = replace(
            m, messages=(*m.messages, message), accepted=m.accepted | {message}, last=message
        )
        return [(m, f"{number} decide")]

    def decide(m: Memory) -> Outcomes[Memory]:
        if len(m.messages) > m.limit:
            return [(m, f"{number} displace")]
        return [(m, f"{number} {'unlock' if token_first else 'token'}")]

    def displace(m: Memory) -> Outcomes[Memory]:
        if not m.messages:
            return [(m, f"{number} unlock")]
        oldest, *rest = m.messages
        wrong = m.wrong
        if len(m.messages) <= m.limit:
            wrong = f"{oldest} was displaced although there was room"
        if oldest == m.last:
            wrong = f"{oldest} was displaced, which was put last"
        tokens = m.tokens
        if "who drops a message takes its token out, and puts one of its own" in bugs:
            tokens = (*tokens[1:], MESSAGE)
        m = replace(
            m,
            messages=tuple(rest),
            displaced=(*m.displaced, oldest),
            wrong=wrong,
            tokens=tokens,
        )
        return [(m, f"{number} unlock")]

    def token(m: Memory) -> Outcomes[Memory]:
        goto = f"{number} {'lock' if token_first else 'unlock'}"
        return [(replace(m, tokens=(*m.tokens, MESSAGE)), goto)]

    def unlock(m: Memory) -> Outcomes[Memory]:
        return [(released(m, me), f"{number} look")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, f"{number} sweep" if m.done else after)]

    def sweep(m: Memory) -> Outcomes[Memory]:
        # The marker stays; see `Inlet.sweep`.
        if MESSAGE not in m.tokens:
            return [(m, after)]
        tokens = list(m.tokens)
        tokens.remove(MESSAGE)
        return [(replace(m, tokens=tuple(tokens)), f"{number} take")]

    def take(m: Memory) -> Outcomes[Memory]:
        if m.held:
            return []
        if not m.messages:
            return [(m, f"{number} sweep")]
        m = replace(m, messages=m.messages[1:], swept=(*m.swept, m.messages[0]))
        return [(m, f"{number} sweep")]

    steps = (check, lock, append, decide, displace, token, unlock, look, sweep, take)
    return {f"{number} {step.__name__}": step for step in steps}


def receiver(*bugs: str) -> Process[Memory]:
    """Return a process that receives until the end."""

    def token(m: Memory) -> Outcomes[Memory]:
        if not m.tokens:
            return []
        goto = "draining" if m.tokens[0] == MARKER else "message"
        return [(replace(m, tokens=m.tokens[1:]), goto)]

    def taking(label: str) -> Step[Memory]:
        def take(m: Memory) -> Outcomes[Memory]:
            if m.held and "the receiver takes its message without the lock" not in bugs:
                return []
            if not m.messages:
                return [(m, label)]
            m = replace(m, messages=m.messages[1:], received=(*m.received, m.messages[0]))
            return [(m, label)]

        return take

    def draining(m: Memory) -> Outcomes[Memory]:
        if m.tokens:
            return [(replace(m, tokens=m.tokens[1:]), "late message")]
        return [(replace(m, done=True), END if m.done else "draining")]

    steps: dict[str, Step[Memory]] = {
        "token": token,
        "message": taking("token"),
        "draining": draining,
        "late message": taking("draining"),
    }
    return Process("receiver", steps)


def closer() -> Process[Memory]:
    """Return a process that closes the mailbox."""

    def close(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, closed=True), "marker")]

    def marker(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, tokens=(*m.tokens, MARKER)), END)]

    return Process("closer", {"close": close, "marker": marker})


def never(m: Memory) -> str | None:
    """Nothing is dropped without need, and no more than the limit wait."""
    if m.wrong:
        return m.wrong
    if not m.held and len(m.messages) > m.limit:
        return f"too many: {m.messages}"
    return None


def each_once(m: Memory) -> str | None:
    """Each message that was taken was received, displaced or swept, once, and in order."""
    came = (*m.received, *m.displaced, *m.swept)
    if sorted(came) != sorted(m.accepted):
        return f"taken: {sorted(m.accepted)}, and what came of them: {came}"
    for by in {message.split()[0] for message in m.received}:
        own = [message for message in m.received if message.startswith(by)]
        if own != sorted(own):
            return f"out of order: {own}"
    return None


def run(limit: int, *counts: int, bugs: tuple[str, ...] = ()) -> Explored[Memory]:
    senders = [sender(name, count, *bugs) for name, count in zip("ABC", counts, strict=False)]
    return explore(
        Memory(limit), [*senders, receiver(*bugs), closer()], always=never, finally_=each_once
    )


@pytest.mark.parametrize("counts", [(3,), (2, 2), (1, 1, 1)], ids=repr)
@pytest.mark.parametrize("limit", [1, 2])
def test_each_message_is_received_or_displaced_or_swept_once_and_the_last_is_never_displaced(
    limit: int, counts: tuple[int, ...]
) -> None:
    explored = run(limit, *counts)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


@pytest.mark.parametrize(
    ("bug", "claim"),
    [
        ("whether it is full is decided without the lock", "too many"),
        ("the receiver takes its message without the lock", "was displaced"),
        ("the token is put before the lock is acquired", "taken: "),
        ("who drops a message takes its token out, and puts one of its own", "deadlock: receiver"),
    ],
)
def test_a_seeded_bug_is_caught(bug: str, claim: str) -> None:
    found = run(1, 2, 2, bugs=(bug,)).counter_example

    assert found is not None
    assert claim in found.claim, str(found)
