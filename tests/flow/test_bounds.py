"""`max_waiting`: how many tasks may wait, and what becomes of senders that find so many."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest

import threadpool_mb as mb
from tests.flow.submissions import held
from tests.helpers import DEADLINE, Running, run_together, until
from tests.insides import table_of
from tests.pool.witness import Gate
from threadpool_mb import Full, KeyedExecutor
from threadpool_mb.keyed import room
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.threads.shared import SharedThreads


def test_a_sender_that_does_not_wait_is_told_and_its_task_never_runs(gate: Gate) -> None:
    ran: list[int] = []
    with KeyedExecutor(1, max_waiting=2, when_full="raise") as executor:
        held(executor, gate)
        for number in range(2):
            executor.submit_keyed(number, ran.append, number)
        with pytest.raises(Full, match="2 tasks wait"):
            executor.submit_keyed("more", ran.append, 2)
        with pytest.raises(queue.Full):
            executor.submit(ran.append, 3)
        with pytest.raises(Full):
            executor.submit_multi(["a", "b"], ran.append, 4)
        with pytest.raises(Full):
            executor.for_key("a").submit(ran.append, 5)
        gate.open()
    assert ran == [0, 1]


def test_a_sender_waits_until_a_task_begins(gate: Gate) -> None:
    with KeyedExecutor(1, max_waiting=1) as executor:
        held(executor, gate)
        executor.submit_keyed("a", int)
        sender = Running(lambda: executor.submit_keyed("b", int, "7"))
        room = executor._flow.room
        assert room is not None
        until(lambda: room.slots.waiting)
        gate.open()
        assert sender.result().result(DEADLINE) == 7


@pytest.mark.parametrize("wait", [True, False])
def test_senders_that_wait_are_refused_when_the_executor_is_shut_down(
    gate: Gate,
    wait: bool,  # noqa: FBT001 - a case
) -> None:
    ran: list[str] = []
    executor = KeyedExecutor(1, max_waiting=1)
    held(executor, gate)
    executor.submit_keyed("a", ran.append, "a")
    senders = [Running(lambda: executor.submit_keyed("b", ran.append, "b")) for _ in range(3)]
    room = executor._flow.room
    assert room is not None
    until(lambda: room.slots.waiting == 3)

    executor.shutdown(wait=False)
    for sender in senders:
        with pytest.raises(RuntimeError, match="after shutdown"):
            sender.result()
    gate.open()
    executor.shutdown(wait=wait)
    until(lambda: ran == ["a"])


def test_what_is_cancelled_or_refused_frees_its_room(gate: Gate) -> None:
    with KeyedExecutor(1, max_waiting=3, when_full="raise") as executor:
        first = held(executor, gate)
        futures = [executor.submit_keyed("a", int) for _ in range(3)]
        for future in futures:
            assert future.cancel()
        # They stay in line until their turn comes.
        with pytest.raises(Full):
            executor.submit_keyed("b", int)
        gate.open()
        first.result(DEADLINE)
        until(lambda: not executor._table.keys)
        executor.submit_exclusive(int).result(DEADLINE)
        for _ in range(20):
            with contextlib.suppress(TypeError):
                executor.submit_keyed([], int)
        gate_of_all = Gate()
        held(executor, gate_of_all)
        for number in range(3):
            executor.submit_keyed(number, int)
        with pytest.raises(Full):
            executor.submit_keyed("b", int)
        gate_of_all.open()


def test_a_task_that_submits_into_its_own_full_executor_is_told_or_gets_through() -> None:
    """Where all threads wait for room, and what waits stands behind them, none would go on."""
    told: list[BaseException] = []
    done: list[int] = []

    with KeyedExecutor(2, max_waiting=3) as executor:

        def spread(depth: int) -> None:
            done.append(depth)
            for _ in range(4 if depth else 0):
                try:
                    executor.submit_keyed("its own", spread, depth - 1)
                except Full as error:
                    told.append(error)

        executor.submit_keyed("its own", spread, 2)
        until(lambda: not executor._table.keys)

    assert told
    # Each that was asked for was done, or its sender was told.
    assert len(done) - 1 + len(told) == 4 * sum(depth > 0 for depth in done)


@pytest.mark.parametrize("spare", ["idle", "starting"])
def test_a_task_that_finds_it_full_is_told_though_another_thread_has_nothing_to_do(
    spare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits stands behind the task: a thread that waits for a turn gets none."""
    monkeypatch.setattr(room, "_PAUSE", 0.001)
    with KeyedExecutor(2, max_waiting=1) as executor:
        threads = table_of(executor).threads
        assert isinstance(threads, SharedThreads)
        if spare == "idle":
            both = threading.Barrier(2)
            wait([executor.submit_keyed(key, both.wait) for key in "ab"], DEADLINE)
            until(lambda: threads.idle == 2)
        else:
            executor.submit_keyed("a", threads.grow, least=2).result(DEADLINE)

        def submit_two() -> str:
            executor.submit_keyed("a", int)
            assert threads.unoccupied == 1
            try:
                executor.submit_keyed("a", int)
            except Full:
                return "Full"
            return "taken"

        assert executor.submit_keyed("a", submit_two).result(DEADLINE) == "Full"


def test_a_task_is_not_told_while_a_thread_has_just_been_handed_what_makes_room(
    monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    """A thread that has a turn in hand counts as idle until it knows."""
    looks = list[bool]()
    await_turn, is_stuck = SharedThreads._await_turn, room.Room._is_stuck

    def stop_with_a_turn(threads: SharedThreads) -> object:
        turn = await_turn(threads)
        if isinstance(turn, Task) and turn.key == "handed":
            gate()
        return turn

    def look(self: room.Room, threads: SharedThreads) -> bool:
        looks.append(is_stuck(self, threads))
        if sum(looks) == 3:
            gate.open()
        return looks[-1]

    monkeypatch.setattr(SharedThreads, "_await_turn", stop_with_a_turn)
    monkeypatch.setattr(room.Room, "_is_stuck", look)
    with KeyedExecutor(2, max_waiting=1) as executor:
        threads = table_of(executor).threads
        assert isinstance(threads, SharedThreads)
        both = threading.Barrier(2)
        wait([executor.submit_keyed(key, both.wait) for key in "ab"], DEADLINE)
        until(lambda: threads.idle == 2)

        def submit_two() -> None:
            # The other thread is spare. It is woken, and waits in the queue then.
            threads.nudge()
            until(lambda: threads._idle == 1)
            executor.submit_keyed("handed", int)
            gate.wait_until_reached()
            executor.submit_keyed("c", int)

        executor.submit_keyed("a", submit_two).result(DEADLINE)

    assert looks[:3] == [True] * 3


def test_tasks_that_fan_out_wait_for_room_where_others_go_on() -> None:
    done: list[int] = []

    with KeyedExecutor(2, max_waiting=2) as executor:

        def fan_out(number: int) -> None:
            for each in range(5):
                executor.submit_keyed(("leaf", number, each), done.append, each)

        futures = [executor.submit_keyed(number, fan_out, number) for number in range(4)]
        for future in futures:
            future.result(DEADLINE)

    assert len(done) == 20


def test_a_pinned_task_is_told_at_once(gate: Gate) -> None:
    with KeyedExecutor(1, max_waiting=1, pinned=True) as executor:

        def submit_two() -> None:
            executor.submit_keyed("a", int)
            executor.submit_keyed("b", int)

        with pytest.raises(Full):
            executor.submit_keyed("a", submit_two).result(DEADLINE)


def test_map_keyed_submits_no_more_than_may_wait(gate: Gate) -> None:
    with KeyedExecutor(1, max_waiting=4) as executor:
        held(executor, gate)
        seen: list[int] = []

        def items() -> Iterator[int]:
            for number in range(50):
                seen.append(number)
                yield number

        results = Running(lambda: list(executor.map_keyed(str, items(), key=lambda n: n % 3)))
        room = executor._flow.room
        assert room is not None
        until(lambda: room.slots.waiting)
        assert len(seen) == 5
        gate.open()
        assert results.result() == [str(number) for number in range(50)]


@pytest.mark.racing
def test_no_more_than_that_wait_whoever_submits() -> None:
    limit, senders, each = 8, 6, 150
    most: list[int] = []
    ran: list[tuple[int, int]] = []

    with KeyedExecutor(3, max_waiting=limit) as executor:

        def send(sender: int) -> None:
            for number in range(each):
                executor.submit_keyed((sender, number % 4), ran.append, (sender, number))
                most.append(executor._table.not_begun)

        run_together(*(lambda sender=sender: send(sender) for sender in range(senders)))  # type: ignore[misc]

    assert max(most) <= limit + senders
    assert sorted(ran) == [(sender, number) for sender in range(senders) for number in range(each)]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"max_waiting": 0}, ValueError, "max_waiting"),
        ({"max_waiting": -3}, ValueError, "-3"),
        ({"max_waiting": 1.5}, ValueError, "1.5"),
        ({"max_waiting": True}, ValueError, "True"),
        ({"when_full": "drop"}, ValueError, "'drop'"),
        ({"when_full": "raise"}, ValueError, "max_waiting is None"),
        ({"after_error": "stop"}, ValueError, "'stop'"),
        ({"rate": 5}, TypeError, "5"),
    ],
)
def test_arguments_are_checked(
    arguments: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        KeyedExecutor(**arguments)


def test_a_full_executor_leaves_nothing_behind() -> None:
    before = threading.active_count()
    for _ in range(5):
        with KeyedExecutor(2, max_waiting=1) as executor:
            for number in range(20):
                executor.submit_keyed(number, int)
    assert threading.active_count() == before
    assert issubclass(mb.Full, queue.Full)


def test_a_task_waits_for_room_where_one_that_is_throttled_will_make_some() -> None:
    with KeyedExecutor(1, max_waiting=1, rate=mb.Rate(4)) as executor:
        executor.submit_keyed("b", int).result(DEADLINE)
        # It may begin after a quarter of a second, for five looks; it has the room.
        executor.submit_keyed("b", int)
        submits = executor.submit_later(0, "a", executor.submit_keyed, "c", int, "6")
        inner: Any = submits.result(DEADLINE)
        assert inner.result(DEADLINE) == 6
