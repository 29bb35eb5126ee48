"""Tasks of several keys, or of all: what is rare, and was wrong once."""

import contextlib
import contextvars
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import FrameType, FunctionType
from typing import Any, Final

import pytest

from tests import forks
from tests.flow.submissions import OPTIONS, SUBMISSIONS, free, held
from tests.helpers import DEADLINE, until
from tests.points import at_each_point, interrupt
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor, Rate
from threadpool_mb.keyed.flow import Flow
from threadpool_mb.keyed.several import Several
from threadpool_mb.keyed.tasks import Task
from threadpool_mb.threads import waiting

VARIABLE: Final = contextvars.ContextVar[object]("VARIABLE")


class Thing:
    """Is referred to weakly."""


def _fail() -> None:
    raise ValueError


@pytest.mark.parametrize("how", ["several", "all", "throttled"])
def test_an_error_that_is_kept_keeps_nothing_of_its_tasks_context(how: str) -> None:
    submit: Callable[[KeyedExecutor], Future[Any]] = {
        "several": lambda executor: executor.submit_multi(["a", "b"], _fail),
        "all": lambda executor: executor.submit_exclusive(_fail),
        "throttled": lambda executor: executor.submit_keyed("a", _fail),
    }[how]
    with KeyedExecutor(1, rate=Rate(1e6) if how == "throttled" else None) as executor:
        thing = Thing()
        there = weakref.ref(thing)
        token = VARIABLE.set(thing)
        future = submit(executor)
        VARIABLE.reset(token)
        del thing, token
        error = future.exception(DEADLINE)
        executor.submit_keyed("a", int).result(DEADLINE)

    assert there() is None
    # Nor is there a circle: it is gone when the future is.
    gone = weakref.ref(future)
    gc.disable()
    try:
        del future, error
        assert gone() is None
    finally:
        gc.enable()


def test_one_that_runs_does_not_wait_any_more(gate: Gate) -> None:
    with KeyedExecutor(1, max_waiting=5) as executor:
        executor.submit_multi(["a", "b", "c"], gate)
        gate.wait_until_reached()

        assert executor._table.tasks == 1
        assert executor._work_queue.qsize() == 0
        assert executor._work_queue.empty()
        assert executor._table.waiting == executor._table.not_begun == 0
        executor.submit_multi(["a", "b"], int)
        assert executor._table.waiting == executor._table.not_begun == 1
        gate.open()


def arriving_late(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Stop lanes that take a gate, which have it in hand until they find that they have to wait.

    Returns:
        What tells that one has a gate in hand; and what lets them go on.
    """
    in_hand, goes_on = threading.Event(), threading.Event()
    keep = Several.keep

    def late(several: Several, lane: Task, task: Task) -> tuple[bool, bool]:
        in_hand.set()
        goes_on.wait(DEADLINE)
        return keep(several, lane, task)

    monkeypatch.setattr(Several, "keep", late)
    return in_hand, goes_on


def test_a_task_is_told_also_where_what_it_stands_behind_was_in_a_threads_hand(
    monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    monkeypatch.setattr(waiting, "_LONGEST_PAUSE", 0.01)
    in_hand, put_back = arriving_late(monkeypatch)
    with KeyedExecutor(3) as executor:
        begin = Gate()
        behind: list[Future[int]] = []
        waits = executor.submit_keyed("a", lambda: (begin(), behind[0].result(DEADLINE)))
        begin.wait_until_reached()
        held(executor, gate, "b")
        executor.submit_multi(["a", "b"], int)
        future: Any = executor.submit_keyed("b", int)
        behind.append(future)
        gate.open()
        assert in_hand.wait(DEADLINE)
        begin.open()
        until(lambda: future._made is not None)  # it has found nothing to be told of
        put_back.set()

        with pytest.raises(RuntimeError, match="stands behind it"):
            waits.result(DEADLINE)


def test_a_key_is_cancelled_also_where_its_task_of_several_is_in_a_threads_hand(
    monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    in_hand, goes_on = arriving_late(monkeypatch)
    with KeyedExecutor(3) as executor:
        other = Gate()
        held(executor, other, "a")
        held(executor, gate, "b")
        future = executor.submit_multi(["a", "b"], int)
        last = executor.submit_keyed("c", int)
        gate.open()
        assert in_hand.wait(DEADLINE)

        cancelled = executor.cancel_key("b")
        waiting = executor.worker("b")
        behind = executor.submit_keyed("b", int)
        goes_on.set()

        assert cancelled == 1
        assert future.cancelled()
        assert waiting is not None
        assert waiting.messages == 0
        assert behind.result(DEADLINE) == last.result(DEADLINE) == 0
        other.open()


@contextlib.contextmanager
def interrupted_where_a_loop_ends(function: FunctionType) -> Iterator[None]:
    """Interrupt a function where a loop of it jumps back, which `tests.points` does not stage."""

    def called(frame: FrameType, *_: object) -> Any:  # noqa: ANN401 - a trace function
        return jumping if frame.f_code is function.__code__ else None

    lines = [0]

    def jumping(frame: FrameType, event: str, _: object) -> object:
        if event == "line":
            lines.append(frame.f_lineno)
            if lines[-1] < lines[-2]:
                sys.settrace(None)
                raise KeyboardInterrupt
        return jumping

    before = sys.gettrace()
    sys.settrace(called)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    ("submission", "function"),
    [("keyed", Flow.submit), ("several", Flow.enter), ("all", Flow.enter)],
)
def test_an_interrupt_as_a_slot_was_taken_loses_no_slot(
    submission: str, function: FunctionType
) -> None:
    with KeyedExecutor(1, **OPTIONS["bounded"]) as executor:
        SUBMISSIONS[submission](executor)  # a slot is in the stripe from now on
        until(lambda: free(executor) == 3 and not executor._table.keys)

        with pytest.raises(KeyboardInterrupt), interrupted_where_a_loop_ends(function):
            SUBMISSIONS[submission](executor)

        until(lambda: free(executor) == 3)
        assert executor.stats().cancelled == 0


def test_what_a_handler_submits_is_run_although_it_raises_then() -> None:
    sent: list[Future[int]] = []

    def handle(executor: KeyedExecutor) -> None:
        sent.append(executor.submit_multi(["b", "a"], int))
        interrupt()

    def act(executor: KeyedExecutor) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            SUBMISSIONS["several"](executor)

    for executor in at_each_point(lambda: KeyedExecutor(1), act, handle):
        while sent:
            assert sent.pop().result(DEADLINE) == 0
        assert executor.submit_multi(["a", "b", "c"], int).result(DEADLINE) == 0
        executor.shutdown()


def test_a_child_is_not_held_up_by_a_thread_that_puts_up_gates_in_the_parent() -> None:
    assert forks.run(
        """
        from threadpool_mb.keyed.several import Several

        executor = mb.KeyedExecutor(1)
        inside, go_on = threading.Event(), threading.Event()
        enter = Several.enter

        def late(several):
            inside.set()
            go_on.wait(DEADLINE)
            enter(several)

        Several.enter = late
        other = Running(lambda: executor.submit_multi(["a", "b"], int).result(DEADLINE))
        assert inside.wait(DEADLINE)
        code = in_child(lambda: told(executor.submit_multi, ["c", "d"], int))
        go_on.set()
        print(other.result(), code)
        executor.shutdown()
        """
    ) == ["RuntimeError True", "0 0"]


def test_what_a_child_cancels_is_so_for_all_who_wait_and_nothing_of_the_parents_goes_on() -> None:
    """No lane goes on there, and a list of lanes that wait may be in the hands of no thread."""
    assert forks.run(
        """
        from concurrent.futures import wait
        from threadpool_mb.keyed.several import Several
        from threadpool_mb.threads.timers import Timers

        executor = mb.KeyedExecutor(2, max_waiting=9)
        begun, go_on = threading.Event(), threading.Event()
        executor.submit_keyed("a", lambda: (begun.set(), go_on.wait(DEADLINE)))
        assert begun.wait(DEADLINE)
        futures = [
            executor.submit_keyed("a", int),
            executor.submit_multi(["b", "a"], int),
            executor.submit_exclusive(int),
            executor.submit_later(3600, "c", int),
        ]
        room = executor._flow.room.slots

        def child():
            touched = []
            Several._release = lambda _: touched.append("lanes")
            Timers.cancelled = lambda _: touched.append("timers")
            free = [stripe.qsize() for stripe in room.stripes]
            print([future.cancel() for future in futures])
            print(len(wait(futures, DEADLINE).done), touched)
            print(free == [stripe.qsize() for stripe in room.stripes])

        code = in_child(child)
        go_on.set()
        print([future.result() for future in futures[:3]], code)
        executor.shutdown()
        """
    ) == ["[True, True, True, True]", "4 []", "True", "[0, 0, 0] 0"]


def test_a_child_waits_for_no_future_that_a_thread_of_the_parent_has_in_hand() -> None:
    """Nor for what that thread waits with, among those that are to be told."""
    assert forks.run(
        """
        from concurrent.futures import as_completed, wait

        executor = mb.KeyedExecutor(1, max_waiting=9)
        begun, go_on = threading.Event(), threading.Event()
        executor.submit_keyed("a", lambda: (begun.set(), go_on.wait(DEADLINE)))
        assert begun.wait(DEADLINE)
        futures = [
            *(executor.submit_keyed("a", int) for _ in range(4)),
            executor.submit_multi(["b", "a"], int),
        ]
        waits = Running(lambda: wait(futures, DEADLINE))
        until(lambda: all(future._waiters for future in futures))
        inside, leave = threading.Event(), threading.Event()

        def hold():
            with futures[0]._mutex, futures[1]._mutex, futures[2]._mutex, futures[3]._mutex:
                with futures[4]._mutex, futures[0]._waiters[0].lock:
                    inside.set()
                    leave.wait(DEADLINE)

        holds = Running(hold)
        assert inside.wait(DEADLINE)

        def child():
            futures[1].add_done_callback(lambda _: print("called"))
            print(len(wait(futures[2:], 0).done), futures[0].cancel(), futures[4].cancel())
            try:
                print(next(as_completed(futures[3:4], 0)))
            except TimeoutError:
                print([future.cancel() for future in futures])
            print(len(wait(futures, DEADLINE).done))

        code = in_child(child)
        leave.set()
        go_on.set()
        print(len(waits.result().done), [future.result() for future in futures], code)
        holds.result()
        executor.shutdown()
        """
    ) == ["0 True True", "called", "[True, True, True, True, True]", "5", "5 [0, 0, 0, 0, 0] 0"]


def test_a_sender_in_a_child_looks_for_no_room_and_finds_no_task_that_waits() -> None:
    assert forks.run(
        """
        import queue
        from threadpool_mb.line.striped import StripedSlots

        executor = mb.KeyedExecutor(1, max_waiting=9)
        begun, go_on = threading.Event(), threading.Event()
        executor.submit_keyed("a", lambda: (begun.set(), go_on.wait(DEADLINE)))
        assert begun.wait(DEADLINE)
        several = executor.submit_multi(["a", "b"], int)
        executor.submit_keyed("b", int)

        def child():
            StripedSlots.sources = lambda *_: print("looked")
            told(executor.submit_keyed, "c", int)
            told(executor.submit, int)
            told(executor.for_key("c").submit, int)
            told(executor.submit_exclusive, int)
            told(executor._work_queue.get_nowait)
            print(executor._work_queue.qsize())

        code = in_child(child)
        go_on.set()
        print(several.result(), code)
        executor.shutdown()
        """
    ) == ["RuntimeError True"] * 4 + ["Empty False", "0", "0 0"]
