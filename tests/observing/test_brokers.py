"""What observers are told of a broker's messages."""

import threading
from typing import Any

import pytest

from tests.helpers import until
from tests.observing.recording import Recording, Twice
from tests.pool.doubles import Intercepting
from threadpool_mb import (
    Blocking,
    Broker,
    BrokerConfig,
    Call,
    CallNotDelivered,
    Dispatch,
    Initialize,
    KeepResource,
    MailboxConfig,
    NonBlocking,
    Prioritized,
    Sliding,
    Unlimited,
    call,
)
from threadpool_mb.values import MISSING

THREADS = pytest.mark.parametrize("max_threads", [None, 2])


def _demultiplex(message: object) -> Initialize[str, Any] | Dispatch[str, Any]:
    match message:
        case Call():
            return Dispatch("calls", message)
        case ("begin", key):
            return Initialize(key)
        case ("begin", key, work):
            return Initialize(key, work)
        case (key, work):
            return Dispatch(key, work)
    raise ValueError(message)


def config_of(
    handled: list[Any], go_on: threading.Event | None = None
) -> BrokerConfig[Any, str, Any, Any]:
    """Return functions that keep what they are called with: messages are pairs, or calls."""

    def handle(key: str, work: object, _resource: object) -> KeepResource:
        handled.append((key, work))
        if go_on is not None:
            go_on.wait(15)
        match work:
            case Call(Twice() as command, box):
                box.reply(2 * command.number)
            case Call() | "bad":
                raise ValueError("handle's")
        return KeepResource()

    def create(key: str, work: object) -> str:
        handled.append(("create", key, work))
        return key

    return BrokerConfig(_demultiplex, create, handle, lambda _key, _resource: None)


@THREADS
@pytest.mark.parametrize(
    "mailbox",
    [Unlimited(), Blocking(2), Sliding(9), Prioritized(Blocking(9), lambda pair: 0 * len(pair))],
)
def test_a_message_is_told_as_sent_then_begun_then_done(
    max_threads: int | None, mailbox: MailboxConfig
) -> None:
    observer = Recording()
    handled = list[Any]()
    message = ("a", "work")

    with Broker(
        config_of(handled),
        observe=observer,
        start="on_demand",
        name="files",
        max_threads=max_threads,
        mailbox=mailbox,
    ) as broker:
        broker.input.deliver(message)

    assert handled == [("create", "a", "work"), ("a", "work")]
    assert observer.events == [
        ("attach", "files"),
        ("sent", MISSING, message),
        ("begun", "a", "work", ("with", message)),
        ("done", "a", "work", ("in hand", "work"), None),
        ("detach", "files"),
    ]


@THREADS
def test_what_handle_raises_is_told(max_threads: int | None) -> None:
    observer = Recording()

    with Broker(
        config_of([]), observe=observer, start="on_demand", max_threads=max_threads
    ) as broker:
        broker.input.deliver(("a", "bad"))
        broker.input.deliver(("a", "good"))

    assert observer.of("done") == [
        ("done", "a", "bad", ("in hand", "bad"), 'ValueError("handle\'s")'),
        ("done", "a", "good", ("in hand", "good"), None),
    ]


@THREADS
def test_a_message_that_creates_a_resource_is_told_if_it_is_handled(
    max_threads: int | None,
) -> None:
    observer = Recording()
    handled = list[Any]()

    with Broker(config_of(handled), observe=observer, max_threads=max_threads) as broker:
        broker.input.deliver(("begin", "a"))
        broker.input.deliver(("begin", "b", "work"))

    assert sorted(handled, key=lambda each: (len(each), each[:2])) == [
        ("b", "work"),
        ("create", "a", MISSING),
        ("create", "b", "work"),
    ]
    assert observer.of("begun") == [("begun", "b", "work", ("with", ("begin", "b", "work")))]


@THREADS
def test_calls_are_answered_and_told(max_threads: int | None) -> None:
    observer = Recording()

    with Broker(
        config_of([]), observe=observer, start="on_demand", max_threads=max_threads
    ) as broker:
        assert call(broker.input, Twice(4)) == 8
    with (
        Broker(config_of([]), start="explicit", observe=Recording()) as broker,
        pytest.raises(CallNotDelivered),
    ):
        call(broker.input, Twice(4))

    (begun,) = observer.of("begun")
    assert begun[1] == "calls"
    assert isinstance(begun[2], Call)


@THREADS
def test_dead_letters_have_the_plain_message(max_threads: int | None) -> None:
    observer = Recording()
    letters = list[Any]()

    with Broker(
        config_of([]),
        observe=observer,
        max_threads=max_threads,
        on_dead_letter=lambda letter: letters.append((letter.key, letter.message)),
    ) as broker:
        broker.input.deliver(("unknown", "work"))
        broker.input.deliver("no address")

    assert sorted(letters, key=str) == [("unknown", "work"), (MISSING, "no address")]
    assert sorted(observer.of("dead_letter"), key=str) == [
        ("dead_letter", "unknown", "work", "unknown key"),
        ("dead_letter", MISSING, "no address", "demultiplex failed"),
    ]


def test_a_displaced_message_is_told() -> None:
    observer = Recording()
    handled, go_on = list[Any](), threading.Event()

    with Broker(
        config_of(handled, go_on), observe=observer, start="on_demand", mailbox=Sliding(1)
    ) as broker:
        broker.input.deliver(("a", 1))
        until(lambda: len(handled) == 2)
        broker.input.deliver(("a", 2))
        broker.input.deliver(("a", 3))
        go_on.set()

    assert observer.of("displaced") == [("displaced", MISSING, ("a", 2))]
    assert [each[2] for each in observer.of("begun")] == [1, 3]


def test_a_refused_message_is_the_senders() -> None:
    observer = Recording()
    handled, go_on = list[Any](), threading.Event()

    with Broker(
        config_of(handled, go_on), observe=observer, start="on_demand", mailbox=NonBlocking(1)
    ) as broker:
        broker.input.deliver(("a", 1))
        until(lambda: len(handled) == 2)
        assert broker.input.deliver(("a", 2))
        assert not broker.input.deliver(("a", 3))
        go_on.set()

    assert [each[2] for each in observer.of("sent")] == [("a", 1), ("a", 2)]


def test_a_users_own_kind_of_mailbox_gets_plain_messages() -> None:
    observer = Recording()
    delivered = list[Any]()

    with Broker(
        config_of([]),
        observe=observer,
        start="on_demand",
        mailbox=Intercepting(deliver=delivered.append),
    ) as broker:
        broker.input.deliver(("a", 1))

    assert delivered == [("a", 1)]
    assert observer.of("sent") == [("sent", MISSING, ("a", 1))]
    assert observer.of("begun") == [("begun", "a", 1, None)]


@THREADS
def test_a_brokers_figures_can_be_read_also_after_its_end(max_threads: int | None) -> None:
    observer = Recording()
    handled, go_on = list[Any](), threading.Event()

    with Broker(
        config_of(handled, go_on),
        observe=observer,
        start="on_demand",
        name="files",
        max_threads=max_threads,
    ) as broker:
        broker.input.deliver(("a", 1))
        until(lambda: len(handled) == 2)
        broker.input.deliver(("a", 2))
        until(lambda: observer.stats().waiting == 1)
        stats = observer.stats()
        go_on.set()

    assert (stats.name, stats.state, stats.keys) == ("files", "running", 1)
    assert stats.threads == (1 if max_threads is None else 2)
    assert observer.stats().state == "ended"
    assert observer.stats().threads == 0
