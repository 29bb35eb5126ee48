"""Any object is a message, and comes out as it went in."""

import pytest

import threadpool_mb as mb


class Unfriendly:
    """Raises in all that a mailbox has no business to ask a message."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise AssertionError

    def __repr__(self) -> str:
        raise AssertionError

    def __len__(self) -> int:
        raise AssertionError


def messages() -> dict[str, object]:
    """What a mailbox might mistake for something of its own, by name."""
    return {
        "None": None,
        "False": False,
        "zero": 0,
        "the string None": "None",
        "an empty tuple": (),
        "Ellipsis": ...,
        "NotImplemented": NotImplemented,
        "an exception": mb.MailboxClosed(),
        "the class of an exception": mb.Cancelled,
        "an unfriendly object": Unfriendly(),
        "a class": object,
    }


ANY_MESSAGE = pytest.mark.parametrize("message", messages().values(), ids=messages())


@ANY_MESSAGE
def test_any_object_is_received_as_it_was_delivered(
    config: mb.MailboxConfig, message: object
) -> None:
    mailbox = config.create()

    assert mailbox.new_input().deliver(message)

    assert mailbox.receive() is message


@ANY_MESSAGE
def test_any_object_is_received_among_many(config: mb.MailboxConfig, message: object) -> None:
    mailbox = config.create()

    assert mailbox.new_input().deliver(message)

    [received] = mailbox.receive_many(2)
    assert received is message


@ANY_MESSAGE
def test_any_object_comes_out_of_a_loop_over_a_mailbox_that_was_closed(
    config: mb.MailboxConfig, message: object
) -> None:
    mailbox = config.create()
    assert mailbox.new_input().deliver(message)
    mailbox.close()

    [received] = mailbox

    assert received is message


@ANY_MESSAGE
def test_any_object_fills_a_future(config: mb.MailboxConfig, message: object) -> None:
    mailbox = config.create()
    future = mailbox.try_receive()
    assert mailbox.new_input().deliver(message)

    received = (future.done(), future.try_now(), future.result())

    assert received[0] is True
    assert received[1] is message
    assert received[2] is message


@ANY_MESSAGE
def test_any_object_becomes_a_dead_letter(config: mb.MailboxConfig, message: object) -> None:
    dead: list[object] = []
    mailbox = config.create(on_dead_letter=dead.append)
    assert mailbox.new_input().deliver(message)

    mailbox.abandon()

    [letter] = dead
    assert letter is message


@ANY_MESSAGE
def test_any_object_dies_quietly_without_a_hook(
    config: mb.MailboxConfig, message: object, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox = config.create()
    assert mailbox.new_input().deliver(message)

    mailbox.abandon()

    assert [record.levelname for record in caplog.records] == ["WARNING"]
