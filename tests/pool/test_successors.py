"""The workers of one key, one after the other."""

from tests.helpers import leaving, until
from tests.pool.doubles import new_incarnation
from tests.pool.witness import Witness, finish
from threadpool_mb import Cancelled, Mailbox, WorkerExit
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.roster import Roster


def test_a_successor_waits_for_the_finally_block_of_its_predecessor(witness: Witness) -> None:
    gate = witness.gate()
    events: list[str] = []

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        message = mailbox.receive()
        events.append(f"{message} runs")
        try:
            mailbox.receive()
        finally:
            if message == "old":
                gate()
            events.append(f"{message} has ended")

    with witness.pool(worker) as pool:
        pool.initialize("a", "old")
        until(lambda: events)
        pool.remove("a")
        gate.wait_until_reached()

        assert pool.initialize("a", "new")
        pool.initialize("other", "other")
        until(lambda: "other runs" in events)  # so the dispatcher has looked at "new"
        assert events == ["old runs", "other runs"]
        assert pool.stats().keys == 2
        assert pool.stats().started == 2

        gate.open()
        until(lambda: "new runs" in events)

    assert events[2:4] == ["old has ended", "new runs"]


def test_a_successor_waits_for_the_exit_hook_of_its_predecessor(witness: Witness) -> None:
    gate = witness.gate()

    def hook(exit_: WorkerExit[str]) -> None:
        if exit_.incarnation == 1:
            gate()

    with witness.pool(on_worker_exit=hook) as pool:
        witness.start(pool, "a")
        pool.remove("a")
        gate.wait_until_reached()
        pool.initialize("a", "new")
        pool.initialize("other", "other")
        until(lambda: ("other", "other") in witness.handled)

        assert witness.handled == [("other", "other")]

        gate.open()
        finish(pool)

    assert witness.handled == [("other", "other"), ("a", "new")]


def test_a_successor_waits_for_a_predecessor_that_drains(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.dispatch("a", "old")
        pool.remove("a", drain=True)
        pool.initialize("a", "new")

        gate.open()
        finish(pool)

    assert witness.handled == [("a", "old"), ("a", "new")]


def test_a_successor_that_is_removed_before_its_turn_never_starts(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a", 1)
        pool.dispatch("a", 2)

        assert pool.remove("a")

        # At once, though its predecessor still runs.
        assert witness.dead == [("a", 1, "worker removed"), ("a", 2, "worker removed")]
        assert "a" not in pool
        gate.open()
        report = finish(pool)

    assert pool.stats().started == 1
    assert witness.ended == [("a", None)]
    assert report.unfinished == ()


def test_a_successor_that_is_removed_with_drain_before_its_turn_finishes_its_backlog(
    witness: Witness,
) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a", 1)
        pool.dispatch("a", 2)

        assert pool.remove("a", drain=True)
        assert "a" not in pool
        assert pool.dispatch("a", 3) is False
        gate.open()
        until(lambda: len(witness.exits) == 2)

    assert witness.handled == [("a", 1), ("a", 2)]
    assert witness.dead == [("a", 3, "unknown key")]


def test_many_workers_of_a_key_wait_in_line(witness: Witness) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        for number in range(5):
            pool.remove("a", drain=True)
            pool.initialize("a", number)

        waiting = [worker.running for worker in leaving(pool)]
        gate.open()
        finish(pool)

    assert waiting == [True, False, False, False, False]
    assert witness.handled == [("a", number) for number in range(5)]
    assert [exit_.incarnation for exit_ in witness.exits] == [1, 2, 3, 4, 5, 6]


def test_a_worker_that_is_dropped_from_the_middle_of_the_line_leaves_the_others_their_turn(
    witness: Witness,
) -> None:
    with witness.pool() as pool:
        gate = witness.hold(pool, "a")
        pool.remove("a")
        pool.initialize("a", "dropped")
        pool.remove("a")
        pool.initialize("a", "drained")
        pool.remove("a", drain=True)
        pool.initialize("a", "current")

        gate.open()
        finish(pool)

    assert witness.handled == [("a", "drained"), ("a", "current")]
    assert witness.dead == [("a", "dropped", "worker removed")]


def test_the_late_end_of_a_removed_worker_does_not_touch_its_successor(witness: Witness) -> None:
    gate = witness.gate()

    def worker(key: object, mailbox: Mailbox[object]) -> None:
        try:
            witness.work(key, mailbox)
        except Cancelled:
            gate()  # ends as if it had returned, long after it was removed

    with witness.pool(worker) as pool:
        witness.start(pool, "a")
        pool.remove("a")
        gate.wait_until_reached()
        pool.initialize("a", 1)
        gate.open()
        until(lambda: witness.handled == [("a", 1)])

        assert "a" in pool
        assert pool.dispatch("a", 2)
        finish(pool)

    assert witness.handled == [("a", 1), ("a", 2)]
    assert [exit_.incarnation for exit_ in witness.exits] == [1, 2]


def test_a_successor_that_is_removed_when_its_turn_has_come_leaves_no_entry() -> None:
    told: list[Incarnation[str, object] | None] = []
    roster: Roster[str, object] = Roster(told.append)
    office: DeadLetterOffice[str, object] = DeadLetterOffice("roster")
    first, second = (new_incarnation("a", office) for _ in range(2))
    roster.enter(first)
    roster.begin(first)
    roster.leave(first, may_start=False)
    roster.enter(second)
    roster.end(first, "returned")

    roster.leave(second, may_start=False)

    assert told == [first, second]
    assert roster._leaving == {}
