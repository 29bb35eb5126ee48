"""How a worker ends, and what the context managers that it has entered see of it."""

import contextlib
import sqlite3
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import until
from tests.pool.doubles import Boom
from tests.pool.witness import END, Gate, Witness, finish
from threadpool_mb import (
    MISSING,
    Blocking,
    Cancelled,
    CatchAll,
    Mailbox,
    MailboxClosed,
    MailboxConfig,
    Pool,
    Unlimited,
    WorkerExit,
    until_drained,
)

BOOM = Boom("the worker's")


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (lambda pool: pool.close(), "drained"),
        (lambda pool: pool.remove("a", drain=True), "drained"),
        (lambda pool: pool.remove("a"), "removed"),
        (lambda pool: pool.cancel(), "cancelled"),
        (lambda pool: pool.dispatch("a", END), "returned"),
        (lambda pool: pool.dispatch("a", BOOM), "failed"),
    ],
    ids=["close", "drain", "remove", "cancel", "return", "fail"],
)
def test_a_workers_exit_tells_the_cause(
    witness: Witness, end: Callable[[Pool[Any, Any]], object], cause: str
) -> None:
    with witness.pool() as pool:
        witness.start(pool, "a")
        pool.dispatch("a", 1)
        until(lambda: witness.handled)

        end(pool)
        until(lambda: witness.exits)

    failed = cause == "failed"
    in_hand = BOOM if failed and witness.kind == "generator" else MISSING
    assert witness.exits == [WorkerExit("a", 1, BOOM if failed else None, cause, in_hand)]


def test_a_worker_that_overflowed_was_removed(witness: Witness) -> None:
    with witness.pool(mailbox=Blocking(1), overflow="remove_worker") as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.remove("a")
        gate.open()
        until(lambda: witness.exits)

    assert [each.cause for each in witness.exits] == ["removed"]


def test_a_worker_that_cannot_be_started_has_failed(witness: Witness) -> None:
    def no_worker(key: str) -> Generator[None, Any]:
        raise BOOM
        yield

    with witness.pool(no_worker) as pool:
        pool.initialize("a", 1)
        until(lambda: witness.exits)

    assert witness.exits == [WorkerExit("a", 1, BOOM, "failed", MISSING)]


class Manager:
    """Notes with what it was left."""

    def __init__(self) -> None:
        self.left: list[object] = []

    def __enter__(self) -> None:
        """Note nothing."""

    def __exit__(self, kind: object, *_: object) -> None:
        self.left.append(kind)


ENDS = pytest.mark.parametrize(
    ("end", "seen"),
    [
        (lambda pool: pool.close(), None),
        (lambda pool: pool.remove("a", drain=True), None),
        (lambda pool: pool.remove("a"), Cancelled),
        (lambda pool: pool.cancel(), Cancelled),
        (lambda pool: pool.dispatch("a", BOOM), Boom),
    ],
    ids=["close", "drain", "remove", "cancel", "fail"],
)


@ENDS
@pytest.mark.parametrize("config", [Unlimited(), Blocking(3), CatchAll(Unlimited())])
def test_until_drained_hides_a_clean_end_and_nothing_else(
    end: Callable[[Pool[Any, Any]], object], seen: object, config: MailboxConfig
) -> None:
    for kind in ("generator", "function"):
        witness, manager = Witness(kind), Manager()

        def worker(key: str, manager: Manager = manager, witness: Witness = witness) -> object:
            with manager, until_drained():
                while True:
                    witness._obey(key, (yield))

        def function(
            key: str,
            mailbox: Mailbox[Any],
            manager: Manager = manager,
            witness: Witness = witness,
        ) -> None:
            with manager, until_drained():
                while True:
                    witness._obey(key, mailbox.receive())

        with witness.pool(worker if kind == "generator" else function, mailbox=config) as pool:
            witness.start(pool, "a")
            pool.dispatch("a", 1)
            until(lambda witness=witness: witness.handled)
            end(pool)
            until(lambda witness=witness: witness.exits)

        assert manager.left == [seen]
        assert [each.error for each in witness.exits] == [BOOM if seen is Boom else None]


def test_what_stands_behind_until_drained_runs_after_a_clean_end(witness: Witness) -> None:
    behind: list[str] = []

    def worker(key: str) -> Generator[None, Any]:
        with until_drained():
            while True:
                yield
        behind.append(key)

    with witness.pool(worker) as pool:
        witness.start(pool, "drained")
        witness.start(pool, "removed")
        pool.remove("removed")
        finish(pool)

    assert behind == ["drained"]
    assert {each.key: each.cause for each in witness.exits} == {
        "drained": "drained",
        "removed": "removed",
    }


def test_until_drained_lets_the_end_of_another_mailbox_pass(witness: Witness) -> None:
    other = Unlimited().create()
    other.close()
    seen: list[object] = []

    def worker(key: str, mailbox: Mailbox[Any]) -> None:
        try:
            with until_drained():
                other.receive()
        except MailboxClosed as error:
            seen.append(error.receiver)

    with witness.pool(worker) as pool:
        pool.initialize("a")
        finish(pool)

    assert seen == [other]


def test_until_drained_outside_of_a_worker_lets_a_mailboxs_end_pass() -> None:
    mailbox = Unlimited().create()
    mailbox.close()

    with pytest.raises(MailboxClosed), until_drained():
        mailbox.receive()


@contextlib.contextmanager
def _rows(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        yield connection


def test_a_transaction_over_all_messages_is_committed_by_a_drain_and_rolled_back_by_a_cancel(
    tmp_path: Path,
) -> None:
    def worker(key: str) -> Generator[None, int]:
        with _rows(tmp_path / key) as connection, connection, until_drained():
            while True:
                connection.execute("insert into rows values (?)", ((yield),))

    counts = {}
    for key in ("drained", "cancelled"):
        with _rows(tmp_path / key) as connection, connection:
            connection.execute("create table rows(x)")
        with Pool(worker) as pool:
            pool.initialize(key)
            for number in range(10):
                pool.dispatch(key, number)
            if key == "cancelled":
                until(lambda pool=pool: not pool.stats().waiting)
                pool.cancel()
        with _rows(tmp_path / key) as connection:
            counts[key] = connection.execute("select count(*) from rows").fetchone()[0]

    assert counts == {"drained": 10, "cancelled": 0}


@pytest.mark.parametrize("when", ["before the first yield", "for a message"])
def test_the_message_in_hand_is_that_at_which_the_worker_failed(when: str) -> None:
    exits: list[WorkerExit[str]] = []

    def worker(key: str) -> Generator[None, str]:
        if when == "before the first yield":
            raise Boom
        while True:
            if (yield) == "bad":
                raise Boom

    with Pool(worker, on_worker_exit=exits.append, on_dead_letter=lambda _: None) as pool:
        pool.initialize("a", "good")
        pool.dispatch("a", "bad")
        pool.dispatch("a", "left")

    assert [each.message for each in exits] == ["bad" if when == "for a message" else MISSING]


def test_the_failure_is_logged_before_the_dead_letters_that_it_has_caused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()

    def worker(key: str) -> Generator[None, str]:
        yield
        gate()
        raise BOOM

    pool = Pool(worker, name="io")
    pool.initialize("a", "in hand")
    pool.dispatch("a", "left")
    gate.open()
    pool.close()
    pool.join()

    assert [record.getMessage() for record in caplog.records] == [
        "io: the worker of key 'a' failed",
        "io: dead letter for key 'a': worker failed",
    ]
