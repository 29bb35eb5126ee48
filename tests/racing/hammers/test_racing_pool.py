"""Hammers of the pool: every message is accounted for, whatever happens at the same time."""

import logging
import threading
import time
from collections.abc import Generator

import pytest

from tests.conformance.configs import Alike
from tests.helpers import DEADLINE, run_together, until
from tests.insides import dispatcher_of
from tests.racing.ledger import Ledger
from threadpool_mb import (
    Blocking,
    Mailbox,
    MailboxConfig,
    NonBlocking,
    Pool,
    PoolClosed,
    Prioritized,
    Sliding,
    Unlimited,
    Waiting,
    WorkerExit,
)

pytestmark = pytest.mark.racing

MAILBOXES = [
    Unlimited(),
    Blocking(2),
    NonBlocking(2),
    Waiting(2, deliver_timeout=0.0001),
    Sliding(1),
    Prioritized(Blocking(2), Alike()),
]


@pytest.fixture(params=["function", "generator"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the kind of the workers."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _planned_failures_are_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=repr)
def test_senders_and_removers_and_initializers_lose_no_message(
    kind: str, mailbox: MailboxConfig
) -> None:
    ledger = Ledger(kind, "ab")
    with ledger.pool(mailbox=mailbox) as pool:
        run_together(
            ledger.send(pool, "one", 60),
            ledger.send(pool, "two", 60),
            ledger.initialize(pool, "initializer", 40),
            ledger.remove(pool, 40),
        )

    ledger.check(pool)


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=repr)
def test_senders_and_workers_that_return_or_fail_lose_no_message(
    kind: str, mailbox: MailboxConfig
) -> None:
    ledger = Ledger(kind, "ab")
    with ledger.pool(mailbox=mailbox) as pool:
        run_together(
            ledger.send(pool, "ending one", 60),
            ledger.send(pool, "ending two", 60),
            ledger.initialize(pool, "initializer", 60),
        )

    ledger.check(pool)


def test_senders_and_removers_and_ends_and_restarts_by_the_exit_hook_lose_no_message(
    kind: str,
) -> None:
    ledger = Ledger(kind, "ab")

    def restart(exit_: WorkerExit[str]) -> None:
        ledger.exits.append(exit_)
        if not dispatcher_of(pool).roster.closed:
            pool.initialize(exit_.key)

    with ledger.pool(on_worker_exit=restart) as pool:
        for key in ledger.keys:
            pool.initialize(key)

        run_together(
            ledger.send(pool, "ending one", 80),
            ledger.send(pool, "two", 80),
            ledger.remove(pool, 30),
        )

    ledger.check(pool)


def test_senders_that_overflow_mailboxes_and_remove_their_workers_lose_no_message(
    kind: str,
) -> None:
    ledger = Ledger(kind, "ab")
    with ledger.pool(mailbox=NonBlocking(1), overflow="remove_worker") as pool:
        run_together(
            ledger.send(pool, "one", 80),
            ledger.send(pool, "two", 80),
            ledger.initialize(pool, "initializer", 60),
        )

    ledger.check(pool)


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=repr)
@pytest.mark.parametrize("end", ["close", "cancel", "drain"])
def test_senders_and_the_end_of_the_pool_lose_no_message(
    kind: str, mailbox: MailboxConfig, end: str
) -> None:
    ledger = Ledger(kind, "ab")
    with ledger.pool(mailbox=mailbox) as pool:
        ending = {
            "close": pool.close,
            "cancel": pool.cancel,
            "drain": lambda: pool.drain(timeout=0),
        }[end]
        for key in ledger.keys:
            pool.initialize(key)

        def end_in_the_middle() -> None:
            until(lambda: ledger.sent >= 10)
            ending()

        run_together(
            ledger.send(pool, "one", 50),
            ledger.send(pool, "two", 50),
            ledger.initialize(pool, "initializer", 30),
            ledger.remove(pool, 10),
            end_in_the_middle,
        )

    ledger.check(pool)
    with pytest.raises(PoolClosed):
        pool.dispatch("a", ("late", 0))


def test_of_initializers_of_one_key_exactly_one_succeeds_each_time(kind: str) -> None:
    ledger = Ledger(kind, "a")
    with ledger.pool() as pool:
        for number in range(8):
            run_together(
                *[
                    ledger.initialize(pool, f"{number}, {name}", 1)
                    for name in ("one", "two", "three")
                ]
            )
            assert len(ledger._taken) == number + 1
            assert pool.remove("a", drain=True)

    ledger.check(pool)
    assert len(ledger._handled["a"]) == 8
    assert [exit_.incarnation for exit_ in ledger.exits] == sorted(
        exit_.incarnation for exit_ in ledger.exits
    )


def test_of_removers_of_one_worker_exactly_one_succeeds() -> None:
    results: list[bool] = []

    with Pool(lambda key, mailbox: list(mailbox)) as pool:
        for number in range(8):
            pool.initialize("a")
            run_together(
                lambda: results.append(pool.remove("a")),
                lambda: results.append(pool.remove("a", drain=True)),
                lambda: results.append(pool.remove("a")),
            )
            assert results.count(True) == number + 1
            assert "a" not in pool


def test_a_successor_never_starts_before_its_predecessor_has_ended_completely() -> None:
    running: list[str] = []
    overlaps: list[list[str]] = []

    def worker(key: str, mailbox: object) -> None:
        running.append(key)
        give_others_a_chance()

    def hook(exit_: WorkerExit[str]) -> None:
        give_others_a_chance()
        if running != ["a"]:
            overlaps.append(list(running))
        running.pop()

    def give_others_a_chance() -> None:
        for _ in range(5):
            time.sleep(0)

    with Pool(worker, on_worker_exit=hook) as pool:
        run_together(
            lambda: [pool.initialize("a") for _ in range(100)],
            lambda: [pool.initialize("a") for _ in range(100)],
            lambda: [pool.remove("a", drain=True) for _ in range(100)],
        )

    assert overlaps == []


def test_many_short_workers_start_and_end_on_threads_that_are_reused() -> None:
    seen: list[tuple[int, str]] = []

    def worker(key: int, mailbox: object) -> None:
        seen.append((key, threading.current_thread().name))

    with Pool(worker, name="p") as pool:
        run_together(
            lambda: [pool.initialize(key) for key in range(0, 100, 2)],
            lambda: [pool.initialize(key) for key in range(1, 100, 2)],
        )

    assert sorted(seen) == [(key, f"p-{key}") for key in range(100)]
    assert pool.stats().started == 100


def test_closing_and_cancelling_and_joining_from_many_threads_ends_the_pool_once(kind: str) -> None:
    ledger = Ledger(kind, "abcd")
    with ledger.pool() as pool:
        for key in ledger.keys:
            pool.initialize(key)

        run_together(
            ledger.send(pool, "one", 40),
            pool.close,
            pool.cancel,
            pool.close,
            lambda: pool.join(timeout=DEADLINE),
            lambda: [pool.stats() for _ in range(10)],
            lambda: [repr(pool) for _ in range(10)],
        )

    ledger.check(pool)
    assert pool.stats().threads == 0


def test_looking_at_a_pool_while_workers_come_and_go_raises_nothing(kind: str) -> None:
    ledger = Ledger(kind, "ab")
    with ledger.pool() as pool:
        run_together(
            ledger.initialize(pool, "initializer", 50),
            ledger.remove(pool, 50),
            lambda: [
                (pool.keys(), len(pool), "a" in pool, pool.stats(), repr(pool)) for _ in range(30)
            ],
        )

    ledger.check(pool)


def test_a_worker_that_is_to_drain_while_the_pool_is_cancelled_loses_no_message(kind: str) -> None:
    gate = threading.Event()
    dead: list[object] = []
    handled: list[object] = []

    def take(message: object) -> None:
        gate.wait(DEADLINE)
        handled.append(message)

    def turns(_key: str) -> Generator[None, object]:
        while True:
            take((yield))

    def loop(_key: str, mailbox: Mailbox[object]) -> None:
        for message in mailbox:
            take(message)

    pool: Pool[str, object] = Pool(
        turns if kind == "generator" else loop,
        on_dead_letter=lambda letter: dead.append(letter.message),
    )
    pool.initialize("a", "first")
    pool.remove("a", drain=True)
    pool.initialize("a", "second")
    run_together(lambda: pool.remove("a", drain=True), pool.cancel)
    gate.set()
    report = pool.join(timeout=DEADLINE)

    assert report.finished
    assert sorted([*handled, *dead], key=str) == ["first", "second"]
