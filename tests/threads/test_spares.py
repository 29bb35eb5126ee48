"""Spare threads: who waits in the queue, who is woken, and what comes as they change places."""

import contextlib
import ctypes
import functools
import sys
import threading
import types
from collections.abc import Iterator

import pytest

from tests.helpers import DEADLINE, told_of_ended_threads, until
from tests.insides import Calls
from tests.points import interrupted_at_each_point
from tests.pool.witness import Gate
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads import shared, spares
from threadpool_mb.threads.here import Source
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.spares import Spares
from threadpool_mb.threads.turns import ReadyTurns, Turn
from threadpool_mb.threads.waiting import get_patiently

COUNT = 4


def all_idle(threads: SharedThreads) -> bool:
    return threads.idle == COUNT


@contextlib.contextmanager
def blocked(threads: SharedThreads) -> Iterator[None]:
    """Have one of the threads blocked for as long as it takes: no other turn gets it."""
    begun, over = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        over.wait()

    threads.schedule(Calls(block))
    try:
        assert begun.wait(DEADLINE)
        yield
    finally:
        over.set()


@contextlib.contextmanager
def at_once(threads: SharedThreads, count: int) -> Iterator[None]:
    """Have so many turns run at once, each on a thread of its own, for as long as it takes."""
    gates = [Gate() for _ in range(count)]
    for gate in gates:
        threads.schedule(Calls(gate))
    for gate in gates:
        gate.wait_until_reached()
    try:
        yield
    finally:
        for gate in gates:
            gate.open()


@pytest.fixture
def threads() -> Iterator[SharedThreads]:
    """Return threads of which one waits in the queue, and all others are spare."""
    threads = SharedThreads("t", COUNT)
    with at_once(threads, COUNT):
        pass
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


def test_no_sender_looks_for_a_spare_thread_where_each_of_them_was_woken(
    threads: SharedThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[None]()
    monkeypatch.setattr(SharedThreads, "_ask_for_one", lambda _: asked.append(None))
    with at_once(threads, COUNT):
        growing = threads.growing
        del asked[:]
        threads.schedule(Calls(int))  # no thread is spare, and there may be no further one

    assert not growing
    assert not asked


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
    bells = set(threads._spares.bells)

    threads.nudge()
    until(lambda: all_idle(threads) and not bells & set(threads._spares.bells))

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
        assert threads._spares._permit.pop("may wake")
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
        assert woken or (threads._may_ask and threads._spares._permit)
        assert woken or not len(threads._ready) or threads.growing


def test_nobody_is_woken_where_nobody_is_spare() -> None:
    spares = Spares()

    assert not spares.wake()
    bell = spares.add()
    assert bell is not None
    assert spares.wake()
    assert bell.get_nowait() is None
    assert not spares.wake()


def test_a_thread_that_is_to_take_what_was_moved_does_not_sleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It clears `moved` and sets it again, and one that is idle has read it in between."""
    threads = SharedThreads("t", 2)
    gates = [Gate(), Gate()]
    moved = Gate()
    waits = threading.Event()

    def tell_and_get[T](items: Source[T]) -> T:
        waits.set()
        return get_patiently(items)

    def look_in_steps(self: ReadyTurns) -> bool:
        assert not self._moved_count()
        patch.undo()
        threads.schedule_ahead([Calls(moved)])
        self.moved = False
        gates[1].open()
        assert waits.wait(DEADLINE)
        assert self._woken.qsize()
        self.moved = True
        return True

    for gate in gates:
        threads.schedule(Calls(gate))
    for gate in gates:
        gate.wait_until_reached()
    monkeypatch.setattr(shared, "get_patiently", tell_and_get)
    with monkeypatch.context() as patch:
        patch.setattr(ReadyTurns, "_look_whether_moved_locked", look_in_steps)
        threads._ready.moved = True
        gates[0].open()

        moved.wait_until_reached()

    moved.open()
    threads.close()
    assert threads.join(Deadline(DEADLINE))


def test_no_thread_sleeps_on_where_one_takes_long_to_start() -> None:
    gates, prepared, came = [Gate(), Gate()], Gate(), Gate()
    number = iter(range(3))

    def prepare() -> None:
        if next(number) == len(gates):
            prepared()

    threads = SharedThreads("t", COUNT, prepare=prepare)
    for gate in gates:
        threads.schedule(Calls(gate))
        gate.wait_until_reached()
    threads.schedule(Calls(int))
    prepared.wait_until_reached()
    for gate in gates:
        gate.open()
    until(lambda: threads.idle == len(gates))
    with blocked(threads):
        threads.schedule(Calls(came))
        came.wait_until_reached()

    came.open()
    prepared.open()
    threads.close()
    assert threads.join(Deadline(DEADLINE))


def test_no_thread_sleeps_on_where_who_starts_them_is_late() -> None:
    gates, came = [Gate(), Gate()], Gate()
    asked: list[str] = []
    threads = SharedThreads("t", COUNT, lambda: asked.append("grow"))
    for number, gate in enumerate(gates, 1):
        threads.grow(least=number)
        threads.schedule(Calls(gate))
        gate.wait_until_reached()
    threads.schedule(Calls(int))
    assert asked
    for gate in gates:
        gate.open()
    until(lambda: threads.idle == len(gates))
    with blocked(threads):
        threads.schedule(Calls(came))
        came.wait_until_reached()

    came.open()
    threads.close()
    assert threads.join(Deadline(DEADLINE))


def test_a_finalizer_that_closes_them_as_one_becomes_spare_leaves_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = SharedThreads("t", 2)
    gates = [Gate(), Gate()]
    for gate in gates:
        threads.schedule(Calls(gate))
    for gate in gates:
        gate.wait_until_reached()
    add = Spares.add

    def close_and_add(self: Spares) -> object:
        threads.close()
        return add(self)

    monkeypatch.setattr(Spares, "add", close_and_add)
    for gate in gates:
        gate.open()

    assert threads.join(Deadline(DEADLINE))
    assert not threads._spares


def test_without_memory_for_a_bell_a_thread_waits_in_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> object:
        raise MemoryError

    threads = SharedThreads("t", 2)
    gates = [Gate(), Gate()]
    for gate in gates:
        threads.schedule(Calls(gate))
    for gate in gates:
        gate.wait_until_reached()
    monkeypatch.setattr(spares, "queue", types.SimpleNamespace(SimpleQueue={None: refuse}))
    for gate in gates:
        gate.open()

    until(lambda: threads._idle == 2)
    threads.close()
    assert threads.join(Deadline(DEADLINE))


def test_an_error_raised_into_the_thread_that_waits_leaves_the_others_awake(
    threads: SharedThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loses the turn that it was just handed; the next ones need it no more."""
    ended = told_of_ended_threads(monkeypatch)
    came = Gate()
    idents = [
        ident
        for ident, frame in sys._current_frames().items()
        if ident in threads.serving and _is_in(frame, "_await_turn")
    ]
    assert len(idents) == 1
    exit_it = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert exit_it(ctypes.c_ulong(idents[0]), ctypes.py_object(SystemExit)) == 1
    threads.schedule(Calls(int))
    until(lambda: len(threads) == COUNT - 1)

    threads.schedule(Calls(came))

    came.wait_until_reached()
    came.open()
    until(lambda: ended == [SystemExit])


def _is_in(frame: types.FrameType | None, name: str) -> bool:
    while frame is not None:
        if frame.f_code.co_name == name:
            return True
        frame = frame.f_back
    return False


def _none_is_left(self: Spares) -> bool:
    self.bells.clear()
    return False


def test_a_sender_that_finds_all_woken_puts_the_permit_back_and_looks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where `nudge` has woken them after it has seen one."""
    asked: list[str] = []
    threads = SharedThreads("t", 1, lambda: asked.append("grow"))
    threads._spares.add()
    threads._look_whether_growing_locked()
    monkeypatch.setattr(Spares, "wake", _none_is_left)

    threads.schedule(Calls(int))

    assert asked == ["grow"]
    assert threads._spares._permit


def test_an_interrupt_between_the_permit_and_the_wake_puts_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spares = Spares()

    def interrupt(_: Spares) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Spares, "wake", interrupt)
    with pytest.raises(KeyboardInterrupt):
        spares.wake_if_none_is_woken()

    assert spares._permit


def test_one_that_was_woken_and_is_ended_by_an_error_has_another_one_take_its_turn(
    threads: SharedThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is ended was to look whether one more is needed, and counts no more."""
    ended = told_of_ended_threads(monkeypatch)
    came = Gate()

    def be_ended(self: SharedThreads) -> Turn | None:
        patch.undo()
        raise SystemExit

    with blocked(threads):
        with monkeypatch.context() as patch:
            patch.setattr(SharedThreads, "_next_turn", be_ended)
            threads.schedule(Calls(came))
            came.wait_until_reached()
        came.open()
        # There may be a thread in its place.
        with at_once(threads, COUNT - 1):
            pass
    until(lambda: ended == [SystemExit])


@pytest.mark.parametrize("first", [True, False], ids=["its first turn", "a further turn"])
def test_where_an_error_ends_the_only_thread_as_it_waits_there_is_another_one(
    *, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = told_of_ended_threads(monkeypatch)
    came = Gate()
    threads = SharedThreads("t", 1)
    await_turn = SharedThreads._await_turn
    waits = iter([first, True])

    def be_ended(self: SharedThreads) -> Turn | None:
        if next(waits):
            patch.undo()
            raise SystemExit
        return await_turn(self)

    with monkeypatch.context() as patch:
        patch.setattr(SharedThreads, "_await_turn", be_ended)
        threads.schedule(Calls(came))
        if first:
            until(lambda: threads._await_turn.__func__ is await_turn)
        else:
            came.open()
            until(lambda: threads._await_turn.__func__ is await_turn)
            until(lambda: not len(threads))
            came = Gate()
            threads.schedule(Calls(came))

    came.wait_until_reached()
    assert (threads._starting, threads._idle, len(threads._threads)) == (0, 0, 1)
    until(lambda: len(threads.serving) == 1)
    came.open()
    until(lambda: ended == [SystemExit])
    threads.close()
    assert threads.join(Deadline(DEADLINE))
