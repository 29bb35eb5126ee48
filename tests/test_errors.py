"""Every error subclasses what people already catch."""

import contextlib
import pickle
import queue

import pytest

import threadpool_mb as mb


@pytest.mark.parametrize(
    ("error", "caught_as"),
    [
        (mb.MailboxEmpty, queue.Empty),
        (mb.MailboxClosed, queue.ShutDown),
        (mb.PoolClosed, mb.MailboxClosed),
        (mb.ThreadRefused, RuntimeError),
        (mb.Cancelled, BaseException),
    ],
)
def test_an_error_is_caught_as_what_people_already_catch(
    error: type[BaseException], caught_as: type[BaseException]
) -> None:
    with pytest.raises(caught_as, match="why") as raised:
        raise error("why")

    assert raised.type is error


def test_an_except_exception_does_not_swallow_a_cancellation() -> None:
    mailbox = mb.Unlimited().create()
    mailbox.cancel()

    def work() -> None:
        with contextlib.suppress(Exception):
            mailbox.receive()

    with pytest.raises(mb.Cancelled):
        work()


def test_empty_and_closed_are_told_apart() -> None:
    assert not issubclass(mb.MailboxEmpty, queue.ShutDown)
    assert not issubclass(mb.MailboxClosed, queue.Empty)
    assert not issubclass(mb.Cancelled, Exception)


@pytest.mark.parametrize(
    "error", [mb.MailboxEmpty, mb.MailboxClosed, mb.PoolClosed, mb.ThreadRefused, mb.Cancelled]
)
def test_an_error_survives_pickling(error: type[BaseException]) -> None:
    found = pickle.loads(pickle.dumps(error("why", 3)))  # noqa: S301 - our own

    assert type(found) is error
    assert found.args == ("why", 3)
