"""Requests come to their handlers, and every call that is taken is answered."""

import logging
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.calls.accounts import (
    Account,
    Balance,
    Deposit,
    Later,
    Raise,
    Twice,
    Unknown,
    Withdraw,
    logged,
    served_mailbox,
    served_pool,
    whose,
)
from tests.calls.doubles import (
    Boom,
    Echo,
    Place,
    Tell,
    answer,
    error_of,
)
from tests.helpers import DEADLINE, Running, until
from threadpool_mb import (
    MISSING,
    Call,
    CallFailed,
    CallTimedOut,
    Command,
    Input,
    Mailbox,
    Pool,
    Unlimited,
    ask,
    call,
    cast,
    delegate,
    handles,
    handles_call,
    serve,
    server,
)
from threadpool_mb.originals import late_replies


@pytest.fixture(params=[served_mailbox, served_pool], ids=["mailbox", "pool"])
def make(request: pytest.FixtureRequest) -> Callable[..., Input[Any]]:
    """Return what makes an input that is served, by `serve` or by a `server`."""
    return request.param


def test_calls_and_casts_go_to_their_handlers(
    place: Place, make: Callable[..., Input[Any]]
) -> None:
    target = make(place)

    cast(target, Deposit(3))
    cast(target, Deposit(4))

    assert call(target, Balance(), timeout=DEADLINE) == 7


def test_what_a_handler_raises_fails_its_call_and_the_server_goes_on(
    place: Place, make: Callable[..., Input[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    target = make(place)

    error = error_of(lambda: call(target, Withdraw(), timeout=DEADLINE))

    assert type(error) is CallFailed
    assert isinstance(error.__cause__, Boom)
    to = "" if error.key is MISSING else " to key 'a'"
    assert str(error) == f"the call {error.call_id}{to} failed: Boom: withdraw"
    assert call(target, Balance(), timeout=DEADLINE) == 0
    assert list(logged(caplog)) == []


def test_what_a_handler_of_a_notice_raises_is_logged_and_the_server_goes_on(
    place: Place, make: Callable[..., Input[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    target = make(place)

    cast(target, Deposit(-1))

    assert call(target, Balance(), timeout=DEADLINE) == 0
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, f"{whose(target)}handling <Cast Deposit(-1)> raised")
    ]
    assert isinstance(caplog.records[0].exc_info[1], Boom)


def test_a_command_that_nobody_handles_fails_with_its_name(
    place: Place, make: Callable[..., Input[Any]]
) -> None:
    error = error_of(lambda: call(make(place), Unknown(), timeout=DEADLINE))

    assert isinstance(error.__cause__, TypeError)
    assert str(error.__cause__) == "there is no handler for Unknown()"


def test_a_notice_that_nobody_handles_is_logged_with_its_name(
    place: Place, make: Callable[..., Input[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    target = make(place)

    cast(target, Tell(1))
    call(target, Balance(), timeout=DEADLINE)

    assert list(logged(caplog)) == [f"{whose(target)}handling <Cast Tell(number=1)> raised"]


def test_the_log_line_of_a_function_worker_that_serves_its_mailbox_names_pool_and_key(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def work(key: str, mailbox: Mailbox[Any]) -> None:
        serve(mailbox, Account())

    pool = place.pool("function", "k1", "k2", name="orders", worker=work)

    cast(pool.ref("k2"), Tell(1))
    call(pool.ref("k2"), Balance(), timeout=DEADLINE)

    assert list(logged(caplog)) == ["orders 'k2': handling <Cast Tell(number=1)> raised"]


def test_the_log_line_of_a_server_that_is_called_in_place_names_that_server(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    users = place.idle("u", name="users", worker=server(Account), inline_calls=True)
    orders = place.idle("o", name="orders", inline_calls=True)

    # An answer, then an error: it has no caller any more.
    asked = Running(
        lambda: call(orders.ref("o"), answer(lambda: call(users.ref("u"), Raise(answered=True))))
    )

    assert asked.result() == "answered"
    assert [line.partition(" <Call ")[0] for line in logged(caplog)] == ["users 'u': handling"]


def test_what_is_neither_a_call_nor_a_cast_is_logged_and_the_server_goes_on(
    place: Place, make: Callable[..., Input[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    target = make(place)

    target.deliver("neither")

    assert call(target, Balance(), timeout=DEADLINE) == 0
    assert str(caplog.records[0].exc_info[1]) == "a server takes calls and casts, not 'neither'"
    assert list(logged(caplog)) == [f"{whose(target)}handling 'neither' raised"]


@pytest.mark.parametrize(
    ("bare", "hint"),
    [
        (Deposit(1), ": mb.cast sends a notice, or mb.Cast(notice) is the message"),
        (Balance(), ": mb.call and mb.ask send a command"),
    ],
)
def test_a_notice_or_a_command_without_its_envelope_is_logged_with_what_sends_it(
    bare: object,
    hint: str,
    place: Place,
    make: Callable[..., Input[Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = make(place)

    target.deliver(bare)

    assert call(target, Balance(), timeout=DEADLINE) == 0
    expected = f"a server takes calls and casts, not {bare!r}{hint}"
    assert str(caplog.records[0].exc_info[1]) == expected


def test_a_handler_that_takes_the_call_may_answer_later(
    place: Place, make: Callable[..., Input[Any]]
) -> None:
    target = make(place)
    reply = ask(target, Later())
    call(target, Balance(), timeout=DEADLINE)
    pending = not reply.done()

    cast(target, Deposit(1))

    assert pending
    assert reply.result(timeout=DEADLINE) == "now 1"


def test_a_handler_that_raises_before_it_has_answered_fails_the_call(
    place: Place, make: Callable[..., Input[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    error = error_of(lambda: call(make(place), Raise(answered=False), timeout=DEADLINE))

    assert isinstance(error.__cause__, Boom)
    assert list(logged(caplog)) == []


@pytest.mark.parametrize("command", [Raise(answered=True), Twice()], ids=["raises", "twice"])
def test_what_a_handler_raises_after_its_answer_is_logged_and_the_answer_stands(
    place: Place,
    make: Callable[..., Input[Any]],
    caplog: pytest.LogCaptureFixture,
    command: Command[str],
) -> None:
    target = make(place)

    value = call(target, command, timeout=DEADLINE)
    call(target, Balance(), timeout=DEADLINE)

    assert value in {"answered", "first"}
    (line,) = logged(caplog)
    assert line.startswith(f"{whose(target)}handling <Call <")
    assert line.endswith("> raised")


def test_a_call_that_has_expired_is_not_handled(
    place: Place, make: Callable[..., Input[Any]]
) -> None:
    handled: list[object] = []
    gate = place.gate()

    class Slow:
        def __init__(self, key: object = "a") -> None:
            pass

        @handles(Echo)
        def echo(self, command: Echo) -> str:
            handled.append(command.text)
            if command.text == "wait":
                gate()
            return command.text

    target = (
        place.served(serve=lambda mailbox: serve(mailbox, Slow()))
        if make is served_mailbox
        else place.pool("generator", "a", worker=server(Slow)).ref("a")
    )
    first = ask(target, Echo("wait"))
    gate.wait_until_reached()
    error = error_of(lambda: call(target, Echo("expired"), timeout=0.001))
    before = late_replies()
    gate.open()

    assert call(target, Echo("next"), timeout=DEADLINE) == "next"
    assert first.result() == "wait"
    assert type(error) is CallTimedOut
    assert handled == ["wait", "next"]
    assert late_replies() == before


def test_a_handler_may_hand_its_call_on(place: Place) -> None:
    accounts: Pool[str, Any] = place.pool("generator", "a", "b", worker=server(Account))
    cast(accounts.ref("b"), Deposit(5))

    class Desk:
        def __init__(self, key: object) -> None:
            pass

        @handles_call(Balance)
        def balance(self, received: Call[int]) -> None:
            delegate(accounts.ref("b"), received)

    desk = place.pool("generator", "desk", worker=server(Desk))

    assert call(desk.ref("desk"), Balance(), timeout=DEADLINE) == 5


def test_a_server_goes_on_inline_as_anywhere(place: Place) -> None:
    pool = place.idle("a", worker=server(Account), inline_calls=True)

    assert call(pool.ref("a"), Balance()) == 0
    assert type(error_of(lambda: call(pool.ref("a"), Withdraw()))) is CallFailed
    assert call(pool.ref("a"), Balance()) == 0


class HandsOn(Command[str]):
    """Is handed on by its handler, which then raises."""


class _Raises:
    """A user's own input that takes nothing."""

    def deliver(self, _: object) -> bool:
        raise Boom("the input's")


@pytest.mark.parametrize("taken", [True, False], ids=["and was taken", "in vain"])
def test_what_a_handler_raises_fails_its_call_unless_it_has_handed_that_on(
    caplog: pytest.LogCaptureFixture,
    taken: bool,  # noqa: FBT001 - a case
) -> None:
    exits: list[Any] = []
    kept: list[Call[Any]] = []

    def keep_all(_: str) -> Generator[None, Any]:
        while True:
            kept.append((yield))

    class Front:
        def __init__(self, _: str) -> None:
            pass

        @handles_call(HandsOn)
        def hand_on(self, received: Call[str]) -> None:
            target: Any = back.ref("b") if taken else _Raises()
            delegate(target, received)
            raise Boom("the handler's")

    with Pool(keep_all, on_worker_exit=exits.append) as back, Pool(server(Front)) as front:
        back.initialize("b")
        front.initialize("f")
        reply = ask(front.ref("f"), HandsOn())
        if taken:
            until(lambda: len(kept) == 1 and len(caplog.records) == 1)
            kept.pop().reply_box.reply("from back")
            assert reply.result(timeout=DEADLINE) == "from back"
        else:
            error = error_of(lambda: reply.result(timeout=DEADLINE))
            assert (type(error), str(error.__cause__)) == (CallFailed, "the input's")
        assert exits == []
        caplog.clear()


@pytest.mark.parametrize("what", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("sent", [Tell, Echo])
def test_what_stops_a_server_in_the_midst_of_a_request_passes_and_a_call_is_told(
    what: type[BaseException], sent: type[Any]
) -> None:
    mailbox: Mailbox[Any] = Unlimited().create()
    stopped = what("now")

    def handle(_: object) -> None:
        raise stopped

    reply = ask(mailbox.new_input(), sent(1)) if sent is Echo else None
    if reply is None:
        cast(mailbox.new_input(), sent(1))

    # A `GeneratorExit` is not to be taken for the end of a worker.
    passes = RuntimeError if what is GeneratorExit else what
    with pytest.raises(passes) as caught:
        serve(mailbox, handle)

    assert stopped in {caught.value, caught.value.__cause__}
    if reply is not None:
        with pytest.raises(CallFailed) as failed:
            reply.result(timeout=0)
        assert failed.value.__cause__ is stopped
    mailbox.close()
