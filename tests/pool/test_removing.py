"""Removing workers: by cancelling, and by draining."""

import pytest

from tests.helpers import leaving, until
from tests.pool.witness import Gate, Witness, finish
from threadpool_mb import Cancelled, Dispatch, Initialize, Mailbox, Remove


@pytest.mark.behaviour("PoolTest 6")
def test_a_key_that_was_initialized_and_removed_can_be_initialized_again(witness: Witness) -> None:
    started: list[object] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        started.append(key)
        if len(started) == 1:
            gate()
        witness.work(key, mailbox)

    gate = witness.gate()
    with witness.pool(worker) as pool:
        pool.input.deliver(Initialize(777))
        gate.wait_until_reached()
        assert pool.input.deliver(Remove(777))
        assert pool.input.deliver(Dispatch(777, "lost")) is False
        assert pool.input.deliver(Initialize(777))
        assert pool.input.deliver(Dispatch(777, "work"))
        gate.open()
        finish(pool)

    assert started == [777, 777]
    assert witness.handled == [(777, "work")]
    assert witness.dead == [(777, "lost", "unknown key")]


@pytest.mark.behaviour("PoolTest 9")
def test_a_removed_worker_is_gone_and_another_is_unaffected(witness: Witness) -> None:
    with witness.pool() as pool:
        for key in ("a", "b"):
            pool.initialize(key, "started")
        until(lambda: len(witness.handled) == 2)

        assert pool.input.deliver(Remove("a"))
        until(lambda: witness.ended == [("a", None)])
        assert pool.input.deliver(Dispatch("a", "work")) is False
        assert pool.input.deliver(Dispatch("b", "work"))
        finish(pool)

    assert sorted(witness.handled) == [("a", "started"), ("b", "started"), ("b", "work")]
    assert witness.dead == [("a", "work", "unknown key")]


def test_remove_returns_false_for_a_key_without_a_worker(witness: Witness) -> None:
    with witness.pool() as pool:
        assert pool.remove("a") is False
        assert pool.remove("a", drain=True) is False
        pool.initialize("a")
        assert pool.remove("a") is True
        assert pool.remove("a") is False


def test_the_backlog_of_a_removed_worker_becomes_dead_letters(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.dispatch("a", 2)

        pool.remove("a")
        gate.open()
        until(lambda: witness.ended == [("a", None)])

    assert witness.handled == []
    assert witness.dead == [("a", 1, "worker removed"), ("a", 2, "worker removed")]


def test_a_worker_that_is_removed_with_drain_finishes_its_backlog(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.dispatch("a", 2)

        assert pool.remove("a", drain=True)
        assert pool.dispatch("a", 3) is False
        gate.open()
        until(lambda: witness.ended == [("a", None)])

    assert witness.handled == [("a", 1), ("a", 2)]
    assert witness.dead == [("a", 3, "unknown key")]


def test_remove_of_a_draining_worker_finds_none_to_remove(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.remove("a", drain=True)

        assert pool.remove("a") is False

        gate.open()
        finish(pool)

    assert witness.handled == [("a", 1)]


def test_a_remove_message_carries_drain(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)

        pool.input.deliver(Remove("a", drain=True))
        gate.open()
        finish(pool)

    assert witness.handled == [("a", 1)]


def receive(mailbox: Mailbox[object]) -> None:
    mailbox.receive()
    mailbox.receive()


def receive_many(mailbox: Mailbox[object]) -> None:
    mailbox.receive_many(1)
    mailbox.receive_many(10)


def loop(mailbox: Mailbox[object]) -> None:
    for _ in mailbox:
        pass


def await_future(mailbox: Mailbox[object]) -> None:
    mailbox.receive()
    mailbox.try_receive().result()


@pytest.mark.parametrize("wait", [receive, receive_many, loop, await_future])
def test_a_worker_that_waits_sees_that_it_was_removed(witness: Witness, wait: object) -> None:
    seen: list[BaseException] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        try:
            wait(mailbox)
        except BaseException as error:
            seen.append(error)
            raise

    with witness.pool(worker) as pool:
        pool.initialize("a", "started")
        until(lambda: pool.stats().waiting == 0)

        pool.remove("a")
        until(lambda: witness.ended == [("a", None)])

    assert [type(error) for error in seen] == [Cancelled]


def test_what_stands_after_the_loop_of_a_cancelled_worker_does_not_run(witness: Witness) -> None:
    seen: list[str] = []

    def worker(key: object, mailbox: Mailbox[Gate]) -> None:
        try:
            for gate in mailbox:
                gate()
            seen.append(f"{key}: after the loop")
        finally:
            seen.append(f"{key}: finally")

    with witness.pool(worker) as pool:
        for key in ("cancelled", "drained"):
            gate = witness.hold(pool, key)
            pool.remove(key, drain=key == "drained")
            gate.open()
            until(lambda: not leaving(pool))

    assert seen == ["cancelled: finally", "drained: after the loop", "drained: finally"]


def test_a_long_computation_can_look_whether_its_worker_was_removed(witness: Witness) -> None:
    gate = witness.gate()
    seen: list[bool] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        seen.append(mailbox.cancelled)
        gate()
        seen.append(mailbox.cancelled)

    with witness.pool(worker) as pool:
        pool.initialize("a")
        gate.wait_until_reached()
        pool.remove("a")
        gate.open()
        finish(pool)

    assert seen == [False, True]


def test_a_worker_that_swallows_its_cancellation_is_told_again_and_named_while_it_runs(
    witness: Witness,
) -> None:
    gate = witness.gate()
    cancellations: list[Cancelled] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        for _ in range(2):
            try:
                mailbox.receive()
            except Cancelled as error:
                cancellations.append(error)
        gate()

    with witness.pool(worker) as pool:
        witness.start(pool, "a")
        pool.remove("a")
        gate.wait_until_reached()

        (left,) = leaving(pool)
        assert (left.key, left.running, left.told_to_end) == ("a", True, True)

        gate.open()
        finish(pool)

    assert len(cancellations) == 2


def test_a_worker_may_remove_itself(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", lambda: pool.remove("a", drain=True))
        pool.dispatch("a", "backlog")
        gate.open()
        until(lambda: witness.ended == [("a", None)])

    assert witness.handled == [("a", "backlog")]
