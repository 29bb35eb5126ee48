"""What an executor tells of itself: `stats`, `workers`, `worker`, `hot`."""

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.forks import run
from tests.helpers import DEADLINE, in_thread, refusing_threads, run_together, until
from tests.insides import table_of
from tests.pool.witness import Gate
from threadpool_mb import ExecutorStats, KeyedExecutor, Rate, TaskLine, ThreadRefused
from threadpool_mb.observer import Observer, Stats


def fail() -> None:
    raise ValueError("no")


def lines(executor: KeyedExecutor) -> list[TaskLine[Any]]:
    return sorted(executor.workers(), key=lambda line: repr(line.key))


@pytest.fixture
def held(gate: Gate) -> Iterator[KeyedExecutor]:
    """Return an executor whose one thread runs a task of "a"; one more of it waits, two of "b"."""
    with KeyedExecutor(1, thread_name_prefix="held") as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        for key in ("a", "b", "b"):
            executor.submit_keyed(key, int)
        yield executor
        gate.open()


def test_an_executor_that_has_nothing_to_do() -> None:
    with KeyedExecutor(thread_name_prefix="idle") as executor:
        stats: ExecutorStats = executor.stats()
        lines_of_it = (lines(executor), executor.worker("a"), executor.hot())

    assert lines_of_it == ([], None, [])
    assert stats == ExecutorStats(
        name="idle",
        state="running",
        keys=0,
        busy=0,
        waiting=0,
        handled=0,
        failed=0,
        cancelled=0,
        threads=0,
        oldest=None,
        stuck=(),
    )


def test_what_runs_and_what_waits(held: KeyedExecutor) -> None:
    stats = held.stats()

    assert (stats.name, stats.keys, stats.busy, stats.waiting) == ("held", 2, 1, 3)
    assert (stats.handled, stats.threads) == (0, 1)


def test_each_key_that_has_tasks_has_a_line(held: KeyedExecutor) -> None:
    assert lines(held) == [TaskLine("a", "busy", 1), TaskLine("b", "waiting", 2)]
    assert held.worker("b") == TaskLine("b", "waiting", 2)
    assert held.worker("c") is None


def test_the_hottest_keys_are_those_for_which_most_wait(held: KeyedExecutor) -> None:
    for _ in range(3):
        held.submit_keyed("c", int)

    assert [line.key for line in held.hot()] == ["c", "b", "a"]
    assert held.hot(1) == [TaskLine("c", "waiting", 3)]


def test_a_key_of_which_nothing_waits_is_not_hot(gate: Gate) -> None:
    with KeyedExecutor() as executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()

        assert executor.hot() == []
        assert lines(executor) == [TaskLine("a", "busy", 0)]
        gate.open()


@pytest.mark.parametrize("n", [0, "1", 1.5, True])
def test_how_many_hot_keys_is_a_number(n: Any) -> None:  # noqa: ANN401
    with KeyedExecutor() as executor, pytest.raises(ValueError, match="n must be"):
        executor.hot(n)


def test_a_key_that_cannot_be_hashed_has_no_line() -> None:
    with KeyedExecutor() as executor, pytest.raises(TypeError, match="a key must be hashable"):
        executor.worker([])


def test_tasks_without_a_key_are_counted_and_have_no_line(held: KeyedExecutor) -> None:
    held.submit(int)
    held.submit(int)
    stats = held.stats()

    assert (stats.keys, stats.busy, stats.waiting) == (2, 1, 5)
    assert [line.key for line in lines(held)] == ["a", "b"]


@pytest.mark.parametrize("pinned", [False, True])
def test_what_has_run_and_what_has_raised_is_counted(pinned: bool) -> None:  # noqa: FBT001
    executor = KeyedExecutor(3, pinned=pinned)
    with executor:
        for number in range(300):
            executor.submit_keyed(number % 7, int)
        for number in range(5):
            executor.submit_keyed(number, fail)
        executor.submit(fail)
        executor.submit_multi(["a", "b"], int)
        executor.submit_multi(["a", "b", "c"], fail)
        executor.submit_exclusive(int)
        executor.submit_later(0.001, "d", int).result(DEADLINE)
        executor.for_key("e").submit(int)
    stats = executor.stats()

    assert (stats.handled, stats.failed, stats.cancelled) == (311, 7, 0)
    assert (stats.keys, stats.busy, stats.waiting) == (0, 0, 0)


def test_what_has_run_is_counted_while_the_executor_goes_on() -> None:
    with KeyedExecutor(2) as executor:
        for _ in range(100):
            executor.submit_keyed("a", int)
        until(lambda: executor.stats().handled == 100)
        executor.submit_keyed("a", fail)
        until(lambda: executor.stats().handled == 101)

        assert executor.stats().failed == 1


def test_a_failure_is_counted_before_anybody_gets_it() -> None:
    seen = list[int]()
    with KeyedExecutor() as executor:
        future = executor.submit_keyed("a", fail)
        future.add_done_callback(lambda _: seen.append(executor.stats().failed))
        assert isinstance(future.exception(DEADLINE), ValueError)
        until(lambda: len(seen) == 1)

    assert seen == [1]


def test_tasks_that_are_left_out_are_counted_as_cancelled_and_as_nothing_else(gate: Gate) -> None:
    executor = KeyedExecutor(1)
    with executor:
        executor.submit_keyed("a", gate)
        gate.wait_until_reached()
        futures = [
            executor.submit_keyed("a", int),
            executor.submit_keyed("b", int),
            executor.submit(int),
            executor.submit_multi(["a", "b"], int),
            executor.submit_exclusive(int),
            executor.submit_later(60, "a", int),
            executor.for_key("a").submit(int),
        ]
        kept = executor.submit_keyed("a", int)
        for future in futures:
            assert future.cancel()
            assert future.cancel()
        gate.open()
        kept.result(DEADLINE)
    stats = executor.stats()

    assert (stats.handled, stats.failed, stats.cancelled) == (2, 0, 7)


def test_a_task_whose_time_has_not_come_at_the_end_is_counted_as_cancelled() -> None:
    executor = KeyedExecutor(1)
    with executor:
        executor.submit_later(60, "a", int)
        assert executor.stats().waiting == 0
    until(lambda: executor.stats().cancelled == 1)

    assert executor.stats().handled == 0


def test_what_shutdown_cancels_is_counted(held: KeyedExecutor, gate: Gate) -> None:
    held.submit_multi(["a", "b"], int)
    held.shutdown(wait=False, cancel_futures=True)
    gate.open()
    held.shutdown()
    stats = held.stats()

    assert (stats.state, stats.handled, stats.cancelled) == ("ended", 1, 4)


def test_a_task_that_could_not_be_submitted_is_counted_as_nothing() -> None:
    executor = KeyedExecutor(1)
    executor.shutdown()
    for submit in (executor.submit, executor.for_key("a").submit):
        with pytest.raises(RuntimeError, match="after shutdown"):
            submit(int)
    stats = executor.stats()

    assert (stats.handled, stats.failed, stats.cancelled) == (0, 0, 0)


def test_tasks_that_are_left_out_for_want_of_a_thread_are_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = KeyedExecutor(1)
    refuse = refusing_threads(monkeypatch)
    refuse.set()
    for submit in (
        lambda: executor.submit_keyed("a", int),
        lambda: executor.submit_multi(["a", "b"], int),
    ):
        with pytest.raises(ThreadRefused):
            submit()
    executor.shutdown()
    stats = executor.stats()

    assert (stats.state, stats.keys, stats.handled, stats.threads) == ("ended", 0, 0, 0)
    assert stats.cancelled == 2


def test_a_task_of_several_keys_is_one_that_runs(gate: Gate) -> None:
    with KeyedExecutor(2) as executor:
        executor.submit_multi(["a", "b", "c"], gate)
        gate.wait_until_reached()
        stats = executor.stats()
        shown = lines(executor)
        executor.submit_keyed("b", int)
        behind = executor.worker("b")
        gate.open()

    assert (stats.keys, stats.busy, stats.waiting) == (3, 1, 0)
    assert shown == [TaskLine(key, "busy", 0) for key in "abc"]
    assert behind == TaskLine("b", "busy", 1)


def test_a_task_of_several_keys_that_waits_does_so_for_each(held: KeyedExecutor) -> None:
    held.submit_multi(["a", "c"], int)

    assert held.stats().waiting == 5
    assert lines(held) == [
        TaskLine("a", "busy", 2),
        TaskLine("b", "waiting", 2),
        TaskLine("c", "waiting", 1),
    ]


def test_a_task_of_all_keys_is_one_that_runs_and_no_key(gate: Gate) -> None:
    with KeyedExecutor(2) as executor:
        executor.submit_exclusive(gate)
        gate.wait_until_reached()
        executor.submit_keyed("a", int)
        stats = executor.stats()
        shown = lines(executor)
        gate.open()

    assert (stats.keys, stats.busy, stats.waiting) == (1, 1, 1)
    assert shown == [TaskLine("a", "waiting", 1)]


def test_a_task_that_waits_for_its_rate_is_shown_as_waiting() -> None:
    with KeyedExecutor(1, rate=Rate(0.001)) as executor:
        executor.submit_keyed("a", int).result(DEADLINE)
        late = executor.submit_keyed("a", int)
        until(lambda: table_of(executor).delayed)
        stats = executor.stats()
        shown = lines(executor)
        late.cancel()

    assert (stats.busy, stats.waiting) == (0, 1)
    assert shown == [TaskLine("a", "waiting", 1)]


def test_the_states_of_an_executor(held: KeyedExecutor, gate: Gate) -> None:
    states = [held.stats().state]
    held.shutdown(wait=False)
    states.append(held.stats().state)
    gate.open()
    held.shutdown()
    stats = held.stats()

    assert [*states, stats.state] == ["running", "closing", "ended"]
    assert (stats.handled, stats.threads) == (4, 0)


def test_an_executor_whose_initializer_raises_has_failed_tasks_and_ends() -> None:
    executor = KeyedExecutor(1, initializer=fail)
    future = executor.submit_keyed("a", int)
    assert future.exception(DEADLINE) is not None
    executor.shutdown()
    stats = executor.stats()

    assert (stats.state, stats.failed) == ("ended", 1)


class Attached(Observer):
    """Keeps what reads the figures."""

    stats: Callable[[], Stats]

    def attach(self, name: str, stats: Callable[[], Stats], /) -> None:
        """Keep it."""
        self.stats = stats


def test_observers_read_the_figures_and_do_not_keep_the_executor() -> None:
    observer = Attached()
    executors = [KeyedExecutor(1, observe=observer)]
    executors[0].submit_keyed("a", int)
    until(lambda: executors[0].stats().handled == 1)
    before = observer.stats()
    executors.clear()
    gc.collect()
    until(lambda: observer.stats().state == "ended")
    after: Any = observer.stats()

    assert isinstance(before, ExecutorStats)
    assert (before.state, before.handled) == ("running", 1)
    assert (after.handled, after.keys) == (1, 0)


def test_counters_never_become_less_while_others_submit_and_cancel() -> None:
    seen = list[ExecutorStats]()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(executor.stats())
            list(executor.workers())
            executor.hot(3)

    def submit(sender: int) -> None:
        for number in range(300):
            key = (sender, number % 3)
            if number % 10 == 0:
                executor.submit_multi([key, "all"], int)
            else:
                executor.submit_keyed(key, fail if number % 10 == 1 else int)
            if number % 10 == 2:
                executor.submit_later(60, key, int).cancel()

    executor = KeyedExecutor(3)
    with executor, in_thread(look):
        run_together(*(lambda sender=sender: submit(sender) for sender in range(3)))
        executor.shutdown()
        over.set()
    last = executor.stats()

    for before, after in zip(seen, [*seen[1:], last], strict=True):
        assert before.handled <= after.handled
        assert before.failed <= after.failed
        assert before.cancelled <= after.cancelled
        assert before.busy <= 3
    assert (last.handled, last.failed, last.cancelled) == (900, 90, 90)


def test_a_look_takes_no_time_for_keys_that_have_nothing() -> None:
    with KeyedExecutor(2) as executor:
        for number in range(3000):
            executor.submit_keyed(number, int)
        until(lambda: executor.stats().handled == 3000)

        assert sum(len(shard.all_lanes()) for shard in table_of(executor).shards) == 0


def test_a_forked_process_looks_at_what_it_does_not_have() -> None:
    program = """
    inside, go_on = threading.Event(), threading.Event()
    executor = mb.KeyedExecutor(1)
    executor.submit_keyed("a", int)
    until(lambda: executor.stats().handled == 1)
    executor.submit_keyed("a", lambda: (inside.set(), go_on.wait(15)))
    inside.wait(15)
    executor.submit_keyed("a", int)

    def look():
        stats = executor.stats()
        print(stats.state, stats.keys, stats.busy, stats.waiting, stats.threads, stats.handled)
        print(list(executor.workers()), executor.hot(), executor.worker("a"))

    print(in_child(look))
    go_on.set()
    executor.shutdown()
    print(executor.stats().handled)
    """

    assert run(program) == ["made before os.fork() 0 0 0 0 1", "[] [] None", "0", "3"]
