"""Workers that are started again after they have failed."""

import contextvars
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import until
from tests.lives.test_on_demand import KINDS, Get, Kind
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    MISSING,
    Blocking,
    Call,
    CallFailed,
    DeadLetter,
    Mailbox,
    Pool,
    Restart,
    WorkerExit,
    WorkerGone,
    ask,
    call,
    sleep,
)

AT_ONCE = Restart(max_restarts=100, delay=0)

both_kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="threadpool_mb")


class Boom(Exception):
    """What a worker raises."""


def failing(kind: Kind, handle: Callable[[Any], object]) -> Any:  # noqa: ANN401 - of either kind
    """Return a worker that raises where `handle` does."""

    def generator(_key: str) -> Generator[None, Any]:
        while True:
            handle((yield))

    def function(_key: str, mailbox: Mailbox[Any]) -> None:
        for message in mailbox:
            handle(message)

    return generator if kind == "generator" else function


@both_kinds
def test_a_restarted_worker_goes_on_with_the_next_message(kind: Kind) -> None:
    handled = list[int]()
    exits = list[WorkerExit[str]]()
    letters = list[DeadLetter[str, int]]()

    def handle(message: int) -> None:
        if message % 3 == 0:
            raise Boom(message)
        handled.append(message)

    with Pool(
        failing(kind, handle),
        restart=AT_ONCE,
        on_worker_exit=exits.append,
        on_dead_letter=letters.append,
    ) as pool:
        pool.initialize("a")
        assert pool.dispatch_many("a", range(20)) == 20
        assert pool.flush(timeout=15)
        stats = pool.stats()

    assert handled == [number for number in range(20) if number % 3]
    assert letters == []
    assert (stats.restarted, stats.failed, stats.keys) == (7, 7, 1)
    assert [each.cause for each in exits] == ["failed"] * 7 + ["drained"]
    in_hand = [each.message for each in exits[:-1]]
    assert in_hand == ([MISSING] * 7 if kind == "function" else list(range(0, 20, 3)))
    numbers = [each.incarnation for each in exits]
    assert numbers == sorted(set(numbers))


def test_what_is_tried_again_comes_before_what_waits() -> None:
    handled = list[int]()
    exits = list[WorkerExit[str]]()
    tries = dict[int, int]()

    def handle(message: int) -> None:
        tries[message] = tries.get(message, 0) + 1
        if message % 4 == 0 and tries[message] < 3:
            raise Boom(message)
        handled.append(message)

    with Pool(
        failing("generator", handle),
        start="on_demand",
        restart=Restart(max_restarts=100, delay=0, in_hand="retry"),
        on_worker_exit=exits.append,
    ) as pool:
        assert pool.dispatch_many("a", range(12)) == 12

    assert handled == list(range(12))
    assert tries == {number: 3 if number % 4 == 0 else 1 for number in range(12)}
    assert [each.message for each in exits[:-1]] == [0, 0, 4, 4, 8, 8]


def test_over_the_limit_a_worker_has_failed_and_what_it_had_is_dead() -> None:
    letters = list[DeadLetter[str, object]]()
    exits = list[WorkerExit[str]]()

    def handle(message: object) -> None:
        raise Boom(message)

    with Pool(
        failing("generator", handle),
        restart=Restart(max_restarts=2, delay=0, in_hand="retry"),
        on_dead_letter=letters.append,
        on_worker_exit=exits.append,
    ) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", ["poison", "next"])
        until(lambda: len(exits) == 3)
        until(lambda: "a" not in pool)

    assert [(each.message, each.reason) for each in letters] == [
        ("poison", "worker failed"),
        ("next", "worker failed"),
    ]
    assert [each.message for each in exits] == ["poison"] * 3


@both_kinds
def test_senders_and_callers_wait_for_the_new_worker(kind: Kind) -> None:
    tried = list[object]()

    def handle(message: Any) -> None:  # noqa: ANN401 - a call or a text
        tried.append(message)
        if message == "boom":
            raise Boom
        message.reply_box.reply("here")

    with Pool(failing(kind, handle), mailbox=Blocking(2), restart=Restart(delay=0.02)) as pool:
        pool.initialize("a")
        pool.dispatch("a", "boom")
        replies = [ask(pool.ref("a"), Get()) for _ in range(5)]

        assert [reply.result(timeout=15) for reply in replies] == ["here"] * 5
        assert call(pool.ref("a"), Get()) == "here"


@pytest.mark.parametrize("inline_calls", [True, False])
def test_the_caller_of_the_call_in_hand_gets_the_error_and_others_their_answers(
    inline_calls: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    def handle(message: Call[object]) -> None:
        if isinstance(message.command, Fail):
            raise Boom
        message.reply_box.reply("here")

    with Pool(failing("generator", handle), restart=AT_ONCE, inline_calls=inline_calls) as pool:
        pool.initialize("a")
        for _ in range(3):
            with pytest.raises(WorkerGone) as caught:
                call(pool.ref("a"), Fail())
            assert isinstance(caught.value.__cause__, Boom)
            assert caught.value.started
            assert call(pool.ref("a"), Get()) == "here"


class Fail(Get):
    """Has the worker fail."""


def test_a_call_that_is_tried_again_is_answered_by_the_new_worker() -> None:
    failures = [Boom(), Boom()]

    def handle(message: Call[object]) -> None:
        if failures:
            raise failures.pop()
        message.reply_box.reply("here")

    with Pool(failing("generator", handle), restart=Restart(delay=0, in_hand="retry")) as pool:
        pool.initialize("a")
        assert call(pool.ref("a"), Get(), timeout=15) == "here"


def test_a_call_that_is_tried_in_vain_gets_the_last_error() -> None:
    def handle(_message: object) -> None:
        raise Boom

    with Pool(failing("generator", handle), restart=Restart(delay=0, in_hand="retry")) as pool:
        pool.initialize("a")
        with pytest.raises(WorkerGone) as caught:
            call(pool.ref("a"), Get(), timeout=15)
    assert isinstance(caught.value.__cause__, Boom)


def test_set_up_that_fails_is_tried_again_with_what_was_in_hand() -> None:
    set_ups = list[int]()
    handled = list[int]()

    def worker(_key: str) -> Generator[None, int]:
        set_ups.append(1)
        if len(set_ups) in {2, 3}:
            raise Boom
        while True:
            message = yield
            if len(set_ups) == 1:
                raise Boom
            handled.append(message)

    with Pool(worker, restart=Restart(max_restarts=5, delay=0, in_hand="retry")) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", [1, 2, 3])

    assert handled == [1, 2, 3]
    assert len(set_ups) == 4


def test_each_life_has_a_context_of_its_own() -> None:
    seen = list[str]()
    variable = contextvars.ContextVar("variable", default="new")

    def handle(message: str) -> None:
        seen.append(variable.get())
        variable.set("used")
        if message == "boom":
            raise Boom

    with Pool(failing("generator", handle), restart=AT_ONCE) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", ["x", "boom", "y"])

    assert seen == ["new", "used", "new"]


@both_kinds
def test_a_worker_that_waits_to_start_again_can_be_removed(kind: Kind) -> None:
    letters = list[DeadLetter[str, str]]()
    exits = list[WorkerExit[str]]()

    def handle(_message: object) -> None:
        raise Boom

    with Pool(
        failing(kind, handle),
        restart=Restart(delay=3600, max_delay=3600),
        on_dead_letter=letters.append,
        on_worker_exit=exits.append,
    ) as pool:
        pool.initialize("a")
        pool.dispatch("a", "boom")
        until(lambda: pool.stats().timers)
        pool.dispatch("a", "waits")
        assert pool.remove("a")
        assert pool.initialize("a")
        assert pool.remove("a")

    assert [(each.message, each.reason) for each in letters] == [("waits", "worker removed")]
    assert [each.cause for each in exits][:1] == ["failed"]


@both_kinds
def test_a_pool_that_is_cancelled_waits_for_no_restart(kind: Kind) -> None:
    letters = list[DeadLetter[str, str]]()

    def handle(_message: object) -> None:
        raise Boom

    pool = Pool[str, str](
        failing(kind, handle),
        restart=Restart(delay=3600, max_delay=3600),
        on_dead_letter=letters.append,
    )
    pool.initialize("a")
    pool.dispatch("a", "boom")
    until(lambda: pool.stats().timers)
    pool.dispatch("a", "waits")
    pool.cancel()

    assert pool.join(timeout=15).finished
    assert [(each.message, each.reason) for each in letters] == [("waits", "pool closed")]


def test_a_pool_that_is_closed_restarts_nobody_who_has_nothing_to_do() -> None:
    def handle(_message: object) -> None:
        raise Boom

    with Pool(failing("generator", handle), restart=Restart(delay=3600, max_delay=3600)) as pool:
        inside, free = threading.Event(), threading.Event()

        def gate(_message: object) -> None:
            inside.set()
            free.wait(15)
            raise Boom

        with Pool(
            failing("generator", gate), restart=Restart(delay=3600, max_delay=3600)
        ) as closing:
            closing.initialize("a", "last")
            inside.wait(15)
            closing.close()
            free.set()
    assert pool.stats().restarted == closing.stats().restarted == 0


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_ends_a_worker_for_good(error: type[BaseException]) -> None:
    exits = list[WorkerExit[str]]()

    def handle(_message: object) -> None:
        raise error

    with Pool(failing("generator", handle), restart=AT_ONCE, on_worker_exit=exits.append) as pool:
        pool.initialize("a", 1)
        until(lambda: exits)

    assert [type(each.error) for each in exits] == [error]


def test_which_message_a_function_has_in_hand_is_not_known() -> None:
    with pytest.raises(ValueError, match="in_hand='retry' is for generator workers"):
        Pool(
            failing("function", lambda _: None),
            restart=Restart(in_hand="retry"),
        )


def test_an_error_of_the_worker_itself_is_not_that_of_a_call_that_it_fails() -> None:
    def handle(message: Call[object]) -> None:
        message.reply_box.fail(Boom())

    with Pool(failing("generator", handle), restart=AT_ONCE) as pool:
        pool.initialize("a")
        with pytest.raises(CallFailed):
            call(pool.ref("a"), Get())
        assert pool.stats().restarted == 0


def test_a_message_that_is_tried_again_may_wait_in_its_midst() -> None:
    handled: list[object] = []
    fails = [True]

    def worker(_key: str) -> Generator[Any, Any]:
        while True:
            message = yield
            if fails and fails.pop():
                raise Boom
            yield from sleep(0)
            handled.append(message)

    retry = Restart(max_restarts=1, delay=0, in_hand="retry")
    with Pool(worker, start="on_demand", restart=retry) as pool:
        pool.dispatch_many("a", [1, 2])

    assert handled == [1, 2]
    assert pool.stats().restarted == 1


@pytest.mark.parametrize("options", [{"idle_timeout": 1.5}, {"max_keys": 1}], ids=repr)
def test_a_function_with_a_mailbox_of_a_users_own_kind_is_never_known_to_be_idle(
    options: dict[str, Any],
) -> None:
    worker = failing("function", lambda _: None)
    ((name, value),) = options.items()

    with pytest.raises(ValueError, match=f"{name} must be None, not {value}, with the mailbox <"):
        Pool(worker, start="on_demand", mailbox=Intercepting(), **options)
