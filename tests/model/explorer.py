"""A small model checker: runs through every interleaving of a few processes.

A *process* is a table of labelled steps. A step looks at the memory, which is immutable and shared
by all processes, and returns what can happen: pairs of the memory after it and the label that the
process goes to. No pair means that the process is blocked. One step is one atomic access to what is
shared; all else that a thread does commutes with the others and needs no step of its own.

The search is breadth-first, so that a counter-example is a shortest one.
"""

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

END: Final = "end"
"""The label of a process that has ended."""

type Outcomes[M] = Iterable[tuple[M, str]]
type Step[M] = Callable[[M], Outcomes[M]]
type Check[M] = Callable[[M], str | None]


@dataclass(frozen=True)
class Process[M]:
    """Steps by label, begun at the first one."""

    name: str
    steps: Mapping[str, Step[M]]

    @property
    def start(self) -> str:
        """The label of the first step."""
        return next(iter(self.steps))


@dataclass(frozen=True)
class CounterExample[M]:
    """An interleaving that breaks a claim."""

    claim: str
    trace: Sequence[str]
    memory: M

    def __str__(self) -> str:
        steps = "\n".join(f"{number:3}. {step}" for number, step in enumerate(self.trace, 1))
        return f"{self.claim}\n{steps}\n     {self.memory}"


@dataclass(frozen=True)
class Explored[M]:
    """What a search has found."""

    states: int
    counter_example: CounterExample[M] | None


def nothing_to_check(memory: object) -> None:
    """Claim nothing."""


def explore[M](
    memory: M,
    processes: Sequence[Process[M]],
    *,
    always: Check[M] = nothing_to_check,
    finally_: Check[M] = nothing_to_check,
) -> Explored[M]:
    """Run through every interleaving, until one breaks a claim.

    Args:
        memory: what the processes share, at the start; hashable.
        processes: what runs.
        always: returns the claim that a reachable memory breaks, or `None`.
        finally_: the same for memories in which all processes have ended.
    """
    start = (memory, tuple(process.start for process in processes))
    came_from: dict[object, tuple[tuple[M, tuple[str, ...]], str] | None] = {start: None}
    to_do = collections.deque([start])
    while to_do:
        state = to_do.popleft()
        memory, labels = state
        broken = always(memory)
        moved = False
        for index, (process, label) in enumerate(zip(processes, labels, strict=True)):
            if label == END:
                continue
            for after, goto in process.steps[label](memory):
                moved = True
                following = (after, (*labels[:index], goto, *labels[index + 1 :]))
                if following not in came_from:
                    came_from[following] = (state, f"{process.name}: {label} -> {goto}")
                    to_do.append(following)
        if not moved and not broken:
            stuck = [p.name for p, label in zip(processes, labels, strict=True) if label != END]
            broken = f"deadlock: {', '.join(stuck)}" if stuck else finally_(memory)
        if broken:
            trace = _trace(state, came_from)
            return Explored(len(came_from), CounterExample(broken, trace, memory))
    return Explored(len(came_from), None)


def _trace(state: object, came_from: Mapping[object, tuple[object, str] | None]) -> list[str]:
    steps: list[str] = []
    while (before := came_from[state]) is not None:
        state, step = before
        steps.append(step)
    return steps[::-1]
