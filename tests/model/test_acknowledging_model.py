"""Credits and acknowledgements of a node of a cluster: every interleaving, also with its loss.

As `cluster.outbox`, `cluster.entries`, `cluster.tickets` and `cluster.node` have it. A message uses
a credit as it comes into the outbox, and gives it back as it is settled. Batches and answers may be
lost on their way, and are sent again then. A node may be lost at any time: also while an answer of
it is in the client's hand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

BATCH = 2

type Batch = tuple[int, tuple[int, ...]]
"""A number, and messages."""
type Answer = tuple[int, tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
"""A number; the dead, and what was done: by batch and index."""


@dataclass(frozen=True)
class Memory:
    """What the client and the node have, and what is on its way."""

    settled: tuple[str, ...]
    """What became of each message."""
    credits: int
    outbox: tuple[int, ...] = ()
    unsettled: frozenset[tuple[int, int, int]] = frozenset()
    """Batch, index, message."""
    outstanding: int = 0
    number: int = 0
    stopped: bool = False
    waiting: frozenset[str] = frozenset()
    woken: frozenset[str] = frozenset()
    known: int = 0
    hand: Answer | None = None

    wire: frozenset[Batch] = frozenset()
    faults: int = 1
    """How often what is sent may come twice, or an answer be lost."""

    alive: bool = True
    next: int = 1
    early: frozenset[Batch] = frozenset()
    queue: tuple[tuple[int, int, int], ...] = ()
    handled: tuple[int, ...] = ()
    buried: tuple[int, ...] = ()
    done: tuple[tuple[int, int], ...] = ()
    dead: tuple[tuple[int, int], ...] = ()
    last: Answer | None = None

    @property
    def all_settled(self) -> bool:
        """Whether nothing is left to do."""
        return all(self.settled)


def _settle(m: Memory, messages: Iterable[int], how: str) -> Memory:
    settled = list(m.settled)
    for message in messages:
        settled[message] = f"{settled[message]} and {how}" if settled[message] else how
    return replace(m, settled=tuple(settled))


def _wake(m: Memory) -> Memory:
    return replace(m, waiting=frozenset(), woken=m.woken | m.waiting)


def sender(me: str, *messages: int) -> Process[Memory]:
    """Return a thread that sends messages; to another node, once this one is lost."""
    steps: dict[str, Step[Memory]] = {}
    for place, message in enumerate(messages):
        after = f"offer {messages[place + 1]}" if place + 1 < len(messages) else END

        def offer(m: Memory, message: int = message, after: str = after) -> Outcomes[Memory]:
            if m.stopped:
                return [(_settle(m, [message], "elsewhere"), after)]
            if m.outstanding >= m.credits:
                return [(m, f"wait {message}")]
            taken = replace(m, outbox=(*m.outbox, message), outstanding=m.outstanding + 1)
            return [(taken, after)]

        def wait(m: Memory, message: int = message) -> Outcomes[Memory]:
            if m.stopped or m.outstanding < m.credits:
                return [(m, f"offer {message}")]
            return [(replace(m, waiting=m.waiting | {me}), f"asleep {message}")]

        def asleep(m: Memory, message: int = message) -> Outcomes[Memory]:
            if me not in m.woken:
                return []
            return [(replace(m, woken=m.woken - {me}), f"wait {message}")]

        steps |= {f"offer {message}": offer, f"wait {message}": wait, f"asleep {message}": asleep}
    return Process(me, steps)


def link() -> Process[Memory]:
    """Return the thread that sends batches."""

    def take(m: Memory) -> Outcomes[Memory]:
        if m.stopped or m.all_settled:
            return [(m, END)]
        if not m.outbox:
            return []
        batch, number = m.outbox[:BATCH], m.number + 1
        entries = {(number, index, message) for index, message in enumerate(batch)}
        return [
            (
                replace(
                    m,
                    outbox=m.outbox[BATCH:],
                    unsettled=m.unsettled | entries,
                    number=number,
                    wire=m.wire | {(number, batch)},
                ),
                "take",
            )
        ]

    return Process("link", {"take": take})


def feeder(*bugs: str) -> Process[Memory]:
    """Return the way to the node, and its thread that dispatches."""

    def arrive(m: Memory) -> Outcomes[Memory]:
        if m.stopped or m.all_settled:
            return [(m, END)]
        if not m.alive:
            return []
        outcomes: list[tuple[Memory, str]] = []
        for batch in sorted(m.wire):
            come = _dispatched(m, batch, *bugs)
            outcomes.append((replace(come, wire=m.wire - {batch}), "arrive"))
            if m.faults:  # the answer to the call was lost: it comes again
                outcomes.append((replace(come, faults=m.faults - 1), "arrive"))
        return outcomes

    return Process("feeder", {"arrive": arrive})


def _dispatched(m: Memory, batch: Batch, *bugs: str) -> Memory:
    if batch[0] < m.next and "takes what comes twice" not in bugs:
        return m
    early, queue, following = dict(m.early) | dict([batch]), m.queue, m.next
    if "takes what comes twice" in bugs:
        following = min(early)
    while (messages := early.pop(following, None)) is not None:
        queue += tuple((following, index, each) for index, each in enumerate(messages))
        following += 1
    return replace(m, early=frozenset(early.items()), queue=queue, next=max(following, m.next))


def worker() -> Process[Memory]:
    """Return what handles messages, or makes dead letters of them."""

    def work(m: Memory) -> Outcomes[Memory]:
        if m.stopped or m.all_settled:
            return [(m, END)]
        if not (m.alive and m.queue):
            return []
        batch, index, message = m.queue[0]
        handled = replace(m, handled=(*m.handled, message))
        dead = replace(m, buried=(*m.buried, message), dead=(*m.dead, (batch, index)))
        return [(handled, "done"), (dead, "done")]

    def done(m: Memory) -> Outcomes[Memory]:
        if not m.alive:
            return [(m, "work")]
        batch, index, _ = m.queue[0]
        return [(replace(m, queue=m.queue[1:], done=(*m.done, (batch, index))), "work")]

    return Process("worker", {"work": work, "done": done})


def receiver(*bugs: str) -> Process[Memory]:  # noqa: C901 - a table of steps
    """Return the thread that asks the node what it has to tell, and the node's answer."""

    def ask(m: Memory) -> Outcomes[Memory]:
        if m.stopped or m.all_settled:
            return [(m, END)]
        if not m.alive:
            return []
        if m.last is not None and m.last[0] > m.known and "keeps no answer" not in bugs:
            return [(m, "answer")]
        if not m.done:
            return []
        return [(m, "gather the dead" if "the dead come first" in bugs else "gather what is done")]

    def gather_done(m: Memory) -> Outcomes[Memory]:
        if not m.alive:
            return [(m, "ask")]
        after = "answer" if "the dead come first" in bugs else "gather the dead"
        _, dead, _ = m.last or (0, (), ())
        last = (m.known + 1, dead if "the dead come first" in bugs else (), m.done)
        return [(replace(m, done=(), last=last), after)]

    def gather_dead(m: Memory) -> Outcomes[Memory]:
        if not m.alive:
            return [(m, "ask")]
        if "the dead come first" in bugs:
            return [(replace(m, dead=(), last=(m.known + 1, m.dead, ())), "gather what is done")]
        assert m.last is not None
        return [(replace(m, dead=(), last=(m.known + 1, m.dead, m.last[2])), "answer")]

    def answer(m: Memory) -> Outcomes[Memory]:
        if not m.alive:
            return [(m, "ask")]
        outcomes = [(replace(m, hand=m.last), "settle the dead")]
        if m.faults:
            outcomes.append((replace(m, faults=m.faults - 1), "ask"))
        return outcomes

    def settle_dead(m: Memory) -> Outcomes[Memory]:
        assert m.hand is not None
        if m.stopped:
            return [(m, END)]
        gone = {each for each in m.unsettled if each[:2] in m.hand[1]}
        given = 0 if "keeps the credit of the dead" in bugs else len(gone)
        after = replace(m, unsettled=m.unsettled - gone, outstanding=m.outstanding - given)
        return [(_settle(after, (each[2] for each in gone), "dead"), "settle what is done")]

    def settle_done(m: Memory) -> Outcomes[Memory]:
        assert m.hand is not None
        gone = {each for each in m.unsettled if each[:2] in m.hand[2]}
        given = len(m.hand[2]) if "counts what is told" in bugs else len(gone)
        after = replace(
            m,
            unsettled=m.unsettled - gone,
            outstanding=m.outstanding - given,
            known=m.hand[0],
            hand=None,
        )
        if after.waiting and after.outstanding < m.credits and "wakes nobody" not in bugs:
            after = _wake(after)
        return [(_settle(after, (each[2] for each in gone), "handled"), "ask")]

    return Process(
        "receiver",
        {
            "ask": ask,
            "gather what is done": gather_done,
            "gather the dead": gather_dead,
            "answer": answer,
            "settle the dead": settle_dead,
            "settle what is done": settle_done,
        },
    )


def loss(*bugs: str) -> Process[Memory]:
    """Return the loss of the node, which may not happen; and the monitor that sees it."""

    def kill(m: Memory) -> Outcomes[Memory]:
        return [(m, END), (replace(m, alive=False), "stop")]

    def stop(m: Memory) -> Outcomes[Memory]:
        left = (
            frozenset[tuple[int, int, int]]() if "leaves what was sent" not in bugs else m.unsettled
        )
        after = replace(m, stopped=True, outbox=(), unsettled=left, outstanding=0)
        after = _settle(after, (each[2] for each in m.unsettled), "lost")
        after = _settle(after, m.outbox, "elsewhere")
        return [(after if "wakes nobody" in bugs else _wake(after), END)]

    return Process("loss", {"kill": kill, "stop": stop})


def always(m: Memory) -> str | None:
    """Check what holds at any time."""
    if any(" and " in each for each in m.settled):
        return "a message is settled twice"
    if len(set(m.handled)) < len(m.handled):
        return "a message is handled twice"
    if m.outstanding > m.credits:
        return "more messages are taken than there are credits"
    if m.outstanding < len(m.outbox) + len(m.unsettled):
        return "a credit was given back twice"
    if m.outstanding > len(m.outbox) + len(m.unsettled):
        return "a credit is lost"
    return None


def finally_(m: Memory) -> str | None:
    """Check what holds at the end: what was told is what was."""
    for message, how in enumerate(m.settled):
        if not how:
            return "a message is not settled"
        if (how == "handled" and message not in m.handled) or (
            how == "dead" and message not in m.buried
        ):
            return f"a message is told as {how} and was not"
    return None


def run(
    *bugs: str,
    credits: int = 2,  # noqa: A002 - as it is called
    senders: Sequence[Sequence[int]] = ((0, 1), (2,)),
    lost: bool = True,
) -> Explored[Memory]:
    return explore(
        Memory(("",) * sum(map(len, senders)), credits),
        [
            *(sender(f"sender {place}", *each) for place, each in enumerate(senders)),
            link(),
            feeder(*bugs),
            worker(),
            receiver(*bugs),
            *([loss(*bugs)] if lost else ()),
        ],
        always=always,
        finally_=finally_,
    )


@pytest.mark.parametrize(
    ("credits", "senders", "lost"),
    [(1, [(0, 1), (2,)], True), (2, [(0, 1)], True), (2, [(0, 1), (2,)], False)],
)
def test_each_message_is_settled_once_and_each_credit_comes_back(
    credits: int,  # noqa: A002 - as it is called
    senders: list[tuple[int, ...]],
    *,
    lost: bool,
) -> None:
    explored = run(credits=credits, senders=senders, lost=lost)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 20_000


@pytest.mark.parametrize(
    ("bug", "claim"),
    [
        ("keeps the credit of the dead", "a credit is lost"),
        ("counts what is told", "a credit was given back twice"),
        ("wakes nobody", "deadlock"),
        ("keeps no answer", "deadlock"),
        ("takes what comes twice", "a message is handled twice"),
        ("the dead come first", "a message is told as handled and was not"),
    ],
)
def test_a_fault_is_found(bug: str, claim: str) -> None:
    found = run(bug, lost=False).counter_example

    assert found is not None
    assert found.claim.startswith(claim), str(found)


@pytest.mark.parametrize(
    ("bug", "claim"),
    [
        ("leaves what was sent", "a credit was given back twice"),
        ("wakes nobody", "deadlock"),
        # What was told, and is in the client's hand as the node is lost.
        ("counts what is told", "a credit was given back twice"),
    ],
)
def test_a_fault_of_the_loss_is_found(bug: str, claim: str) -> None:
    found = run(bug, credits=1).counter_example

    assert found is not None
    assert found.claim.startswith(claim), str(found)
