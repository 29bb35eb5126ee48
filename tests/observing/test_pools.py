"""What observers are told of a pool's workers, and of messages that are not handled."""

import threading
from collections.abc import Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE, until
from tests.insides import NEVER_BY_ITSELF, look_twice, watch_of
from tests.observing.recording import KINDS, Kind, Recording, worker_of
from threadpool_mb import (
    Mailbox,
    MailboxConfig,
    NonBlocking,
    Observer,
    Pool,
    PoolStats,
    Restart,
    Sliding,
    ThreadRefused,
    WorkerExit,
)

both_kinds = pytest.mark.parametrize("kind", KINDS)


@both_kinds
def test_a_pool_is_attached_once_it_is_made_and_detached_once_it_has_ended(kind: Kind) -> None:
    observer = Recording()

    with Pool(worker_of(kind), name="orders", observe=observer) as pool:
        assert observer.events == [("attach", "orders")]
        assert observer.stats() == pool.stats()
        pool.initialize("a")

    assert observer.events[-1] == ("detach", "orders")
    assert len(observer.of("attach", "detach")) == 2
    stats = observer.stats()
    assert isinstance(stats, PoolStats)
    assert stats.state == "ended"


def test_a_pool_that_gets_no_thread_is_not_attached(refusing: threading.Event) -> None:
    observer = Recording()
    refusing.set()

    with pytest.raises(ThreadRefused):
        Pool(worker_of("generator"), observe=observer)

    assert observer.events == []


@both_kinds
def test_a_worker_is_told_as_started_and_as_ended(kind: Kind) -> None:
    observer = Recording()

    with Pool(worker_of(kind), observe=observer) as pool:
        pool.initialize("a")
        pool.flush("a")
        pool.remove("a")
        until(lambda: observer.of("ended"))
        pool.initialize("a", "bad")
        until(lambda: len(observer.of("ended")) == 2)
        pool.initialize("a")

    assert observer.of("started", "ended") == [
        ("started", "a", 1),
        ("ended", "a", "removed"),
        ("started", "a", 2),
        ("ended", "a", "failed"),
        ("started", "a", 3),
        ("ended", "a", "drained"),
    ]


def test_a_quick_end_that_nobody_else_has_to_be_told_of_is_told() -> None:
    class Ends(Observer):
        def __init__(self) -> None:
            self.exits = list[WorkerExit[Any]]()

        def ended(self, worker_exit: WorkerExit[Any], /) -> None:
            self.exits.append(worker_exit)

    def worker(_key: object) -> Generator[None, Any]:
        yield

    observer = Ends()
    with Pool[int, Any](worker, observe=observer) as pool:
        for key in range(20):
            pool.initialize(key, "x")

    assert sorted(each.key for each in observer.exits) == list(range(20))
    assert {each.cause for each in observer.exits} <= {"returned", "drained"}


@both_kinds
def test_a_worker_that_starts_again_is_told_as_ended_then_restarted_then_started(
    kind: Kind,
) -> None:
    observer = Recording()

    with Pool(worker_of(kind), observe=observer, restart=Restart(delay=0.001)) as pool:
        pool.initialize("a", "bad")
        pool.dispatch("a", "x")
        until(lambda: len(observer.of("started")) == 2)

    assert observer.of("started", "ended", "restarted") == [
        ("started", "a", 1),
        ("ended", "a", "failed"),
        ("restarted", "a", "failed"),
        ("started", "a", 2),
        ("ended", "a", "drained"),
    ]


@both_kinds
def test_the_hooks_are_called_first_and_whatever_they_raise_observers_are_told(
    kind: Kind,
) -> None:
    observer = Recording()

    def hook(_: object) -> None:
        observer.events.append(("hook",))
        raise ValueError("the hook's")

    with Pool(worker_of(kind), observe=observer, on_worker_exit=hook, on_dead_letter=hook) as pool:
        pool.initialize("a")
        pool.dispatch("unknown", "x")

    assert observer.of("hook", "dead_letter", "ended") == [
        ("hook",),
        ("dead_letter", "unknown", "x", "unknown key"),
        ("hook",),
        ("ended", "a", "drained"),
    ]


@both_kinds
@pytest.mark.parametrize(
    ("mailbox", "event", "message", "reason"),
    [
        (NonBlocking(1), "refused", 2, "refused by the limit"),
        (Sliding(1), "displaced", 1, "displaced"),
    ],
)
def test_what_a_full_mailbox_does_is_told(
    kind: Kind,
    mailbox: MailboxConfig,
    event: str,
    message: int,
    reason: str,
) -> None:
    observer = Recording()
    inside, go_on = threading.Event(), threading.Event()

    def generator(_key: object) -> Generator[None, Any]:
        inside.set()
        go_on.wait(15)
        while True:
            yield

    def function(_key: object, mailbox: Mailbox[Any]) -> None:
        inside.set()
        go_on.wait(15)
        list(mailbox)

    worker: Any = generator if kind == "generator" else function
    with Pool[str, int](worker, observe=observer, mailbox=mailbox) as pool:
        pool.initialize("a")
        inside.wait(15)
        pool.dispatch("a", 1)
        pool.dispatch("a", 2)
        go_on.set()

    assert observer.of("refused", "expired", "displaced", "dead_letter") == [
        (event, "a", message),
        ("dead_letter", "a", message, reason),
    ]


def test_a_message_that_has_waited_for_too_long_is_told() -> None:
    observer = Recording()
    inside, go_on = threading.Event(), threading.Event()

    def worker(_key: object) -> Generator[None, Any]:
        inside.set()
        go_on.wait(15)
        while True:
            yield

    with Pool[str, str](worker, observe=observer, message_ttl=1e-9) as pool:
        pool.initialize("a")
        inside.wait(15)
        pool.dispatch("a", "x")
        go_on.set()

    assert observer.of("sent", "expired", "dead_letter", "begun") == [
        ("sent", "a", "x"),
        ("expired", "a", "x"),
        ("dead_letter", "a", "x", "expired"),
    ]


@both_kinds
def test_where_observers_want_no_messages_the_lanes_are_the_usual_ones(kind: Kind) -> None:
    class Control(Observer):
        def started(self, key: object, incarnation: int, /) -> None:
            started.append((key, incarnation))

    started = list[tuple[object, int]]()
    usual = Pool(worker_of(kind))
    with usual, Pool(worker_of(kind), observe=Control()) as pool:
        usual.initialize("a")
        pool.initialize("a")
        pool.flush("a")
        ours, theirs = (each._routes["a"] for each in (pool, usual))
        assert type(ours) is type(theirs)
        assert ours.direct is not None
        assert type(ours.direct.put) is type(theirs.direct.put)

    assert started == [("a", 1)]


@both_kinds
def test_a_worker_that_is_stuck_on_a_message_is_told_once(kind: Kind) -> None:
    stuck = list[Any]()
    inside, go_on = threading.Event(), threading.Event()

    class Stuck(Recording):
        def stuck(self, worker: Any, /) -> None:  # noqa: ANN401 - of any pool
            stuck.append(worker)

    def stay(message: object) -> None:
        if message == "stays":
            inside.set()
            go_on.wait(15)

    def generator(_key: object) -> Generator[None, Any]:
        while True:
            stay((yield))

    def function(_key: object, mailbox: Mailbox[Any]) -> None:
        for message in mailbox:
            stay(message)

    worker: Any = generator if kind == "generator" else function
    observer = Stuck()
    with Pool[str, Any](worker, observe=observer, stuck_after=NEVER_BY_ITSELF) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", ["x", "stays", "y"])
        inside.wait(15)
        for _ in range(2):
            look_twice(watch_of(pool))
        go_on.set()

    assert [(each.key, each.incarnation) for each in stuck] == [("a", 1)]
    assert "in stay" in stuck[0].stack
    assert [each[2] for each in observer.of("done")] == ["x", "stays", "y"]


class _Stops(BaseException):
    """What is no `Exception`, as an interrupt."""


@pytest.mark.parametrize(
    "options",
    [
        {"mailbox": mb.Blocking(2)},
        {"mailbox": mb.NonBlocking(2)},
        {"mailbox": mb.Prioritized(mb.Blocking(2), lambda _: 0)},
        {"mailbox": mb.Sliding(2)},
        {"max_waiting": 2},
        {},
    ],
    ids=str,
)
def test_a_message_whose_sent_is_interrupted_takes_no_room(options: dict[str, Any]) -> None:
    stops = [True]

    class Sent(mb.Observer):
        def sent(self, key: object, message: object, /) -> None:
            if stops[0]:
                raise _Stops

    handled = list[object]()

    def worker(_: str) -> Generator[None, object]:
        while True:
            handled.append((yield))

    with mb.Pool(worker, max_threads=1, observe=Sent(), **options) as pool:
        pool.initialize("a")
        for number in range(6):
            with pytest.raises(_Stops):
                pool.dispatch("a", number)
        stops[0] = False
        for number in range(4):
            assert pool.dispatch("a", number)
            assert pool.flush(timeout=DEADLINE)
    assert handled == list(range(4))
