"""What users send, and what receivers get."""

import pytest

from tests.calls.doubles import Echo, Tell, asked
from threadpool_mb import Call, Cast, CatchAll, Unlimited, ask, cast
from threadpool_mb.dead_letters import Informed


@pytest.mark.behaviour("CommandTest 1")
def test_a_call_shows_its_command_and_its_id_and_a_cast_shows_its_notice() -> None:
    reply, box = asked()

    assert repr(Call(Echo("123"), box)) == f"<Call Echo(text='123') {reply.call_id}>"
    assert repr(Cast(Tell(123))) == "<Cast Tell(number=123)>"


@pytest.mark.behaviour("CommandTest 23")
@pytest.mark.parametrize("config", [Unlimited(), CatchAll(Unlimited())], ids=repr)
def test_a_message_shows_the_same_when_it_has_come_through_a_mailbox(config: Unlimited) -> None:
    mailbox = config.create()
    reply = ask(mailbox.new_input(), Echo("123"))
    cast(mailbox.new_input(), Tell(123))

    received, told = mailbox.receive(), mailbox.receive()

    assert repr(received) == f"<Call Echo(text='123') {reply.call_id}>"
    assert repr(told) == "<Cast Tell(number=123)>"


def test_a_receiver_tells_calls_and_casts_apart_by_match() -> None:
    mailbox = Unlimited().create()
    reply = ask(mailbox.new_input(), Echo("123"))
    cast(mailbox.new_input(), Tell(123))

    match mailbox.receive():
        case Call(Echo(text), box):
            box.reply(text)
    match mailbox.receive():
        case Cast(Tell(number)):
            told = number

    assert (reply.result(), told) == ("123", 123)


def test_casts_of_equal_notices_are_equal_and_calls_of_equal_commands_are_not() -> None:
    assert Cast(Tell(1)) == Cast(Tell(1))
    assert Cast(Tell(1)) != Cast(Tell(2))
    assert Call(Echo("1"), asked()[1]) != Call(Echo("1"), asked()[1])


def test_a_call_wants_to_be_told_what_becomes_of_it_and_a_cast_does_not() -> None:
    assert isinstance(Call(Echo("1"), asked()[1]), Informed)
    assert not isinstance(Cast(Tell(1)), Informed)


def test_who_wants_to_be_told_says_how() -> None:
    with pytest.raises(NotImplementedError):
        Informed()._not_handled("a", "why")


def test_a_reply_box_shows_the_id_of_its_call_and_has_it() -> None:
    reply, box = asked()

    assert repr(box) == f"<ReplyBox {reply.call_id}>"
    assert box.call_id == reply.call_id
