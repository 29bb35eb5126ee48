"""The builtins that this library assumes to be atomic, or to synchronise, pinned by hammers.

A new interpreter that breaks one of these breaks the library; see the **Assumes** of the modules.
"""

import collections
import concurrent.futures
import contextlib
import gc
import itertools
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, run_together, until

MANY = 3000


@pytest.mark.racing
def test_a_simple_queue_loses_and_doubles_nothing_and_keeps_each_producers_order() -> None:
    messages: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    received: dict[str, list[int]] = {"a": [], "b": []}

    def put(name: str) -> Callable[[], None]:
        def run() -> None:
            for number in range(MANY):
                messages.put((name, number))

        return run

    def get() -> None:
        for _ in range(2 * MANY):
            name, number = messages.get()
            received[name].append(number)

    run_together(put("a"), put("b"), get)

    assert received == {"a": list(range(MANY)), "b": list(range(MANY))}
    assert messages.qsize() == 0


class _Named(queue.SimpleQueue[int]):
    """A subclass with slots and arguments of its own."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.racing
def test_a_subclass_of_simple_queue_takes_arguments_of_its_own_and_loses_and_doubles_nothing() -> (
    None
):
    numbers = _Named("a")
    received: list[int] = []

    def put() -> None:
        for number in range(MANY):
            numbers.put(number)
            numbers.name = str(number)

    def get() -> None:
        while len(received) < 2 * MANY:
            if numbers.qsize():
                received.append(numbers.get(False))

    run_together(put, put, get)

    assert collections.Counter(received) == collections.Counter([*range(MANY)] * 2)
    assert numbers.name == str(MANY - 1)


@pytest.mark.racing
def test_two_getters_of_a_simple_queue_share_its_items() -> None:
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    for item in range(MANY):
        items.put(item)
    taken: dict[int, list[int]] = {0: [], 1: []}

    def take(me: int) -> Callable[[], None]:
        def run() -> None:
            while True:
                try:
                    taken[me].append(items.get_nowait())
                except queue.Empty:
                    return

        return run

    run_together(take(0), take(1))

    assert sorted(taken[0] + taken[1]) == list(range(MANY))
    assert taken == {me: sorted(mine) for me, mine in taken.items()}


def test_a_put_is_handed_to_a_getter_that_waits() -> None:
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def echo() -> None:
        for _ in range(100):
            answers.put(items.get())

    echoing = Running(echo)
    received = []
    for item in range(100):
        items.put(item)
        received.append(answers.get(timeout=15))
    echoing.result()

    assert received == list(range(100))


@pytest.mark.racing
def test_the_size_of_a_simple_queue_with_one_getter_is_a_lower_bound_for_that_getter() -> None:
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    received: list[int] = []

    def put() -> None:
        for item in range(MANY):
            items.put(item)

    def get() -> None:
        while len(received) < MANY:
            received.extend(items.get_nowait() for _ in range(items.qsize()))

    run_together(put, get)

    assert received == list(range(MANY))


def test_each_item_in_a_slot_queue_wakes_one_of_the_threads_that_wait() -> None:
    slots: queue.SimpleQueue[None] = queue.SimpleQueue()
    woken: list[int] = []

    def wait(me: int) -> Callable[[], None]:
        def run() -> None:
            slots.get()
            woken.append(me)

        return run

    waiting = [Running(wait(me)) for me in range(4)]
    for count in range(1, 5):
        slots.put(None)
        until(lambda count=count: len(woken) == count)
    for thread in waiting:
        thread.result()

    assert sorted(woken) == [0, 1, 2, 3]
    assert slots.qsize() == 0


@pytest.mark.racing
def test_a_token_that_is_passed_on_wakes_each_thread_that_waits_with_a_timeout() -> None:
    # What waits for an answer does; see `calls.cell`.
    for _ in range(50):
        gate: queue.SimpleQueue[None] = queue.SimpleQueue()
        woken: list[bool] = []

        def wait(gate: queue.SimpleQueue[None] = gate, woken: list[bool] = woken) -> None:
            gate.get(timeout=DEADLINE)
            gate.put(None)
            woken.append(True)

        def open_gate(gate: queue.SimpleQueue[None] = gate) -> None:
            gate.put(None)

        run_together(wait, wait, wait, open_gate)

        assert woken == [True] * 3
        assert gate.qsize() == 1


@pytest.mark.racing
def test_a_token_is_taken_or_left_where_a_timeout_runs_out_as_it_comes() -> None:
    lost: list[int] = []
    for number in range(500):
        gate: queue.SimpleQueue[None] = queue.SimpleQueue()
        taken: list[bool] = []

        def wait(gate: queue.SimpleQueue[None] = gate, taken: list[bool] = taken) -> None:
            with contextlib.suppress(queue.Empty):
                gate.get(timeout=0.0001)
                taken.append(True)

        def put(gate: queue.SimpleQueue[None] = gate, seconds: float = number / 2.5e6) -> None:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pass
            gate.put(None)

        run_together(wait, put)
        if len(taken) + gate.qsize() != 1:
            lost.append(number)

    assert lost == []


def test_a_get_with_a_timeout_ends_by_an_interrupt_and_takes_no_token() -> None:
    program = """
import os, queue, signal, threading
gate = queue.SimpleQueue()
waits, over = threading.Event(), threading.Event()
main = threading.main_thread().ident

def once(*_):
    if not over.is_set():
        over.set()
        raise KeyboardInterrupt

def interrupt():
    waits.wait()
    # Again, if the signal comes just before the wait does.
    while not over.is_set():
        signal.pthread_kill(main, signal.SIGINT)
        over.wait(0.01)

signal.signal(signal.SIGINT, once)
threading.Thread(target=interrupt).start()
try:
    waits.set()
    gate.get(timeout=60)
except KeyboardInterrupt as error:
    print("interrupted", error.__context__)
gate.put(None)
print(gate.qsize())
"""

    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted None\n1\n", "")


@pytest.mark.racing
def test_of_two_threads_that_pop_one_entry_of_a_dict_one_gets_it() -> None:
    entries = dict.fromkeys(range(MANY), True)
    got: dict[int, list[int]] = {0: [], 1: []}

    def pop(me: int) -> Callable[[int], None]:
        def step(number: int) -> None:
            if entries.pop(number, False):
                got[me].append(number)

        return step

    in_step(MANY, pop(0), pop(1))

    assert sorted(got[0] + got[1]) == list(range(MANY))


class Side:
    """What the two threads of a litmus test share."""

    def __init__(self) -> None:
        self.items: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.flag = False
        self.item_missing = False
        self.flag_missing = False


def in_step(rounds: int, *steps: Callable[[int], None]) -> None:
    """Run `step(round)` of all in as many threads, beginning each round at about the same time."""
    arrived = [-1] * len(steps)

    def thread(me: int, step: Callable[[int], None]) -> Callable[[], None]:
        def run() -> None:
            for number in range(rounds):
                arrived[me] = number
                while min(arrived) < number:
                    time.sleep(0)
                step(number)

        return run

    run_together(*(thread(me, step) for me, step in enumerate(steps)))


@pytest.mark.racing
def test_of_flag_then_look_and_put_then_flag_one_thread_sees_the_other_through_an_attribute() -> (
    None
):
    sides = [Side() for _ in range(500)]

    def receiver(number: int) -> None:
        side = sides[number]
        side.flag = True
        try:
            side.items.get_nowait()
        except queue.Empty:
            side.item_missing = True

    def sender(number: int) -> None:
        side = sides[number]
        side.items.put(1)
        side.flag_missing = not side.flag

    in_step(len(sides), receiver, sender)

    assert [side for side in sides if side.item_missing and side.flag_missing] == []


def cell(items: queue.SimpleQueue[int]) -> tuple[Callable[[], bool], Callable[[], None]]:
    """Return a sender's `put then look at the flag` and what sets the flag: both share a cell."""
    put = items.put
    flag = False

    def put_and_look() -> bool:
        put(1)
        return flag

    def set_flag() -> None:
        nonlocal flag
        flag = True

    return put_and_look, set_flag


@pytest.mark.racing
def test_of_flag_then_look_and_put_then_flag_one_thread_sees_the_other_through_a_cell() -> None:
    sides = [Side() for _ in range(500)]
    cells = [cell(side.items) for side in sides]

    def receiver(number: int) -> None:
        cells[number][1]()
        try:
            sides[number].items.get_nowait()
        except queue.Empty:
            sides[number].item_missing = True

    def sender(number: int) -> None:
        sides[number].flag_missing = not cells[number][0]()

    in_step(len(sides), receiver, sender)

    assert [side for side in sides if side.item_missing and side.flag_missing] == []


@pytest.mark.racing
def test_what_was_written_before_a_put_is_seen_after_the_get() -> None:
    items: queue.SimpleQueue[Side] = queue.SimpleQueue()
    unseen: list[int] = []

    def write() -> None:
        for _ in range(MANY):
            side = Side()
            side.flag = True
            items.put(side)

    def read() -> None:
        unseen.extend(number for number in range(MANY) if not items.get().flag)

    run_together(write, read)

    assert unseen == []


def test_a_flag_is_seen_by_a_thread_that_looks_again_and_again() -> None:
    side = Side()

    def look() -> None:
        until(lambda: side.flag)

    looking = Running(look)
    side.flag = True

    assert looking.result() is None


@pytest.mark.racing
def test_a_dict_is_read_correctly_while_another_thread_changes_it() -> None:
    table: dict[int, str] = {-1: "always here"}
    wrong: list[object] = []

    def change() -> None:
        for number in range(MANY):
            table[number] = str(number)
            if number >= 10:
                del table[number - 10]

    def read() -> None:
        for number in range(MANY):
            found = table.get(number)
            if found not in (None, str(number)) or table.get(-1) != "always here":
                wrong.append((number, found))

    run_together(change, read)

    assert wrong == []


@pytest.mark.racing
def test_a_dict_loses_nothing_when_threads_insert_and_delete_different_keys() -> None:
    entries: dict[int, int] = {}
    left: list[int] = []

    def work(first: int) -> Callable[[], None]:
        def run() -> None:
            for key in range(first, 3 * MANY, 3):
                entries[key] = key
                if entries.get(key) != key:
                    left.append(key)
                if key % 2:
                    del entries[key]

        return run

    run_together(work(0), work(1), work(2))

    assert left == []
    assert sorted(entries) == list(range(0, 3 * MANY, 2))


@pytest.mark.racing
def test_copies_of_a_dict_made_under_the_lock_of_its_writers_are_whole() -> None:
    table: dict[int, int] = {}
    lock = threading.Lock()
    wrong: list[object] = []

    def change() -> None:
        for number in range(500):
            with lock:
                table[number] = number
                table[-number - 1] = number

    def copy() -> None:
        for _ in range(500):
            with lock:
                copied, keys = table.copy(), list(table)
            if list(copied) != keys or len(keys) % 2:
                wrong.append(keys)

    run_together(change, copy)

    assert wrong == []


@pytest.mark.racing
def test_a_deque_loses_and_doubles_nothing_between_append_and_popleft() -> None:
    items: collections.deque[int] = collections.deque()
    received: list[int] = []

    def append() -> None:
        for item in range(MANY):
            items.append(item)

    def popleft() -> None:
        while len(received) < MANY:
            try:
                received.append(items.popleft())
            except IndexError:
                time.sleep(0)

    run_together(append, popleft)

    assert received == list(range(MANY))


def test_a_function_registered_with_threading_runs_before_threads_are_joined_at_exit() -> None:
    program = """
import queue, threading
items = queue.SimpleQueue()
threading.Thread(target=lambda: print("thread:", items.get())).start()
threading._register_atexit(items.put, "told to end")
print("main: ends")
"""

    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "main: ends\nthread: told to end\n",
        "",
    )


def test_dropping_the_last_reference_finalizes_at_once_in_the_same_thread() -> None:
    finalized: list[str] = []

    class Watched:
        def __del__(self) -> None:
            finalized.append("finalized")

    watched = Watched()
    del watched

    assert finalized == ["finalized"]


def test_numbers_taken_from_a_count_by_several_threads_are_all_different() -> None:
    numbers = itertools.count(1)
    taken: dict[int, list[int]] = {}

    def take(me: int) -> Callable[[], None]:
        def run() -> None:
            taken[me] = [next(numbers) for _ in range(MANY)]

        return run

    run_together(take(0), take(1))

    assert sorted(taken[0] + taken[1]) == list(range(1, 2 * MANY + 1))


def test_a_dict_can_be_copied_while_another_thread_inserts_and_removes() -> None:
    table = {number: number for number in range(100)}
    copies: list[dict[int, int]] = []

    def change() -> None:
        for number in range(100, MANY):
            table[number] = number
            table.pop(number - 50, None)

    def copy() -> None:
        copies.extend(table.copy() for _ in range(200))

    run_together(change, copy)

    assert [copy for copy in copies if any(key != value for key, value in copy.items())] == []


def test_a_list_loses_and_doubles_nothing_between_append_and_pop() -> None:
    items: list[int] = []
    popped: list[int] = []

    def append() -> None:
        for number in range(MANY):
            items.append(number)  # noqa: PERF402 - one by one is what is tried

    def pop() -> None:
        while len(popped) < MANY:
            with contextlib.suppress(IndexError):
                popped.append(items.pop(0))

    run_together(append, pop)

    assert popped == list(range(MANY))


def test_of_two_threads_that_pop_and_remove_an_item_of_a_list_one_gets_it() -> None:
    items: list[int] = []
    popped: list[int] = []
    removed: list[int] = []
    over = threading.Event()

    def pop() -> None:
        while not over.is_set():
            with contextlib.suppress(IndexError):
                popped.append(items.pop())

    def remove() -> None:
        for number in range(MANY):
            items.append(number)
            with contextlib.suppress(ValueError):
                items.remove(number)
                removed.append(number)
        over.set()

    run_together(pop, remove)

    assert not items
    assert sorted(popped + removed) == list(range(MANY))


class _Dying:
    """Has its finalizer tell a function, and perhaps comes back to life in it."""

    def __init__(self, in_finalizer: Callable[["_Dying"], object]) -> None:
        self.in_finalizer = in_finalizer

    def __del__(self) -> None:
        self.in_finalizer(self)


def _alive_meanwhile(die: Callable[[_Dying], object]) -> list[bool]:
    """Whether a weak reference is alive for another thread while the finalizer runs; and after."""
    alive: list[bool] = []

    def look(_: object = None) -> None:
        Running(lambda: alive.append(references[0]() is not None)).result()

    objects = [_Dying(look)]
    references = [weakref.ref(objects[0])]
    die(objects[0])
    objects.clear()
    gc.collect()
    look()
    return alive


def test_with_a_gil_a_weak_reference_is_alive_while_a_finalizer_runs_and_without_it_is_dead() -> (
    None
):
    """Nothing of ours may rest on either: that lost a message to a future that was filled then."""
    assert _alive_meanwhile(lambda dying: None) == [sys._is_gil_enabled(), False]


def test_a_weak_reference_to_a_cycle_is_dead_before_a_finalizer_of_it_runs() -> None:
    def make_a_cycle(dying: _Dying) -> None:
        dying.me = dying  # type: ignore[attr-defined]

    assert _alive_meanwhile(make_a_cycle) == [False, False]


def test_what_comes_back_to_life_in_its_finalizer_is_not_finalized_again() -> None:
    saved: list[_Dying] = []
    calls: list[None] = []

    def come_back(dying: _Dying) -> None:
        calls.append(None)
        saved.append(dying)

    dying = _Dying(come_back)
    del dying
    saved.clear()
    gc.collect()

    assert calls == [None]


def test_all_objects_of_a_cycle_are_finalized_also_if_one_of_them_comes_back_to_life() -> None:
    saved: list[_Dying] = []
    finalized: list[str] = []

    def come_back(dying: _Dying) -> None:
        finalized.append("one")
        saved.append(dying)

    one, other = _Dying(come_back), _Dying(lambda _: finalized.append("other"))
    one.other, other.other = other, one  # type: ignore[attr-defined]
    del one, other
    gc.collect()

    assert sorted(finalized) == ["one", "other"]
    assert saved[0].other.in_finalizer is not None  # type: ignore[attr-defined]
    saved.clear()


@pytest.mark.racing
def test_of_two_threads_that_append_to_a_list_both_see_the_same_first_entry() -> None:
    """So that the first entry can decide which of two things has come first."""

    def append_and_look(name: str) -> Callable[[], None]:
        def run() -> None:
            for log, seen in logs:
                log.append(name)
                seen.append(log[0])

        return run

    logs: list[tuple[list[str], list[str]]] = [([], []) for _ in range(MANY)]

    run_together(append_and_look("a"), append_and_look("b"))

    assert all(seen == [log[0]] * 2 for log, seen in logs)


@pytest.mark.racing
def test_the_size_of_a_list_that_another_thread_clears_is_seen_by_an_iterator_that_asks() -> None:
    running = [None]
    asked = 0

    def ask() -> None:
        nonlocal asked
        for _ in iter(running.__sizeof__, [].__sizeof__()):
            asked += 1

    def clear() -> None:
        until(lambda: asked)
        running.clear()

    run_together(ask, clear, clear)

    assert running == []


@pytest.mark.parametrize(
    "wait",
    [
        concurrent.futures.wait,
        lambda futures: concurrent.futures.wait(futures, None, "FIRST_COMPLETED"),
        lambda futures: concurrent.futures.wait(futures, None, "FIRST_EXCEPTION"),
        lambda futures: list(concurrent.futures.as_completed(futures)),
    ],
    ids=["all", "first", "error", "as_completed"],
)
def test_the_event_of_who_waits_for_futures_may_be_replaced_as_it_is_added(
    wait: Callable[[list[concurrent.futures.Future[int]]], object],
) -> None:
    """It is looked up anew where it is waited for and where it is set; see `waiting`."""
    replaced: list[threading.Event] = []
    futures: list[concurrent.futures.Future[int]] = [concurrent.futures.Future() for _ in range(3)]

    class Waiters(list[Any]):
        def append(self, waiter: Any, /) -> None:  # noqa: ANN401
            assert all(each._condition._is_owned() for each in futures)  # type: ignore[attr-defined]
            assert type(waiter.event) is threading.Event
            assert not waiter.event.is_set()
            waiter.event = Seen()
            replaced.append(waiter.event)
            super().append(waiter)

    class Seen(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert not any(each._condition._is_owned() for each in futures)  # type: ignore[attr-defined]
            for future in futures:
                future.set_running_or_notify_cancel()
                future.set_result(1)
            assert self.is_set()
            return super().wait(timeout)

    (first,) = [each for each in futures if each is min(futures, key=id)]
    first._waiters = Waiters()  # type: ignore[attr-defined]

    wait(futures)

    assert len(replaced) == 1
    assert all(each.done() for each in futures)


@pytest.mark.racing
def test_a_set_that_some_add_to_and_discard_from_can_be_copied() -> None:
    """As `KeyView` does with its futures; nothing is lost, and what stays is in each copy."""
    stays = [object() for _ in range(100)]
    shared: set[object] = set(stays)
    copies: list[int] = []

    def add_and_discard() -> None:
        mine = [object() for _ in range(50)]
        for _ in range(MANY // 100):
            for each in mine:
                shared.add(each)
            for each in mine:
                shared.discard(each)

    def look() -> None:
        copies.extend(len(shared.copy().intersection(stays)) for _ in range(MANY // 10))

    run_together(add_and_discard, add_and_discard, look)

    assert set(copies) == {len(stays)}
    assert shared == set(stays)
