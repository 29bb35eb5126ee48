"""Staged: closing against delivering. Every accepted message is received or dead, exactly once."""

from collections.abc import Callable

import pytest

import threadpool_mb as mb
from tests.conformance.configs import EVERY, ROOM_FOR_TWO
from tests.helpers import Running
from tests.mailbox.staging import Stage
from threadpool_mb.line.inlet import Marker

EACH = pytest.mark.parametrize("config", EVERY, ids=repr)
ROOMY = pytest.mark.parametrize("config", ROOM_FOR_TWO, ids=repr)


def close_and_drain(mailbox: mb.Mailbox[str]) -> None:
    mailbox.close()
    assert list(mailbox) == []


def cancel_and_abandon(mailbox: mb.Mailbox[str]) -> None:
    mailbox.cancel()
    mailbox.abandon()


def abandon(mailbox: mb.Mailbox[str]) -> None:
    mailbox.abandon()


@EACH
@pytest.mark.parametrize("end", [close_and_drain, cancel_and_abandon, abandon])
def test_a_message_that_is_put_after_the_receivers_last_look_becomes_a_dead_letter_once(
    config: mb.MailboxConfig,
    end: Callable[[mb.Mailbox[str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = Stage(monkeypatch).stop("before put 'late'")
    dead: list[str] = []
    mailbox = config.create(on_dead_letter=dead.append)
    sender = Running(lambda: mailbox.new_input().deliver("late"))
    stop.wait()

    end(mailbox)
    stop.go()

    assert sender.result() is True
    assert dead == ["late"]
    assert len(mailbox) == 0
    mailbox.abandon()
    assert dead == ["late"]


@EACH
def test_a_message_that_is_put_after_closing_but_before_the_last_look_is_received(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stage(monkeypatch).stop("before put 'late'")
    dead: list[str] = []
    mailbox = config.create(on_dead_letter=dead.append)
    sender = Running(lambda: mailbox.new_input().deliver("late"))
    stop.wait()
    mailbox.close()
    stop.go()
    delivered = sender.result()

    received = list(mailbox)
    mailbox.abandon()

    assert delivered is True
    assert received == ["late"]
    assert dead == []


@EACH
def test_a_message_that_comes_between_done_and_the_last_look_is_received_if_not_swept_before(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    before_put, after_put = stage.stop("before put 'late'"), stage.stop("after put 'late'")
    last_look = stage.stop("before get_nowait", skip=1)
    dead: list[str] = []
    mailbox = config.create(on_dead_letter=dead.append)
    sender = Running(lambda: mailbox.new_input().deliver("late"))
    before_put.wait()
    mailbox.close()
    receiver = Running(lambda: list(mailbox))
    last_look.wait()
    before_put.go()
    after_put.wait()

    last_look.go()
    received = receiver.result()
    after_put.go()

    assert sender.result() is True
    assert received == ["late"]
    assert dead == []


@EACH
def test_a_message_that_comes_between_done_and_the_last_look_dies_if_it_is_swept_before(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    before_put = stage.stop("before put 'late'")
    last_look = stage.stop("before get_nowait", skip=1)
    dead: list[str] = []
    mailbox = config.create(on_dead_letter=dead.append)
    sender = Running(lambda: mailbox.new_input().deliver("late"))
    before_put.wait()
    mailbox.close()
    receiver = Running(lambda: list(mailbox))
    last_look.wait()

    before_put.go()
    delivered = sender.result()
    last_look.go()

    assert delivered is True
    assert receiver.result() == []
    assert dead == ["late"]


@ROOMY
def test_a_late_sender_does_not_steal_the_backlog_from_a_receiver_that_is_still_draining(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stage(monkeypatch).stop("before put 'late'")
    dead: list[str] = []
    mailbox = config.create(on_dead_letter=dead.append)
    mailbox.new_input().deliver("early")
    sender = Running(lambda: mailbox.new_input().deliver("late"))
    stop.wait()
    mailbox.close()

    stop.go()
    delivered = sender.result()

    assert delivered is True
    assert dead == []
    assert list(mailbox) == ["early", "late"]


@EACH
def test_a_receiver_wakes_although_a_sweeping_sender_holds_the_end_marker(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    before_put = stage.stop("before put 'late'")
    # The owner puts the marker when it shuts, and again after its own sweep.
    holds_end = stage.stop(f"before put {Marker!r}", skip=2)
    dead: list[str] = []
    mailbox = config.create(on_dead_letter=dead.append)
    sender = Running(lambda: mailbox.new_input().deliver("late"))
    before_put.wait()
    mailbox.abandon()
    before_put.go()
    holds_end.wait()
    receiver = Running(mailbox.receive)
    stage.until_receiver_waits()

    holds_end.go()

    with pytest.raises(mb.MailboxClosed):
        receiver.result()
    assert sender.result() is True
    assert dead == ["late"]


@EACH
def test_a_message_that_was_delivered_while_the_receiver_is_cancelled_is_swept_once(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stage(monkeypatch).stop("after put 'late'")
    dead: list[str] = []
    mailbox = config.create(on_dead_letter=dead.append)
    sender = Running(lambda: mailbox.new_input().deliver("late"))
    stop.wait()
    mailbox.cancel()
    with pytest.raises(mb.Cancelled):
        mailbox.receive()

    mailbox.abandon()
    stop.go()

    assert sender.result() is True
    assert dead == ["late"]


@EACH
def test_the_length_is_right_while_the_mailbox_is_being_closed(
    config: mb.MailboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stage(monkeypatch).stop(f"before put {Marker!r}")
    mailbox = config.create()
    mailbox.new_input().deliver("early")
    closer = Running(mailbox.close)
    stop.wait()

    length = len(mailbox)
    stop.go()
    closer.result()

    assert length == 1
    assert len(mailbox) == 1
