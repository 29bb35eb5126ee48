"""Hammers of flow: bounds, rates, tasks over several keys, and what is cancelled beside them."""

import random
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from tests.helpers import DEADLINE, run_together
from threadpool_mb import KeyedExecutor, Rate
from threadpool_mb.rates import MAKES_UP

pytestmark = pytest.mark.racing

KEYS = 6
EACH = 120
SENDERS = 3


class Keys:
    """What tasks have done with keys, and that no two of them used a key at once."""

    def __init__(self) -> None:
        self._locks = [threading.Lock() for _ in range(KEYS)]
        self.ran: list[list[tuple[int, int]]] = [[] for _ in range(KEYS)]

    def use(self, keys: tuple[int, ...], sender: int, number: int) -> None:
        """Note a task of these keys."""
        for key in keys:
            assert self._locks[key].acquire(blocking=False), "two tasks of one key run at once"
        for key in keys:
            self.ran[key].append((sender, number))
        for key in keys:
            self._locks[key].release()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_waiting": 5},
        {"rate": Rate(1e6)},
        {"pinned": True},
        {"max_waiting": 3, "rate": Rate(1e6), "after_error": "cancel_key"},
    ],
    ids=str,
)
def test_tasks_of_one_several_and_all_keys_run_once_alone_and_in_their_senders_order(  # noqa: C901 - one story
    options: dict[str, Any],
) -> None:
    keys = Keys()
    wanted: list[list[list[int]]] = [[[] for _ in range(KEYS)] for _ in range(SENDERS)]
    futures: list[Future[None]] = []

    with KeyedExecutor(3, **options) as executor:

        def send(sender: int) -> None:
            draw = random.Random(sender)  # noqa: S311 - no secret
            for number in range(EACH):
                kind = draw.random()
                if kind < 0.5:
                    mine = (draw.randrange(KEYS),)
                    future = executor.submit_keyed(mine[0], keys.use, mine, sender, number)
                elif kind < 0.95:
                    mine = tuple(draw.sample(range(KEYS), draw.randint(2, 4)))
                    future = executor.submit_multi(mine, keys.use, mine, sender, number)
                else:
                    mine = tuple(range(KEYS))
                    future = executor.submit_exclusive(keys.use, mine, sender, number)
                if draw.random() < 0.2 and future.cancel():
                    continue
                futures.append(future)
                for key in mine:
                    wanted[sender][key].append(number)

        run_together(*(lambda sender=sender: send(sender) for sender in range(SENDERS)))  # type: ignore[misc]
        for future in futures:
            future.result(DEADLINE)

    for key in range(KEYS):
        for sender in range(SENDERS):
            ran = [number for by, number in keys.ran[key] if by == sender]
            assert ran == wanted[sender][key]
    assert executor._table.keys == 0
    room = executor._flow.room
    if room is not None:
        slots = room.slots
        free = slots._free.qsize() + sum(each.qsize() for each in slots.stripes)
        assert free - slots.closed + slots._unissued == room.limit


def test_of_a_key_that_is_cancelled_no_task_of_several_keys_waits_after_that() -> None:
    left: list[Future[object]] = []

    with KeyedExecutor(3) as executor:

        def send(sender: int) -> None:
            for number in range(EACH * 3):
                executor.submit_keyed("busy", int)
                executor.submit_keyed("one", int)
                # Of the first key, the task that is about to run is not to be told from it.
                future = executor.submit_multi([(sender, number), "one", "busy"], int)
                executor.cancel_key("one")
                if not (future.running() or future.done()):
                    left.append(future)

        run_together(*(lambda sender=sender: send(sender) for sender in range(SENDERS)))  # type: ignore[misc]

    assert not left


def test_a_rate_holds_while_senders_race() -> None:
    began: list[float] = []
    lock = threading.Lock()

    def begin() -> None:
        with lock:
            began.append(time.monotonic())

    with KeyedExecutor(3, rate=Rate(500, burst=2)) as executor:

        def send() -> None:
            for _ in range(20):
                executor.submit_keyed("one", begin)

        run_together(send, send, send)

    assert len(began) == 60
    for first in range(60):
        for last in range(first, 60):
            span = began[last] - began[first]
            # A thread may come late between the look and the note.
            assert last - first + 1 <= 2 + (span + 2 * MAKES_UP) * 500 + 1


def test_what_is_cancelled_while_it_waits_for_its_time_loses_no_key() -> None:
    begun: dict[int, list[int]] = {key: [] for key in range(8)}
    futures: list[list[Future[None]]] = [[] for _ in begun]

    with KeyedExecutor(3, rate=Rate(1000)) as executor:

        def send(key: int) -> None:
            mine = futures[key]
            for number in range(EACH * 5):
                mine.append(executor.submit_keyed(key, begun[key].append, number))
                if number % 3 == 2:
                    mine[-2].cancel()
                if number % 50 == 49:
                    executor.cancel_key(key)

        run_together(*(lambda key=key: send(key) for key in begun))  # type: ignore[misc]

    for key, mine in enumerate(futures):
        assert all(future.done() for future in mine)
        assert begun[key] == [at for at, future in enumerate(mine) if not future.cancelled()]
    assert not len(executor._table.delayed)
