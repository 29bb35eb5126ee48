"""Cast, call, call without waiting: to mailboxes and to pools, and with wrong arguments."""

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.broker.doubles import Callbacks, brokering
from tests.calls.doubles import (
    KINDS,
    Boom,
    Do,
    Echo,
    Note,
    Place,
    Tell,
    answer,
    asked,
    error_of,
    keep,
)
from tests.helpers import DEADLINE, Running, until
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    MISSING,
    Blocking,
    Broker,
    Call,
    CallFailed,
    CallNotDelivered,
    CallTimedOut,
    Cast,
    CatchAll,
    MailboxClosed,
    MailboxConfig,
    NonBlocking,
    Pool,
    PoolClosed,
    Reply,
    Unlimited,
    Waiting,
    aio,
    ask,
    call,
    cast,
    delegate,
)
from threadpool_mb.originals import handle_message, late_replies

CONFIGS = [
    Unlimited(),
    Blocking(2),
    NonBlocking(2),
    Waiting(2, deliver_timeout=60),
    CatchAll(Blocking(2)),
    Intercepting(),
]
REFUSING = Intercepting(deliver=lambda message: False)


@pytest.mark.behaviour("CommandTest 26")
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_call_returns_what_the_thread_that_serves_the_mailbox_replies(
    place: Place, config: MailboxConfig
) -> None:
    target = place.served(config)

    assert [call(target, Echo(text)) for text in ("1", "2")] == ["1", "2"]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_call_returns_what_the_worker_of_the_key_replies(
    place: Place, kind: str, config: MailboxConfig
) -> None:
    pool = place.pool(kind, "a", "b", mailbox=config)

    for timeout in (None, DEADLINE):
        assert call(pool.ref("a"), Echo("1"), timeout=timeout) == "1"
        assert call(pool.ref("b"), Echo("2"), timeout=timeout) == "2"


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_may_call_another_one_and_reply_with_its_reply(place: Place, kind: str) -> None:
    pool = place.pool(kind, "a", "b")

    value = call(pool.ref("a"), answer(lambda: call(pool.ref("b"), Echo("from b"))))

    assert value == "from b"


@pytest.mark.behaviour("CommandTest 25")
def test_a_cast_is_handled_once_with_the_notice_that_was_sent() -> None:
    mailbox = Unlimited().create()

    taken = cast(mailbox.new_input(), Tell(123))
    handled = handle_message(mailbox, lambda request: request, timeout=0)

    assert (taken, handled) == (True, Cast(Tell(123)))
    assert len(mailbox) == 0


@pytest.mark.behaviour("CommandTest 24")
def test_all_that_many_donors_cast_at_once_arrives_each_donors_in_order(
    place: Place, kind: str
) -> None:
    books: list[tuple[int, int]] = []
    pool = place.pool(kind, "store")
    store = pool.ref("store")

    def donate(donor: int) -> Callable[[], object]:
        return lambda: [
            cast(store, Note(lambda book=book: books.append((donor, book)))) for book in range(20)
        ]

    donors = [Running(donate(donor)) for donor in range(10)]
    taken = [donor.result() for donor in donors]

    assert taken == [[True] * 20] * 10
    assert call(store, answer(lambda: sorted(books) == sorted(set(books)))) is True
    assert [book for donor, book in books if donor == 3] == list(range(20))
    assert len(books) == 200


def test_a_cast_to_nobody_is_refused_and_a_dead_letter(place: Place, kind: str) -> None:
    letters: list[Any] = []
    pool = place.pool(kind, on_dead_letter=letters.append)

    assert cast(pool.ref("nobody"), Tell(1)) is False
    assert [letter.message for letter in letters] == [Cast(Tell(1))]


def test_a_cast_into_what_is_closed_raises(place: Place, kind: str) -> None:
    mailbox = Unlimited().create()
    mailbox.close()
    pool = place.pool(kind)
    pool.close()

    with pytest.raises(MailboxClosed):
        cast(mailbox.new_input(), Tell(1))
    with pytest.raises(PoolClosed):
        cast(pool.ref("a"), Tell(1))


def test_calls_and_casts_of_one_thread_are_handled_in_their_order(place: Place, kind: str) -> None:
    seen: list[int] = []
    target = place.pool(kind, "a").ref("a")

    for number in range(0, 30, 3):
        cast(target, Note(lambda n=number: seen.append(n)))
        ask(target, answer(lambda n=number: seen.append(n + 1)))
        call(target, answer(lambda n=number: seen.append(n + 2)))

    assert seen == list(range(30))


@pytest.mark.behaviour("CommandTest 3", "CommandTest 10")
@pytest.mark.parametrize(
    "make",
    [
        lambda place: REFUSING.create().new_input(),
        lambda place: place.pool("generator", "a", mailbox=REFUSING).ref("a"),
        lambda place: place.pool("function", "a", mailbox=REFUSING).ref("a"),
        lambda place: place.pool("generator").ref("a"),
    ],
    ids=["mailbox", "generator", "function", "nobody"],
)
def test_a_call_that_is_refused_says_so_and_an_asynchronous_one_returns_a_reply_that_does(
    place: Place, make: Callable[[Place], Any]
) -> None:
    target = make(place)

    for timeout in (None, 0, DEADLINE):
        error = error_of(lambda timeout=timeout: call(target, Echo("1"), timeout=timeout))
        assert type(error) is CallNotDelivered or timeout == 0
    reply = ask(target, Echo("1"))

    assert reply.done()
    assert type(error_of(reply.try_result)) is CallNotDelivered


@pytest.mark.behaviour("CommandTest 9")
@pytest.mark.parametrize("kind", ["mailbox", *KINDS])
def test_an_asynchronous_call_takes_as_long_as_its_delivery(place: Place, kind: str) -> None:
    gate = place.gate()
    config = Intercepting(deliver=lambda message: gate())
    target = (
        place.served(config)
        if kind == "mailbox"
        else place.pool(kind, "a", mailbox=config).ref("a")
    )
    delivering = Running(lambda: ask(target, Echo("1")))

    gate.wait_until_reached()
    running = delivering.running
    gate.open()

    assert running
    assert delivering.result().result() == "1"


@pytest.mark.parametrize(
    "make",
    [
        lambda place: place.pool("generator", "a"),
        lambda place: place.pool("function", "a"),
        lambda place: place.pool("generator", "a", mailbox=Blocking(1)),
        lambda place: place.pool("generator", "a", mailbox=Intercepting()),
    ],
    ids=["generator", "function", "Blocking", "Intercepting"],
)
@pytest.mark.parametrize("end", [Pool.close, Pool.cancel])
def test_a_call_into_a_closed_pool_is_not_delivered(
    place: Place, make: Callable[[Place], Any], end: Callable[[Any], object]
) -> None:
    pool = make(place)
    end(pool)

    errors = [
        error_of(lambda: call(pool.ref("a"), Echo("1"))),
        error_of(lambda: call(pool.ref("a"), Echo("1"), timeout=DEADLINE)),
        error_of(ask(pool.ref("a"), Echo("1")).result),
    ]

    # A worker of a closed pool still takes what its mailbox takes until that is closed, too.
    assert {type(error) for error in errors} == {CallNotDelivered}
    assert {error.key for error in errors} == {"a"}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
@pytest.mark.parametrize("end", ["close", "cancel", "abandon"])
def test_a_call_into_a_closed_mailbox_is_not_delivered(config: MailboxConfig, end: str) -> None:
    mailbox = config.create()
    getattr(mailbox, end)()
    target = mailbox.new_input()

    for timeout in (None, DEADLINE):
        error = error_of(lambda timeout=timeout: call(target, Echo("1"), timeout=timeout))
        assert type(error) is CallNotDelivered
        assert error.key is MISSING
    assert type(error_of(ask(target, Echo("1")).result)) is CallNotDelivered


@pytest.mark.parametrize("sending", [call, ask], ids=["call", "ask"])
def test_what_a_users_mailbox_raises_passes(place: Place, sending: Callable[..., object]) -> None:
    def raise_boom(message: object) -> None:
        raise Boom

    config = Intercepting(deliver=raise_boom)

    with pytest.raises(Boom):
        sending(config.create().new_input(), Echo("1"))
    with pytest.raises(Boom):
        sending(place.pool("generator", "a", mailbox=config).ref("a"), Echo("1"))


def test_a_call_that_a_users_mailbox_refuses_is_offered_to_it_once(place: Place, kind: str) -> None:
    offered: list[object] = []

    def refuse(message: object) -> bool:
        offered.append(message)
        return False

    pool = place.pool(kind, "a", mailbox=Intercepting(deliver=refuse))

    error_of(lambda: call(pool.ref("a"), Echo("1")))

    assert len(offered) == 1


NO_COMMANDS: list[object] = [Tell(1), "text", None, Echo, 3]
NO_NOTICES: list[object] = [Echo("1"), "text", None, Tell, 3]


@pytest.mark.parametrize("sending", [call, ask], ids=["call", "ask"])
@pytest.mark.parametrize("wrong", NO_COMMANDS, ids=repr)
def test_what_is_no_command_is_named_and_not_delivered(
    sending: Callable[..., object], wrong: object
) -> None:
    mailbox = Unlimited().create()

    with pytest.raises(TypeError, match="a command must be a Command") as raised:
        sending(mailbox.new_input(), wrong)

    assert repr(wrong) in str(raised.value)
    assert len(mailbox) == 0


@pytest.mark.parametrize("wrong", NO_NOTICES, ids=repr)
def test_what_is_no_notice_is_named_and_not_delivered(wrong: object) -> None:
    mailbox = Unlimited().create()

    with pytest.raises(TypeError, match="a notice must be a Notice") as raised:
        cast(mailbox.new_input(), wrong)

    assert repr(wrong) in str(raised.value)
    assert len(mailbox) == 0


def test_who_sends_a_notice_as_a_command_or_a_command_as_a_notice_is_told_what_sends_it() -> None:
    mailbox = Unlimited().create()
    command: Any = Tell(1)
    notice: Any = Echo("1")

    with pytest.raises(TypeError, match=r"not .*: mb\.cast sends a notice$"):
        call(mailbox.new_input(), command)
    with pytest.raises(TypeError, match=r"not .*: mb\.call and mb\.ask send a command$"):
        cast(mailbox.new_input(), notice)


def pool_without_workers() -> Pool[Any, Any]:
    """Return a pool that takes nothing any more."""
    with Pool(lambda key, mailbox: None) as pool:
        return pool


def broker_that_has_ended() -> Broker[Any, Any, Any, Any]:
    """Return a broker that takes nothing any more."""
    with brokering(Callbacks()) as broker:
        return broker


NO_INPUTS: list[tuple[Callable[[], object], str]] = [
    (pool_without_workers, "pool.ref(key), which addresses one of its workers"),
    (lambda: Unlimited().create(), "mailbox.new_input()"),
    (broker_that_has_ended, "broker.input"),
    (lambda: "alice", "pool.ref(key), mailbox.new_input() or broker.input"),
    (lambda: None, "pool.ref(key), mailbox.new_input() or broker.input"),
]


@pytest.mark.parametrize(
    ("make", "meant"), NO_INPUTS, ids=["pool", "mailbox", "broker", "key", "None"]
)
@pytest.mark.parametrize(
    "sending",
    [
        lambda target: call(target, Echo("1")),
        lambda target: call(target, Echo("1"), timeout=1),
        lambda target: ask(target, Echo("1")),
        lambda target: cast(target, Tell(1)),
        lambda target: asyncio.run(aio.call(target, Echo("1"))),
        lambda target: asyncio.run(aio.deliver(target, 1)),
    ],
    ids=["call", "call in time", "ask", "cast", "aio.call", "aio.deliver"],
)
def test_what_is_no_input_is_refused_with_what_was_meant(
    sending: Callable[[object], object], make: Callable[[], object], meant: str
) -> None:
    target = make()

    with pytest.raises(TypeError) as raised:
        sending(target)

    assert str(raised.value) == f"it goes to an input such as {meant}, not to {target!r}"
    assert raised.value.__cause__ is None


def test_a_call_that_is_handed_to_no_input_is_still_ones_own(place: Place) -> None:
    def hand_on(received: Call[Any]) -> None:
        with pytest.raises(TypeError, match="it goes to an input such as pool"):
            delegate(pool, received)
        received.reply_box.reply("here")

    pool: Any = place.pool("generator", "a")

    assert call(pool.ref("a"), Do(hand_on)) == "here"


def test_an_attribute_error_of_a_users_input_passes() -> None:
    def deliver(message: object) -> bool:
        raise AttributeError("its own")

    with pytest.raises(AttributeError, match="its own"):
        cast(Intercepting(deliver=deliver).create().new_input(), Tell(1))


@pytest.mark.parametrize("timeout", [float("nan"), "1", True, [0]])
def test_a_call_whose_timeout_is_no_number_of_seconds_is_not_delivered(timeout: object) -> None:
    mailbox = Unlimited().create()

    with pytest.raises(ValueError, match="timeout must be seconds") as raised:
        call(mailbox.new_input(), Echo("1"), timeout=timeout)

    assert repr(timeout) in str(raised.value)
    assert len(mailbox) == 0


def test_a_call_whose_timeout_has_run_out_is_delivered_and_waits_for_nothing() -> None:
    mailbox = Unlimited().create()

    with pytest.raises(CallTimedOut):
        call(mailbox.new_input(), Echo("1"), timeout=-1)

    assert mailbox.receive().reply_box.expired


def test_a_call_that_fails_raises_call_failed_with_the_error_as_its_cause(
    place: Place, kind: str
) -> None:
    boom = Boom("why")

    error = error_of(
        lambda: call(place.pool(kind, "a").ref("a"), Do(lambda got: got.reply_box.fail(boom)))
    )

    assert type(error) is CallFailed
    assert error.__cause__ is boom
    assert error.key == "a"


def test_a_box_that_is_to_fail_with_what_is_no_exception_says_so() -> None:
    reply, box = asked()

    with pytest.raises(TypeError, match="a call fails with an exception, not 'text'"):
        box.fail("text")

    assert not reply.done()


def test_a_caller_keeps_nothing_of_the_call_but_the_reply() -> None:
    mailbox = Unlimited().create()
    command = Echo("1")
    reply = ask(mailbox.new_input(), command)

    received = mailbox.receive()

    gc.collect()
    holders = [each for each in gc.get_referrers(received.reply_box) if each is not received]
    assert [each for each in holders if isinstance(each, (Call, Reply))] == []
    assert not reply.done()


@pytest.mark.behaviour("CommandTest 27", "CommandTest 30")
def test_a_reply_to_a_caller_that_is_gone_raises_nothing_and_is_counted(place: Place) -> None:
    received: list[Call[Any]] = []
    target = place.served()
    caller = Running(lambda: error_of(lambda: call(target, keep(received), timeout=0.001)))
    caller.result()
    until(lambda: received)
    before = late_replies()

    assert received[0].reply_box.expired
    received[0].reply_box.reply("too late")

    assert late_replies() == before + 1


@pytest.mark.behaviour("CommandTest 29")
def test_a_reply_that_comes_within_the_timeout_is_returned(place: Place) -> None:
    gate = place.gate()
    target = place.served()

    def reply_later(received: Call[Any]) -> None:
        gate()
        received.reply_box.reply([])

    with_timeout = Running(lambda: call(target, Do(reply_later), timeout=DEADLINE))
    gate.wait_until_reached()
    gate.open()

    assert with_timeout.result() == []


@pytest.mark.behaviour("CommandTest 7")
def test_the_call_may_be_answered_by_another_thread_than_the_one_that_received_it(
    place: Place, kind: str
) -> None:
    others: list[Running[None]] = []
    gate = place.gate()

    def hand_over(received: Call[Any]) -> None:
        def reply() -> None:
            gate()
            received.reply_box.reply(threading.current_thread().name)

        others.append(Running(reply))

    pool = place.pool(kind, "a")
    caller = Running(lambda: call(pool.ref("a"), Do(hand_over)))
    gate.wait_until_reached()
    assert call(pool.ref("a"), Echo("meanwhile"), timeout=DEADLINE) == "meanwhile"
    gate.open()

    assert caller.result() == "test-running"
    others[0].result()
