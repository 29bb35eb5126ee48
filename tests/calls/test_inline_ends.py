"""What ends a worker while it handles a call on its caller's thread."""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.calls.doubles import (
    ENDED,
    Boom,
    Do,
    Echo,
    Note,
    Place,
    answer,
    end,
    error_of,
    fail,
    keep,
)
from tests.helpers import DEADLINE, Running, until
from tests.insides import roster_of
from threadpool_mb import (
    Call,
    CallNotDelivered,
    Cast,
    Pool,
    WorkerExit,
    WorkerGone,
    ask,
    call,
    cast,
)
from threadpool_mb.line.inlet import DONE
from threadpool_mb.originals import Request


@pytest.mark.parametrize(
    ("ending", "reasons", "error"),
    [(end, ENDED, None), (fail, {"worker failed"}, Boom)],
    ids=["ends", "fails"],
)
def test_the_end_of_a_worker_during_a_call_is_told_to_the_caller_and_reported_on_a_shared_thread(
    place: Place, ending: Callable[..., object], reasons: set[str], error: type[Exception] | None
) -> None:
    exits: list[tuple[WorkerExit[Any], str]] = []
    pool = place.idle(
        "a",
        inline_calls=True,
        on_worker_exit=lambda exit_: exits.append((exit_, threading.current_thread().name)),
    )

    told = error_of(lambda: call(pool.ref("a"), Do(ending)))

    assert (type(told), told.key) == (WorkerGone, "a")
    assert told.reason in reasons
    until(lambda: "a" not in pool)
    place.end()
    (exit_, thread), *others = exits
    assert type(exit_.error) is (type(None) if error is None else error)
    assert "-shared-" in thread
    assert others == []


@pytest.mark.parametrize("ending", [end, fail], ids=["ends", "fails"])
def test_a_worker_that_ends_during_a_call_can_be_initialized_again(
    place: Place, ending: Callable[..., object]
) -> None:
    pool = place.idle("a", inline_calls=True)

    error_of(lambda: call(pool.ref("a"), Do(ending)))
    # Told may be the loss of the box, which comes before the end.
    until(lambda: "a" not in pool)
    again = pool.initialize("a")

    assert again
    assert call(pool.ref("a"), Echo("1")) == "1"


def test_the_exit_hook_may_initialize_the_next_worker(place: Place) -> None:
    def restart(exit_: WorkerExit[Any]) -> None:
        if len(exits) == 0:
            pool.initialize(exit_.key)
        exits.append(exit_)

    exits: list[WorkerExit[Any]] = []
    pool: Pool[Any, Any] = place.idle("a", inline_calls=True, on_worker_exit=restart)

    error_of(lambda: call(pool.ref("a"), Do(fail)))
    until(lambda: "a" in pool)

    assert call(pool.ref("a"), Echo("the next one"), timeout=DEADLINE) == "the next one"


@pytest.mark.parametrize("ending", [end, fail], ids=["ends", "fails"])
def test_what_has_come_during_a_call_that_ends_its_worker_is_a_dead_letter(
    place: Place, ending: Callable[..., object]
) -> None:
    letters: list[Any] = []
    pool = place.idle("a", inline_calls=True, on_dead_letter=letters.append)
    later: list[Any] = []

    def go(received: Call[Any]) -> object:
        cast(pool.ref("a"), Note(lambda: None))
        later.append(ask(pool.ref("a"), Echo("1")))
        return ending(received)

    error_of(lambda: call(pool.ref("a"), Do(go)))
    place.end()

    assert [type(letter.message) for letter in letters] == [Cast, Call]
    assert type(error_of(later[0].result)) is WorkerGone


@pytest.mark.parametrize("drain", [False, True])
@pytest.mark.parametrize("by", ["itself", "another"])
def test_a_worker_that_is_removed_during_a_call_ends_after_it(
    place: Place,
    drain: bool,  # noqa: FBT001
    by: str,
) -> None:
    ended: list[str] = []
    letters: list[Any] = []

    def worker(key: str) -> Generator[None, Request]:
        try:
            while True:
                request = yield
                match request:
                    case Call(Do(function)):
                        function(request)
                    case Cast(Note(function)):
                        function()
                del request
        finally:
            ended.append("closed")

    pool = place.idle("a", worker=worker, on_dead_letter=letters.append)

    def go(received: Call[Any]) -> None:
        cast(pool.ref("a"), Note(lambda: ended.append("handled")))
        if by == "itself":
            assert pool.remove("a", drain=drain)
        else:
            assert Running(lambda: pool.remove("a", drain=drain)).result()
        ended.append("still runs")
        received.reply_box.reply("answered")

    assert Running(lambda: call(pool.ref("a"), Do(go))).result() == "answered"
    until(lambda: not list(pool.workers()))

    assert ended == ["still runs", *(["handled"] if drain else []), "closed"]
    assert len(letters) == (0 if drain else 1)


@pytest.mark.parametrize("end_of_pool", [Pool.close, Pool.cancel])
def test_a_call_that_runs_when_its_pool_ends_is_answered(
    place: Place, end_of_pool: Callable[[Any], object]
) -> None:
    pool = place.idle("a")
    gate = place.gate()
    caller = Running(lambda: call(pool.ref("a"), answer(lambda: (gate(), "answered")[1])))
    gate.wait_until_reached()

    end_of_pool(pool)
    finished = pool.join(timeout=0).finished
    gate.open()

    assert not finished
    assert caller.result() == "answered"
    assert pool.join(timeout=DEADLINE).finished


def test_a_worker_that_keeps_the_call_and_is_removed_during_it_tells_its_caller(
    place: Place,
) -> None:
    kept: list[Call[Any]] = []
    pool = place.idle("a")

    def keep_and_be_removed(received: Call[Any]) -> None:
        kept.append(received)
        pool.remove("a")

    error = Running(lambda: error_of(lambda: call(pool.ref("a"), Do(keep_and_be_removed)))).result()

    assert (type(error), error.reason) == (WorkerGone, "worker removed")


def test_a_worker_that_was_removed_is_not_called(place: Place) -> None:
    pool = place.idle("a", "b", inline_calls=True)
    ref = pool.ref("a")
    pool.remove("a")

    error = error_of(lambda: call(ref, Echo("1")))

    assert (type(error), error.reason) == (CallNotDelivered, "unknown key")


def test_what_a_worker_yields_in_a_call_ends_it_as_anywhere_else(place: Place) -> None:
    exits: list[WorkerExit[Any]] = []

    def worker(key: str) -> Generator[Any, Request]:
        yield
        yield "something"

    pool = place.idle("a", worker=worker, inline_calls=True, on_worker_exit=exits.append)

    error = error_of(lambda: call(pool.ref("a"), Echo("1")))

    assert (type(error), error.reason) == (WorkerGone, "worker failed")
    until(lambda: exits)
    assert "it yielded 'something'" in str(exits[0].error)


@contextlib.contextmanager
def counted_interrupts() -> Generator[list[int]]:
    """Count SIGINTs in the place of raising KeyboardInterrupt."""
    counted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: counted.append(number))
    try:
        yield counted
    finally:
        signal.signal(signal.SIGINT, before)


def interrupted(received: Call[Any]) -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def test_an_interrupt_of_a_call_on_the_main_thread_ends_the_worker_and_comes_again(
    place: Place,
) -> None:
    exits: list[WorkerExit[Any]] = []
    pool = place.idle("a", inline_calls=True, on_worker_exit=exits.append)

    with counted_interrupts() as counted:
        error = error_of(lambda: call(pool.ref("a"), Do(interrupted)))
        until(lambda: counted)

    assert (type(error), error.reason) == (WorkerGone, "worker failed")
    until(lambda: exits)
    assert type(exits[0].error) is KeyboardInterrupt


def test_a_keyboard_interrupt_that_a_worker_raises_on_another_thread_is_its_own(
    place: Place,
) -> None:
    pool = place.idle("a")

    with counted_interrupts() as counted:
        error = Running(lambda: error_of(lambda: call(pool.ref("a"), Do(interrupted)))).result()

    assert (type(error), error.reason) == (WorkerGone, "worker failed")
    assert counted == []


def test_a_callback_that_raises_no_exception_at_the_end_does_not_bring_the_worker_back(
    place: Place,
) -> None:
    started: list[str] = []
    kept: list[Call[Any]] = []

    def worker(key: str) -> Generator[None, Request]:
        started.append(key)
        while True:
            request = yield
            request.command.function(request)
            del request

    def raising(reply: object) -> None:
        raise SystemExit

    pool = place.idle("a", worker=worker, inline_calls=True, max_threads=1)
    lane: Any = roster_of(pool).routes["a"].mailbox
    ask(pool.ref("a"), keep(kept)).add_done_callback(raising)
    until(lambda: kept)
    until(lambda: lane.unattended)

    with contextlib.suppress(SystemExit):
        error_of(lambda: call(pool.ref("a"), Do(fail)))
    # Behind whatever the only thread had to do.
    assert pool.initialize("b")
    ask(pool.ref("b"), answer(lambda: None)).result(timeout=DEADLINE)

    assert started == ["a", "b"]
    assert lane.unattended == DONE
