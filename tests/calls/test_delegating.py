"""Handing a call on: somebody else answers it, and who had it is not asked any more."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.calls.doubles import (
    Do,
    Echo,
    FakeWorker,
    Place,
    Tell,
    answer,
    answer_of,
    end,
    error_of,
    fail,
    held_by,
)
from tests.helpers import DEADLINE, Running, in_thread, leaving, until
from tests.insides import roster_of
from threadpool_mb import (
    Blocking,
    Call,
    CallNotDelivered,
    CallTimedOut,
    Cast,
    NonBlocking,
    Pool,
    Unlimited,
    WorkerGone,
    ask,
    call,
    delegate,
)


def hand_on(target: Any, then: Callable[[Call[Any]], object] = lambda received: None) -> Do:  # noqa: ANN401 - any input
    """Have the receiver hand the call on to `target`; whoever gets it does `then` with it."""
    unread = itertools.count()

    def obeyed(received: Call[Any]) -> object:
        if next(unread) == 0:
            delegate(target, received)
            return None
        return then(received)

    return Do(obeyed)


def echo(received: Call[Any]) -> None:
    """Reply."""
    received.reply_box.reply("from the last one")


@pytest.mark.behaviour("CommandTest 8")
def test_a_call_that_is_handed_on_is_answered_by_who_gets_it(place: Place, kind: str) -> None:
    pool = place.pool(kind, "a", "b")

    value = call(pool.ref("a"), hand_on(pool.ref("b"), echo))

    assert value == "from the last one"


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_call_goes_through_a_chain_of_any_length_and_of_both_kinds_and_a_mailbox(
    place: Place, timeout: float | None
) -> None:
    functions, generators = place.pool("function", *range(5)), place.pool("generator", *range(5))
    targets = [pool.ref(key) for key in range(5) for pool in (functions, generators)]
    targets.append(place.served())
    passed: list[int] = []

    def go_on(received: Call[Any]) -> None:
        passed.append(len(passed))
        if len(passed) == len(targets):
            received.reply_box.reply("from the last one")
        else:
            assert delegate(targets[len(passed)], received)

    assert call(targets[0], Do(go_on), timeout=timeout) == "from the last one"
    assert passed == list(range(11))


def test_a_call_may_be_handed_on_by_whoever_has_received_it_out_of_a_mailbox() -> None:
    first, second = Unlimited().create(), Unlimited().create()
    reply = ask(first.new_input(), Echo("1"))

    taken = delegate(second.new_input(), first.receive())
    second.receive().reply_box.reply("1")

    assert (taken, reply.result()) == (True, "1")


def test_a_call_that_is_handed_on_keeps_its_id(place: Place) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool("generator", "a", "b")
    reply = ask(pool.ref("a"), hand_on(pool.ref("b"), kept.append))

    until(lambda: kept)

    assert kept[0].reply_box.call_id == reply.call_id


@pytest.mark.parametrize("ending", [end, fail], ids=["ends", "fails"])
def test_who_has_handed_a_call_on_may_end(
    place: Place, kind: str, ending: Callable[..., object]
) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool(kind, "a", "b")
    reply = ask(pool.ref("a"), hand_on(pool.ref("b"), kept.append))
    with in_thread(reply.result) as waits:
        until(lambda: len(kept) == 1 and roster_of(pool).routes["b"].watchers)

        ask(pool.ref("a"), Do(ending))
        until(lambda: "a" not in pool and not leaving(pool))

        assert not reply.done()
        kept.pop().reply_box.reply("after its end")
        assert waits.result() == "after its end"


@pytest.mark.parametrize("ending", [end, fail], ids=["ends", "fails"])
def test_the_end_of_who_got_a_call_is_told_to_the_caller(
    place: Place, kind: str, ending: Callable[..., object]
) -> None:
    pool = place.pool(kind, "a", "b")

    error = error_of(lambda: call(pool.ref("a"), hand_on(pool.ref("b"), ending)))

    assert type(error) is WorkerGone
    assert error.key == "b"
    assert "a" in pool


def test_who_gets_a_call_and_is_removed_before_it_has_it_in_hand_tells_the_caller(
    place: Place, kind: str
) -> None:
    pool = place.pool(kind, "a", "b")
    gate = place.hold(pool.ref("b"))
    reply = ask(pool.ref("a"), hand_on(pool.ref("b")))
    assert call(pool.ref("a"), Echo("handed on by now"), timeout=DEADLINE)

    pool.remove("b")
    gate.open()
    error = error_of(reply.result)

    assert type(error) is WorkerGone
    assert (error.key, error.reason) == ("b", "worker removed")


def refused_by(place: Place, how: str) -> Any:  # noqa: ANN401 - any input
    """Return an input that takes no call."""
    if how == "nobody":
        return place.pool("generator").ref("nobody")
    if how == "full":
        pool = place.pool("generator", "b", mailbox=NonBlocking(1))
        place.hold(pool.ref("b"))
        pool.dispatch("b", Cast(Tell(1)))
        return pool.ref("b")
    if how == "full mailbox":
        mailbox = NonBlocking(1).create()
        mailbox.new_input().deliver(1)
        return mailbox.new_input()
    if how == "closed":
        pool = place.pool("generator", "b")
        pool.close()
        return pool.ref("b")
    mailbox = Unlimited().create()
    mailbox.close()
    return mailbox.new_input()


@pytest.mark.parametrize("how", ["nobody", "full", "full mailbox", "closed", "closed mailbox"])
def test_a_call_that_nobody_takes_is_told_to_the_caller_and_to_who_hands_it_on(
    place: Place, kind: str, how: str
) -> None:
    taken: list[bool] = []
    target = refused_by(place, how)
    pool = place.pool(kind, "a")

    error = error_of(
        lambda: call(pool.ref("a"), Do(lambda got: taken.append(delegate(target, got))))
    )

    assert type(error) is CallNotDelivered
    assert call(pool.ref("a"), answer(taken.copy)) == [False]


def test_waiting_for_room_to_hand_a_call_on_ends_at_the_calls_deadline(
    place: Place, kind: str
) -> None:
    taken: list[bool] = []
    pool, full = place.pool(kind, "a"), place.pool(kind, "b", mailbox=Blocking(1))
    place.hold(full.ref("b"))
    full.dispatch("b", Cast(Tell(1)))

    error = error_of(
        lambda: call(
            pool.ref("a"), Do(lambda got: taken.append(delegate(full.ref("b"), got))), timeout=0.02
        )
    )

    assert type(error) is CallTimedOut
    assert call(pool.ref("a"), answer(taken.copy), timeout=DEADLINE) == [False]


def test_a_call_that_was_answered_can_be_handed_on_and_nothing_is_told_twice(place: Place) -> None:
    kept: list[Call[Any]] = []
    pool = place.pool("generator", "a", "b")

    def answer_and_hand_on(received: Call[Any]) -> None:
        if not received.reply_box.expired:
            received.reply_box.reply("first")
            delegate(pool.ref("b"), received)
        else:
            kept.append(received)

    assert call(pool.ref("a"), Do(answer_and_hand_on)) == "first"
    until(lambda: kept)


@pytest.mark.parametrize("wrong", [Echo("1"), Cast(Tell(1)), None, "text"], ids=repr)
def test_what_is_no_call_is_named_and_not_handed_on(wrong: object) -> None:
    mailbox = Unlimited().create()

    with pytest.raises(TypeError, match="what is handed on must be a Call") as raised:
        delegate(mailbox.new_input(), wrong)

    assert repr(wrong) in str(raised.value)
    assert len(mailbox) == 0


@pytest.mark.parametrize("watched", [False, True], ids=["before", "while somebody waits"])
def test_who_waits_watches_the_one_who_has_the_call_now(watched: bool) -> None:  # noqa: FBT001
    before, now = FakeWorker("before"), FakeWorker("now")
    reply, _box = held_by(before)
    if watched:
        answer_of(reply).watch()

    answer_of(reply).holder = now
    answer_of(reply).handed_on(None)
    with in_thread(lambda: error_of(reply.result)) as waits:
        until(lambda: now.watched)
        before.end()
        assert waits.running
        now.end()

        error = waits.result()

    assert (type(error), error.key) == (WorkerGone, "now")
    assert not before.watched


def test_who_waits_for_a_call_in_a_plain_mailbox_watches_nobody() -> None:
    before = FakeWorker()
    reply, box = held_by(before)
    answer_of(reply).watch()

    answer_of(reply).holder = None
    answer_of(reply).handed_on(None)
    before.end()

    assert not before.watched
    assert not reply.done()
    box.reply(1)
    assert reply.result() == 1


def test_a_call_may_be_handed_to_a_worker_that_has_been_initialized_again(place: Place) -> None:
    pool = place.pool("function", "a", "b")
    pool.remove("b")
    assert pool.initialize("b")

    reply = ask(pool.ref("a"), hand_on(pool.ref("b"), echo))

    assert reply.result(timeout=DEADLINE) == "from the last one"


def test_a_call_that_a_worker_hands_to_itself_comes_to_it_again(place: Place, kind: str) -> None:
    pool = place.pool(kind, "a")

    assert call(pool.ref("a"), hand_on(pool.ref("a"), echo)) == "from the last one"


def test_a_call_that_a_worker_keeps_can_be_handed_on_later(place: Place, kind: str) -> None:
    kept: list[Call[Any]] = []
    pool: Pool[Any, Any] = place.pool(kind, "a", "b")
    caller = Running(
        lambda: call(pool.ref("a"), Do(lambda got: kept.append(got) if not kept else echo(got)))
    )
    until(lambda: kept)

    assert call(pool.ref("a"), answer(lambda: delegate(pool.ref("b"), kept[0])), timeout=DEADLINE)

    assert caller.result() == "from the last one"


def test_who_gets_a_call_may_be_asked_something_else(place: Place, kind: str) -> None:
    pool = place.pool(kind, "a", "b")

    value = call(
        pool.ref("a"), Do(lambda got: delegate(pool.ref("b"), got, Echo("something else")))
    )

    assert value == "something else"


@pytest.mark.parametrize("wrong", [Tell(1), "text", Echo], ids=repr)
def test_what_is_no_command_is_named_and_the_call_not_handed_on(wrong: object) -> None:
    mailbox, target = Unlimited().create(), Unlimited().create()
    reply = ask(mailbox.new_input(), Echo("1"))
    received = mailbox.receive()

    with pytest.raises(TypeError, match="a command must be a Command") as raised:
        delegate(target.new_input(), received, wrong)

    assert repr(wrong) in str(raised.value)
    assert (len(target), received.command, reply.done()) == (0, Echo("1"), False)
