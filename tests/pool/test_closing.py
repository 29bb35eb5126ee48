"""Shutting down: close, cancel, join, drain."""

import pytest

from tests.helpers import Running, in_thread, leaving, until
from tests.insides import dispatcher_of
from tests.pool.witness import Witness, finish, named
from threadpool_mb import Cancelled, DrainReport, Mailbox, NonBlocking, Pool, PoolClosed


def test_close_lets_the_workers_finish_their_backlog(witness: Witness) -> None:
    with witness.pool() as pool:
        gates = [witness.hold(pool, key) for key in ("a", "b")]
        for number in range(3):
            pool.dispatch("a", number)
            pool.dispatch("b", number)

        pool.close()
        for gate in gates:
            gate.open()
        report = pool.join()

    assert sorted(witness.handled) == [(key, number) for key in ("a", "b") for number in range(3)]
    assert report == DrainReport(finished=True, unfinished=(), failed=0, dead_letters={})


def test_close_lets_a_worker_that_has_not_started_have_its_turn(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a", "new")

        pool.close()
        gate.open()
        pool.join()

    assert witness.handled == [("a", "new")]
    assert len(witness.exits) == 2


def test_cancel_makes_dead_letters_of_what_waits(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.dispatch("a", 2)

        pool.cancel()
        gate.open()
        report = pool.join()

    assert witness.handled == []
    assert witness.dead == [("a", 1, "pool closed"), ("a", 2, "pool closed")]
    assert witness.ended == [("a", None)]
    assert report.finished
    assert report.dead_letters == {"pool closed": 2}


def test_cancel_drops_workers_that_have_not_started(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a", 1)
        pool.remove("a", drain=True)
        pool.initialize("a", 2)

        pool.cancel()

        # At once, though the first worker still runs.
        assert witness.dead == [("a", 1, "pool closed"), ("a", 2, "pool closed")]
        assert [worker.incarnation for worker in leaving(pool)] == [1]
        gate.open()
        pool.join()

    assert pool.stats().started == 1


def test_cancel_after_close_stops_the_draining_workers(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.close()
        closing = pool.stats().state

        pool.cancel()
        cancelling = pool.stats().state
        gate.open()
        pool.join()

    assert (closing, cancelling, pool.stats().state) == ("closing", "cancelling", "ended")
    assert witness.dead == [("a", 1, "pool closed")]


def test_close_after_cancel_changes_nothing(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)

        pool.cancel()
        pool.close()
        gate.open()
        pool.join()

    assert witness.dead == [("a", 1, "pool closed")]


def test_close_and_cancel_and_join_can_be_repeated(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a", 1)

        reports = []
        for _ in range(2):
            pool.close()
            reports.append(pool.join())
            pool.cancel()
            reports.append(pool.join())

    assert reports == [DrainReport(finished=True, unfinished=(), failed=0, dead_letters={})] * 4
    assert witness.handled == [("a", 1)]


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_an_empty_pool_ends_at_once_and_leaves_no_thread(witness: Witness, end: str) -> None:
    with witness.pool(name="empty") as pool:
        getattr(pool, end)()

        assert pool.join().finished
        assert named("empty-") == []
        assert pool.stats().threads == 0


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_pool_whose_workers_have_ended_has_no_threads(witness: Witness, end: str) -> None:
    with witness.pool(name="full") as pool:
        for key in range(3):
            witness.start(pool, key)

        getattr(pool, end)()

        assert pool.join().finished
        assert named("full-") == []
        assert pool.stats().threads == 0


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_after_the_end_dispatch_and_initialize_raise_and_make_no_dead_letter(
    witness: Witness, end: str
) -> None:
    with witness.pool(name="io") as pool:
        gate = witness.hold(pool, "removed")
        pool.remove("removed")
        witness.start(pool, "live")
        hold = witness.hold(pool, "live")
        getattr(pool, end)()

        for key in ("live", "removed", "unknown"):
            with pytest.raises(PoolClosed, match=r"the pool 'io' is .*takes no message"):
                pool.dispatch(key, 1)
            with pytest.raises(PoolClosed, match=r"the pool 'io' is .*starts no worker"):
                pool.initialize(key, 1)
        gate.open()
        hold.open()
        pool.join()
        with pytest.raises(PoolClosed):
            pool.dispatch("removed", 1)
        with pytest.raises(PoolClosed):
            pool.initialize("removed", 1)

    assert witness.dead == []


def test_after_the_end_remove_finds_no_worker(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a")
        finish(pool)

        assert pool.remove("a") is False
        assert pool.keys() == []


def test_a_worker_can_be_removed_from_a_pool_that_drains(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.close()

        assert pool.remove("a")
        gate.open()
        pool.join()

    assert witness.dead == [("a", 1, "worker removed")]


def test_join_waits_until_somebody_closes_the_pool(witness: Witness) -> None:
    with witness.pool() as pool, in_thread(pool.join) as joining:
        pool.initialize("a", 1)
        until(lambda: witness.handled)
        assert joining.running

        pool.close()

        assert joining.result().finished


def test_join_with_a_timeout_names_the_workers_that_are_stuck(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "stuck")
        pool.dispatch("stuck", 1)
        pool.initialize("quick", 1)
        pool.remove("stuck")
        pool.initialize("stuck", 2)
        until(lambda: ("quick", 1) in witness.handled)
        pool.close()
        until(lambda: len(leaving(pool)) == 2)

        report = pool.join(timeout=0)

        assert report.finished is False
        assert [
            (each.key, each.incarnation, each.running, each.told_to_end, each.messages)
            for each in report.unfinished
        ] == [("stuck", 1, True, True, 1), ("stuck", 3, False, True, 1)]
        gate.open()
        assert pool.join().unfinished == ()


def test_join_of_a_pool_that_nobody_closed_times_out(witness: Witness) -> None:
    with witness.pool() as pool:
        report = pool.join(timeout=0)

    assert report == DrainReport(finished=False, unfinished=(), failed=0, dead_letters={})


def test_drain_handles_the_backlog(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a", 1)

        report = pool.drain(timeout=None)

    assert report == DrainReport(finished=True, unfinished=(), failed=0, dead_letters={})
    assert witness.handled == [("a", 1)]


def test_drain_cancels_and_names_what_is_left_after_the_timeout(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "stuck")
        pool.dispatch("stuck", 1)

        report = pool.drain(timeout=0.001)

        assert report.finished is False
        assert [(each.key, each.messages) for each in report.unfinished] == [("stuck", 1)]
        assert pool.stats().state == "cancelling"
        gate.open()
        assert pool.join().dead_letters == {"pool closed": 1}

    assert witness.handled == []


def test_the_report_counts_failures_and_dead_letters(witness: Witness) -> None:
    with witness.pool(mailbox=NonBlocking(1)) as pool:
        pool.dispatch("unknown", 1)
        pool.initialize("bad", ValueError())
        until(lambda: witness.exits)
        gate = witness.hold(pool, "a")
        pool.initialize("a", 2)
        for number in range(3):
            pool.dispatch("a", number)
        gate.open()

        report = finish(pool)

    assert report.failed == 1
    assert report.dead_letters == {
        "unknown key": 1,
        "duplicate initialize": 1,
        "refused by the limit": 2,
    }


def test_leaving_the_block_drains(witness: Witness) -> None:
    with Pool(witness.work) as pool:
        pool.initialize("a")
        for number in range(100):
            pool.dispatch("a", number)

    assert witness.handled == [("a", number) for number in range(100)]
    assert pool.stats().state == "ended"


def test_leaving_the_block_with_an_exception_cancels_and_lets_it_pass(witness: Witness) -> None:
    gate = witness.gate()
    cancelled: list[object] = []
    mailboxes: list[Mailbox[object]] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        mailboxes.append(mailbox)
        gate()
        try:
            mailbox.receive()
        except Cancelled:
            cancelled.append(key)
            raise

    pool = Pool(worker, on_dead_letter=witness.letters.append)

    def leave() -> None:
        with pool:
            pool.initialize("a", 1)
            gate.wait_until_reached()
            raise KeyError("the block's")

    leaving = Running(leave)
    until(lambda: len(mailboxes) == 1 and mailboxes[0].cancelled)
    gate.open()
    with pytest.raises(KeyError):
        leaving.result()

    assert cancelled == ["a"]
    assert witness.dead == [("a", 1, "pool closed")]
    assert pool.stats().state == "ended"


def test_an_interrupt_while_the_block_drains_cancels_the_pool(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)

        def interrupted(*, timeout: float | None) -> None:
            assert pool.stats().state == "closing"
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(
                type(dispatcher_of(pool)),
                "join",
                lambda self, *, timeout: interrupted(timeout=timeout),
            )
            with pytest.raises(KeyboardInterrupt), pool:
                pass

        assert pool.stats().state == "cancelling"
        gate.open()
        pool.join()

    assert witness.dead == [("a", 1, "pool closed")]
