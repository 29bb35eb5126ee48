"""`try_receive`: claims on the next messages, filled in the order in which they were taken."""

import gc

import pytest

import threadpool_mb as mb
from tests.helpers import Running
from tests.mailbox.staging import Stage


@pytest.mark.behaviour("MessageBoxClassTest 9")
def test_of_two_futures_the_first_gets_the_only_message(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    mailbox.new_input().deliver("hello")
    first, second = mailbox.try_receive(), mailbox.try_receive()

    messages = (first.try_now(), second.try_now())

    assert messages == ("hello", mb.MISSING)


@pytest.mark.behaviour("MessageBoxClassTest 10")
def test_a_future_remembers_its_message_when_the_next_future_gets_the_next(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    deliver = mailbox.new_input().deliver
    deliver(1)
    first, second = mailbox.try_receive(), mailbox.try_receive()
    before = (first.try_now(), second.try_now())

    deliver(2)
    after = (second.result(), first.result(timeout=0), first.try_now(), second.try_now())

    assert before == (1, mb.MISSING)
    assert after == (2, 1, 1, 2)


@pytest.mark.behaviour("MessageBoxClassTest 11")
def test_two_futures_that_are_awaited_at_once_get_two_messages_in_order(
    roomy: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = roomy.create()
    deliver = mailbox.new_input().deliver
    first, second = mailbox.try_receive(), mailbox.try_receive()
    receivers = [Running(first.result)]
    stage.until_receiver_waits()
    receivers.append(Running(lambda: second.result(timeout=60)))

    delivered = [deliver(1), deliver(2)]

    assert delivered == [True, True]
    assert [receiver.result() for receiver in receivers] == [1, 2]


def test_the_thread_that_waits_for_the_second_future_fills_the_first(
    roomy: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = roomy.create()
    deliver = mailbox.new_input().deliver
    first, second = mailbox.try_receive(), mailbox.try_receive()
    receiver = Running(second.result)
    stage.until_receiver_waits()

    deliver(1)
    deliver(2)

    assert receiver.result() == 2
    assert first.done()
    assert first.try_now() == 1


def test_a_thread_that_waits_for_a_future_does_not_keep_those_alive_that_it_has_filled(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    first, second = mailbox.try_receive(), mailbox.try_receive()
    receiver = Running(second.result)
    stage.until_receiver_waits()
    mailbox.new_input().deliver("hello")
    stage.until_receiver_waits()

    del first
    gc.collect()

    assert receiver.result() == "hello"


def test_a_receive_behind_an_unfilled_future_gets_the_message_after_it(
    roomy: mb.MailboxConfig,
) -> None:
    mailbox = roomy.create()
    future = mailbox.try_receive()
    for message in (1, 2):
        mailbox.new_input().deliver(message)

    received = mailbox.receive(timeout=0)

    assert received == 2
    assert future.try_now() == 1


def test_a_receive_that_found_only_the_message_of_a_future_leaves_no_claim(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    future = mailbox.try_receive()
    mailbox.new_input().deliver(1)

    with pytest.raises(mb.MailboxEmpty) as kept:
        mailbox.receive(timeout=0)
    mailbox.new_input().deliver(2)

    # Also while the error is kept, and all that its traceback refers to.
    assert kept.tb is not None
    assert mailbox.receive(timeout=0) == 2
    assert future.try_now() == 1


def test_a_future_that_is_dropped_unfilled_gives_its_claim_back(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    dropped, kept = mailbox.try_receive(), mailbox.try_receive()
    nothing = dropped.try_now()

    del dropped
    gc.collect()
    mailbox.new_input().deliver("hello")

    assert nothing is mb.MISSING
    assert kept.try_now() == "hello"


def test_no_message_is_lost_to_a_future_that_is_dropped_unfilled(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()

    mailbox.try_receive()
    gc.collect()
    mailbox.new_input().deliver("hello")

    assert mailbox.receive(timeout=0) == "hello"


def test_a_future_that_is_dropped_filled_but_unread_puts_its_message_back_at_the_end(
    roomy: mb.MailboxConfig,
) -> None:
    mailbox = roomy.create()
    future = mailbox.try_receive()
    mailbox.new_input().deliver(1)
    done = future.done()
    mailbox.new_input().deliver(2)

    del future
    gc.collect()

    assert done is True
    assert len(mailbox) == 2
    assert [mailbox.receive(), mailbox.receive()] == [2, 1]


def test_a_future_that_is_dropped_after_it_was_read_puts_nothing_back(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    future = mailbox.try_receive()
    mailbox.new_input().deliver("hello")
    message = future.result()

    del future
    gc.collect()

    assert message == "hello"
    assert len(mailbox) == 0


def test_a_message_put_back_into_a_mailbox_that_was_closed_is_received(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    future = mailbox.try_receive()
    mailbox.new_input().deliver("hello")
    assert future.done()
    mailbox.close()

    del future
    gc.collect()

    assert list(mailbox) == ["hello"]


def test_a_message_put_back_into_a_mailbox_that_is_done_becomes_a_dead_letter_once(
    config: mb.MailboxConfig,
) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)
    future = mailbox.try_receive()
    mailbox.new_input().deliver("hello")
    assert future.done()
    mailbox.close()
    rest = list(mailbox)

    del future
    gc.collect()

    assert rest == []
    assert dead == ["hello"]
    assert list(mailbox) == []


def test_a_result_that_times_out_keeps_its_claim(config: mb.MailboxConfig) -> None:
    mailbox = config.create()
    first, second = mailbox.try_receive(), mailbox.try_receive()

    for timeout in (0, 0.001):
        with pytest.raises(mb.MailboxEmpty):
            first.result(timeout=timeout)
    mailbox.new_input().deliver("hello")

    assert second.try_now() is mb.MISSING
    assert first.result(timeout=0) == "hello"


def test_one_future_may_be_awaited_by_two_threads(config: mb.MailboxConfig, stage: Stage) -> None:
    mailbox = config.create()
    future = mailbox.try_receive()
    receivers = [Running(future.result), Running(lambda: future.result(timeout=60))]
    stage.until_receiver_waits()

    mailbox.new_input().deliver("hello")

    assert [receiver.result() for receiver in receivers] == ["hello", "hello"]


def test_looking_at_a_future_that_another_thread_awaits_does_not_block(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    first, second = mailbox.try_receive(), mailbox.try_receive()
    receiver = Running(first.result)
    stage.until_receiver_waits()

    looks = (second.try_now(), second.done(), first.try_now(), first.done())

    assert looks == (mb.MISSING, False, mb.MISSING, False)
    mailbox.new_input().deliver("hello")
    assert receiver.result() == "hello"


def test_a_thread_whose_leader_gives_up_waits_on_by_itself(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    first, second = mailbox.try_receive(), mailbox.try_receive()
    stop = stage.stop("before get")
    leader = Running(lambda: second.result(timeout=0))
    stop.wait()
    follower = Running(lambda: first.result(timeout=60))

    stop.go()
    with pytest.raises(mb.MailboxEmpty):
        leader.result()
    mailbox.new_input().deliver("hello")

    assert follower.result() == "hello"


def test_futures_of_a_mailbox_that_was_closed_get_what_it_holds_and_then_raise(
    config: mb.MailboxConfig,
) -> None:
    mailbox = config.create()
    first, second = mailbox.try_receive(), mailbox.try_receive()
    mailbox.new_input().deliver("hello")
    mailbox.close()

    message = first.try_now()

    assert message == "hello"
    with pytest.raises(mb.MailboxClosed):
        second.try_now()
    with pytest.raises(mb.MailboxClosed):
        second.result()
    assert second.done() is False
    assert first.result() == "hello"


def test_closing_wakes_the_threads_that_wait_for_futures(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    futures = [mailbox.try_receive() for _ in range(3)]
    receivers = [Running(future.result) for future in futures]
    stage.until_receiver_waits()

    mailbox.close()

    for receiver in receivers:
        with pytest.raises(mb.MailboxClosed):
            receiver.result()


def test_futures_of_a_cancelled_mailbox_raise_cancelled_unless_they_are_filled(
    roomy: mb.MailboxConfig,
) -> None:
    mailbox = roomy.create()
    first, second = mailbox.try_receive(), mailbox.try_receive()
    for message in (1, 2):
        mailbox.new_input().deliver(message)
    assert first.done()

    mailbox.cancel()

    assert first.result() == 1
    with pytest.raises(mb.Cancelled):
        second.try_now()
    with pytest.raises(mb.Cancelled):
        second.result(timeout=0)
    assert second.done() is False


def test_cancelling_wakes_the_threads_that_wait_for_futures(
    config: mb.MailboxConfig, stage: Stage
) -> None:
    mailbox = config.create()
    futures = [mailbox.try_receive() for _ in range(3)]
    receivers = [Running(future.result) for future in futures]
    stage.until_receiver_waits()

    mailbox.cancel()

    for receiver in receivers:
        with pytest.raises(mb.Cancelled):
            receiver.result()


def test_a_future_may_hold_none_and_false(roomy: mb.MailboxConfig) -> None:
    mailbox = roomy.create()
    for message in (None, False):
        mailbox.new_input().deliver(message)
    first, second = mailbox.try_receive(), mailbox.try_receive()

    messages = (first.try_now(), second.try_now())

    assert messages == (None, False)
    assert (first.done(), second.done()) == (True, True)
