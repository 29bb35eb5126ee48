"""Handing messages to workers: order, parallelism, refusals."""

import threading
from collections.abc import Generator, Iterator

import pytest

from tests.helpers import DEADLINE, in_thread, run_together, until
from tests.insides import dispatcher_of, worker_of
from tests.pool.witness import Witness, finish
from threadpool_mb import (
    Blocking,
    Dispatch,
    Initialize,
    Mailbox,
    NonBlocking,
    Pool,
    PoolClosed,
    Waiting,
)


@pytest.mark.behaviour("PoolTest 8")
def test_a_message_reaches_its_worker_and_one_for_an_unknown_key_is_a_dead_letter(
    witness: Witness,
) -> None:
    # The original drops it silently.
    with witness.pool() as pool:
        pool.input.deliver(Initialize(1))
        assert pool.input.deliver(Dispatch(1, "work"))
        assert pool.input.deliver(Dispatch(666, "work")) is False
        finish(pool)

    assert witness.handled == [(1, "work")]
    assert witness.dead == [(666, "work", "unknown key")]


def test_messages_of_one_key_are_handled_in_the_order_in_which_they_were_sent(
    witness: Witness,
) -> None:
    with witness.pool() as pool:
        pool.initialize("a")
        for number in range(1000):
            pool.dispatch("a", number)
        finish(pool)

    assert witness.handled == [("a", number) for number in range(1000)]


def test_messages_of_several_senders_keep_each_senders_order(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a")
        run_together(
            lambda: [pool.dispatch("a", ("one", number)) for number in range(200)],
            lambda: [pool.dispatch("a", ("two", number)) for number in range(200)],
        )
        finish(pool)

    for sender in ("one", "two"):
        numbers = [number for _, (name, number) in witness.handled if name == sender]
        assert numbers == list(range(200))


def test_workers_of_two_keys_run_at_the_same_time(witness: Witness) -> None:
    together = threading.Barrier(2)

    with witness.pool() as pool:
        for key in ("a", "b"):
            pool.initialize(key, lambda: together.wait(DEADLINE))
        finish(pool)

    assert sorted(witness.ended) == [("a", None), ("b", None)]


def test_one_full_blocking_mailbox_does_not_delay_other_keys(witness: Witness) -> None:
    mailboxes: dict[object, Mailbox[object]] = {}

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        mailboxes[key] = mailbox
        witness.work(key, mailbox)

    with witness.pool(worker, mailbox=Blocking(1)) as pool:
        gate = witness.hold(pool, "full")
        pool.dispatch("full", 1)
        with in_thread(lambda: pool.dispatch("full", 2)) as sender:
            until(lambda: mailboxes["full"].stats().senders_waiting == 1)

            # All of this while the sender to the full mailbox is blocked.
            assert pool.initialize("other", 1)
            until(lambda: ("other", 1) in witness.handled)
            assert pool.dispatch("other", 2)
            until(lambda: ("other", 2) in witness.handled)
            assert pool.remove("other")
            until(lambda: witness.ended == [("other", None)])
            assert sender.running

            gate.open()
            assert sender.result() is True
        finish(pool)

    assert witness.handled == [("other", 1), ("other", 2), ("full", 1), ("full", 2)]


def test_by_default_an_overflow_keeps_the_worker_and_the_refused_message_is_a_dead_letter(
    witness: Witness,
) -> None:
    with witness.pool(mailbox=NonBlocking(2)) as pool:
        gate = witness.hold(pool, 0)
        accepted = [pool.dispatch(0, number) for number in range(4)]
        kept = 0 in pool
        gate.open()
        until(lambda: len(witness.handled) == 2)
        assert pool.dispatch(0, "later")
        finish(pool)

    assert accepted == [True, True, False, False]
    assert kept
    assert witness.handled == [(0, 0), (0, 1), (0, "later")]
    assert witness.dead == [(0, 2, "refused by the limit"), (0, 3, "refused by the limit")]
    assert [exit_.incarnation for exit_ in witness.exits] == [1]


@pytest.mark.behaviour("PoolTest 10")
def test_with_overflow_remove_worker_an_overflow_removes_the_worker_and_no_other(
    witness: Witness,
) -> None:
    with witness.pool(mailbox=NonBlocking(2), overflow="remove_worker") as pool:
        gate = witness.hold(pool, 0)
        pool.initialize(1)
        results = [pool.dispatch(0, number) for number in range(16)]
        gone = 0 not in pool
        gate.open()
        until(lambda: witness.ended == [(0, None)])
        assert pool.dispatch(1, "work")
        finish(pool)

    assert results == [True, True] + [False] * 14
    assert gone
    assert witness.handled == [(1, "work")]
    assert sorted(witness.dead) == [
        (0, 0, "worker removed"),
        (0, 1, "worker removed"),
        (0, 2, "refused by the limit"),
        *[(0, number, "unknown key") for number in range(3, 16)],
    ]


def test_a_waiting_mailbox_refuses_after_its_time_and_keeps_the_worker(witness: Witness) -> None:
    with witness.pool(mailbox=Waiting(1, deliver_timeout=0.001)) as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)

        assert pool.dispatch("a", 2) is False
        assert "a" in pool

        gate.open()
        finish(pool)

    assert witness.handled == [("a", 1)]
    assert witness.dead == [("a", 2, "refused by the limit")]


def test_a_sender_that_waits_for_room_learns_that_its_worker_was_removed(
    witness: Witness,
) -> None:
    with witness.pool(mailbox=Blocking(1)) as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        with in_thread(lambda: pool.dispatch("a", 2)) as sender:
            until(lambda: worker_of(pool, "a").mailbox.stats().senders_waiting == 1)

            pool.remove("a")

            assert sender.result() is False
        gate.open()
        finish(pool)

    assert sorted(witness.dead) == [("a", 1, "worker removed"), ("a", 2, "worker removed")]


def test_a_sender_that_waits_for_room_learns_that_its_worker_failed(witness: Witness) -> None:
    error = ValueError("the worker's")

    with witness.pool(mailbox=Blocking(1)) as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", error)
        with in_thread(lambda: pool.dispatch("a", 1)) as sender:
            until(lambda: worker_of(pool, "a").mailbox.stats().senders_waiting == 1)

            # The worker takes the error, which makes room: the message is in, and left over; or it
            # is not in yet, and refused. Either way it is one dead letter.
            gate.open()

            assert sender.result() in {True, False}
        finish(pool)

    assert witness.dead == [("a", 1, "worker failed")]
    assert witness.ended == [("a", error)]


def test_a_sender_that_waits_for_room_goes_on_to_the_removed_workers_successor(
    witness: Witness,
) -> None:
    # The sender that waits holds the lock of nobody: the key gets a new worker meanwhile, and the
    # sender finds it when it wakes.
    with witness.pool(mailbox=Blocking(1)) as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        first = worker_of(pool, "a")
        with in_thread(lambda: pool.dispatch("a", 2)) as sender:
            until(lambda: first.mailbox.stats().senders_waiting == 1)

            # `Pool.remove` in two steps, with an initialize between them.
            dispatcher_of(pool).roster.leave(first, may_start=False)
            pool.initialize("a")
            first.mailbox.cancel()

            assert sender.result() is True
        gate.open()
        finish(pool)

    assert witness.handled == [("a", 2)]


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_sender_that_waits_for_room_wakes_when_the_pool_ends(witness: Witness, end: str) -> None:
    with witness.pool(mailbox=Blocking(1), name="io") as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)

        def send() -> str:
            with pytest.raises(PoolClosed) as caught:
                pool.dispatch("a", 2)
            return str(caught.value)

        with in_thread(send) as sender:
            until(lambda: worker_of(pool, "a").mailbox.stats().senders_waiting == 1)

            getattr(pool, end)()

            assert "the pool 'io' is " in sender.result()
        gate.open()
        finish(pool)

    assert (2, "a") not in [(letter.message, letter.key) for letter in witness.letters]
    assert len(witness.handled) + len(witness.dead) == 1


def test_a_worker_that_became_idle_between_two_of_many_messages_gets_the_rest() -> None:
    handled: list[int] = []

    def worker(_: str) -> Generator[None, int]:
        while True:
            handled.append((yield))

    with Pool(worker) as pool:
        pool.initialize("a")

        def messages() -> Iterator[int]:
            for number in range(5):
                yield number
                # Until it handles nothing, and waits for no turn.
                until(lambda number=number: number in handled)
                until(lambda: [each.state for each in pool.workers()] == ["idle"])

        assert pool.dispatch_many("a", messages()) == 5

    assert handled == [0, 1, 2, 3, 4]
