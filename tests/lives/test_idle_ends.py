"""Workers that end as they are idle, or make room for others."""

import collections
import threading
from collections.abc import Generator
from typing import Any

import pytest

from tests.helpers import in_thread, run_together, until
from tests.lives.test_on_demand import KINDS, Get, Kind, reply_key, worker_of
from threadpool_mb import (
    Blocking,
    DeadLetter,
    Mailbox,
    Pool,
    WorkerExit,
    call,
    until_drained,
)

pytestmark = pytest.mark.parametrize("kind", KINDS)


def test_an_idle_worker_ends_cleanly_and_the_next_message_starts_another(kind: Kind) -> None:
    exits = list[WorkerExit[str]]()
    log = list[object]()

    def generator(key: str) -> Generator[None, int]:
        with until_drained():
            while True:
                log.append((yield))
        log.append(("saved", key))

    def function(key: str, mailbox: Mailbox[int]) -> None:
        log.extend(mailbox)
        log.append(("saved", key))

    worker: Any = generator if kind == "generator" else function
    with Pool(worker, start="on_demand", idle_timeout=0.01, on_worker_exit=exits.append) as pool:
        pool.dispatch("a", 1)
        until(lambda: "a" not in pool)
        until(lambda: exits)
        pool.dispatch("a", 2)
        until(lambda: len(exits) > 1)

    assert log == [1, ("saved", "a"), 2, ("saved", "a")]
    assert [(each.cause, each.error) for each in exits] == [("idle", None)] * 2
    assert exits[0].incarnation < exits[1].incarnation


def test_where_keys_are_started_by_hand_an_idle_key_is_unknown_after_its_end(kind: Kind) -> None:
    letters = list[DeadLetter[str, int]]()
    exits = list[WorkerExit[str]]()

    with Pool(
        worker_of(kind, lambda *_: None),
        idle_timeout=0.01,
        on_dead_letter=letters.append,
        on_worker_exit=exits.append,
    ) as pool:
        pool.initialize("a", 1)
        until(lambda: exits)
        assert not pool.dispatch("a", 2)

    assert [(each.message, each.reason) for each in letters] == [(2, "unknown key")]


def test_a_busy_worker_is_not_idle(kind: Kind) -> None:
    free = threading.Event()
    exits = list[WorkerExit[str]]()

    def handle(key: object, message: object) -> None:
        if message == "wait":
            free.wait(15)

    with Pool(
        worker_of(kind, handle),
        start="on_demand",
        idle_timeout=0.01,
        on_worker_exit=exits.append,
    ) as pool:
        pool.dispatch("a", "wait")
        # Others come and go in the time.
        for key in range(5):
            pool.dispatch(key, "go")
            until(lambda key=key: key not in pool)  # type: ignore[misc]
        until(lambda: len(exits) == 5)
        assert "a" in pool
        free.set()
        until(lambda: len(exits) == 6)

    assert (exits[-1].key, exits[-1].cause) == ("a", "idle")


@pytest.mark.parametrize("inline_calls", [True, False])
def test_messages_beside_idle_ends_are_each_handled_once_in_order(
    kind: Kind,
    inline_calls: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    senders, messages, keys = 3, 150, 4
    handled = collections.defaultdict[object, list[tuple[int, int]]](list)
    letters = list[DeadLetter[Any, Any]]()

    def handle(key: object, message: Any) -> None:  # noqa: ANN401 - a call, or a tuple
        if isinstance(message, tuple):
            handled[key].append(message)
        else:
            message.reply_box.reply(key)

    # As short as can be: workers end all the time.
    with Pool(
        worker_of(kind, handle),
        start="on_demand",
        idle_timeout=1e-6,
        inline_calls=inline_calls,
        on_dead_letter=letters.append,
    ) as pool:

        def send(sender: int) -> None:
            for number in range(messages):
                key = number % keys
                assert pool.dispatch(key, (sender, number))
                if number % 10 == 0:
                    assert call(pool.ref(key), Get()) == key

        run_together(*(lambda sender=sender: send(sender) for sender in range(senders)))  # type: ignore[misc]

    assert letters == []
    for key in range(keys):
        for sender in range(senders):
            of_sender = [number for who, number in handled[key] if who == sender]
            assert of_sender == list(range(key, messages, keys))


def test_one_key_too_many_ends_the_one_that_is_idle_longest(kind: Kind) -> None:
    exits = list[WorkerExit[str]]()

    with Pool(
        worker_of(kind, lambda *_: None),
        start="on_demand",
        max_keys=3,
        on_worker_exit=exits.append,
    ) as pool:
        for key in "abccbade":
            pool.dispatch(key, 0)
            assert pool.flush(key, timeout=15)
            until(lambda: all(each.state == "idle" for each in pool.workers()))
            # Each ends on its own thread: the one that is being evicted has ended, and told so.
            until(lambda: {each.key for each in pool.workers()} == set(pool.keys()))
        left = set(pool.keys())
        stats = pool.stats()

    assert left == {"a", "d", "e"}
    assert [(each.key, each.cause) for each in exits if each.cause == "evicted"] == [
        ("c", "evicted"),
        ("b", "evicted"),
    ]
    assert stats.max_keys == 3
    assert stats.keys == 3


def test_where_none_is_idle_there_are_more_keys_until_one_is(kind: Kind) -> None:
    free = threading.Event()

    with Pool(
        worker_of(kind, lambda *_: free.wait(15)),
        start="on_demand",
        max_keys=2,
        **({"max_threads": 5} if kind == "generator" else {}),  # type: ignore[arg-type]
    ) as pool:
        for key in range(5):
            assert pool.dispatch(key, 0)
        more = pool.stats()
        free.set()
        until(lambda: len(pool) == 2)

    assert (more.keys, more.max_keys) == (5, 2)


def test_initialize_makes_room_too(kind: Kind) -> None:
    exits = list[WorkerExit[int]]()

    with Pool(worker_of(kind, lambda *_: None), max_keys=1, on_worker_exit=exits.append) as pool:
        for key in range(3):
            assert pool.initialize(key, 0)
            until(lambda: all(each.state == "idle" for each in pool.workers()))
            # Each has its own thread, and tells of its end there.
            until(lambda key=key: len(exits) == key)  # type: ignore[misc]

    assert [(each.key, each.cause) for each in exits] == [
        (0, "evicted"),
        (1, "evicted"),
        (2, "drained"),
    ]


@pytest.mark.parametrize("limit", [None, 1, 2])
def test_messages_beside_evictions_are_each_handled_once_in_order(
    kind: Kind, limit: int | None
) -> None:
    senders, messages, keys = 3, 120, 6
    handled = collections.defaultdict[object, list[tuple[int, int]]](list)
    letters = list[DeadLetter[Any, Any]]()

    def handle(key: object, message: tuple[int, int]) -> None:
        handled[key].append(message)

    with Pool(
        worker_of(kind, handle),
        start="on_demand",
        max_keys=2,
        mailbox=None if limit is None else Blocking(limit),
        on_dead_letter=letters.append,
    ) as pool:

        def send(sender: int) -> None:
            for number in range(messages):
                assert pool.dispatch((sender + number) % keys, (sender, number))

        run_together(*(lambda sender=sender: send(sender) for sender in range(senders)))  # type: ignore[misc]

    assert letters == []
    for key in range(keys):
        for sender in range(senders):
            of_sender = [number for who, number in handled[key] if who == sender]
            assert of_sender == [
                number for number in range(messages) if (sender + number) % keys == key
            ]


def test_a_worker_that_returns_as_it_is_ended_leaves_its_messages_to_another_life(
    kind: Kind,
) -> None:
    handled = list[int]()
    letters = list[DeadLetter[str, int]]()
    inside, free = threading.Event(), threading.Event()

    def take(message: int) -> bool:
        handled.append(message)
        if message == 0:
            inside.set()
            free.wait(15)
        return message % 2 == 0

    def generator(_key: str) -> Generator[None, int]:
        while not take((yield)):
            pass

    def function(_key: str, mailbox: Mailbox[int]) -> None:
        for message in mailbox:
            if take(message):
                return

    worker: Any = generator if kind == "generator" else function
    with Pool(worker, start="on_demand", on_dead_letter=letters.append) as pool:
        pool.dispatch("a", 0)
        with in_thread(lambda: inside.wait(15)):
            pass
        # All of this comes before the worker returns, with that in its mailbox.
        pool.dispatch_many("a", range(1, 8))
        free.set()
        assert pool.flush("a", timeout=15)

    assert handled == list(range(8))
    assert letters == []


def test_a_call_beside_ends_is_always_answered(kind: Kind) -> None:
    with Pool(worker_of(kind, reply_key), start="on_demand", idle_timeout=1e-6) as pool:

        def ask_often() -> None:
            for number in range(100):
                assert call(pool.ref(number % 3), Get()) == number % 3

        run_together(ask_often, ask_often)
