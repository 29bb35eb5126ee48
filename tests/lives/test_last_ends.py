"""What is told last of a worker: that its restart is called off, which message was cut off."""

import concurrent.futures
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, cast

import pytest

from tests.helpers import run_together, until
from tests.lives.test_on_demand import KINDS, Get, Kind, worker_of
from tests.observing.recording import Recording
from tests.pool.doubles import new_incarnation
from threadpool_mb import (
    MISSING,
    Call,
    Cancelled,
    DeadLetter,
    Pool,
    Restart,
    WorkerExit,
    WorkerGone,
    ask,
    delegate,
    sleep,
    wait,
)
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster

NEVER = Restart(delay=3600, max_delay=3600)

both_kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="threadpool_mb")


def fail(_key: object, message: object) -> None:
    """Fail, whatever comes."""
    raise ValueError(message)


def end(pool: Pool[str, Any], how: str) -> None:
    """End a worker of the key "a"."""
    if how == "removed":
        assert pool.remove("a")
    elif how == "cancelled":
        pool.cancel()
    pool.close()
    assert pool.join(timeout=15).finished


# A restart that is called off.


@both_kinds
@pytest.mark.parametrize("cause", ["removed", "cancelled", "drained"])
def test_the_end_of_a_worker_that_waits_to_start_again_is_told_with_its_cause(
    kind: Kind, cause: str
) -> None:
    exits = list[WorkerExit[str]]()
    observer = Recording()
    pool = Pool[str, Any](
        worker_of(kind, fail), restart=NEVER, on_worker_exit=exits.append, observe=observer
    )
    pool.initialize("a", 1)
    until(lambda: pool.stats().timers)

    end(pool, cause)

    assert [(each.cause, each.restart_in) for each in exits] == [("failed", 3600), (cause, None)]
    assert (exits[1].error, exits[1].message) == (None, MISSING)
    assert exits[0].incarnation < exits[1].incarnation
    stats = pool.stats()
    assert (stats.started, stats.restarted, stats.failed) == (1, 0, 1)
    assert stats.ended == {"failed": 1}
    assert observer.of("started", "ended", "restarted") == [
        ("started", "a", 1),
        ("ended", "a", "failed"),
        ("restarted", "a", "failed"),
        ("ended", "a", cause),
    ]


@both_kinds
@pytest.mark.parametrize("cause", ["removed", "cancelled"])
def test_the_end_of_a_worker_that_its_hook_keeps_from_starting_again_is_told(
    kind: Kind, cause: str
) -> None:
    exits = list[WorkerExit[str]]()

    def hook(worker_exit: WorkerExit[str]) -> None:
        exits.append(worker_exit)
        if worker_exit.restart_in is not None:
            if cause == "removed":
                pool.remove("a")
            else:
                pool.cancel()

    pool = Pool[str, Any](worker_of(kind, fail), restart=NEVER, on_worker_exit=hook)
    pool.initialize("a", 1)
    until(lambda: len(exits) == 2)
    end(pool, "drained")

    assert [(each.cause, each.restart_in) for each in exits] == [("failed", 3600), (cause, None)]
    assert pool.stats().ended == {"failed": 1}


@both_kinds
def test_threads_that_end_a_worker_together_have_its_end_told_once(kind: Kind) -> None:
    for _ in range(20):
        exits = list[WorkerExit[str]]()
        pool = Pool[str, Any](worker_of(kind, fail), restart=NEVER, on_worker_exit=exits.append)
        pool.initialize("a", 1)
        until(lambda pool=pool: pool.stats().timers)

        run_together(lambda pool=pool: pool.remove("a"), pool.cancel, pool.close)

        assert pool.join(timeout=15).finished
        assert [each.restart_in for each in exits] == [3600, None]


def test_what_waits_is_dead_before_the_end_is_told_of_a_worker_that_waits_to_start_again() -> None:
    told = list[DeadLetter[str, Any] | WorkerExit[str]]()
    with Pool[str, Any](
        worker_of("generator", fail),
        restart=NEVER,
        on_worker_exit=told.append,
        on_dead_letter=told.append,
    ) as pool:
        pool.initialize("a", 1)
        until(lambda: pool.stats().timers)
        pool.dispatch("a", 2)
        pool.remove("a")

    assert [type(each) for each in told] == [WorkerExit, DeadLetter, WorkerExit]


def test_a_hook_that_raises_as_the_last_end_is_told_keeps_nobody_from_being_told() -> None:
    exits = list[str]()

    def hook(worker_exit: WorkerExit[str]) -> None:
        if worker_exit.restart_in is None:
            exits.append(worker_exit.key)
            raise KeyError

    pool = Pool[str, Any](worker_of("generator", fail), restart=NEVER, on_worker_exit=hook)
    for key in "abc":
        pool.initialize(key, 1)
    until(lambda: pool.stats().timers == 3)

    pool.cancel()

    assert exits == ["a", "b", "c"]
    assert pool.join(timeout=15).finished


@both_kinds
def test_a_worker_is_counted_as_restarted_when_it_begins_again(kind: Kind) -> None:
    seen = list[int]()

    def handle(_key: object, message: object) -> None:
        if message == "boom":
            raise ValueError
        seen.append(pool.stats().restarted)

    def hook(worker_exit: WorkerExit[str]) -> None:
        if worker_exit.restart_in is not None:
            seen.append(pool.stats().restarted)

    with Pool[str, Any](
        worker_of(kind, handle), restart=Restart(delay=0), on_worker_exit=hook
    ) as pool:
        pool.initialize("a", "boom")
        pool.dispatch("a", "x")

    assert seen == [0, 1]
    assert (pool.stats().started, pool.stats().restarted) == (2, 1)


def test_a_worker_whose_removal_its_mailbox_has_yet_to_be_told_does_not_start_again() -> None:
    roster: Roster[str, object] = Roster(lambda _: None)
    office: DeadLetterOffice[str, object] = DeadLetterOffice("roster")
    worker: Incarnation[str, object] = new_incarnation("a", office)
    roster.enter(worker)
    roster.begin(worker)

    roster.leave(worker, may_start=False, reason=DeadLetterReason.WORKER_REMOVED)

    assert not worker.told_to_stop
    assert not roster.again(worker, MISSING, "failed")


# A message that is cut off.


def _sleeps() -> Generator[Any, Any]:
    yield from sleep(3600)


def _waits() -> Generator[Any, Any]:
    yield from wait(concurrent.futures.Future[None]())


def _sleeps_and_returns() -> Generator[Any, Any]:
    try:
        yield from sleep(3600)
    except Cancelled:
        return


@pytest.mark.parametrize("cause", ["removed", "cancelled"])
@pytest.mark.parametrize("waits", [_sleeps, _waits, _sleeps_and_returns])
def test_a_worker_that_is_stopped_as_it_waits_names_the_message_in_hand(
    cause: str, waits: Callable[[], Generator[Any, Any]]
) -> None:
    taken = list[object]()
    exits = list[WorkerExit[str]]()
    letters = list[DeadLetter[str, Any]]()

    def worker(_key: str) -> Generator[Any, Any]:
        taken.append((yield))
        yield from waits()
        if waits is not _sleeps_and_returns:
            raise AssertionError

    pool = Pool[str, Any](worker, on_worker_exit=exits.append, on_dead_letter=letters.append)
    pool.initialize("a", "one")
    pool.dispatch("a", "two")
    until(lambda: taken)  # before that it waits for its turn
    until(lambda: [each.state for each in pool.workers()] == ["waiting"])

    end(pool, cause)

    assert [(each.cause, each.message, each.error) for each in exits] == [(cause, "one", None)]
    assert [each.message for each in letters] == ["two"]


@pytest.mark.parametrize("cause", ["removed", "cancelled"])
def test_a_worker_that_is_stopped_between_two_messages_names_none(cause: str) -> None:
    exits = list[WorkerExit[str]]()
    pool = Pool[str, Any](worker_of("generator", lambda *_: None), on_worker_exit=exits.append)
    pool.initialize("a", "one")
    assert pool.flush(timeout=15)

    end(pool, cause)

    assert [(each.cause, each.message) for each in exits] == [(cause, MISSING)]


def test_a_message_that_is_to_be_tried_again_is_dead_where_set_up_is_stopped_before_it() -> None:
    exits = list[WorkerExit[str]]()
    letters = list[DeadLetter[str, Any]]()
    set_ups = list[int]()

    def worker(_key: str) -> Generator[Any, Any]:
        set_ups.append(1)
        if len(set_ups) == 2:
            yield from sleep(3600)
        raise ValueError((yield))

    pool = Pool[str, Any](
        worker,
        restart=Restart(delay=0, in_hand="retry"),
        on_worker_exit=exits.append,
        on_dead_letter=letters.append,
    )
    pool.initialize("a", "one")
    until(lambda: len(set_ups) == 2 and pool.stats().timers)

    end(pool, "removed")

    assert [(each.cause, each.message) for each in exits] == [
        ("failed", "one"),
        ("removed", MISSING),
    ]
    assert [each.message for each in letters] == ["one"]


def test_the_caller_of_a_call_that_is_cut_off_is_told_before_the_end_is() -> None:
    told = list[object]()

    def worker(_key: str) -> Generator[Any, Any]:
        message = yield
        yield from sleep(3600)
        message.reply_box.reply(1)

    def hook(worker_exit: WorkerExit[str]) -> None:
        assert isinstance(worker_exit.message, Call)
        told.append(worker_exit.cause)

    with Pool[str, Any](worker, start="on_demand", on_worker_exit=hook) as pool:
        reply = ask(pool.ref("a"), Get())
        reply.add_done_callback(lambda _: told.append("caller"))
        until(lambda: [each.state for each in pool.workers()] == ["waiting"])
        until(lambda: pool.stats().timers)
        pool.remove("a")

    # Not read before the end: a thread that waits for it may see the end, and call back itself.
    assert told == ["caller", "removed"]
    with pytest.raises(WorkerGone, match="worker removed") as caught:
        reply.result(timeout=0)
    assert caught.value.started


# A worker that owes an answer.


@both_kinds
@pytest.mark.parametrize("options", [{"idle_timeout": 0.01}, {"max_keys": 1}])
@pytest.mark.parametrize("how", ["asked", "asked, with a callback", "handed on"])
def test_a_worker_that_owes_an_answer_is_not_idle_whether_anybody_waits_or_not(
    kind: Kind, options: dict[str, Any], how: str
) -> None:
    kept = list[Call[object]]()
    exits = list[WorkerExit[str]]()
    answered = threading.Event()

    def handle(key: object, message: object) -> None:
        if key == "front":
            assert delegate(pool.ref("a"), cast("Call[object]", message))
        elif isinstance(message, Call):
            kept.append(message)

    with Pool[str, Any](
        worker_of(kind, handle), start="on_demand", on_worker_exit=exits.append, **options
    ) as pool:
        reply = ask(pool.ref("front" if how == "handed on" else "a"), Get())
        if how == "asked, with a callback":
            reply.add_done_callback(lambda _: answered.set())
        until(lambda: kept)
        # Others end meanwhile, one after the other.
        for number in range(3):
            pool.dispatch("b", number)
            if "max_keys" in options:
                pool.dispatch("c", number)
            until(lambda number=number: len(exits) > number)

        assert "a" not in [each.key for each in exits]
        assert not answered.is_set()
        kept.pop().reply_box.reply("here")
        assert reply.result(timeout=15) == "here"
        if "max_keys" in options:
            pool.dispatch("d", 1)
        until(lambda: "a" in [each.key for each in exits])

    assert {each.cause for each in exits} <= {"idle", "evicted", "drained"}
