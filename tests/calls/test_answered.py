"""Everyone is answered: whatever becomes of the worker, of the pool, or of the call."""

import contextlib
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.calls.doubles import (
    WORKERS,
    Do,
    Echo,
    FakeWorker,
    Kind,
    Note,
    Place,
    Tell,
    answer_of,
    end,
    error_of,
    fail,
    held_by,
    keep,
    not_handled,
)
from tests.helpers import DEADLINE, Running, refusing_threads, until
from tests.insides import dispatcher_of, roster_of
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    MISSING,
    Blocking,
    Call,
    CallError,
    CallNotDelivered,
    Cast,
    Initialize,
    MailboxConfig,
    NonBlocking,
    Pool,
    Unlimited,
    WorkerGone,
    ask,
    call,
    cast,
)

ENDS: dict[str, tuple[Callable[[Pool[Any, Any]], object], str]] = {
    "remove": (lambda pool: pool.remove("a"), "worker removed"),
    "drain": (lambda pool: pool.remove("a", drain=True), "worker removed"),
    "return": (lambda pool: cast(pool.ref("a"), Note(lambda: end(None))), "worker ended"),
    "fail": (lambda pool: cast(pool.ref("a"), Note(lambda: fail(None))), "worker failed"),
    "close": (Pool.close, "worker ended"),
    "cancel": (Pool.cancel, "pool closed"),
}
MAILBOXES = [Unlimited(), Blocking(8), Intercepting()]


def named(config: MailboxConfig) -> str:
    """Return a mailbox's kind, for the test's name."""
    return type(config).__name__


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=named)
@pytest.mark.parametrize(("ending", "reason"), ENDS.values(), ids=ENDS)
def test_the_caller_of_a_worker_that_keeps_his_call_is_told_of_its_end(
    place: Place,
    kind: Kind,
    mailbox: MailboxConfig,
    ending: Callable[[Pool[Any, Any]], object],
    reason: str,
) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool(kind, "a", mailbox=mailbox)
    caller = Running(lambda: error_of(lambda: call(pool.ref("a"), keep(kept))))
    until(lambda: kept)

    ending(pool)
    error = caller.result()

    assert type(error) is WorkerGone
    assert (error.key, error.reason) == ("a", reason)


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=named)
@pytest.mark.parametrize("ending", ["remove", "return", "fail", "cancel"])
def test_the_caller_whose_call_waits_in_a_mailbox_is_told_when_its_worker_ends(
    place: Place, kind: Kind, mailbox: MailboxConfig, ending: str
) -> None:
    pool = place.pool(kind, "a", mailbox=mailbox)
    gate = place.hold(pool.ref("a"))
    if ending in {"return", "fail"}:
        ENDS[ending][0](pool)
    callers = [Running(lambda: error_of(lambda: call(pool.ref("a"), Echo("1")))) for _ in range(3)]
    until(lambda: pool.stats().waiting == (4 if ending in {"return", "fail"} else 3))
    if ending in {"remove", "cancel"}:
        ENDS[ending][0](pool)

    gate.open()
    errors = [caller.result() for caller in callers]

    assert {(type(error), error.reason) for error in errors} == {(WorkerGone, ENDS[ending][1])}


@pytest.mark.parametrize("ending", ["drain", "close"])
def test_a_call_that_waits_in_a_mailbox_is_handled_where_the_worker_drains(
    place: Place, kind: Kind, ending: str
) -> None:
    pool = place.pool(kind, "a")
    gate = place.hold(pool.ref("a"))
    caller = Running(lambda: call(pool.ref("a"), Echo("1")))
    until(lambda: pool.stats().waiting == 1)

    ENDS[ending][0](pool)
    gate.open()

    assert caller.result() == "1"


def test_the_caller_of_a_worker_that_ends_with_others_waiting_is_one_of_all_that_are_told(
    place: Place, kind: Kind
) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool(kind, "a")
    callers = [Running(lambda: error_of(lambda: call(pool.ref("a"), keep(kept)))) for _ in range(5)]
    replies = [ask(pool.ref("a"), keep(kept)) for _ in range(3)]
    until(lambda: len(kept) == 8)

    pool.remove("a")
    errors: list[CallError] = [caller.result() for caller in callers]
    errors += [error_of(reply.result) for reply in replies]

    assert {(type(error), error.reason) for error in errors} == {(WorkerGone, "worker removed")}
    assert len({error.call_id for error in errors}) == 8


def test_a_call_whose_worker_never_started_is_told(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a")
    gate = place.hold(pool.ref("a"))
    pool.remove("a")
    assert pool.initialize("a")
    reply = ask(pool.ref("a"), Echo("1"))

    pool.remove("a")
    error = error_of(reply.result)
    gate.open()

    assert (type(error), error.reason) == (WorkerGone, "worker removed")


def test_a_call_to_a_worker_that_the_system_starts_no_thread_for_is_told(
    place: Place, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = place.pool(kind, name="p")
    refuses = refusing_threads(monkeypatch, "p")
    refuses.set()
    gate = place.gate()
    start = type(dispatcher_of(pool)._kind).start

    def start_late(kind: object, incarnation: object) -> None:
        gate()
        start(kind, incarnation)

    monkeypatch.setattr(type(pool._dispatcher._kind), "start", start_late)
    assert pool.initialize("a")
    gate.wait_until_reached()
    reply = ask(pool.ref("a"), Echo("1"))
    gate.open()

    error = error_of(reply.result)
    refuses.clear()

    assert (type(error), error.reason) == (WorkerGone, "worker failed")


def test_a_call_to_a_worker_whose_set_up_fails_is_told(place: Place, kind: Kind) -> None:
    gate = place.gate()

    def function(key: object, mailbox: object) -> None:
        gate()
        raise ValueError

    def generator(key: object) -> Any:  # noqa: ANN401 - a generator
        gate()
        yield from [].pop()

    pool = place.pool(kind, "a", worker=function if kind == "function" else generator)
    caller = Running(lambda: error_of(lambda: call(pool.ref("a"), Echo("1"))))
    gate.wait_until_reached()
    until(lambda: pool.stats().waiting == 1)
    gate.open()

    assert (type(caller.result()), caller.result().reason) == (WorkerGone, "worker failed")


@pytest.mark.parametrize(
    ("reason", "kind_of_error"),
    [
        ("unknown key", CallNotDelivered),
        ("refused by the limit", CallNotDelivered),
        ("duplicate initialize", CallNotDelivered),
        ("worker removed", WorkerGone),
        ("worker ended", WorkerGone),
        ("worker failed", WorkerGone),
        ("pool closed", WorkerGone),
    ],
)
def test_a_call_that_becomes_a_dead_letter_tells_its_caller_the_reason_before_the_hook_is_called(
    place: Place, kind: Kind, reason: str, kind_of_error: type[CallError]
) -> None:
    known: list[tuple[str, bool]] = []
    pool = place.pool(
        kind,
        "a",
        mailbox=NonBlocking(2),
        on_dead_letter=lambda letter: known.append(
            (str(letter.reason), letter.message.reply_box.expired)
        ),
    )
    if reason == "unknown key":
        reply = ask(pool.ref("nobody"), Echo("1"))
    elif reason == "duplicate initialize":
        mailbox = Unlimited().create()
        reply = ask(mailbox.new_input(), Echo("1"))
        pool.input.deliver(Initialize("a", mailbox.receive()))
    else:
        gate = place.hold(pool.ref("a"))
        if reason in {"worker ended", "worker failed"}:
            ENDS["return" if reason == "worker ended" else "fail"][0](pool)
        elif reason == "refused by the limit":
            # Not counted: it is a cast, and is handled.
            assert pool.dispatch("a", Cast(Tell(1)))
            assert pool.dispatch("a", Cast(Tell(2)))
        reply = ask(pool.ref("a"), Echo("1"))
        if reason in {"worker removed", "pool closed"}:
            ENDS["remove" if reason == "worker removed" else "cancel"][0](pool)
        gate.open()

    error = error_of(lambda: reply.result(timeout=DEADLINE))

    assert (type(error), error.reason) == (kind_of_error, reason)
    assert error.key == ("nobody" if reason == "unknown key" else "a")
    until(lambda: known)
    assert known == [(reason, True)]


def test_a_call_with_which_a_worker_is_initialized_is_answered_by_it(
    place: Place, kind: Kind
) -> None:
    mailbox = Unlimited().create()
    reply = ask(mailbox.new_input(), Echo("1"))
    pool = place.pool(kind)

    assert pool.initialize("a", mailbox.receive())

    assert reply.result(timeout=DEADLINE) == "1"


@pytest.mark.parametrize("end_of_mailbox", ["abandon", "close", "cancel"])
def test_the_caller_whose_call_waits_in_a_plain_mailbox_is_told_when_that_is_abandoned_or_dropped(
    end_of_mailbox: str,
) -> None:
    mailbox = Unlimited().create()
    reply = ask(mailbox.new_input(), Echo("1"))

    getattr(mailbox, end_of_mailbox)()
    del mailbox
    gc.collect()
    error = error_of(lambda: reply.result(timeout=DEADLINE))

    assert type(error) is WorkerGone
    assert error.key is MISSING
    assert error.reason == (
        "nobody receives from its mailbox any more"
        if end_of_mailbox == "abandon"
        else "its reply box was dropped"
    )


def test_the_successor_of_a_worker_is_not_asked_for_the_calls_of_the_one_before(
    place: Place, kind: Kind
) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool(kind, "a")
    reply = ask(pool.ref("a"), keep(kept))
    until(lambda: kept)

    pool.remove("a")
    assert pool.initialize("a")

    assert type(error_of(reply.result)) is WorkerGone
    assert call(pool.ref("a"), Echo("1"), timeout=DEADLINE) == "1"


def test_a_call_is_watched_only_while_somebody_waits(place: Place, kind: Kind) -> None:
    pool = place.pool(kind, "a")
    worker = roster_of(pool).routes["a"]

    ask(pool.ref("a"), Echo("1")).result()
    for _ in range(100):
        assert call(pool.ref("a"), Echo("1")) == "1"

    assert not worker.watchers
    assert worker.waits_for is None


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_all_callers_and_the_exit_hook_are_told_though_the_callback_of_one_raises_no_exception(
    place: Place, kind: Kind, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    kept: list[Call[Any]] = []
    exits: list[Any] = []
    pool = place.pool(kind, "a", on_worker_exit=exits.append)

    def raising(reply: object) -> None:
        raise error

    ask(pool.ref("a"), keep(kept)).add_done_callback(raising)
    told: list[object] = []
    ask(pool.ref("a"), keep(kept)).add_done_callback(told.append)
    until(lambda: len(kept) == 2)

    pool.remove("a")
    until(lambda: not list(pool.workers()))

    assert (len(told), len(exits)) == (1, 1)


def test_who_waits_is_told_of_the_end_though_anothers_callback_raises_no_exception() -> None:
    worker = FakeWorker()
    other, _other_box = held_by(worker)
    reply, box = held_by(worker)

    def raising(reply: object) -> None:
        raise SystemExit

    other.add_done_callback(raising)
    waits = Running(lambda: error_of(reply.result))
    until(lambda: len(worker.watchers or {}) == 2)

    with contextlib.suppress(SystemExit):
        worker.end()
    answered = answer_of(reply).answered
    # So that it ends.
    not_handled(box, "a", "the test is over")
    waits.result()

    assert answered


@pytest.mark.parametrize("kind_of_worker", WORKERS)
def test_every_caller_of_a_pool_that_is_cancelled_is_answered(
    place: Place, kind_of_worker: Kind
) -> None:
    pool = place.pool(kind_of_worker, *range(20))
    replies = [ask(pool.ref(key), Do(lambda got: None)) for key in range(20)]
    replies += [ask(pool.ref(key), Echo("1")) for key in range(20)]

    pool.cancel()
    pool.join(timeout=DEADLINE)

    assert all(reply.done() for reply in replies)
