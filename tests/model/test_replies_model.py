"""A call's answer: every interleaving of waiting, replying, handing on and the ends of workers.

Worker A has the call. It hands it on to worker B, or not, and ends. B replies, or not, and ends.
Meanwhile two threads wait for the answer. See the heads of `calls.cell`, `calls.answer` and
`calls.unanswered`.
"""

import functools
from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

WORKERS: Final = ("A", "B")


@dataclass(frozen=True)
class Memory:
    """What the threads share."""

    holder: str = "A"
    watched: str = ""
    watchers: frozenset[str] = frozenset()
    """The workers that the reply is told the end of."""
    gone: frozenset[str] = frozenset()
    locked: bool = False
    log: tuple[str, ...] = ()
    tokens: int = 0
    """How many tokens are in the gate."""
    woken: tuple[str, ...] = ()
    """What has seen to the entries of the log, in its turn."""

    @property
    def answers(self) -> list[str]:
        """The answers in the log."""
        return [entry for entry in self.log if entry.startswith("answer")]


type Steps = dict[str, Step[Memory]]


def goto(label: str) -> Step[Memory]:
    return lambda m: [(m, label)]


def settling(me: str, then: str) -> Steps:
    """Give an answer: `Answer.settle`."""
    mine = f"answer of {me}"

    def append(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, log=(*m.log, mine)), f"{me} wake")]

    def wake(m: Memory) -> Outcomes[Memory]:
        if m.answers[0] != mine:
            return [(m, then)]
        before = m.log[: m.log.index(mine)]
        return [(replace(m, tokens=m.tokens + ("gate" in before)), f"{me} call")]

    def call(m: Memory) -> Outcomes[Memory]:
        before = m.log[: m.log.index(mine)]
        called = tuple(entry for entry in before if entry.startswith("callback"))
        return [(replace(m, woken=m.woken + called), then)]

    return {f"{me} append": append, f"{me} wake": wake, f"{me} call": call}


def watching(  # noqa: C901 - a step each, and they share their names
    me: str, then: str, *bugs: str
) -> Steps:
    """Begin to watch, or watch somebody else: `Reply.watch`."""
    again = then if "does not look again" in bugs else f"{me} read"

    def read(m: Memory) -> Outcomes[Memory]:
        if m.answers:
            return [(m, then)]
        if m.locked and "two at once" not in bugs:
            return []
        return [(replace(m, locked=True), f"{me} compare {m.holder}")]

    def compare(m: Memory, holder: str) -> Outcomes[Memory]:
        if holder == m.watched:
            return [(replace(m, locked=False), then)]
        return [(m, f"{me} write {holder} {m.watched}")]

    def write(m: Memory, holder: str, before: str) -> Outcomes[Memory]:
        return [(replace(m, watched=holder), f"{me} unwatch {holder} {before}")]

    def unwatch(m: Memory, holder: str, before: str) -> Outcomes[Memory]:
        return [(replace(m, watchers=m.watchers - {before}), f"{me} add {holder}")]

    def add(m: Memory, holder: str) -> Outcomes[Memory]:
        after = replace(m, watchers=m.watchers | {holder}, locked=False)
        return [(after, f"{me} look {holder}")]

    def look(m: Memory, holder: str) -> Outcomes[Memory]:
        gone = holder in m.gone and "does not look at gone" not in bugs
        return [(m, f"{me} watching append" if gone and m.holder == holder else again)]

    steps: Steps = {f"{me} read": read}
    for holder in WORKERS:
        for name, step in (("compare", compare), ("add", add), ("look", look)):
            steps[f"{me} {name} {holder}"] = functools.partial(step, holder=holder)
        for before in (*WORKERS, ""):
            for name, change in (("write", write), ("unwatch", unwatch)):
                steps[f"{me} {name} {holder} {before}"] = functools.partial(
                    change, holder=holder, before=before
                )
    return steps | settling(f"{me} watching", again)


def parking(*bugs: str) -> Steps:
    """Park at the gate: the second half of `Reply.wait`."""

    def add_gate(m: Memory) -> Outcomes[Memory]:
        log = m.log if "gate" in m.log else (*m.log, "gate")
        return [(replace(m, log=log), "wait" if "no second look" in bugs else "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        return [(m, "pass on" if m.answers else "wait")]

    def wait(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, tokens=m.tokens - 1), "pass on")] if m.tokens else []

    def pass_on(m: Memory) -> Outcomes[Memory]:
        return [(m if "keeps the token" in bugs else replace(m, tokens=m.tokens + 1), END)]

    return {"add gate": add_gate, "look": look, "wait": wait, "pass on": pass_on}


def waiter(*bugs: str) -> Process[Memory]:
    """Wait for the answer: `Reply.wait`."""
    return Process("waiter", watching("waiter", "add gate", *bugs) | parking(*bugs))


def second_waiter(*bugs: str) -> Process[Memory]:
    """Wait, too; it is the first one that watches, which makes fewer states."""
    return Process("second waiter", parking(*bugs))


def ending(worker: str, then: str, *bugs: str) -> Steps:
    """End: `tell_watchers`, and `Answer.holder_gone`."""
    me = f"end of {worker}"

    def say_gone(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, gone=m.gone | {worker}), f"{me} tell")]

    def tell(m: Memory) -> Outcomes[Memory]:
        return [(m, f"{me} told" if worker in m.watchers else then)]

    def told(m: Memory) -> Outcomes[Memory]:
        return [(m, f"{me} append" if m.holder == worker else f"{me} read")]

    late = "looks for watchers first" in bugs
    steps: Steps = {f"{me}": say_gone, f"{me} tell": tell, f"{me} told": told}
    if late:
        steps = {
            me: lambda m: [(m, f"{me} say {worker in m.watchers}")],
            f"{me} say True": lambda m: [
                (replace(m, gone=m.gone | {worker}), f"{me} told"),
            ],
            f"{me} say False": lambda m: [(replace(m, gone=m.gone | {worker}), then)],
            f"{me} told": told,
        }
    return steps | settling(me, then) | watching(me, then, *bugs)


def first_worker(*bugs: str, hands_on: bool, ends: bool) -> Process[Memory]:
    """Hand the call on, or not, and end, or live on: `delegate`, and `Answer.handed_on`."""
    steps: Steps = {}
    if hands_on:
        steps = {
            "write holder": lambda m: [(replace(m, holder="B"), "look who watches")],
            "look who watches": lambda m: [(m, "A read" if m.watched else "end of A")],
            **watching("A", "end of A", *bugs),
        }
        if "tells nobody" in bugs:
            steps["look who watches"] = goto("end of A")
        if not ends:
            steps["end of A"] = goto(END)
            return Process("A", steps)
    return Process("A", steps | ending("A", END, *bugs))


def second_worker(*bugs: str, replies: bool) -> Process[Memory]:
    """Reply, or not, and end; once the call was handed on."""

    def receive(m: Memory) -> Outcomes[Memory]:
        return [(m, "B append" if replies else "end of B")] if m.holder == "B" else []

    return Process(
        "B", {"receive": receive, **settling("B", "end of B"), **ending("B", END, *bugs)}
    )


def caller_back() -> Process[Memory]:
    """Add a callback: `Answer.when_answered`."""

    def add(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, log=(*m.log, "callback")), "look")]

    def look(m: Memory) -> Outcomes[Memory]:
        before = m.log[: m.log.index("callback")]
        late = any(entry.startswith("answer") for entry in before)
        return [(replace(m, woken=(*m.woken, "callback")) if late else m, END)]

    return Process("caller back", {"add": add, "look": look})


def answered(m: Memory) -> str | None:
    return None if m.answers else "nobody has answered"


def called_once(m: Memory) -> str | None:
    return answered(m) or (
        None if m.woken == ("callback",) else f"the callback was called {len(m.woken)} times"
    )


CASES: Final = (
    {"hands_on": False, "ends": True, "replies": False},
    {"hands_on": True, "ends": True, "replies": False},
    {"hands_on": True, "ends": True, "replies": True},
    {"hands_on": True, "ends": False, "replies": False},
    {"hands_on": True, "ends": False, "replies": True},
)


def run(
    *bugs: str, hands_on: bool, ends: bool, replies: bool, two_wait: bool = False
) -> Explored[Memory]:
    processes = [waiter(*bugs), first_worker(*bugs, hands_on=hands_on, ends=ends)]
    if two_wait:
        processes.append(second_waiter(*bugs))
    if hands_on:
        processes.append(second_worker(*bugs, replies=replies))
    return explore(Memory(), processes, finally_=answered)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("two_wait", [False, True])
def test_who_waits_is_answered_whatever_comes_first(
    case: dict[str, bool],
    two_wait: bool,  # noqa: FBT001
) -> None:
    explored = run(**case, two_wait=two_wait)

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 20


@pytest.mark.parametrize("count", [1, 2])
def test_who_waits_is_woken_once_there_is_an_answer(count: int) -> None:
    answering = [Process(name, settling(name, END)) for name in ("B", "C")[:count]]
    both = [Process(name, parking()) for name in ("waiter", "second waiter")]

    explored = explore(Memory(), [*both, *answering], finally_=answered)

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize("count", [1, 2])
def test_a_callback_is_called_once_whoever_answers_first(count: int) -> None:
    answering = [Process(name, settling(name, END)) for name in ("B", "C")[:count]]

    explored = explore(Memory(), [caller_back(), *answering], finally_=called_once)

    assert explored.counter_example is None, str(explored.counter_example)


@pytest.mark.parametrize(
    "bug",
    [
        "does not look again",
        "does not look at gone",
        "keeps the token",
        "no second look",
        "looks for watchers first",
        "tells nobody",
        "two at once",
    ],
)
def test_a_seeded_bug_is_caught_as_a_caller_that_waits_for_ever(bug: str) -> None:
    two_wait = bug == "keeps the token"
    found = [run(bug, **case, two_wait=two_wait).counter_example for case in CASES]

    claims = [each.claim for each in found if each is not None]
    assert claims
    assert all("waiter" in claim for claim in claims)
