"""`Pool(pinned=True)`: all turns of a worker run on one thread, for its whole life."""

import asyncio
import collections
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.calls.doubles import Do, answer, doing
from tests.forks import run
from tests.helpers import DEADLINE, Running, run_together, until
from tests.insides import dispatcher_of
from tests.pool.doubles import Intercepting
from tests.pool.witness import Gate

WHERE = answer(threading.get_ident)
"""Asks on which thread the worker runs."""


CONFIGS = [mb.Unlimited(), mb.Blocking(2), Intercepting()]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_all_turns_of_a_worker_run_on_one_thread_from_its_start_to_its_end(
    config: mb.MailboxConfig,
) -> None:
    keys = range(12)
    seen: dict[int, list[int]] = collections.defaultdict(list)

    def worker(key: int) -> Generator[None, int]:
        seen[key].append(threading.get_ident())
        try:
            while True:
                yield
                seen[key].append(threading.get_ident())
        finally:
            seen[key].append(threading.get_ident())

    def send(pool: mb.Pool[int, int]) -> None:
        for number in range(20):
            for key in keys:
                pool.dispatch(key, number)

    with mb.Pool(worker, mailbox=config, max_threads=3, pinned=True) as pool:
        for key in keys:
            pool.initialize(key)
        run_together(lambda: send(pool), lambda: send(pool))
        # Each is dealt before the first one ends.
        until(lambda: len(seen) == len(keys))

    assert {key: len(threads) for key, threads in seen.items()} == dict.fromkeys(keys, 42)
    homes = collections.Counter(one for threads in seen.values() for one in set(threads))
    assert all(len(set(threads)) == 1 for threads in seen.values())
    assert sorted(homes.values()) == [4, 4, 4], "each thread was dealt as many"


def test_a_new_worker_goes_to_the_thread_that_has_the_fewest() -> None:
    with mb.Pool(doing, max_threads=2, pinned=True) as pool:
        for key in "abcd":
            pool.initialize(key)
        home = {key: mb.call(pool.ref(key), WHERE) for key in "abcd"}
        there = [key for key in "abcd" if home[key] == home["a"]]
        assert len(there) == 2
        for key in there:
            pool.remove(key)
        until(lambda: len(list(pool.workers())) == 2)

        for key in "ef":
            pool.initialize(key)

        assert {mb.call(pool.ref(key), WHERE) for key in "ef"} == {home["a"]}


@pytest.mark.parametrize("inline_calls", [None, False])
def test_no_call_runs_on_its_callers_thread(*, inline_calls: bool | None) -> None:
    with mb.Pool(doing, max_threads=2, pinned=True, inline_calls=inline_calls) as pool:
        pool.initialize("a")
        first = mb.call(pool.ref("a"), WHERE)

        assert Running(lambda: {mb.call(pool.ref("a"), WHERE) for _ in range(20)}).result() == {
            first
        }


def test_what_belongs_to_a_thread_works_as_in_a_thread_of_ones_own() -> None:
    def worker(key: str) -> Generator[None, mb.Call[Any]]:
        lock = threading.RLock()
        local = threading.local()
        local.key = key
        with (
            asyncio.Runner() as runner,
            lock,
            contextlib.closing(sqlite3.connect(":memory:")) as connection,
        ):
            connection.execute("create table sums (value integer)")
            while True:
                call = yield
                connection.execute("insert into sums values (?)", (len(key),))
                with lock:
                    runner.run(asyncio.sleep(0))
                [(total,)] = connection.execute("select sum(value) from sums")
                call.reply_box.reply((local.key, total))

    keys = ["a", "bb", "ccc", "dddd"]
    with mb.Pool(worker, max_threads=2, pinned=True) as pool:
        for key in keys:
            pool.initialize(key)

        for times in range(1, 6):
            for key in keys:
                assert mb.call(pool.ref(key), answer(int)) == (key, times * len(key))


def test_a_worker_that_blocks_holds_up_its_own_thread_and_no_other() -> None:
    gate = Gate()
    with mb.Pool(doing, max_threads=2, pinned=True) as pool:
        for key in "ab":
            pool.initialize(key)
        mb.ask(pool.ref("a"), answer(gate))
        gate.wait_until_reached()

        mb.call(pool.ref("b"), WHERE)

        gate.open()


def on_one_thread(*keys: str, **options: Any) -> mb.Pool[str, Any]:  # noqa: ANN401 - what `Pool` takes
    """Return a pool that has one thread for these keys."""
    pool: mb.Pool[str, Any] = mb.Pool(doing, max_threads=1, pinned=True, **options)
    for key in keys:
        pool.initialize(key)
    return pool


def has_the_turn_and_waits(pool: mb.Pool[str, Any], key: str) -> bool:
    """Return whether a worker waits for something else than its turn: it has taken its message."""
    worker = pool.worker(key)
    return worker is not None and worker.state == "waiting" and not worker.messages


def asks(pool: mb.Pool[str, Any], key: str, command: Do) -> Do:
    """Ask a worker to ask another one."""
    return answer(lambda: mb.call(pool.ref(key), command))


def told(call: Callable[[], object]) -> BaseException:
    """Return the first cause of what a call raises."""
    with pytest.raises(mb.CallError) as caught:
        call()
    error: BaseException = caught.value
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def test_a_worker_that_waits_for_one_of_its_thread_is_told_at_once() -> None:
    with on_one_thread("a", "b") as pool:
        error = told(lambda: mb.call(pool.ref("a"), asks(pool, "b", WHERE)))

    assert isinstance(error, mb.CallDeadlock)
    assert "'a' → " in str(error)
    assert "'b' (on the same thread) → " in str(error)


def by_home(pool: mb.Pool[str, Any], keys: str) -> list[list[str]]:
    """Return the keys of each thread."""
    homes: dict[object, list[str]] = collections.defaultdict(list)
    for key in keys:
        homes[mb.call(pool.ref(key), WHERE)].append(key)
    return list(homes.values())


def test_a_circle_through_another_thread_is_told_and_workers_of_two_threads_may_wait() -> None:
    with mb.Pool(doing, max_threads=2, pinned=True) as pool:
        for key in "abcd":
            pool.initialize(key)
        (a, c), (b, _) = by_home(pool, "abcd")
        home = mb.call(pool.ref(b), WHERE)

        assert mb.call(pool.ref(a), asks(pool, b, WHERE)) == home
        error = told(lambda: mb.call(pool.ref(a), asks(pool, b, asks(pool, c, WHERE))))

    assert isinstance(error, mb.CallDeadlock)


def test_a_worker_may_wait_for_what_one_of_its_thread_has_left_to_another_thread() -> None:
    taken: list[mb.Call[Any]] = []
    with on_one_thread("a", "b") as pool:
        reply = mb.ask(pool.ref("b"), Do(taken.append))
        until(lambda: taken)

        waiting = Running(lambda: mb.call(pool.ref("a"), answer(reply.result)))
        until(lambda: has_the_turn_and_waits(pool, "a"))
        taken.pop().reply_box.reply("in the end")

        assert waiting.result() == "in the end"


def test_it_is_told_once_the_other_one_needs_the_thread() -> None:
    taken: list[mb.Call[Any]] = []
    with on_one_thread("a", "b", on_dead_letter=lambda _: None) as pool:
        reply = mb.ask(pool.ref("b"), Do(taken.append))
        until(lambda: taken)
        waiting = Running(lambda: told(lambda: mb.call(pool.ref("a"), answer(reply.result))))
        until(lambda: has_the_turn_and_waits(pool, "a"))

        pool.dispatch("b", "has to be handled before the answer comes")

        assert isinstance(waiting.result(), mb.CallDeadlock)
        taken.clear()


def test_a_worker_that_waits_for_room_at_one_of_its_thread_is_told() -> None:
    errors: list[BaseException] = []

    def fill() -> None:
        try:
            for number in range(3):
                pool.dispatch("b", number)
        except mb.DispatchDeadlock as error:
            errors.append(error)

    with on_one_thread("a", "b", mailbox=mb.Blocking(1)) as pool:
        mb.call(pool.ref("a"), answer(fill))

    assert len(errors) == 1


def test_there_is_no_thread_more_though_all_wait() -> None:
    release = threading.Event()

    def slow(key: str, mailbox: mb.Mailbox[mb.Call[Any]]) -> None:
        for call in mailbox:
            assert release.wait(DEADLINE)
            call.reply_box.reply(key)

    with mb.Pool(slow) as others, mb.Pool(doing, max_threads=2, pinned=True) as pool:
        others.initialize("outside")
        for key in "abcd":
            pool.initialize(key)
        [(a, _), (b, _)] = by_home(pool, "abcd")
        waits = answer(lambda: mb.call(others.ref("outside"), WHERE))
        replies = [mb.ask(pool.ref(key), waits) for key in (a, b)]
        until(lambda: all(has_the_turn_and_waits(pool, key) for key in (a, b)))
        behind = mb.ask(pool.ref(a), WHERE)

        most = pool.stats().threads
        release.set()
        for reply in replies:
            assert reply.result(timeout=DEADLINE) == "outside"
        behind.result(timeout=DEADLINE)

    assert most == 3  # two, and the dispatcher


def test_a_start_that_is_refused_a_thread_goes_to_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mb.Pool(doing, max_threads=3, pinned=True) as pool:
        pool.initialize("a")
        home = mb.call(pool.ref("a"), WHERE)

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for key in "bcd":
                pool.initialize(key)
            assert {mb.call(pool.ref(key), WHERE) for key in "bcd"} == {home}
        for key in "efghij":
            pool.initialize(key)

        assert sorted(map(len, by_home(pool, "abcdefghij"))) == [3, 3, 4]


def test_a_worker_that_never_starts_counts_for_no_thread() -> None:
    gate = Gate()
    with mb.Pool(doing, max_threads=2, pinned=True) as pool:
        pool.initialize("a")
        mb.ask(pool.ref("a"), answer(gate))
        gate.wait_until_reached()
        for _ in range(5):  # successors, which wait for the end of the first
            pool.remove("a")
            pool.initialize("a")
        gate.open()
        until(lambda: len(list(pool.workers())) == 1)
        for key in "bcd":
            pool.initialize(key)

        assert sorted(map(len, by_home(pool, "abcd"))) == [2, 2]


def test_a_pinned_pool_ends_as_any_other() -> None:
    ends: list[str] = []

    def worker(key: int) -> Generator[None, int]:
        if (yield) == 0:
            raise LookupError(key)

    with mb.Pool(
        worker, max_threads=3, pinned=True, on_worker_exit=lambda end: ends.append(end.cause)
    ) as pool:
        for key in range(6):
            pool.initialize(key, key % 2)
        until(lambda: len(ends) == 6)
        assert collections.Counter(ends) == {"failed": 3, "returned": 3}
        pool.initialize(7)
        report = pool.drain(timeout=DEADLINE)

    assert report.finished
    assert ends[-1] == "drained"


def function(key: str, mailbox: mb.Mailbox[int]) -> None:
    """Be a worker that has a thread of its own."""


@pytest.mark.parametrize(
    ("worker", "options", "text"),
    [
        (function, {}, "pinned is for generator workers"),
        (doing, {"inline_calls": True}, "inline_calls must not be True: a pinned worker"),
    ],
)
def test_what_cannot_be_pinned_is_told(
    worker: Callable[..., Any], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        mb.Pool(worker, pinned=True, **options)


@pytest.mark.parametrize("flag", ["no", 1, None])
def test_a_flag_that_is_none_is_told(flag: Any) -> None:  # noqa: ANN401 - whatever it is
    with pytest.raises(TypeError, match="pinned must be True or False, not "):
        mb.Pool(doing, pinned=flag)
    with pytest.raises(TypeError, match="pinned must be True or False, not "):
        mb.KeyedExecutor(2, pinned=flag)


def test_in_a_forked_child_pinned_threads_are_the_parents_and_new_ones_work() -> None:
    lines = run("""
        def answers(key):
            while True:
                (yield).reply_box.reply(key)

        def use(pool, executor):
            for key in range(4):
                pool.initialize(key)
            print([mb.call(pool.ref(key), Ask()) for key in range(4)])
            print(executor.submit_keyed("a", int, "5").result())

        def child():
            told(pool.dispatch, 1, None)
            told(executor.submit_keyed, "a", int)
            with mb.Pool(answers, max_threads=2, pinned=True) as own:
                with mb.KeyedExecutor(2, pinned=True) as own_executor:
                    use(own, own_executor)

        with mb.Pool(answers, max_threads=2, pinned=True) as pool:
            with mb.KeyedExecutor(2, pinned=True) as executor:
                use(pool, executor)
                print(in_child(child))
    """)

    assert lines == [
        *("[0, 1, 2, 3]", "5"),
        *("PoolClosed True", "RuntimeError True"),
        *("[0, 1, 2, 3]", "5", "0"),
    ]


@pytest.mark.racing
def test_lives_and_calls_on_pinned_threads_lose_nothing() -> None:
    handled: collections.Counter[int] = collections.Counter()
    lock = threading.Lock()

    def worker(key: int) -> Generator[None, mb.Call[int]]:
        mine = threading.get_ident()
        for _ in range(3):
            call = yield
            assert threading.get_ident() == mine
            with lock:
                handled[key] += 1
            call.reply_box.reply(key)

    def live(first: int) -> None:
        for key in range(first, first + 60):
            pool.initialize(key)
            for _ in range(3):
                assert mb.call(pool.ref(key), answer(int)) == key

    pool: mb.Pool[int, mb.Call[int]]
    with mb.Pool(worker, max_threads=3, pinned=True) as pool:
        run_together(*(lambda first=first: live(first) for first in range(0, 400, 100)))

    assert sum(handled.values()) == 4 * 60 * 3


def test_a_worker_for_which_there_is_no_thread_at_all_is_told_of_and_counts_for_none(
    refusing: threading.Event,
) -> None:
    exits: list[mb.WorkerExit[str]] = []
    with mb.Pool(doing, max_threads=2, pinned=True, on_worker_exit=exits.append) as pool:
        refusing.set()
        pool.initialize("refused")
        until(lambda: exits)
        kind: Any = dispatcher_of(pool)._kind
        assert sum(kind._pinned._load.values()) == 0
        refusing.clear()
        for key in "ab":
            pool.initialize(key)

        assert sorted(map(len, by_home(pool, "ab"))) == [1, 1]

    assert [(each.key, type(each.error)) for each in exits[:1]] == [("refused", mb.ThreadRefused)]
