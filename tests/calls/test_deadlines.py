"""One deadline over both: waiting for room in the mailbox, and for the reply."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.calls.doubles import KINDS, Boom, Do, Echo, Place, Tell, error_of, keep
from tests.helpers import DEADLINE, Running, until
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    Blocking,
    Call,
    CallError,
    CallNotDelivered,
    CallTimedOut,
    Cast,
    CatchAll,
    Input,
    MailboxConfig,
    NonBlocking,
    Unlimited,
    Waiting,
    WorkerGone,
    ask,
    call,
)
from threadpool_mb.originals import late_replies

WAITING_FOR_ROOM: list[MailboxConfig] = [
    Blocking(1),
    Waiting(1, deliver_timeout=None),
    Waiting(1, deliver_timeout=60),
    CatchAll(Blocking(1)),
    CatchAll(Waiting(1, deliver_timeout=60)),
]
REFUSING: list[MailboxConfig] = [
    NonBlocking(1),
    Waiting(1, deliver_timeout=0),
    Waiting(1, deliver_timeout=0.001),
    CatchAll(NonBlocking(1)),
]
WHERE = ["mailbox", *KINDS]


def full(place: Place, where: str, config: MailboxConfig) -> Input[Any]:
    """Return an input whose mailbox is full."""
    if where == "mailbox":
        target: Input[Any] = config.create().new_input()
    else:
        target = place.pool(where, "a", mailbox=config).ref("a")
        place.hold(target)
    assert target.deliver(Cast(Tell(0)))
    return target


@pytest.mark.behaviour("CommandTest 4")
@pytest.mark.parametrize("config", WAITING_FOR_ROOM, ids=repr)
@pytest.mark.parametrize("where", WHERE)
def test_a_call_whose_delivery_waits_for_room_times_out(
    place: Place, where: str, config: MailboxConfig
) -> None:
    target = full(place, where, config)

    errors = [
        error_of(lambda timeout=timeout: call(target, Echo("1"), timeout=timeout))
        for timeout in (0, 0.001, 0.01)
    ]

    assert [type(error) for error in errors] == [CallTimedOut] * 3
    assert {error.reason for error in errors} == {"not delivered in time"}
    to = "" if where == "mailbox" else " to key 'a'"
    for error in errors:
        assert str(error) == f"the call {error.call_id}{to} was not delivered within the timeout"


@pytest.mark.parametrize("config", REFUSING, ids=repr)
@pytest.mark.parametrize("where", WHERE)
def test_a_mailbox_that_refuses_before_the_deadline_has_not_taken_the_call(
    place: Place, where: str, config: MailboxConfig
) -> None:
    target = full(place, where, config)

    for timeout in (None, DEADLINE):
        error = error_of(lambda timeout=timeout: call(target, Echo("1"), timeout=timeout))
        assert type(error) is CallNotDelivered
        assert error.reason == "refused by the limit"


@pytest.mark.parametrize("where", KINDS)
def test_a_call_that_a_full_mailbox_refuses_is_a_dead_letter_and_one_that_times_out_is_not(
    place: Place, where: str
) -> None:
    letters: list[Any] = []
    refusing = place.pool(where, "a", mailbox=NonBlocking(1), on_dead_letter=letters.append)
    waiting = place.pool(where, "a", mailbox=Blocking(1), on_dead_letter=letters.append)
    for pool in (refusing, waiting):
        place.hold(pool.ref("a"))
        assert pool.dispatch("a", Cast(Tell(0)))

    error_of(lambda: call(refusing.ref("a"), Echo("refused")))
    error_of(lambda: call(waiting.ref("a"), Echo("timed out"), timeout=0.001))

    assert [letter.message.command for letter in letters] == [Echo("refused")]


@pytest.mark.parametrize("config", WAITING_FOR_ROOM, ids=repr)
@pytest.mark.parametrize("where", KINDS)
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_call_waits_for_room_and_then_for_the_reply(
    place: Place, where: str, config: MailboxConfig, timeout: float | None
) -> None:
    pool = place.pool(where, "a", mailbox=config)
    gate = place.hold(pool.ref("a"))
    assert pool.dispatch("a", Cast(Tell(0)))
    caller = Running(lambda: call(pool.ref("a"), Echo("1"), timeout=timeout))
    until(lambda: next(pool.workers()).senders_waiting == 1)

    gate.open()

    assert caller.result() == "1"


@pytest.mark.parametrize("where", KINDS)
@pytest.mark.parametrize(
    ("end", "told", "reason"),
    [
        ("close", CallNotDelivered, "closed"),
        ("cancel", CallNotDelivered, "closed"),
        ("remove", WorkerGone, "worker removed"),
    ],
)
def test_a_call_that_waits_for_room_is_told_of_the_end_at_once(
    place: Place, where: str, end: str, told: type[CallError], reason: str
) -> None:
    pool = place.pool(where, "a", mailbox=Blocking(1))
    gate = place.hold(pool.ref("a"))
    assert pool.dispatch("a", Cast(Tell(0)))
    caller = Running(lambda: error_of(lambda: call(pool.ref("a"), Echo("1"))))
    until(lambda: next(pool.workers()).senders_waiting == 1)

    if end == "remove":
        pool.remove("a")
    else:
        getattr(pool, end)()
    error = caller.result()
    gate.open()

    assert (type(error), error.key) == (told, "a")
    assert reason in error.reason


@pytest.mark.behaviour("CommandTest 5")
@pytest.mark.parametrize("where", WHERE)
def test_a_call_that_nobody_answers_times_out(place: Place, where: str) -> None:
    kept: list[Call[Any]] = []
    target = place.served() if where == "mailbox" else place.pool(where, "a").ref("a")

    error = error_of(lambda: call(target, keep(kept), timeout=0.01))

    assert type(error) is CallTimedOut
    assert error.reason == "no reply in time"


@pytest.mark.behaviour("CommandTest 28")
def test_a_call_to_a_thread_that_has_ended_times_out_with_the_id_of_the_call() -> None:
    mailbox = Unlimited().create()
    target = mailbox.new_input()
    Running(lambda: ask(target, Echo("first"))).result()
    Running(mailbox.receive).result()
    before = ask(Unlimited().create().new_input(), Echo("before"))

    error = error_of(lambda: call(target, Echo("1"), timeout=0.001))

    after = ask(Unlimited().create().new_input(), Echo("after"))
    assert type(error) is CallTimedOut
    assert before.call_id < error.call_id < after.call_id


@pytest.mark.behaviour("CommandTest 6")
@pytest.mark.parametrize("where", WHERE)
def test_a_call_that_another_thread_answers_much_too_late_times_out(
    place: Place, where: str
) -> None:
    threads: list[Running[None]] = []
    gate = place.gate()

    def hand_over(received: Call[Any]) -> None:
        def reply() -> None:
            gate()
            received.reply_box.reply("much too late")

        threads.append(Running(reply))

    target = place.served() if where == "mailbox" else place.pool(where, "a").ref("a")
    before = late_replies()

    error = error_of(lambda: call(target, Do(hand_over), timeout=0.01))
    gate.open()
    until(lambda: threads)
    threads[0].result()

    assert type(error) is CallTimedOut
    assert late_replies() == before + 1


def test_a_timeout_of_zero_does_not_wait_for_the_reply(place: Place, kind: str) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool(kind, "a")

    error = error_of(lambda: call(pool.ref("a"), keep(kept), timeout=0))

    assert type(error) is CallTimedOut


@pytest.mark.parametrize("timeout", [float("inf"), 1e300])
def test_an_endless_timeout_is_none(place: Place, timeout: float, kind: str) -> None:
    assert call(place.pool(kind, "a").ref("a"), Echo("1"), timeout=timeout) == "1"


def test_a_fault_of_a_users_mailbox_in_catch_all_is_a_refusal_whatever_the_timeout(
    place: Place,
) -> None:
    def raise_boom(message: object) -> None:
        raise Boom

    config = CatchAll(Intercepting(deliver=raise_boom))
    targets: list[Callable[[], Any]] = [
        lambda: config.create().new_input(),
        lambda: place.pool("function", "a", mailbox=config).ref("a"),
        lambda: place.pool("generator", "a", mailbox=config).ref("a"),
    ]

    for make in targets:
        for timeout in (None, DEADLINE):
            error = error_of(lambda: call(make(), Echo("1"), timeout=timeout))  # noqa: B023
            assert type(error) is CallNotDelivered


def test_a_users_input_without_deliver_within_is_asked_to_deliver() -> None:
    class Input:
        def deliver(self, message: Call[Any]) -> bool:
            message.reply_box.reply("at once")
            return True

    assert call(Input(), Echo("1"), timeout=DEADLINE) == "at once"


def test_a_users_input_with_deliver_within_gets_the_deadline() -> None:
    given: list[Any] = []

    class Input:
        def deliver(self, message: Call[Any]) -> bool:
            raise AssertionError

        def deliver_within(self, message: Call[Any], deadline: object) -> bool:
            given.append(deadline)
            message.reply_box.reply("in time")
            return True

    assert call(Input(), Echo("1"), timeout=60) == "in time"
    assert 0 < given[0].remaining() <= 60
