"""`CatchAll`: what a faulty mailbox raises becomes `False`, or `MailboxEmpty`, and is logged."""

from collections.abc import Callable, Iterator

import pytest

import threadpool_mb as mb


class Fault(Exception):
    """What faulty mailboxes raise."""


class Faulty:
    """A mailbox, its config, its input and its future in one: everything raises, if told to."""

    limit = None

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.futures_raise_only = False

    def create(self, *, on_dead_letter: object = None) -> "Faulty":
        return self

    def new_input(self) -> "Faulty":
        return self

    def deliver(self, message: object, /) -> bool:
        raise self.error

    def receive(self, *, timeout: float | None = None) -> object:
        raise self.error

    def receive_many(self, max_messages: int, *, timeout: float | None = None) -> list[object]:
        raise self.error

    def try_receive(self) -> "Faulty":
        if not self.futures_raise_only:
            raise self.error
        return self

    def try_now(self) -> object:
        raise self.error

    def result(self, *, timeout: float | None = None) -> object:
        raise self.error

    def done(self) -> bool:
        raise self.error

    def __iter__(self) -> Iterator[object]:
        raise self.error


def faulty(error: BaseException) -> mb.Mailbox[object]:
    return mb.CatchAll(Faulty(error)).create()  # type: ignore[arg-type]


@pytest.fixture
def _quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Assert that each fault was logged with its traceback, and nothing printed."""
    yield
    records = caplog.get_records("call")
    assert records != []
    assert all(record.levelname == "ERROR" for record in records)
    assert all("Fault: broken" in str(record.exc_text) for record in records)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_quiet")
@pytest.mark.behaviour("CatchAllTest 2", "CatchAllTest 4")
@pytest.mark.parametrize("timeout", [None, 0, 0.001, 60])
def test_a_fault_of_receive_becomes_mailbox_empty(timeout: float | None) -> None:
    mailbox = faulty(Fault("broken"))

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=timeout)
    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive_many(3, timeout=timeout)
    with pytest.raises(mb.MailboxEmpty):
        list(mailbox)


@pytest.mark.usefixtures("_quiet")
@pytest.mark.behaviour("CatchAllTest 3")
def test_a_fault_of_try_receive_becomes_a_future_that_never_has_a_message() -> None:
    mailbox = faulty(Fault("broken"))

    future = mailbox.try_receive()

    assert [future.try_now() for _ in range(3)] == [mb.MISSING] * 3
    assert future.done() is False
    with pytest.raises(mb.MailboxEmpty):
        future.result()


@pytest.mark.usefixtures("_quiet")
def test_a_fault_of_a_future_becomes_nothing() -> None:
    wrapped = Faulty(Fault("broken"))
    wrapped.futures_raise_only = True
    mailbox: mb.Mailbox[object] = mb.CatchAll(wrapped).create()  # type: ignore[arg-type]

    future = mailbox.try_receive()

    assert future.try_now() is mb.MISSING
    assert future.done() is False
    with pytest.raises(mb.MailboxEmpty):
        future.result(timeout=1)


@pytest.mark.usefixtures("_quiet")
@pytest.mark.behaviour("CatchAllTest 5")
def test_a_fault_of_deliver_becomes_a_refusal() -> None:
    deliver = faulty(Fault("broken")).new_input().deliver

    assert [deliver("hello"), deliver("hello")] == [False, False]


OPERATIONS: list[Callable[[mb.Mailbox[object]], object]] = [
    lambda mailbox: mailbox.receive(),
    lambda mailbox: mailbox.receive_many(3),
    lambda mailbox: mailbox.try_receive(),
    lambda mailbox: mailbox.new_input().deliver("hello"),
]
NAMES = ["receive", "receive_many", "try_receive", "deliver"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
@pytest.mark.parametrize("error", [mb.MailboxClosed, mb.PoolClosed, mb.Cancelled, SystemExit])
def test_what_is_no_fault_passes_unlogged(
    error: type[BaseException],
    operation: Callable[[mb.Mailbox[object]], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mailbox = faulty(error("as it should be"))

    with pytest.raises(error, match="as it should be"):
        operation(mailbox)

    assert caplog.records == []


def test_an_empty_mailbox_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    mailbox = mb.CatchAll(mb.Unlimited()).create()

    with pytest.raises(mb.MailboxEmpty):
        mailbox.receive(timeout=0)

    assert caplog.records == []


def test_a_fault_of_create_passes() -> None:
    class NeverCreates:
        limit = None

        def create(self, *, on_dead_letter: object = None) -> mb.Mailbox[object]:
            raise Fault

    with pytest.raises(Fault):
        mb.CatchAll(NeverCreates()).create()  # type: ignore[arg-type]


def test_catching_all_twice_is_catching_all() -> None:
    mailbox = mb.CatchAll(mb.CatchAll(mb.NonBlocking(1))).create()
    deliver = mailbox.new_input().deliver

    assert [deliver(1), deliver(2)] == [True, False]
    assert mailbox.receive(timeout=0) == 1
