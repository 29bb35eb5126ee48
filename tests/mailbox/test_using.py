"""`handle_message`, and what is taken for a mailbox config."""

from collections.abc import Iterator

import pytest

import threadpool_mb as mb
from tests.helpers import Running
from tests.mailbox.staging import Stage
from threadpool_mb.mailbox.using import check_mailbox_config


@pytest.mark.behaviour("MessageBoxClassTest 1")
def test_without_a_message_the_callback_is_not_called() -> None:
    mailbox = mb.Unlimited().create()
    handled: list[object] = []

    with pytest.raises(mb.MailboxEmpty):
        mb.originals.handle_message(mailbox, handled.append, timeout=0)
    mailbox.close()
    with pytest.raises(mb.MailboxClosed):
        mb.originals.handle_message(mailbox, handled.append)
    mailbox.cancel()
    with pytest.raises(mb.Cancelled):
        mb.originals.handle_message(mailbox, handled.append)

    assert handled == []


@pytest.mark.behaviour("MessageBoxClassTest 2")
def test_the_callback_gets_the_message_and_its_result_is_returned() -> None:
    mailbox = mb.Unlimited().create()
    mailbox.new_input().deliver(21)

    result = mb.originals.handle_message(mailbox, lambda message: message * 2)

    assert result == 42
    assert len(mailbox) == 0


def test_handling_a_message_waits_for_it(stage: Stage) -> None:
    mailbox = mb.Unlimited().create()
    handler = Running(lambda: mb.originals.handle_message(mailbox, str, timeout=60))
    stage.until_receiver_waits()

    mailbox.new_input().deliver(42)

    assert handler.result() == "42"


def test_what_the_callback_raises_passes_and_the_message_is_gone() -> None:
    mailbox = mb.Unlimited().create()
    for message in (0, 1):
        mailbox.new_input().deliver(message)

    with pytest.raises(ZeroDivisionError):
        mb.originals.handle_message(mailbox, lambda message: 1 // message)

    assert mailbox.receive_many(5) == [1]


def test_a_message_of_a_users_own_mailbox_is_handled() -> None:
    class Always42:
        def receive(self, *, timeout: float | None = None) -> int:
            return 42

        def __iter__(self) -> Iterator[int]:
            raise NotImplementedError

    assert mb.originals.handle_message(Always42(), str) == "42"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config", [mb.Unlimited(), mb.Blocking(1), mb.CatchAll(mb.Unlimited())], ids=repr
)
def test_a_config_is_taken_for_one(config: mb.MailboxConfig) -> None:
    assert check_mailbox_config(config) is config


@pytest.mark.parametrize("bad", [None, 16, "Unlimited", mb.Unlimited, mb.Blocking], ids=repr)
def test_what_creates_no_mailboxes_is_refused_by_its_value(bad: object) -> None:
    with pytest.raises(TypeError, match=r"^inbox must be a mailbox config .*, not ") as raised:
        check_mailbox_config(bad, "inbox")

    assert str(raised.value).endswith(f"not {bad!r}")
