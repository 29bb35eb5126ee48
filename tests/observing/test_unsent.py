"""Observers that are not told what is sent: no message is in an envelope."""

import threading
from collections.abc import Generator
from typing import Any

import pytest

from tests.helpers import until
from tests.observing.recording import KINDS, Kind, Recording, Twice, worker_of
from threadpool_mb import (
    Blocking,
    CallFailed,
    CatchAll,
    Mailbox,
    MailboxConfig,
    Observer,
    Pool,
    Prioritized,
    Rate,
    Restart,
    Sliding,
    Unlimited,
    call,
    server,
    sleep,
)
from threadpool_mb.envelopes import Observed

both_kinds = pytest.mark.parametrize("kind", KINDS)


class Handling(Recording):
    """Is told what is handled, and not what is sent."""

    sent = Observer.sent


def told(key: object, message: object, error: str | None = None) -> list[tuple[Any, ...]]:
    """Return what is told of a message that is handled."""
    return [
        ("begun", key, message, None),
        ("done", key, message, ("in hand", message), error),
    ]


@both_kinds
@pytest.mark.parametrize(
    "mailbox",
    [
        Unlimited(),
        Blocking(3),
        Sliding(9),
        Prioritized(Unlimited(), len),
        CatchAll(Prioritized(Blocking(3), len)),
    ],
    ids=repr,
)
def test_each_mailbox_carries_the_message_itself(kind: Kind, mailbox: MailboxConfig) -> None:
    observer = Handling()

    with Pool(
        worker_of(kind), observe=observer, mailbox=mailbox, on_dead_letter=lambda _: None
    ) as pool:
        pool.initialize("a", "first")
        pool.dispatch("a", "second")
        pool.dispatch_later(0, "a", "third")
        until(lambda: len(observer.of("done")) == 3)
        pool.dispatch("a", "bad")
        until(lambda: observer.of("ended"))

    events = observer.of("begun", "done")
    assert events[-2:] == told("a", "bad", "ValueError('bad')")
    assert sorted(events[:-2:2] + events[1:-2:2]) == sorted(
        each for message in ("first", "second", "third") for each in told("a", message)
    )


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("lives", [{}, {"idle_timeout": 60.0}, {"max_keys": 5}])
@pytest.mark.parametrize("flow", [{}, {"rate": Rate(1e6)}, {"message_ttl": 60.0, "max_waiting": 9}])
def test_each_kind_of_lane_tells(
    pinned: bool,  # noqa: FBT001 - a parameter
    lives: dict[str, Any],
    flow: dict[str, Any],
) -> None:
    observer = Handling()

    with Pool(
        worker_of("generator"), observe=observer, start="on_demand", pinned=pinned, **lives, **flow
    ) as pool:
        pool.dispatch("a", "x")
        pool.dispatch("a", "wait")

    assert observer.of("begun", "done") == told("a", "x") + told("a", "wait")


def test_a_message_that_is_tried_again_is_told_again() -> None:
    observer = Handling()

    with Pool(
        worker_of("generator"),
        observe=observer,
        restart=Restart(max_restarts=1, delay=0, in_hand="retry"),
        on_dead_letter=lambda _: None,
    ) as pool:
        pool.initialize("a")
        pool.dispatch("a", "bad")

    assert observer.of("begun", "done") == 2 * told("a", "bad", "ValueError('bad')")


@both_kinds
def test_no_envelope_is_made_where_nobody_is_told_what_is_sent(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[object]()
    plain = Observed.__init__

    def note(self: Observed, message: object, sent: object) -> None:
        made.append(message)
        plain(self, message, sent)

    monkeypatch.setattr(Observed, "__init__", note)
    for observer in (Handling(), Recording()):
        with Pool(worker_of(kind), observe=observer) as pool:
            pool.initialize("a", f"{type(observer).__name__}: first")
            pool.dispatch("a", f"{type(observer).__name__}: second")

    assert made == ["Recording: first", "Recording: second"]


@pytest.mark.parametrize("kind", ["generator", "function"])
def test_what_a_handler_raises_before_a_wait_is_told_once_and_kept_no_longer(kind: str) -> None:
    observer = Handling()

    def fail(_: object) -> None:
        raise ValueError("no")

    def serve(request: Any) -> None:  # noqa: ANN401 - a request
        serving = server(lambda _: fail)("a")
        next(serving)
        serving.send(request)

    def generator(_key: str) -> Generator[Any, Any]:
        while True:
            message = yield
            if type(message) is not str:
                serve(message)
            del message
            yield from sleep(0)

    def function(_key: str, mailbox: Mailbox[Any]) -> None:
        for message in mailbox:
            if type(message) is not str:
                serve(message)
            del message

    worker: Any = generator if kind == "generator" else function
    with Pool[str, Any](worker, observe=observer) as pool:
        pool.initialize("a")
        with pytest.raises(CallFailed):
            call(pool.ref("a"), Twice(1), timeout=15)
        pool.dispatch("a", "fine")

    assert [error for *_, error in observer.of("done")] == ["ValueError('no')", None]


def test_what_a_handler_raises_as_a_worker_is_set_up_is_of_no_message() -> None:
    observer = Handling()

    def fail(_: object) -> None:
        raise ValueError("no")

    asked = list[Any]()

    def catching(_key: object) -> Generator[None, Any]:
        asked.append((yield))
        yield

    def worker(key: str) -> Generator[Any, Any]:
        serving = server(lambda _: fail)(key)
        next(serving)
        serving.send(asked.pop())
        while True:
            yield

    with Pool[str, Any](catching) as first, Pool[str, Any](worker, observe=observer) as pool:
        first.initialize("a")
        waits = first.ref("a")
        caller = threading.Thread(target=lambda: _fails(waits))
        caller.start()
        until(lambda: asked)
        pool.initialize("b")
        pool.dispatch("b", "fine")
        caller.join()

    assert observer.of("begun", "done") == told("b", "fine")


def _fails(target: Any) -> None:  # noqa: ANN401 - a reference
    with pytest.raises(CallFailed):
        call(target, Twice(1), timeout=15)
