"""Generator workers that wait in the midst of a message, and hold no thread."""

import concurrent.futures
import gc
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any, cast

import pytest

from tests.helpers import until
from threadpool_mb import (
    CallDeadlock,
    CallFailed,
    Cancelled,
    Command,
    DeadLetter,
    KeyInput,
    Pool,
    Reply,
    Restart,
    WorkerExit,
    WorkerGone,
    ask,
    call,
    sleep,
    wait,
)

type Worker = Generator[None, Any]


class Get(Command[str]):
    """Asks for something."""


def test_others_have_the_thread_while_a_worker_sleeps_and_its_own_messages_wait() -> None:
    log = list[tuple[str, object]]()

    def worker(key: str) -> Worker:
        while True:
            message = yield
            log.append((key, message))
            if message == "sleep":
                yield from sleep(0.05)
                log.append((key, "woke"))

    with Pool(worker, start="on_demand", max_threads=1) as pool:
        pool.dispatch_many("a", ["sleep", 1])
        pool.dispatch_many("b", [1, 2])

    assert log.index(("b", 2)) < log.index(("a", "woke"))
    assert [what for key, what in log if key == "a"] == ["sleep", "woke", 1]


def test_a_worker_sleeps_in_its_set_up_and_more_than_once() -> None:
    log = list[object]()

    def worker(_key: str) -> Worker:
        yield from sleep(0)
        log.append("set up")
        while True:
            message = yield
            for _ in range(3):
                yield from sleep(0.001)
            log.append(message)

    with Pool(worker) as pool:
        pool.initialize("a", 1)
        pool.dispatch("a", 2)
        assert pool.flush(timeout=15)
        assert log == ["set up", 1, 2]


def test_a_worker_waits_for_a_reply_and_for_futures() -> None:
    log = list[object]()
    future = concurrent.futures.Future[str]()

    def server(_key: str) -> Worker:
        while True:
            (yield).reply_box.reply("answer")

    def worker(_key: str) -> Worker:
        while True:
            source = yield
            log.append((yield from wait(source)))

    with Pool(server, start="on_demand") as servers, Pool(worker, start="on_demand") as pool:
        pool.dispatch("a", ask(servers.ref("s"), Get()))
        pool.dispatch("a", future)
        pool.dispatch("a", ask(servers.ref("s"), Get()).as_future())
        until(lambda: [each.state for each in pool.workers()] == ["waiting"])
        future.set_result("late")
        assert pool.flush(timeout=15)

    assert log == ["answer", "late", "answer"]


def test_what_is_there_already_is_not_waited_for() -> None:
    future = concurrent.futures.Future[int]()
    future.set_result(1)
    waiting = wait(future)

    with pytest.raises(StopIteration) as ended:
        next(waiting)
    assert ended.value.value == 1


def test_the_error_of_what_is_waited_for_is_raised_in_the_worker() -> None:
    log = list[object]()
    future = concurrent.futures.Future[int]()

    def server(_key: str) -> Worker:
        while True:
            message = yield
            if message.command is not None:
                message.reply_box.fail(ValueError("no"))

    def worker(_key: str) -> Worker:
        while True:
            source = yield
            try:
                yield from wait(source)
            except Exception as error:  # noqa: BLE001 - what it is is tested
                log.append(type(error))

    with Pool(server, start="on_demand") as servers, Pool(worker, start="on_demand") as pool:
        pool.dispatch("a", future)
        future.set_exception(KeyError("x"))
        pool.dispatch("a", ask(servers.ref("s"), Get()))
        gone = ask(servers.ref("other"), Get())
        pool.dispatch("a", gone)
        assert pool.flush(timeout=15)

    assert log[:2] == [KeyError, CallFailed]


def test_the_end_of_the_worker_that_is_to_answer_ends_the_wait() -> None:
    errors = list[BaseException]()
    free = threading.Event()

    def server(_key: str) -> Worker:
        message = yield
        free.wait(15)
        del message
        raise ValueError("the server's")

    def worker(_key: str) -> Worker:
        while True:
            ref = yield
            try:
                yield from wait(ask(ref, Get()))
            except WorkerGone as error:
                errors.append(error)

    with Pool(server, max_threads=1) as servers, Pool(worker, start="on_demand") as pool:
        servers.initialize("s")
        pool.dispatch("a", servers.ref("s"))
        until(lambda: [each.state for each in pool.workers()] == ["waiting"])
        free.set()
        assert pool.flush(timeout=15)

    assert [type(error) for error in errors] == [WorkerGone]


@pytest.mark.parametrize("stop", ["remove", "cancel"])
@pytest.mark.parametrize("what", ["sleep", "wait"])
def test_a_worker_that_waits_is_stopped_where_it_waits(stop: str, what: str) -> None:
    log = list[object]()
    taken = list[object]()
    letters = list[DeadLetter[str, object]]()
    exits = list[WorkerExit[str]]()
    never = concurrent.futures.Future[int]()

    def worker(_key: str) -> Worker:
        try:
            taken.append((yield))
            yield from sleep(3600) if what == "sleep" else wait(never)  # type: ignore[arg-type]
        except Cancelled:
            log.append("stopped")
            raise

    pool = Pool[str, object](worker, on_dead_letter=letters.append, on_worker_exit=exits.append)
    pool.initialize("a")
    pool.dispatch_many("a", ["first", "second"])
    until(lambda: taken)  # before that it waits for its turn
    until(lambda: [each.state for each in pool.workers()] == ["waiting"])
    if stop == "remove":
        assert pool.remove("a")
        pool.close()
    else:
        pool.cancel()

    assert pool.join(timeout=15).finished
    assert log == ["stopped"]
    assert [each.message for each in letters] == ["second"]
    assert [each.cause for each in exits] == ["removed" if stop == "remove" else "cancelled"]


def test_a_pool_that_drains_lets_its_workers_finish_their_sleep() -> None:
    log = list[int]()

    def worker(_key: int) -> Worker:
        while True:
            message = yield
            yield from sleep(0.01)
            log.append(message)

    with Pool(worker, start="on_demand", max_threads=2) as pool:
        for key in range(50):
            pool.dispatch_many(key, [key, key])

    assert sorted(log) == sorted([*range(50), *range(50)])


def test_a_call_that_is_handled_in_place_may_wait_too() -> None:
    def worker(_key: str) -> Worker:
        while True:
            message = yield
            yield from sleep(0.001)
            message.reply_box.reply("after a while")

    with Pool(worker, start="on_demand", inline_calls=True) as pool:
        assert [call(pool.ref("a"), Get()) for _ in range(5)] == ["after a while"] * 5


def asking(refs: list[KeyInput[int, Any]], errors: list[object]) -> Callable[[int], Worker]:
    """Return workers each of which asks the next one, by `wait`, before it answers."""

    def worker(key: int) -> Worker:
        while True:
            message = yield
            try:
                if not errors:  # the call that closed the circle is still to be handled
                    yield from wait(ask(refs[(key + 1) % len(refs)], Get()))
            except CallDeadlock as error:
                errors.append(error)
            if message != "begin":
                message.reply_box.reply("told")

    return worker


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("max_threads", [1, 3])
def test_a_circle_of_waits_is_told(length: int, max_threads: int) -> None:
    refs = list[KeyInput[int, Any]]()
    errors = list[object]()

    with Pool(asking(refs, errors), start="on_demand", max_threads=max_threads) as pool:
        refs += [pool.ref(key) for key in range(length)]
        pool.dispatch(0, "begin")
        until(lambda: errors)
        assert pool.flush(timeout=15)

    assert len(errors) == 1


def test_a_circle_of_a_wait_and_a_call_is_told() -> None:
    errors = list[object]()
    refs = dict[str, KeyInput[str, Any]]()

    def worker(key: str) -> Worker:
        while True:
            message = yield
            try:
                if errors:
                    pass  # the call that closed the circle is still to be handled
                elif key == "waits":
                    yield from wait(ask(refs["calls"], Get()))
                else:
                    call(refs["waits"], Get())
            except CallDeadlock as error:
                errors.append(error)
            if message != "begin":
                message.reply_box.reply("told")

    with Pool(worker, start="on_demand", max_threads=2) as pool:
        refs |= {key: pool.ref(key) for key in ("waits", "calls")}
        pool.dispatch("waits", "begin")
        assert pool.flush(timeout=15)

    assert len(errors) == 1


def test_very_many_waits_need_no_thread_more() -> None:
    keys = 60

    def worker(key: int) -> Worker:
        while True:
            message = yield
            if key:
                answer = yield from wait(ask(pool.ref(key - 1), Get()))
            else:
                answer = "the bottom"
            message.reply_box.reply(answer)

    with Pool(worker, start="on_demand", max_threads=2) as pool:
        replies: list[Reply[str]] = [ask(pool.ref(key), Get()) for key in range(keys)]
        assert [reply.result(timeout=15) for reply in replies] == ["the bottom"] * keys
        assert pool.stats().threads <= 3


def test_a_worker_that_fails_after_a_wait_has_its_message_in_hand() -> None:
    exits = list[WorkerExit[str]]()

    def worker(_key: str) -> Worker:
        yield
        yield from sleep(0)
        raise ValueError("after the wait")

    with Pool(worker, on_worker_exit=exits.append) as pool:
        pool.initialize("a", "in hand")
        until(lambda: exits)

    assert [each.message for each in exits] == ["in hand"]


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, "1", None, True])
def test_a_time_that_is_none_is_refused_at_once(seconds: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=r"the time to sleep must be seconds, at least 0, not "):
        sleep(seconds)


@pytest.mark.parametrize("source", [None, 1, threading.Event()])
def test_what_cannot_be_waited_for_is_refused_at_once(source: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="a worker can wait for a Reply or a concurrent"):
        wait(source)


async def coroutine() -> None:
    """Do nothing."""


def test_who_waits_for_a_coroutine_is_told_what_makes_a_future_of_it() -> None:
    made = coroutine()

    with pytest.raises(
        TypeError, match=r"Future, not <coroutine .*; asyncio\.run_coroutine_thread"
    ):
        wait(cast("Any", made))

    made.close()


DROPPED_WAITS = """
import warnings
from concurrent.futures import Future

import threadpool_mb as mb

warnings.simplefilter("always")
done = Future()
done.set_result("the result")


def worker(key):
    while True:
        message = yield
        mb.sleep(60)  # line 15
        dropped = mb.wait(done)
        del dropped  # line 17
        kept = mb.sleep(0)
        yield from kept
        print(message, (yield from mb.wait(done)))


with mb.Pool(worker, start="on_demand") as pool:
    pool.dispatch("a", "message")
"""


def run(program: str, *options: str) -> list[str]:
    """Run a program; return the lines that it has printed, and those of its warnings."""
    command = [sys.executable, *options, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    warned = [line for line in done.stderr.splitlines() if "Warning" in line]
    return [*done.stdout.splitlines(), *warned]


def test_development_mode_warns_of_a_wait_that_nobody_waits_for_where_it_is_dropped() -> None:
    said = run(DROPPED_WAITS, "-X", "dev")

    warned = "RuntimeWarning: nothing has waited for mb."
    assert said == [
        "message the result",
        f"<string>:15: {warned}sleep(…): write `yield from mb.sleep(…)`",
        f"<string>:17: {warned}wait(…): write `yield from mb.wait(…)`",
    ]


def test_without_development_mode_a_wait_that_is_dropped_is_not_noticed() -> None:
    assert run(DROPPED_WAITS) == ["message the result"]


@pytest.mark.parametrize("options", [(), ("-X", "dev")], ids=["usual", "development"])
def test_a_sleep_may_be_asked_for_its_steps_by_hand(options: tuple[str, ...]) -> None:
    program = """
import threadpool_mb as mb


def worker(key):
    while True:
        message = yield
        asleep = mb.sleep(0)
        yield next(asleep)
        print(message, next(asleep, "is over"))


with mb.Pool(worker, start="on_demand") as pool:
    pool.dispatch("a", "message")
"""

    assert run(program, *options) == ["message is over"]


def test_what_else_is_yielded_is_refused_with_a_hint() -> None:
    exits = list[WorkerExit[str]]()

    def worker(_key: str) -> Generator[Any, Any]:
        yield
        yield 1

    with Pool(worker, on_worker_exit=exits.append) as pool:
        pool.initialize("a", 1)
        until(lambda: exits)

    assert "it yielded 1" in str(exits[0].error)
    assert "yield from mb.sleep" in str(exits[0].error)


def test_pinned_workers_wait_and_come_back_to_their_thread() -> None:
    threads = dict[int, set[int]]()

    def worker(key: int) -> Worker:
        while True:
            yield
            threads.setdefault(key, set()).add(threading.get_ident())
            yield from sleep(0.001)
            threads[key].add(threading.get_ident())

    with Pool(worker, start="on_demand", pinned=True, max_threads=3) as pool:
        for _ in range(3):
            for key in range(6):
                pool.dispatch(key, 0)

    assert {len(each) for each in threads.values()} == {1}


def test_a_message_that_is_tried_again_counts_again_where_the_set_up_waits() -> None:
    tried = list[int]()

    def worker(_key: str) -> Generator[Any, int]:
        yield from sleep(0)
        while True:
            tried.append((yield))
            if len(tried) == 1:
                raise KeyError("its own")

    restart = Restart(delay=0, in_hand="retry")
    with Pool(worker, start="on_demand", restart=restart) as pool:
        pool.dispatch("a", 1)
        pool.dispatch("a", 2)
        until(lambda: len(tried) == 3)

    assert tried == [1, 1, 2]
    assert pool.stats().handled == 3


def test_a_worker_that_a_test_runs_by_hand_yields_its_sleep_once() -> None:
    def worker() -> Generator[Any, Any, str]:
        yield from sleep(5)
        return "woke"

    by_hand = worker()
    assert next(by_hand) is not None
    with pytest.raises(StopIteration, match="woke"):
        next(by_hand)


def test_a_sleep_without_yield_from_is_refused_as_in_development_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = list[type[BaseException] | None]()
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(args.exc_type))

    def worker(_key: str) -> Generator[Any, Any]:
        yield
        yield sleep(0)

    exits = list[WorkerExit[str]]()
    with Pool(worker, start="on_demand", on_worker_exit=exits.append) as pool:
        pool.dispatch("a", 1)

    assert isinstance(exits[0].error, TypeError)
    # Where the tests run in that mode, it tells of the sleep besides.
    until(lambda: len(told) == sys.flags.dev_mode)
    assert told == [RuntimeWarning] * sys.flags.dev_mode


def test_development_mode_has_a_sleep_run_by_hand_as_well() -> None:
    program = "import threadpool_mb as mb; print(type(next(mb.sleep(5))).__name__)"

    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-X", "dev", "-c", program], check=True, capture_output=True, text=True
    )

    assert done.stdout == "Sleep\n"


def test_a_sleep_that_is_over_is_none_any_more() -> None:
    log = list[object]()

    def worker(_key: str) -> Generator[Any, Any]:
        asleep = sleep(0.001)
        once = next(asleep)
        message = yield
        yield from asleep
        log.append(message)
        yield once
        log.append("slept")
        yield once

    exits = list[WorkerExit[str]]()
    with Pool(worker, start="on_demand", on_worker_exit=exits.append) as pool:
        pool.dispatch("once", 1)

    assert log == [1, "slept"]
    assert isinstance(exits[0].error, TypeError)


def test_a_worker_that_sleeps_has_one_object_more_that_the_garbage_collector_counts() -> None:
    def worker(_key: int) -> Worker:
        while True:
            yield
            yield from sleep(3600)

    with Pool(worker, start="on_demand", max_threads=1) as pool:
        for key in range(500):
            pool.initialize(key)
        pool.flush()
        gc.collect()
        before = len(gc.get_objects())
        for key in range(500):
            pool.dispatch(key, None)
        until(lambda: pool.stats().timers == 500)
        more = len(gc.get_objects()) - before
        pool.cancel()

    assert more < 600
