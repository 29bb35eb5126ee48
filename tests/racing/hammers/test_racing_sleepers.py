"""Workers that sleep, and messages that are due, beside ends of workers: hammered."""

import collections
import random
from collections.abc import Generator
from typing import Any, Final

import pytest

from tests.helpers import run_together
from threadpool_mb import DeadLetter, Pool, Timer, sleep
from threadpool_mb.dead_letters import DeadLetterReason

pytestmark = pytest.mark.racing

KEYS: Final = 12
SENDERS: Final = 3
MESSAGES: Final = 150

type Message = tuple[int, int]
"""A sender, and its how-manieth message of this key."""


def end_often(pool: Pool[int, Any]) -> None:
    """Have one worker after the other end, once it has handled what it has."""
    for number in range(MESSAGES):
        pool.remove(number % KEYS, drain=True)


@pytest.mark.parametrize("pinned", [False, True])
def test_sleepers_that_wake_beside_senders_and_ends_handle_each_message_once_in_order(
    pinned: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    handled = collections.defaultdict[int, list[Message]](list)
    running = collections.Counter[int]()
    letters = list[DeadLetter[int, Message]]()
    draw = random.Random(0)  # noqa: S311 - no secret
    # Many wake at once, some before those that came first.
    times = [draw.choice([0.0, 0.0005, 0.0005, 0.001, draw.random() / 1000]) for _ in range(997)]

    def worker(key: int) -> Generator[Any, Message]:
        running[key] += 1
        assert running[key] == 1, "two workers of one key"
        try:
            while True:
                message = yield
                if message[1] % 3:
                    yield from sleep(times[(key + sum(message)) % len(times)])
                handled[key].append(message)
        finally:
            running[key] -= 1

    with Pool(
        worker, start="on_demand", max_threads=2, pinned=pinned, on_dead_letter=letters.append
    ) as pool:

        def send(sender: int) -> None:
            for number in range(MESSAGES):
                for key in range(KEYS):
                    assert pool.dispatch(key, (sender, number))

        run_together(
            lambda: end_often(pool),
            *(lambda sender=sender: send(sender) for sender in range(SENDERS)),
        )  # type: ignore[misc]
        assert pool.flush(timeout=15)

    assert letters == []
    for of_key in handled.values():
        assert sorted(of_key) == sorted(of_key, key=lambda message: message[0])
        assert sorted(of_key) == [(who, n) for who in range(SENDERS) for n in range(MESSAGES)]
    assert len(handled) == KEYS


def test_messages_that_are_due_at_once_are_dispatched_or_cancelled_each_once() -> None:
    handled = list[int]()
    letters = list[DeadLetter[int, int]]()
    cancelled = list[int]()
    timers = list[tuple[int, Timer]]()

    def worker(_key: int) -> Generator[None, int]:
        while True:
            handled.append((yield))

    with Pool(worker, start="on_demand", max_threads=2, on_dead_letter=letters.append) as pool:

        def add() -> None:
            for number in range(SENDERS * MESSAGES):
                timers.append((number, pool.dispatch_later(0.0005, number % KEYS, number)))

        def cancel() -> None:
            for _ in range(MESSAGES):
                for number, timer in timers[-5:]:
                    if timer.cancel():
                        cancelled.append(number)

        run_together(add, cancel, lambda: end_often(pool))

    dead = [letter.message for letter in letters]
    assert sorted([*handled, *cancelled, *dead]) == list(range(SENDERS * MESSAGES))
    # The latter are those that come due in the moment in which the pool closes.
    assert {letter.reason for letter in letters} <= {
        DeadLetterReason.NOT_DUE,
        DeadLetterReason.POOL_CLOSED,
    }
