"""Spare threads: who waits in the queue, who is woken, and what comes as they change places."""

import functools
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.helpers import DEADLINE, until
from tests.points import interrupted_at_each_point
from tests.pool.witness import Gate
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.spares import Spares
from threadpool_mb.threads.turns import Turn

COUNT = 4


class Calls:
    """A turn that calls a function."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def turn(self) -> int:
        """Call it."""
        self._function()
        return 0


def all_idle(threads: SharedThreads) -> bool:
    return threads.idle == COUNT


@pytest.fixture
def threads() -> Iterator[SharedThreads]:
    """Return threads of which one waits in the queue, and all others are spare."""
    threads = SharedThreads("t", COUNT)
    gates = [Gate() for _ in range(COUNT)]
    for gate in gates:
        threads.schedule(Calls(gate))
    for gate in gates:
        gate.wait_until_reached()
    for gate in gates:
        gate.open()
    until(lambda: all_idle(threads))
    yield threads
    threads.close()
    assert threads.join(Deadline(DEADLINE))
    assert not threads._spares


def test_one_thread_waits_in_the_queue(threads: SharedThreads) -> None:
    assert (threads._idle, len(threads._spares)) == (1, COUNT - 1)
    assert not threads.growing


def test_each_turn_that_needs_another_to_go_on_has_a_thread(threads: SharedThreads) -> None:
    for _ in range(50):
        together = threading.Barrier(COUNT)
        for _ in range(COUNT):
            threads.schedule(Calls(functools.partial(together.wait, DEADLINE)))
        until(lambda: all_idle(threads))


def test_turns_that_were_put_ahead_wake_as_many(threads: SharedThreads) -> None:
    together = threading.Barrier(COUNT + 1)
    turns: list[Turn] = [Calls(lambda: together.wait(DEADLINE)) for _ in range(COUNT)]

    threads.schedule_ahead(iter(turns))

    together.wait(DEADLINE)


def test_the_one_that_became_spare_last_is_woken_first(threads: SharedThreads) -> None:
    names: list[str] = []
    gate = Gate()
    threads.schedule(Calls(gate))
    gate.wait_until_reached()
    # No thread is idle: one is woken for the next turn, and waits in the queue after that.
    threads.schedule(Calls(lambda: names.append(threading.current_thread().name)))
    until(lambda: len(names) == 1 and threads._idle == 1)
    threads.schedule(Calls(lambda: names.append(threading.current_thread().name)))
    until(lambda: len(names) == 2)
    gate.open()

    assert names[0] == names[1]


def test_a_nudge_has_each_of_them_look_and_wait_again(threads: SharedThreads) -> None:
    bells = set(threads._spares._bells)

    threads.nudge()
    until(lambda: all_idle(threads) and not bells & set(threads._spares._bells))

    assert (threads._idle, len(threads._spares)) == (1, COUNT - 1)


def test_a_turn_that_comes_once_a_woken_thread_has_looked_is_taken(
    threads: SharedThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender finds no permit: the woken thread has it, and has found nothing."""
    blocker, looked, came = Gate(), Gate(), Gate()
    threads.schedule(Calls(blocker))
    blocker.wait_until_reached()
    next_turn = SharedThreads._next_turn

    def look_and_stop(self: SharedThreads) -> Turn | None:
        try:
            return next_turn(self)
        finally:
            looked()

    with monkeypatch.context() as patch:
        patch.setattr(SharedThreads, "_next_turn", look_and_stop)
        # As where the turn that it was woken for was taken by another thread.
        assert threads._may_ask.pop("may ask")
        assert threads._spares.wake()
        looked.wait_until_reached()
    threads.schedule(Calls(came))
    looked.open()

    came.wait_until_reached()
    came.open()
    blocker.open()


def test_a_thread_that_is_handed_a_turn_wakes_one_for_what_came_meanwhile(
    threads: SharedThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender of the second turn still finds the thread idle, and asks for none."""
    handed, first, second = Gate(), Gate(), Gate()
    leave = SharedThreads._leave

    def stop_and_leave(self: SharedThreads) -> None:
        handed()
        leave(self)

    with monkeypatch.context() as patch:
        patch.setattr(SharedThreads, "_leave", stop_and_leave)
        threads.schedule(Calls(first))
        handed.wait_until_reached()
    threads.schedule(Calls(second))
    assert len(threads._spares) == COUNT - 1
    handed.open()

    first.wait_until_reached()
    second.wait_until_reached()
    first.open()
    second.open()


def test_no_thread_becomes_spare_once_they_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = SharedThreads("t", 2)
    gates = [Gate(), Gate()]
    for gate in gates:
        threads.schedule(Calls(gate))
    for gate in gates:
        gate.wait_until_reached()

    threads.close()
    for gate in gates:
        gate.open()

    assert threads.join(Deadline(DEADLINE))
    assert not threads._spares


def test_an_interrupt_as_a_thread_is_woken_loses_neither_it_nor_the_permit() -> None:
    def prepare() -> tuple[SharedThreads, list[object]]:
        threads = SharedThreads("t", 1, list)
        bell = threads._spares.add()
        threads._look_whether_growing_locked()
        return threads, [bell]

    def schedule(scene: tuple[SharedThreads, list[object]]) -> None:
        scene[0].schedule(Calls(int))

    for threads, (bell,) in interrupted_at_each_point(prepare, schedule):
        woken = not threads._spares
        assert bell.qsize() == woken  # type: ignore[attr-defined]
        # It puts the permit back itself.
        assert woken or threads._may_ask
        assert woken or not len(threads._ready) or threads.growing


def test_nobody_is_woken_where_nobody_is_spare() -> None:
    spares = Spares()

    assert not spares.wake()
    bell = spares.add()
    assert spares.wake()
    assert bell.get_nowait() is None
    assert not spares.wake()
