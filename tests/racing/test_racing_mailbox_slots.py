"""Staged: the free slots of a mailbox with a limit. No wake-up is lost, and no slot kept."""

from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.helpers import Running
from tests.mailbox.staging import Stage

WAITING = pytest.mark.parametrize(
    "config", [mb.Blocking(1), mb.Waiting(1, deliver_timeout=60)], ids=repr
)
END = pytest.mark.parametrize(
    "end",
    [lambda mailbox: mailbox.close(), lambda mailbox: mailbox.cancel(), lambda m: m.abandon()],
    ids=["close", "cancel", "abandon"],
)
type Ending = Callable[[mb.Mailbox[str]], None]


@WAITING
@END
def test_a_waiting_sender_wakes_although_another_holds_the_slot_that_closing_has_put(
    config: mb.MailboxConfig, end: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    before_wait = stage.stop("before slot get")
    mailbox = config.create(on_dead_letter=lambda message: None)
    deliver = mailbox.new_input().deliver
    deliver("first")
    waits = Running(lambda: deliver("waits"))
    before_wait.wait()
    end(mailbox)
    puts_back = stage.stop("before slot put")
    barges = Running(lambda: deliver("barges"))
    puts_back.wait()
    before_wait.go()

    puts_back.go()

    for sender in (barges, waits):
        with pytest.raises(mb.MailboxClosed):
            sender.result()
    assert mailbox.stats().senders_waiting == 0


@pytest.mark.parametrize(
    "config",
    [mb.Blocking(1), mb.Waiting(1, deliver_timeout=60), mb.NonBlocking(1)],
    ids=repr,
)
@END
def test_a_sender_does_not_wait_for_the_slot_that_closing_has_put(
    config: mb.MailboxConfig, end: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    mailbox = config.create(on_dead_letter=lambda message: None)
    deliver = mailbox.new_input().deliver
    deliver("first")
    end(mailbox)
    puts_back = stage.stop("before slot put")
    barges = Running(lambda: deliver("barges"))
    puts_back.wait()

    with pytest.raises(mb.MailboxClosed):
        deliver("comes")

    puts_back.go()
    with pytest.raises(mb.MailboxClosed):
        barges.result()


@END
def test_a_sender_whose_timeout_runs_out_while_the_mailbox_is_closed_raises(
    end: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    before_wait = stage.stop("before slot get")
    config = mb.Waiting(1, deliver_timeout=0.001)
    mailbox = config.create(on_dead_letter=lambda message: None)
    deliver = mailbox.new_input().deliver
    deliver("first")
    waits = Running(lambda: deliver("waits"))
    before_wait.wait()
    end(mailbox)
    puts_back = stage.stop("before slot put")
    barges = Running(lambda: deliver("barges"))
    puts_back.wait()

    before_wait.go()

    with pytest.raises(mb.MailboxClosed):
        waits.result()
    puts_back.go()
    with pytest.raises(mb.MailboxClosed):
        barges.result()


@WAITING
def test_a_sender_gets_the_room_that_came_after_it_looked_and_before_it_waited(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_wait = Stage(monkeypatch).stop("before slot get")
    mailbox = config.create()
    deliver = mailbox.new_input().deliver
    deliver("first")
    waits = Running(lambda: deliver("second"))
    before_wait.wait()

    received = mailbox.receive()
    before_wait.go()

    assert waits.result() is True
    assert received == "first"
    assert mailbox.receive(timeout=0) == "second"


@WAITING
def test_a_sender_that_was_woken_and_finds_the_room_gone_to_another_waits_on(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_wait = Stage(monkeypatch).stop("before slot get")
    mailbox = config.create()
    deliver = mailbox.new_input().deliver
    deliver("first")
    waits = Running(lambda: deliver("third"))
    before_wait.wait()
    received = [mailbox.receive()]
    assert deliver("second")

    before_wait.go()
    received += [mailbox.receive(), mailbox.receive()]

    assert waits.result() is True
    assert received == ["first", "second", "third"]


@WAITING
def test_a_sender_that_holds_the_only_slot_when_the_mailbox_is_closed_still_delivers_once(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stage(monkeypatch).stop("before put 'late'")
    mailbox = config.create()
    deliver = mailbox.new_input().deliver
    late = Running(lambda: deliver("late"))
    stop.wait()
    waits = Running(lambda: deliver("waits"))

    mailbox.close()
    with pytest.raises(mb.MailboxClosed):
        waits.result()
    stop.go()

    assert late.result() is True
    assert list(mailbox) == ["late"]
