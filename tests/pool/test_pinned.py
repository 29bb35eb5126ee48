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
from tests.calls.doubles import Do, answer
from tests.helpers import DEADLINE, Running, run_together, until
from tests.pool.doubles import Intercepting
from tests.pool.witness import Gate

WHERE = answer(threading.get_ident)
"""Asks on which thread the worker runs."""


def doing(key: object) -> Generator[None, mb.Call[Any]]:
    """Do what each call asks for."""
    while True:
        match (yield):
            case mb.Call(Do(function)) as call:
                function(call)
            case _:
                pass


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
        until(lambda: len(pool.stats().workers) == 2)

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


def on_one_thread(*keys: str) -> mb.Pool[str, mb.Call[Any]]:
    """Return a pool that has one thread for these keys."""
    pool = mb.Pool(doing, max_threads=1, pinned=True)
    for key in keys:
        pool.initialize(key)
    return pool


def asks(pool: mb.Pool[str, mb.Call[Any]], key: str, command: Do) -> Do:
    """Ask a worker to ask another one."""
    return answer(lambda: mb.call(pool.ref(key), command))


def test_a_worker_may_wait_for_another_one_of_its_thread() -> None:
    with on_one_thread("a", "b", "c") as pool:
        here = mb.call(pool.ref("a"), WHERE)

        assert mb.call(pool.ref("a"), asks(pool, "b", asks(pool, "c", WHERE))) == here


def test_what_the_other_one_got_before_is_handled_before() -> None:
    handled: list[int] = []
    with on_one_thread("a", "b") as pool:

        def ask_after_others() -> list[int]:
            for number in range(5):
                mb.ask(pool.ref("b"), answer(lambda number=number: handled.append(number)))
            mb.call(pool.ref("b"), WHERE)
            return handled.copy()

        assert mb.call(pool.ref("a"), answer(ask_after_others)) == [0, 1, 2, 3, 4]


def test_a_worker_may_wait_for_one_that_keeps_its_call_until_another_message() -> None:
    kept: list[mb.Call[Any]] = []
    with on_one_thread("a", "b") as pool:
        waiting = Running(lambda: mb.call(pool.ref("a"), asks(pool, "b", Do(kept.append))))
        until(lambda: kept)

        # From outside, while the only thread waits in the turn of "a".
        mb.ask(pool.ref("b"), answer(lambda: kept.pop().reply_box.reply("in the end")))

        assert waiting.result() == "in the end"


def test_a_worker_may_wait_for_one_that_leaves_its_answer_to_a_third() -> None:
    with on_one_thread("a", "b", "c") as pool:

        def pass_on(call: mb.Call[Any]) -> None:
            # Nobody waits for "c", nor knows that it will answer.
            mb.ask(pool.ref("c"), answer(lambda: call.reply_box.reply("of c")))

        assert mb.call(pool.ref("a"), asks(pool, "b", Do(pass_on))) == "of c"


def test_threads_that_wait_for_each_other_run_what_is_needed_of_them() -> None:
    with mb.Pool(doing, max_threads=2, pinned=True) as pool:
        for key in "abcd":
            pool.initialize(key)
        home = {key: mb.call(pool.ref(key), WHERE) for key in "abcd"}
        mine = [key for key in "abcd" if home[key] == home["a"]]
        other = next(key for key in "abcd" if home[key] != home["a"])

        # "a" waits for a worker on the other thread, which waits for another one on that of "a".
        found = mb.call(pool.ref("a"), asks(pool, other, asks(pool, mine[1], WHERE)))

        assert found == home["a"]


def test_a_circle_on_one_thread_is_told() -> None:
    with on_one_thread("a", "b") as pool:
        with pytest.raises(mb.WorkerGone) as caught:
            mb.call(pool.ref("a"), asks(pool, "b", asks(pool, "a", WHERE)))

        causes: list[BaseException | None] = [caught.value]
        while causes[-1] is not None:
            causes.append(causes[-1].__cause__)
        assert isinstance(causes[-2], mb.CallDeadlock)


def test_a_worker_may_wait_for_room_at_another_one_of_its_thread() -> None:
    handled: list[object] = []

    def worker(key: str) -> Generator[None, Any]:
        while True:
            message = yield
            if isinstance(message, mb.Call):
                message.command.function(message)
            else:
                handled.append(message)

    def fill() -> None:
        for number in range(10):
            pool.dispatch("b", number)

    pool: mb.Pool[str, Any]
    with mb.Pool(worker, mailbox=mb.Blocking(1), max_threads=1, pinned=True) as pool:
        for key in "ab":
            pool.initialize(key)

        mb.call(pool.ref("a"), answer(fill))

    assert handled == list(range(10))


def test_there_is_no_thread_more_though_all_wait() -> None:
    release = threading.Event()

    def late(call: mb.Call[Any]) -> None:
        threading.Thread(target=lambda: (release.wait(DEADLINE), call.reply_box.reply(1))).start()

    with mb.Pool(doing, max_threads=2, pinned=True) as pool:
        for key in "abcd":
            pool.initialize(key)
        waiting = [mb.ask(pool.ref(key), asks(pool, "d", Do(late))) for key in "ab"]
        until(lambda: sum(worker.state == "waiting" for worker in pool.stats().workers) >= 1)

        most = pool.stats().threads
        release.set()
        for reply in waiting:
            assert reply.result(timeout=DEADLINE) == 1

    assert most <= 3  # two, and the dispatcher


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
        (doing, {"inline_calls": True}, "inline_calls must not be True for pinned workers"),
    ],
)
def test_what_cannot_be_pinned_is_told(
    worker: Callable[..., Any], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        mb.Pool(worker, pinned=True, **options)


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
