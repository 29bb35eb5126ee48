"""How workers end: well, or with an error."""

import functools
import logging

import pytest

from tests.helpers import in_thread, until
from tests.insides import worker_of
from tests.pool.doubles import Boom, raising
from tests.pool.witness import END, Witness, finish
from threadpool_mb import (
    MISSING,
    Blocking,
    Cancelled,
    Mailbox,
    MailboxClosed,
    MailboxEmpty,
    PoolClosed,
    Unlimited,
    Waiting,
    WorkerExit,
)


def test_a_worker_that_returns_has_ended_well_and_leaves_dead_letters(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        for message in (1, END, 2, 3):
            pool.dispatch("a", message)
        gate.open()
        until(lambda: witness.exits)

        assert "a" not in pool
        assert pool.dispatch("a", 4) is False

    assert witness.handled == [("a", 1)]
    assert witness.exits == [WorkerExit("a", 1, None, "returned")]
    assert witness.dead == [
        ("a", 2, "worker ended"),
        ("a", 3, "worker ended"),
        ("a", 4, "unknown key"),
    ]


def test_a_worker_that_raises_is_reported_and_logged_with_its_traceback(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    error = Boom("the worker's")

    in_hand = error if witness.kind == "generator" else MISSING

    with witness.pool(name="io") as pool:
        pool.initialize("a", error)
        until(lambda: witness.exits)
        report = finish(pool)

    assert witness.exits == [WorkerExit("a", 1, error, "failed", in_hand)]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.name.startswith("threadpool_mb")
    assert record.getMessage() == "io: the worker of key 'a' failed"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert "witness.py" in caplog.text
    assert report.failed == 1


def test_what_a_failed_worker_leaves_becomes_dead_letters_and_others_are_unaffected(
    witness: Witness,
) -> None:
    error = Boom()

    with witness.pool() as pool:
        pool.initialize("b")
        gate = witness.hold(pool, "a")
        for message in (1, error, 2, 3):
            pool.dispatch("a", message)
        gate.open()
        until(lambda: witness.exits)
        assert pool.dispatch("b", 1)
        assert pool.initialize("a", "again")
        finish(pool)

    assert sorted(witness.handled, key=repr) == [("a", "again"), ("a", 1), ("b", 1)]
    assert witness.dead == [("a", 2, "worker failed"), ("a", 3, "worker failed")]
    assert witness.ended[0] == ("a", error)
    assert sorted(witness.ended[1:]) == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    "error",
    [Boom(), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), MailboxEmpty(), BaseException()],
    ids=repr,
)
def test_whatever_a_worker_raises_is_its_error_and_ends_no_other_thread(
    witness: Witness, error: BaseException
) -> None:
    with witness.pool() as pool:
        pool.initialize("a", error)
        until(lambda: witness.exits)
        pool.initialize("a", "again")
        finish(pool)

    assert witness.ended == [("a", error), ("a", None)]
    assert witness.handled == [("a", "again")]


@pytest.mark.parametrize("witness", ["function"], indirect=True)
def test_the_receive_timeout_that_leaves_a_worker_is_its_error(witness: Witness) -> None:
    config = Waiting(4, deliver_timeout=None, receive_timeout=0)

    with witness.pool(mailbox=config) as pool:
        pool.initialize("a")
        until(lambda: witness.exits)

    (exit_,) = witness.exits
    assert isinstance(exit_.error, MailboxEmpty)


def test_a_worker_that_lets_its_closed_mailboxs_error_pass_has_ended_well(
    witness: Witness,
) -> None:
    def worker(key: object, mailbox: Mailbox[object]) -> None:
        while True:
            witness.handled.append((key, mailbox.receive()))

    with witness.pool(worker) as pool:
        pool.initialize("a", 1)
        pool.remove("a", drain=True)
        until(lambda: witness.exits)

    assert witness.ended == [("a", None)]


def test_the_closed_mailbox_of_another_is_an_error_of_the_worker(witness: Witness) -> None:
    other = Unlimited().create()
    other.close()

    with witness.pool() as pool:
        pool.initialize("a", lambda: other.new_input().deliver("message"))
        until(lambda: witness.exits)

    (exit_,) = witness.exits
    assert isinstance(exit_.error, MailboxClosed)


def test_the_cancelled_mailbox_of_another_is_an_error_of_the_worker(witness: Witness) -> None:
    other = Unlimited().create()
    other.cancel()

    with witness.pool() as pool:
        pool.initialize("a", other.receive)
        until(lambda: witness.exits)

    (exit_,) = witness.exits
    assert isinstance(exit_.error, Cancelled)


def test_another_pool_that_is_closed_is_an_error_of_the_worker(witness: Witness) -> None:
    other_witness = Witness()

    with other_witness.pool() as other, witness.pool() as pool:
        finish(other)
        pool.initialize("a", functools.partial(other.dispatch, "x", 1))
        until(lambda: witness.exits)

    (exit_,) = witness.exits
    assert isinstance(exit_.error, PoolClosed)


@pytest.mark.parametrize("other", ["mailbox", "pool", "its own pool"])
def test_what_refuses_a_worker_whose_own_mailbox_is_closed_too_is_an_error_of_it(
    witness: Witness, other: str
) -> None:
    closed = Unlimited().create()
    closed.close()
    other_witness = Witness()

    with other_witness.pool() as other_pool, witness.pool() as pool:
        finish(other_pool)
        send = {
            "mailbox": lambda: closed.new_input().deliver("message"),
            "pool": lambda: other_pool.dispatch("x", 1),
            "its own pool": lambda: pool.dispatch("x", 1),
        }[other]
        gate = witness.hold(pool, "a")
        pool.dispatch("a", send)
        pool.dispatch("a", "left")
        pool.close()
        gate.open()
        report = finish(pool)

    (exit_,) = witness.exits
    assert isinstance(exit_.error, MailboxClosed)
    assert report.failed == 1
    assert witness.dead == [("a", "left", "worker failed")]


def test_the_closed_mailbox_of_another_that_is_received_from_is_an_error_of_it(
    witness: Witness,
) -> None:
    closed = Unlimited().create()
    closed.close()

    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", closed.receive)
        pool.close()
        gate.open()
        finish(pool)

    (exit_,) = witness.exits
    assert isinstance(exit_.error, MailboxClosed)


def test_a_removed_worker_that_fails_is_reported_with_its_error(witness: Witness) -> None:
    error = Boom()

    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", error)
        pool.dispatch("a", 1)
        pool.remove("a", drain=True)
        gate.open()
        until(lambda: witness.exits)

    assert witness.ended == [("a", error)]
    assert witness.dead == [("a", 1, "worker failed")]


def test_a_message_that_finds_no_room_before_its_worker_returns_is_a_dead_letter(
    witness: Witness,
) -> None:
    with witness.pool(lambda key, mailbox: gate(), mailbox=Blocking(1)) as pool:
        gate = witness.gate()
        pool.initialize("a", 1)
        gate.wait_until_reached()
        mailbox = worker_of(pool, "a").mailbox
        with in_thread(lambda: pool.dispatch("a", 2)) as sender:
            until(lambda: mailbox.stats().senders_waiting == 1)

            gate.open()

            assert sender.result() is False

    assert sorted(witness.dead) == [("a", 1, "worker ended"), ("a", 2, "worker ended")]


def test_a_key_whose_repr_raises_is_logged_all_the_same(
    witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    class Unspeakable:
        __repr__ = raising(Boom())

    key = Unspeakable()
    error = Boom()

    with witness.pool() as pool:
        pool.initialize(key, error)
        until(lambda: witness.exits)
        pool.dispatch(key, 1)
        finish(pool)

    assert witness.ended == [(key, error)]
    assert [letter.key for letter in witness.letters] == [key]
    assert "<Unspeakable whose repr raises Boom>" in caplog.text
