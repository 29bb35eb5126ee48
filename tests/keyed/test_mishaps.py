"""`KeyedExecutor` where something goes wrong: no thread, a callback, a wait, an iterator's end."""

import concurrent.futures
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import DEADLINE, RaisingHandler, Running, refusing_threads, until
from tests.insides import table_of
from tests.pool.witness import Gate
from threadpool_mb import KeyedExecutor, ThreadRefused
from threadpool_mb.arguments import Deadline
from threadpool_mb.keyed.exclusive import Exclusive
from threadpool_mb.threads import clock as clocks
from threadpool_mb.threads.clock import Clock


@pytest.fixture
def executor() -> Iterator[KeyedExecutor]:
    """Return an executor of one thread that is shut down at the end."""
    with KeyedExecutor(1, "io") as executor:
        yield executor


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event: while it is set, the system starts no thread of the executor."""
    return refusing_threads(monkeypatch, "io")


@pytest.fixture
def starting(monkeypatch: pytest.MonkeyPatch, gate: Gate) -> Gate:
    """Return a gate at which whoever starts a thread of the executor stops."""
    start = threading.Thread.start

    def start_late(thread: threading.Thread) -> None:
        if thread.name.startswith("io"):
            gate()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_late)
    return gate


def relying_on_a_thread_that_is_refused(
    executor: KeyedExecutor, refusing: threading.Event, starting: Gate
) -> concurrent.futures.Future[str]:
    """Submit a task while another sender is about to start the thread for both; it is refused."""
    refusing.set()
    first = Running(lambda: executor.submit_keyed("a", int))
    starting.wait_until_reached()
    future = executor.submit_keyed("b", lambda: "b")
    starting.open()
    with pytest.raises(ThreadRefused):
        first.result()
    return future


def test_a_task_that_no_thread_is_there_for_is_refused_and_never_runs(
    executor: KeyedExecutor, refusing: threading.Event
) -> None:
    ran: list[str] = []
    refusing.set()

    with pytest.raises(ThreadRefused, match="can't start new thread"):
        executor.submit_keyed("a", ran.append, "refused")
    refusing.clear()
    executor.submit_keyed("a", ran.append, "next").result(DEADLINE)

    assert ran == ["next"]


def test_a_key_is_refused_each_time_until_there_is_a_thread(
    executor: KeyedExecutor, refusing: threading.Event
) -> None:
    ran: list[int] = []
    refusing.set()

    for number in range(3):
        with pytest.raises(ThreadRefused):
            executor.submit_keyed("a", ran.append, number)
    refusing.clear()
    futures = [executor.submit_keyed("a", ran.append, number) for number in range(3, 6)]
    concurrent.futures.wait(futures, DEADLINE)

    assert ran == [3, 4, 5]
    until(lambda: table_of(executor).tasks == 0)


def test_an_executor_all_of_whose_tasks_were_refused_can_be_shut_down(
    refusing: threading.Event,
) -> None:
    executor = KeyedExecutor(1, "io")
    ran: list[int] = []
    refusing.set()
    with pytest.raises(ThreadRefused):
        executor.submit(ran.append, 1)

    Running(executor.shutdown).result()

    assert ran == []
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)


def test_a_task_whose_thread_was_refused_to_another_sender_runs_by_the_end(
    refusing: threading.Event, starting: Gate
) -> None:
    executor = KeyedExecutor(1, "io")
    future = relying_on_a_thread_that_is_refused(executor, refusing, starting)
    refusing.clear()

    Running(executor.shutdown).result()

    assert future.result(0) == "b"


def test_a_task_whose_thread_is_refused_for_ever_is_cancelled_at_the_end(
    refusing: threading.Event, starting: Gate
) -> None:
    executor = KeyedExecutor(1, "io")
    future = relying_on_a_thread_that_is_refused(executor, refusing, starting)

    Running(executor.shutdown).result()

    assert future.cancelled()


def test_an_executor_whose_first_two_threads_were_refused_at_once_may_have_another_one(
    refusing: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = {"io_0": Gate(), "io_1": Gate()}
    start = threading.Thread.start

    def start_late(thread: threading.Thread) -> None:
        if thread.name in gates:
            gates[thread.name]()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_late)
    executor = KeyedExecutor(2, "io")
    refusing.set()
    first = Running(lambda: executor.submit_keyed("a", int))
    gates["io_0"].wait_until_reached()
    second = Running(lambda: executor.submit_keyed("b", lambda: "b"))
    gates["io_1"].wait_until_reached()
    gates["io_0"].open()
    with pytest.raises(ThreadRefused):
        first.result()
    gates["io_1"].open()
    with pytest.raises(ThreadRefused):
        second.result()
    refusing.clear()

    assert executor.submit_keyed("c", lambda: "c").result(DEADLINE) == "c"
    executor.shutdown()


@pytest.mark.parametrize("error", [KeyError, SystemExit, KeyboardInterrupt])
def test_a_callback_that_raises_holds_up_neither_its_key_nor_its_thread(
    executor: KeyedExecutor,
    gate: Gate,
    error: type[BaseException],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def callback(_: object) -> None:
        raise error("the callback's")

    executor.submit_keyed("a", gate).add_done_callback(callback)
    behind = executor.submit_keyed("a", lambda: "behind")
    other = executor.submit_keyed("b", lambda: "other")
    gate.open()

    assert (behind.result(DEADLINE), other.result(DEADLINE)) == ("behind", "other")
    assert "the callback's" in caplog.text


@pytest.mark.parametrize("running", [False, True])
def test_a_future_that_somebody_else_has_set_holds_up_no_other_of_its_key(
    executor: KeyedExecutor, gate: Gate, caplog: pytest.LogCaptureFixture, *, running: bool
) -> None:
    held = executor.submit_keyed("a", gate)
    pending = executor.submit_keyed("a", int)
    behind = executor.submit_keyed("a", lambda: "behind")
    gate.wait_until_reached()

    ours: Any = held if running else pending
    ours.set_result("set")
    gate.open()

    assert behind.result(DEADLINE) == "behind"
    assert ours.result(DEADLINE) == "set"
    assert "a task's end raised" in caplog.text


def test_shutting_down_waits_for_a_task_whose_thread_is_not_started_yet(starting: Gate) -> None:
    executor = KeyedExecutor(1, "io")
    ran: list[str] = []
    sender = Running(lambda: executor.submit_keyed("a", ran.append, "a"))
    starting.wait_until_reached()

    ends = Running(lambda: (executor.shutdown(), list(ran))[1])
    until(lambda: table_of(executor).closed)
    assert ends.running
    starting.open()

    assert ends.result() == ["a"]
    sender.result()


def test_a_task_that_waits_for_the_end_of_its_own_executor_is_told_so() -> None:
    executor = KeyedExecutor(1, "io")

    error = executor.submit(executor.shutdown).exception(DEADLINE)

    assert isinstance(error, RuntimeError)
    assert str(error) == "a task cannot wait for the end of io, which runs it"
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)


@pytest.mark.parametrize("taken", [0, 1])
def test_closing_what_map_keyed_returned_cancels_what_waits(
    executor: KeyedExecutor, gate: Gate, taken: int
) -> None:
    ran: list[int] = []

    def run(number: int) -> None:
        if number == taken:
            gate()
        else:
            ran.append(number)

    results: Any = executor.map_keyed(run, range(5), key=lambda _: "a")
    for _ in range(taken):
        next(results)
    gate.wait_until_reached()

    results.close()
    gate.open()
    executor.submit_keyed("a", int).result(DEADLINE)

    assert ran == list(range(taken))
    assert list(results) == []


def test_dropping_what_map_keyed_returned_cancels_what_waits(
    executor: KeyedExecutor, gate: Gate
) -> None:
    ran: list[int] = []
    executor.submit(gate)

    executor.map_keyed(ran.append, range(5), key=lambda n: n)
    gate.open()
    executor.submit(int).result(DEADLINE)

    assert ran == []


@pytest.mark.parametrize("fails", ["key", "items"])
def test_where_map_keyed_raises_what_it_has_submitted_is_cancelled(
    executor: KeyedExecutor, gate: Gate, fails: str
) -> None:
    ran: list[int] = []
    executor.submit(gate)

    def items() -> Iterator[int]:
        yield from range(3)
        if fails == "items":
            raise KeyError("the items'")
        yield 3

    def key(item: int) -> int:
        if item == 3:
            raise KeyError("the key's")
        return item

    with pytest.raises(KeyError):
        executor.map_keyed(ran.append, items(), key=key)
    gate.open()
    executor.submit(int).result(DEADLINE)

    assert ran == []


def test_a_task_of_map_keyed_that_raises_cancels_those_that_wait(
    executor: KeyedExecutor, gate: Gate
) -> None:
    ran: list[int] = []

    def fail_or_run(number: int) -> None:
        if not number:
            raise KeyError(number)
        if number == 1:
            gate()
        ran.append(number)

    results = executor.map_keyed(fail_or_run, range(5), key=lambda _: "a")
    with pytest.raises(KeyError):
        next(results)
    gate.open()
    executor.submit_keyed("a", int).result(DEADLINE)

    assert set(ran) <= {1}
    assert list(results) == []


def test_shutting_down_waits_for_no_thread_that_was_refused_after_it_has_looked(
    refusing: threading.Event, starting: Gate
) -> None:
    executor = KeyedExecutor(1, "io")
    refusing.set()
    sender = Running(lambda: executor.submit_keyed("a", int))
    starting.wait_until_reached()

    ending = Running(executor.shutdown)
    until(lambda: table_of(executor).closed)
    starting.open()
    with pytest.raises(ThreadRefused):
        sender.result()

    ending.result()
    assert table_of(executor).tasks == 0


def test_who_waits_for_several_is_told_of_those_that_are_cancelled_for_want_of_a_thread(
    refusing: threading.Event, starting: Gate
) -> None:
    executor = KeyedExecutor(1, "io")
    future = relying_on_a_thread_that_is_refused(executor, refusing, starting)
    waiter = Running(lambda: concurrent.futures.wait([future], DEADLINE))
    until(lambda: future._waiters)  # type: ignore[attr-defined]

    executor.shutdown()

    assert waiter.result().done == {future}
    assert future.cancelled()


def test_a_log_handler_that_raises_holds_up_no_other_task_of_a_key(
    executor: KeyedExecutor, gate: Gate, raising_log: RaisingHandler
) -> None:
    first = executor.submit_keyed("a", gate)
    first.add_done_callback(lambda _: sys.exit())
    behind = executor.submit_keyed("a", lambda: "behind")
    gate.open()

    assert behind.result(DEADLINE) == "behind"
    assert any("a task's end raised" in line for line in raising_log.emitted)


def test_an_executor_that_is_shut_down_as_an_exclusive_task_comes_refuses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put = Exclusive._put

    def put_and_shut_down(several: Exclusive, *arguments: Any) -> None:  # noqa: ANN401 - its own
        put(several, *arguments)
        executor.shutdown(wait=False)

    executor = KeyedExecutor(1)
    monkeypatch.setattr(Exclusive, "_put", put_and_shut_down)
    ran: list[int] = []

    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit_exclusive(ran.append, 1)

    executor.shutdown()
    assert ran == []


def test_a_clock_that_another_thread_starts_meanwhile_has_one_thread() -> None:
    clock = Clock("raced")

    class Raced:
        """The clock's lock; before it is had, another thread has started the clock."""

        def __init__(self, lock: Any) -> None:  # noqa: ANN401 - of some kind
            self.lock = lock

        def __enter__(self) -> None:
            clock._lock = self.lock  # type: ignore[misc]
            Running(clock.start).result()
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    clock._lock = Raced(clock._lock)  # type: ignore[misc, assignment]
    clock.start()

    assert len([each for each in threading.enumerate() if each.name == "raced-clock"]) == 1
    clock.close()
    assert clock.join(Deadline(DEADLINE))


def test_a_clock_whose_thread_cannot_be_made_is_refused_and_may_be_started_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise MemoryError("no memory")

    clock = Clock("refused")
    monkeypatch.setattr(clocks, "new_thread", refused)
    with pytest.raises(ThreadRefused, match="no memory"):
        clock.start()
    monkeypatch.undo()

    assert not clock.started
    clock.start()
    assert clock.runs
    clock.close()
    assert clock.join(Deadline(DEADLINE))
