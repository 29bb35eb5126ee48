"""A prioritized mailbox: every interleaving of sending, sorting, parking, sweeping.

As `line.sorting` has it. What is done under the store's lock is one step: nothing else touches the
heaps, and of the queue's part each message is moved in the order in which it came.
"""

from dataclasses import dataclass, replace
from typing import Final

from tests.model.explorer import END, Explored, Outcomes, Process, explore

type Message = tuple[int, int]
"""A priority, and what number of the sender's it is."""
type Sorted = tuple[int, int, Message]
"""A priority, the number by which it was sorted in, the message."""

ALIKE: Final[tuple[Message, ...]] = ((0, 1), (0, 2), (0, 3))
DIFFERENT: Final[tuple[Message, ...]] = ((2, 1), (2, 2), (1, 3))


@dataclass(frozen=True)
class Memory:
    """Where the messages are, and what the checks want to know."""

    queue: tuple[Message, ...] = ()
    hand: tuple[Message, ...] = ()
    """What the receiver was given where it was parked, and has not kept yet."""
    handed: tuple[Message, ...] = ()
    heap: tuple[Sorted, ...] = ()
    swept_heap: tuple[Sorted, ...] = ()
    number: int = 0
    sent: int = 0
    received: tuple[Message, ...] = ()
    swept: tuple[Message, ...] = ()
    wrong: str = ""


def sorted_in(m: Memory, heap: tuple[Sorted, ...], *bugs: str) -> tuple[Memory, tuple[Sorted, ...]]:
    """Return the memory with nothing in the queue, and a heap that has it."""
    came = m.queue + m.handed if "what was handed comes last" in bugs else m.handed + m.queue
    number = m.number
    for message in came:
        number += 1
        heap = (*heap, (message[0], number, message))
    return replace(m, queue=(), handed=(), number=number), tuple(sorted(heap))


def sending(*messages: Message) -> Process[Memory]:
    """Return a process that puts messages."""

    def put(m: Memory, number: int, goto: str) -> Outcomes[Memory]:
        return [(replace(m, queue=(*m.queue, messages[number]), sent=m.sent + 1), goto)]

    last = len(messages) - 1
    return Process(
        "sender",
        {
            f"put {number}": lambda m, n=number: put(m, n, END if n == last else f"put {n + 1}")  # type: ignore[misc]
            for number in range(len(messages))
        },
    )


def receiving(times: int, *bugs: str) -> Process[Memory]:
    """Return a process that receives so many messages, or is left parked."""

    def take(m: Memory, number: int) -> Outcomes[Memory]:
        before = (*m.queue, *m.handed, *(each for _, _, each in m.heap))
        if "it takes before it sorts" in bugs and m.heap:
            heap = m.heap
        else:
            m, heap = sorted_in(m, m.heap, *bugs)
        if not heap:
            return [(m, f"park {number}")]
        (_, _, message), *others = heap
        wrong = m.wrong
        if message[0] > min(before)[0]:
            wrong = f"{message} was received while one of a lower priority waited"
        taken = replace(m, heap=tuple(others), received=(*m.received, message), wrong=wrong)
        return [(taken, f"take {number + 1}" if number + 1 < times else END)]

    def park(m: Memory, number: int) -> Outcomes[Memory]:
        if not m.queue:
            return [(m, END)] if m.sent == len(ALIKE) else []
        return [(replace(m, queue=m.queue[1:], hand=m.queue[:1]), f"keep {number}")]

    def keep(m: Memory, number: int) -> Outcomes[Memory]:
        return [(replace(m, hand=(), handed=m.handed + m.hand), f"take {number}")]

    steps = {}
    for number in range(times):
        steps |= {
            f"take {number}": lambda m, n=number: take(m, n),
            f"park {number}": lambda m, n=number: park(m, n),
            f"keep {number}": lambda m, n=number: keep(m, n),
        }
    return Process("receiver", steps)  # type: ignore[arg-type]


def sweeping(*bugs: str) -> Process[Memory]:
    """Return a process that takes one after the other, until it finds nothing."""
    shared = "one heap for both" in bugs

    def sweep(m: Memory) -> Outcomes[Memory]:
        heap = m.heap if shared else m.swept_heap
        if not shared and not heap:
            heap, m = m.heap, replace(m, heap=())  # taken over as it is
        m, heap = sorted_in(m, heap, *bugs)
        message: tuple[Message, ...] = ()
        if heap:
            message, heap = (heap[0][2],), heap[1:]
        m = replace(m, heap=heap) if shared else replace(m, swept_heap=heap)
        return [(replace(m, swept=m.swept + message), "sweep" if message else END)]

    return Process("sweeper", {"sweep": sweep})


def run(messages: tuple[Message, ...], *bugs: str, sweeps: bool = True) -> Explored[Memory]:
    """Explore a sender, a receiver, and a thread that sweeps."""

    def in_order(m: Memory) -> str | None:
        if m.wrong:
            return m.wrong
        of_each = [[n for p, n in m.received if p == priority] for priority in range(3)]
        if any(numbers != sorted(numbers) for numbers in of_each):
            return f"of one priority, what came first was not received first: {m.received}"
        return None

    def none_lost(m: Memory) -> str | None:
        left = (*m.queue, *m.handed, *(each for _, _, each in (*m.heap, *m.swept_heap)))
        there = sorted((*m.received, *m.swept, *left))
        return None if there == sorted(messages) else f"lost, or twice: {there}"

    others = [sweeping(*bugs)] if sweeps else []
    return explore(
        Memory(),
        [sending(*messages), receiving(len(messages), *bugs), *others],
        always=in_order,
        finally_=none_lost,
    )


def test_what_is_received_is_in_order_and_none_is_lost() -> None:
    for messages in (ALIKE, DIFFERENT):
        for sweeps in (True, False):
            explored = run(messages, sweeps=sweeps)

            assert explored.counter_example is None, str(explored.counter_example)
            assert explored.states > 10


def test_a_thread_that_sweeps_has_a_heap_of_its_own() -> None:
    found = run(ALIKE, "one heap for both").counter_example

    assert found is not None
    assert found.claim.startswith("of one priority"), str(found)


def test_what_a_parked_receiver_was_handed_came_first() -> None:
    found = run(ALIKE, "what was handed comes last", sweeps=False).counter_example

    assert found is not None
    assert found.claim.startswith("of one priority"), str(found)


def test_what_has_come_is_sorted_in_before_any_is_taken() -> None:
    found = run(DIFFERENT, "it takes before it sorts", sweeps=False).counter_example

    assert found is not None
    assert "lower priority" in found.claim, str(found)
