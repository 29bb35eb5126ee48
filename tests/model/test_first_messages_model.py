"""Two first messages for a key, and an eviction beside them: every interleaving."""

from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, explore


@dataclass(frozen=True)
class Memory:
    """What the threads share: the key's workers, oldest first, as the messages that each has."""

    workers: tuple[tuple[str, ...], ...] = ()
    closed: tuple[bool, ...] = ()
    current: int | None = None


def put(m: Memory, number: int, message: str) -> Memory:
    """Put a message into a worker's mailbox."""
    workers = list(m.workers)
    workers[number] = (*workers[number], message)
    return replace(m, workers=tuple(workers))


def sender(name: str, *bugs: str) -> Process[Memory]:
    """Return a thread that sends two messages, one after the other."""

    def deliver(message: str, after: str) -> dict[str, object]:
        label = f"look {message}"

        def look(m: Memory) -> Outcomes[Memory]:
            if m.current is None:
                return [(m, f"enter {message}")]
            return [(m, f"put {message} {m.current}")]

        def enter(m: Memory) -> Outcomes[Memory]:
            # Under the roster's lock, with the message in the new worker's mailbox.
            if m.current is not None:
                if "the loser's message stays" in bugs:
                    return [(m, after)]
                return [(m, label)]
            made = replace(m, workers=(*m.workers, (message,)), closed=(*m.closed, False))
            return [(replace(made, current=len(m.workers)), after)]

        def putting(number: int) -> object:
            def step(m: Memory) -> Outcomes[Memory]:
                if number < len(m.closed) and m.closed[number]:
                    return [(m, after if "a closed mailbox takes it" in bugs else label)]
                return [(put(m, number, message), after)]

            return step

        steps: dict[str, object] = {label: look, f"enter {message}": enter}
        steps |= {f"put {message} {number}": putting(number) for number in range(5)}
        return steps

    steps = deliver(f"{name}1", f"look {name}2") | deliver(f"{name}2", END)
    return Process(name, steps)  # type: ignore[arg-type]


def evictor() -> Process[Memory]:
    """Return the thread that ends the key's worker, as it is idle longest, once."""

    def leave(m: Memory) -> Outcomes[Memory]:
        if m.current is None:
            return [(m, END)]
        return [(replace(m, current=None), f"close {m.current}")]

    def closing(number: int) -> object:
        def step(m: Memory) -> Outcomes[Memory]:
            closed = tuple(each or index == number for index, each in enumerate(m.closed))
            return [(replace(m, closed=closed), END)]

        return step

    steps: dict[str, object] = {"leave": leave}
    steps |= {f"close {number}": closing(number) for number in range(5)}
    return Process("evictor", steps)  # type: ignore[arg-type]


def first(*bugs: str) -> Explored[Memory]:
    """Explore two senders and an eviction."""

    def claim(m: Memory) -> str | None:
        # A worker handles what it has before the next one begins.
        handled = [message for worker in m.workers for message in worker]
        for name in "ab":
            mine = [each for each in handled if each.startswith(name)]
            if mine != [f"{name}1", f"{name}2"]:
                return f"of {name} was handled {mine}"
        return None

    return explore(Memory(), [sender("a", *bugs), sender("b", *bugs), evictor()], finally_=claim)


def test_first_messages_meet_in_one_worker_and_an_eviction_loses_none() -> None:
    explored = first()

    assert explored.counter_example is None, str(explored.counter_example)
    assert explored.states > 100


@pytest.mark.parametrize("bug", ["the loser's message stays", "a closed mailbox takes it"])
def test_the_model_finds_first_messages_that_are_lost(bug: str) -> None:
    assert first(bug).counter_example is not None
