"""What handlers there are, what ends a server, and what it leaves behind."""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import pytest

from tests.calls.accounts import (
    Account,
    Balance,
    Deposit,
    Raise,
    Unknown,
    Withdraw,
    logged,
    served_mailbox,
)
from tests.calls.doubles import (
    Boom,
    Echo,
    Place,
    Tell,
    error_of,
    until_idle,
)
from tests.helpers import DEADLINE, Running, until
from threadpool_mb import (
    CallFailed,
    CallNotDelivered,
    Cancelled,
    Cast,
    Command,
    Mailbox,
    Pool,
    Unlimited,
    WorkerExit,
    WorkerGone,
    ask,
    call,
    cast,
    handles,
    serve,
    server,
)
from threadpool_mb.originals import Request


@pytest.mark.parametrize(
    ("message", "told"),
    [(Withdraw(), CallFailed), (Unknown(), CallFailed), (Raise(answered=False), CallFailed)],
)
def test_with_stop_what_a_handler_raises_ends_the_server_after_the_call_was_told(
    place: Place, message: Command[Any], told: type[Exception]
) -> None:
    mailbox: Mailbox[Request] = Unlimited().create()
    exits: list[WorkerExit[Any]] = []
    pool = place.pool(
        "generator", "a", worker=server(Account, after_error="stop"), on_worker_exit=exits.append
    )
    serving = Running(lambda: serve(mailbox, Account(), after_error="stop"))

    errors = [
        error_of(lambda: call(mailbox.new_input(), message, timeout=DEADLINE)),
        error_of(lambda: call(pool.ref("a"), message, timeout=DEADLINE)),
    ]

    assert [type(error) for error in errors] == [told, told]
    with pytest.raises((Boom, TypeError)):
        serving.result()
    until(lambda: exits)
    assert isinstance(exits[0].error, (Boom, TypeError))


@pytest.mark.parametrize("message", [Cast(Deposit(-1)), Cast(Tell(1)), "neither"], ids=repr)
def test_with_stop_what_has_no_caller_is_logged_and_ends_the_server(
    message: object, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox: Mailbox[Any] = Unlimited().create()
    mailbox.new_input().deliver(message)

    with pytest.raises((Boom, TypeError)):
        serve(mailbox, Account(), after_error="stop")

    assert list(logged(caplog)) == [f"handling {message!r} raised"]


def test_serving_ends_when_the_mailbox_is_closed_and_all_it_held_were_handled() -> None:
    account = Account()
    mailbox: Mailbox[Any] = Unlimited().create()
    for amount in range(5):
        cast(mailbox.new_input(), Deposit(amount))
    mailbox.close()

    serve(mailbox, account)

    assert account.total == 10


def test_a_server_that_is_asked_to_stop_raises_cancelled() -> None:
    mailbox: Mailbox[Any] = Unlimited().create()
    mailbox.cancel()

    with pytest.raises(Cancelled):
        serve(mailbox, Account())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, Cancelled])
def test_what_is_no_exception_fails_the_call_and_leaves_the_server(
    error: type[BaseException],
) -> None:
    mailbox: Mailbox[Any] = Unlimited().create()
    reply = ask(mailbox.new_input(), Echo("1"))

    def interrupted(command: object) -> None:
        raise error

    with pytest.raises(error):
        serve(mailbox, interrupted)

    failed = error_of(reply.result)
    assert (type(failed), type(failed.__cause__)) == (CallFailed, error)


def test_a_table_or_a_function_serves_as_well(place: Place) -> None:
    table = {Echo: lambda command: command.text * 2, Tell: lambda notice: None}
    by_table = place.served(serve=lambda mailbox: serve(mailbox, table))
    by_function = place.served(serve=lambda mailbox: serve(mailbox, repr))
    pool = place.pool("generator", "a", worker=server(lambda key: table))

    assert call(by_table, Echo("1")) == "11"
    assert call(by_function, Echo("1")) == "Echo(text='1')"
    assert call(pool.ref("a"), Echo("1")) == "11"


def test_each_worker_has_handlers_of_its_own_that_know_their_key(place: Place) -> None:
    made: list[Account] = []

    def make(key: str) -> Account:
        made.append(Account(key))
        return made[-1]

    pool = place.pool("generator", "a", "b", worker=server(make))
    cast(pool.ref("a"), Deposit(1))

    totals = {key: call(pool.ref(key), Balance(), timeout=DEADLINE) for key in "ab"}

    assert totals == {"a": 1, "b": 0}
    assert sorted(account.key for account in made) == ["a", "b"]


class Session:
    """Handlers that are entered and left."""

    events: list[object]

    def __enter__(self) -> Account | Self:
        self.events.append("entered")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.events.append(kind)

    @handles(Echo)
    def echo(self, command: Echo) -> str:
        if command.text == "raise":
            raise Boom
        return command.text


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (lambda pool: pool.remove("a"), Cancelled),
        (lambda pool: pool.cancel(), Cancelled),
        (lambda pool: pool.remove("a", drain=True), None),
        (lambda pool: pool.close(), None),
        (lambda pool: error_of(lambda: call(pool.ref("a"), Echo("raise"))), Boom),
    ],
    ids=["removed", "cancelled", "drained", "closed", "stopped"],
)
def test_handlers_that_are_a_context_manager_are_entered_and_left(
    place: Place, ending: Callable[[Pool[Any, Any]], object], kind: type[BaseException] | None
) -> None:
    events: list[object] = []

    def make(key: object) -> Session:
        session = Session()
        session.events = events
        return session

    pool = place.pool("generator", "a", worker=server(make, after_error="stop"))
    assert call(pool.ref("a"), Echo("1"), timeout=DEADLINE) == "1"
    before = events.copy()

    ending(pool)
    until(lambda: not list(pool.workers()))

    assert before == ["entered"]
    assert events == ["entered", kind]


def test_what_entering_returns_are_the_handlers(place: Place) -> None:
    @contextlib.contextmanager
    def make(key: object) -> Iterator[dict[type, Callable[[Any], object]]]:
        yield {Echo: lambda command: f"{key} {command.text}"}

    pool = place.pool("generator", "a", worker=server(make))

    assert call(pool.ref("a"), Echo("1"), timeout=DEADLINE) == "a 1"


def test_a_server_whose_handlers_cannot_be_made_fails(place: Place) -> None:
    exits: list[WorkerExit[Any]] = []
    pool = place.pool(
        "generator", "a", worker=server(lambda key: object()), on_worker_exit=exits.append
    )

    error = error_of(lambda: call(pool.ref("a"), Echo("1")))

    assert type(error) in {WorkerGone, CallNotDelivered}
    until(lambda: exits)
    assert "handlers must be an object with methods that mb.handles marks" in str(exits[0].error)


@pytest.mark.parametrize("inline_calls", [True, False])
def test_the_error_of_a_failed_call_leaves_no_cycle(
    place: Place,
    inline_calls: bool,  # noqa: FBT001
) -> None:
    pool = place.idle("a", worker=server(Account), inline_calls=inline_calls)
    target = served_mailbox(place)
    error_of(lambda: call(pool.ref("a"), Withdraw()))
    error_of(lambda: call(target, Withdraw()))
    until_idle(pool, "a")
    gc.collect()
    gc.disable()

    def left_after_a_call() -> bool:
        # On a free-threaded build what the worker's thread has made is freed when it runs again.
        call(pool.ref("a"), Balance())
        call(target, Balance(), timeout=DEADLINE)
        return any(each() is not None for each in errors)

    try:
        errors = [
            weakref.ref(error_of(lambda to=to: call(to, Withdraw())).__cause__)
            for to in (pool.ref("a"), target)
            for _ in range(5)
        ]
        until(lambda: not left_after_a_call())
    finally:
        gc.enable()
