"""The turns that wait, and those that are brought forward."""

import collections
import queue
from typing import Any

import pytest

from tests.helpers import Running, until
from tests.insides import blocked, ready
from threadpool_mb.threads import turns as turns_module
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import NUDGE, ReadyTurns, ServingThread, Turn


class Named:
    """A turn that is told apart."""

    def __init__(self, name: str) -> None:
        self.name = name

    def turn(self) -> int:
        return 0

    def __repr__(self) -> str:
        return self.name


def filled(count: int) -> tuple[ReadyTurns, list[Named]]:
    turns, names = ReadyTurns(), [Named(str(number)) for number in range(count)]
    for each in names:
        turns.put(each)
    return turns, names


def all_of(turns: ReadyTurns, *, crowded: bool = False) -> list[object]:
    taken: list[object] = []
    while len(turns):
        taken.append(turns.take(crowded=crowded) or turns.get(False))
    return taken


@pytest.mark.parametrize("crowded", [False, True])
def test_what_is_brought_forward_comes_first_and_the_rest_in_its_order(
    crowded: bool,  # noqa: FBT001 - a case
) -> None:
    turns, (a, b, c, d) = filled(4)

    turns.bring_forward(c)

    assert len(turns) == 4
    assert all_of(turns, crowded=crowded) == ([c, d, a, b] if crowded else [c, a, b, d])
    assert not turns.moved


def test_turns_are_brought_forward_one_behind_the_other_also_those_moved_aside() -> None:
    turns, (a, b, c, d) = filled(4)

    for turn in (d, b, d, b):
        turns.bring_forward(turn)

    assert all_of(turns) == [d, b, a, c]


def test_what_does_not_wait_is_not_brought_forward() -> None:
    turns, (a, b) = filled(2)

    turns.bring_forward(Named("none of them"))

    assert all_of(turns) == [a, b]
    assert turns.take(crowded=False) is None


def test_the_end_stays_behind_the_turns() -> None:
    turns, (a, b) = filled(2)
    turns.put(None)

    turns.bring_forward(Named("none of them"))

    assert [turns.take(crowded=False), turns.take(crowded=False)] == [a, b]
    assert turns.get(False) is None
    with pytest.raises(queue.Empty):
        turns.get(False)


def test_what_is_brought_forward_does_not_keep_others_from_their_turn_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns_module, "_IN_A_ROW", 3)
    turns, (awaited, other) = filled(2)
    taken: list[object] = []
    while other not in taken:
        turns.bring_forward(awaited)
        turn = turns.take(crowded=True) or turns.get(False)
        taken.append(turn)
        if turn is awaited:
            turns.put(awaited)

    # The last one because it was behind the other one in the queue.
    assert taken.count(awaited) <= 4


def test_what_was_moved_aside_gets_its_turn_though_others_come_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns_module, "_IN_A_ROW", 3)
    turns, (aside,) = filled(1)
    turns.bring_forward(Named("none of them"))
    busy = Named("one that is scheduled again each time")
    taken: list[object] = []
    while aside not in taken:
        turns.put(busy)
        taken.append(turns.take(crowded=True) or turns.get(False))

    assert taken == [busy, busy, busy, aside]


def test_what_was_moved_aside_is_not_moved_again() -> None:
    turns, names = filled(1000)
    turns.bring_forward(names[-1])
    aside = list(turns._aside)

    turns.bring_forward(names[500])
    turns.bring_forward(Named("none of them"))

    aside.remove(names[500])
    assert list(turns._aside) == aside
    assert turns.qsize() == 0


def test_a_thread_that_waits_takes_what_is_moved_out_of_its_queue() -> None:
    """The staged race: the thread counts as idle, and has not looked yet, when all is moved."""
    threads = SharedThreads("t", 1)
    turn = Named("moved")
    ready(threads).put(turn)
    ready(threads).bring_forward(turn)
    assert ready(threads).qsize() == 0

    assert Running(threads._wait).result() is turn
    assert threads._idle == 0


def test_a_thread_that_was_idle_before_something_was_moved_is_nudged() -> None:
    threads = SharedThreads("t", 1)
    threads.growing = False  # the waiter is its one thread
    waiter = Running(threads._wait)
    until(lambda: threads._idle)
    # As if it had been taken out of the queue before the thread could have it.
    turn = Named("moved")
    ready(threads)._aside[turn] = None

    threads.expedite(turn)

    # It may not have looked yet when that was moved: then it takes it, without the nudge.
    taken = waiter.result()
    assert taken is turn or (taken is NUDGE and ready(threads).take(crowded=False) is turn)


@pytest.mark.parametrize("in_a_row", [0, 64])
@pytest.mark.parametrize("place", ["_ahead", "_aside"])
def test_threads_that_are_to_end_take_what_was_moved_before_that(place: str, in_a_row: int) -> None:
    threads = SharedThreads("t", 1)
    turn = Named("moved")
    ready(threads).put(turn)
    ready(threads).bring_forward(turn if place == "_ahead" else Named("none of them"))
    assert list(getattr(ready(threads), place)) == [turn]
    ready(threads)._in_a_row = in_a_row

    threads.close()

    assert threads._last_turn() is turn
    assert threads._last_turn() is None


@pytest.fixture
def threads() -> SharedThreads:
    """Threads of which none was started."""
    return SharedThreads("t", 1)


@pytest.fixture
def thread(threads: SharedThreads) -> ServingThread:
    """One of them, which waits."""
    waiting = ServingThread(threads)
    waiting.blocked()
    return waiting


def test_a_thread_counts_as_going_on_from_the_moment_at_which_it_is_given_what_it_waits_for(
    threads: SharedThreads, thread: ServingThread
) -> None:
    assert blocked(threads) == 1

    thread.goes_on(thread.wait)

    assert blocked(threads) == 0
    thread.unblocked()
    assert blocked(threads) == 0


def test_a_late_word_of_a_wait_that_is_over_does_not_concern_the_next_one(
    threads: SharedThreads, thread: ServingThread
) -> None:
    before = thread.wait
    thread.unblocked()
    thread.blocked()

    thread.goes_on(before)

    assert blocked(threads) == 1
    thread.unblocked()
    assert blocked(threads) == 0


def test_what_ends_a_wait_inside_another_one_does_not_end_that(
    threads: SharedThreads, thread: ServingThread
) -> None:
    outer = thread.wait
    thread.blocked()
    assert thread.wait == 0
    thread.goes_on(thread.wait)
    thread.goes_on(outer)
    assert blocked(threads) == 1
    thread.unblocked()

    assert thread.wait == outer
    assert blocked(threads) == 1
    thread.unblocked()
    assert blocked(threads) == 0


def test_who_gives_a_thread_what_it_waits_for_does_not_wait_for_the_threads_lock(
    threads: SharedThreads, thread: ServingThread
) -> None:
    """It may hold a lock that a finalizer waits for, which runs under that one."""
    with threads._lock:
        Running(lambda: thread.goes_on(thread.wait)).result()
    assert blocked(threads) == 1

    thread.unblocked()
    assert blocked(threads) == 0


class _NoMemory(dict[object, None]):
    """Has no room for anything once."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1

    def __setitem__(self, key: object, value: None) -> None:
        if self.left:
            self.left = 0
            raise MemoryError
        super().__setitem__(key, value)


@pytest.mark.parametrize("place", ["_ahead", "_aside"])
def test_where_there_is_no_memory_to_move_a_turn_it_stays_in_the_queue(place: str) -> None:
    turns, (turn,) = filled(1)
    turns.put(None)
    object.__setattr__(turns, place, _NoMemory())

    with pytest.raises(MemoryError):
        turns.bring_forward(turn if place == "_ahead" else Named("none of them"))

    assert not turns.moved
    assert {turns.get(False), turns.get(False)} == {turn, None}


def test_what_was_put_ahead_comes_before_what_is_brought_forward_after_that() -> None:
    turns, (a, b, c) = filled(3)
    ahead = [Named("x"), Named("y")]
    turns.put_ahead(ahead)

    turns.bring_forward(c)

    assert len(turns) == 5
    assert all_of(turns) == [*ahead, c, a, b]


class NoMemory(collections.OrderedDict[Any, None]):
    """Has no memory for an entry, once."""

    refuses = True

    def __setitem__(self, key: object, value: None) -> None:
        if self.refuses:
            self.refuses = False
            raise MemoryError("for an entry")
        super().__setitem__(key, value)


def test_without_memory_nothing_that_was_put_ahead_is_lost() -> None:
    turns, (a, b) = filled(2)
    ahead = [Named("x"), Named("y")]
    turns.put_ahead(ahead)
    turns._ahead = NoMemory()  # type: ignore[misc]

    with pytest.raises(MemoryError, match="for an entry"):
        turns.bring_forward(b)

    taken = all_of(turns)
    assert sorted(map(str, taken)) == ["0", "1", "x", "y"]
    assert taken[2:] == [a, b]


def test_nor_where_there_is_none_to_take_it_out() -> None:
    turns, (a, b) = filled(2)
    (ahead,) = [Named("x")]
    turns.put_ahead([ahead])
    take = turns._next_woken

    def refused(_block: bool) -> Turn:  # noqa: FBT001 - as the queue's
        turns._next_woken = take  # type: ignore[misc]
        raise MemoryError("to take it out")

    turns._next_woken = refused  # type: ignore[misc]
    with pytest.raises(MemoryError, match="to take it out"):
        turns.bring_forward(b)

    assert all_of(turns) == [ahead, a, b]


def test_what_is_put_ahead_as_all_that_was_moved_is_found_gone_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, _ = filled(0)
    late = Named("late")
    count = ReadyTurns._moved_count

    def none_yet(moved: ReadyTurns) -> int:
        monkeypatch.setattr(ReadyTurns, "_moved_count", count)
        before = count(moved)
        Running(lambda: moved.put_ahead([late])).result()
        moved.moved = False  # the one that looks is about to write it
        return before

    monkeypatch.setattr(ReadyTurns, "_moved_count", none_yet)

    assert turns.take(crowded=False) is late
    assert not turns.moved
