"""A flush that is entered for receivers which open it meanwhile: every interleaving."""

from dataclasses import dataclass, replace

import pytest

from tests.model.explorer import END, Explored, Outcomes, Process, Step, explore

RECEIVERS = 2


@dataclass(frozen=True)
class Memory:
    """What the threads share."""

    left: tuple[bool, ...] = (True,)
    markers: tuple[bool, ...] = (False,) * RECEIVERS
    told: int = 0
    over: bool = False


def open_(m: Memory) -> tuple[Memory, bool]:
    """Return the memory without the uppermost entry, and whether that was the lowest one, too."""
    return replace(m, left=m.left[:-1]), m.left[-1]


def waiter(*bugs: str) -> Process[Memory]:
    """Return the thread that enters all receivers, one after the other, and waits."""

    def enter(number: int, goto: str) -> dict[str, Step[Memory]]:
        def write_down(m: Memory) -> Memory:
            return replace(m, left=(*m.left, False))

        def put(m: Memory) -> Memory:
            markers = tuple(each or place == number for place, each in enumerate(m.markers))
            return replace(m, markers=markers)

        first, second = write_down, put
        if "it puts the marker first" in bugs:
            first, second = put, write_down
        return {
            f"enter {number}": lambda m: [(first(m), f"enter {number} still")],
            f"enter {number} still": lambda m: [(second(m), goto)],
        }

    def take(m: Memory) -> Outcomes[Memory]:
        if "it takes no entry" in bugs:
            return [(m, "wait")]
        after, last = open_(m)
        return [(replace(after, over=last), END if last else "wait")]

    def wait(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, over=True), END)] if m.told else []

    steps: dict[str, Step[Memory]] = {}
    for number in range(RECEIVERS):
        steps |= enter(number, f"enter {number + 1}" if number + 1 < RECEIVERS else "take")
    return Process("waiter", {**steps, "take": take, "wait": wait})


def receiver(number: int) -> Process[Memory]:
    """Return a thread that takes its marker, and opens the flush."""

    def take(m: Memory) -> Outcomes[Memory]:
        return [(m, "open")] if m.markers[number] else []

    def open_it(m: Memory) -> Outcomes[Memory]:
        if not m.left:
            return [(replace(m, told=2), END)]
        after, last = open_(m)
        return [(after, "tell" if last else END)]

    def tell(m: Memory) -> Outcomes[Memory]:
        return [(replace(m, told=m.told + 1), END)]

    return Process(f"receiver {number}", {"take": take, "open": open_it, "tell": tell})


def flushing(*bugs: str) -> Explored[Memory]:
    """Explore a flush; the waiter must not go on early, nor wait for ever."""

    def early(m: Memory) -> str | None:
        if m.over and m.left:
            return "it is over though a receiver is not there"
        return "two are the last" if m.told > 1 else None

    receivers = [receiver(number) for number in range(RECEIVERS)]
    return explore(Memory(), [waiter(*bugs), *receivers], always=early)


def test_a_flush_is_over_once_all_are_there() -> None:
    assert flushing().counter_example is None
    assert flushing().states > 20


@pytest.mark.parametrize("bug", ["it takes no entry", "it puts the marker first"])
def test_the_model_finds_a_flush_that_is_over_early_or_never(bug: str) -> None:
    assert flushing(bug).counter_example is not None
