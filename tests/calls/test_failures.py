"""What callers are told when there is no reply."""

import pickle
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.calls.doubles import ENDED, Boom, Do, Echo, Place, asked, end, error_of, fail
from tests.helpers import DEADLINE
from threadpool_mb import (
    MISSING,
    CallDeadlock,
    CallError,
    CallFailed,
    CallId,
    CallNotDelivered,
    CallTimedOut,
    DeadLetterReason,
    DuplicateReply,
    Pool,
    Unlimited,
    WorkerGone,
    ask,
    call,
)

KINDS_OF_ERROR = [CallNotDelivered, CallTimedOut, CallFailed, WorkerGone, CallDeadlock]


@pytest.mark.behaviour("CommandTest 2")
def test_an_error_of_a_call_names_the_id_of_the_call_in_its_text_and_as_an_attribute() -> None:
    reply, box = asked()
    mailbox = Unlimited().create()

    box.fail(Boom("why"))
    failed = error_of(reply.result)
    timed_out = error_of(lambda: call(mailbox.new_input(), Echo("1"), timeout=0))
    mailbox.close()
    refused = error_of(lambda: call(mailbox.new_input(), Echo("1")))

    assert (type(failed), type(timed_out), type(refused)) == (
        CallFailed,
        CallTimedOut,
        CallNotDelivered,
    )
    assert str(failed) == f"the call {reply.call_id} failed: Boom: why"
    assert str(timed_out) == f"no reply to the call {timed_out.call_id} came within the timeout"
    assert str(refused).startswith(f"the call {refused.call_id} was not delivered: ")


@pytest.mark.behaviour("CommandTest 19")
def test_a_duplicate_reply_names_its_call() -> None:
    error = DuplicateReply(CallId(1))

    assert str(error) == "more than one reply sent for: <1>"
    assert error.call_id == CallId(1)
    assert isinstance(error, RuntimeError)


@pytest.mark.parametrize("kind", KINDS_OF_ERROR)
def test_every_error_of_a_call_is_a_call_error_and_only_the_timeout_is_a_timeout_error(
    kind: type[CallError],
) -> None:
    error = kind("text", CallId(3), key="a", reason="why")

    assert isinstance(error, CallError)
    assert isinstance(error, TimeoutError) == (kind is CallTimedOut)
    assert (str(error), error.call_id, error.key, error.reason) == ("text", CallId(3), "a", "why")


def test_an_error_of_a_call_without_a_key_says_so() -> None:
    error = CallFailed("text", CallId(3))

    assert (error.key, error.reason) == (MISSING, "")


@pytest.mark.parametrize("kind", KINDS_OF_ERROR)
def test_an_error_of_a_call_survives_pickling(kind: type[CallError]) -> None:
    found = pickle.loads(pickle.dumps(kind("text", CallId(3), key="a", reason="why")))  # noqa: S301 - our own

    assert type(found) is kind
    assert (str(found), found.call_id, found.key, found.reason) == ("text", CallId(3), "a", "why")


def test_a_duplicate_reply_survives_pickling() -> None:
    found = pickle.loads(pickle.dumps(DuplicateReply(CallId(1))))  # noqa: S301 - our own

    assert (str(found), found.call_id) == ("more than one reply sent for: <1>", CallId(1))


@pytest.mark.parametrize(
    ("ending", "reasons"),
    [(end, ENDED), (fail, {DeadLetterReason.WORKER_FAILED})],
    ids=["ends", "fails"],
)
def test_an_error_of_a_workers_end_carries_the_key_and_the_reason(
    place: Place, kind: str, ending: Callable[..., object], reasons: set[str]
) -> None:
    pool = place.pool(kind, "a")

    error = error_of(lambda: call(pool.ref("a"), Do(ending)))

    assert type(error) is WorkerGone
    assert error.key == "a"
    assert error.reason in reasons
    assert str(error) == (
        f"the call {error.call_id} to key 'a' will not be answered: {error.reason}"
    )


def test_an_error_of_an_unknown_key_carries_the_key_and_the_reason(place: Place, kind: str) -> None:
    pool = place.pool(kind)

    error = error_of(lambda: call(pool.ref("nobody"), Echo("1")))

    assert type(error) is CallNotDelivered
    assert (error.key, error.reason) == ("nobody", "unknown key")
    assert str(error) == f"the call {error.call_id} to key 'nobody' was not delivered: unknown key"


def test_whoever_reads_an_error_gets_one_of_his_own() -> None:
    reply, box = asked()
    box.fail(Boom())

    first, second = error_of(reply.result), error_of(reply.try_result)

    assert first is not second
    assert str(first) == str(second)
    assert first.__cause__ is second.__cause__


def test_an_error_that_comes_from_no_box_is_ones_own_too_and_tells_the_same(place: Place) -> None:
    reply = ask(place.pool("generator").ref("nobody"), Echo("1"))

    first, second = error_of(reply.result), error_of(reply.result)

    assert first is not second
    assert first.__cause__ is None
    assert (str(first), first.key, first.reason, first.call_id) == (
        str(second),
        second.key,
        second.reason,
        reply.call_id,
    )


def test_the_traceback_of_an_error_does_not_grow_with_each_reading() -> None:
    def frames(error: BaseException) -> int:
        traceback, count = error.__traceback__, 0
        while traceback is not None:
            traceback, count = traceback.tb_next, count + 1
        return count

    reply, box = asked()
    box.fail(Boom())

    counts = {frames(error_of(reply.result)) for _ in range(3)}

    assert len(counts) == 1


def test_the_cause_of_a_failed_call_is_what_was_raised() -> None:
    reply, box = asked()
    boom = Boom("why")
    box.fail(boom)

    error = error_of(reply.result)

    assert type(error) is CallFailed
    assert error.__cause__ is boom
    assert error.reason == "failed"


def test_an_error_of_a_call_to_a_key_names_the_key_in_its_text() -> None:
    kept = list[object]()

    def worker(key: str) -> Generator[None, Any]:
        (yield).reply_box.fail(Boom("why"))
        while True:
            kept.append((yield))

    with Pool(worker, start="on_demand") as pool:
        failed = error_of(lambda: call(pool.ref("a"), Echo("1"), timeout=DEADLINE))
        timed_out = error_of(lambda: call(pool.ref("a"), Echo("2"), timeout=0))

    assert str(failed) == f"the call {failed.call_id} to key 'a' failed: Boom: why"
    expected = f"no reply to the call {timed_out.call_id} to key 'a' came within the timeout"
    assert str(timed_out) == expected
