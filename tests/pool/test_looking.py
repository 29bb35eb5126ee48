"""What a pool shows of itself."""

import pytest

from tests.helpers import until
from tests.pool.witness import END, Witness, finish
from threadpool_mb import PoolStats, UnfinishedWorker


def test_repr_shows_name_counts_and_state(witness: Witness) -> None:
    with witness.pool(name="io") as pool:
        gates = [witness.hold(pool, key) for key in range(3)]
        for number in range(12):
            pool.dispatch(number % 3, number)

        running = repr(pool)
        pool.close()
        closing = repr(pool)
        pool.cancel()
        cancelling = repr(pool)
        for gate in gates:
            gate.open()
        pool.join()

        threads = "3 threads"
        assert running == f"<Pool 'io' [3 workers | {threads} | running]>"
        assert closing == f"<Pool 'io' [3 workers | {threads} | closing]>"
        assert cancelling == f"<Pool 'io' [3 workers | {threads} | cancelling]>"
        assert repr(pool) == "<Pool 'io' [0 workers | 0 threads | ended]>"


def test_repr_counts_one_worker_in_the_singular(witness: Witness) -> None:
    with witness.pool(name="io") as pool:
        witness.hold(pool, "a").open()

        assert repr(pool) == "<Pool 'io' [1 worker | 1 thread | running]>"


def test_keys_and_len_and_in_tell_who_has_a_worker(witness: Witness) -> None:
    with witness.pool() as pool:
        assert (pool.keys(), len(pool), "a" in pool) == ([], 0, False)

        for key in ("a", "b", "c"):
            pool.initialize(key)
        pool.remove("b")

        assert (pool.keys(), len(pool)) == (["a", "c"], 2)
        assert [key in pool for key in ("a", "b", "c", "d")] == [True, False, True, False]


def test_a_worker_that_has_ended_by_itself_is_shown_no_more(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a", END)
        until(lambda: witness.exits)

        assert (pool.keys(), len(pool), "a" in pool) == ([], 0, False)


def test_keys_is_a_snapshot(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a")
        keys = pool.keys()

        pool.initialize("b")

        assert keys == ["a"]


def test_stats_tell_what_lives_and_what_happened(witness: Witness) -> None:
    with witness.pool() as pool:
        empty = pool.stats()
        gate = witness.hold(pool, "a")
        pool.dispatch("a", 1)
        pool.remove("a")
        pool.initialize("a", 2)
        pool.dispatch("unknown", 3)
        until(lambda: pool.stats().started == 1)

        stats = pool.stats()

        gate.open()
        finish(pool)

    leaving = UnfinishedWorker(
        key="a",
        incarnation=1,
        running=True,
        told_to_end=True,
        messages=1,
        senders_waiting=0,
    )
    nothing = PoolStats(
        state="running",
        workers=0,
        messages=0,
        unfinished=(),
        leaving=(),
        started=0,
        failed=0,
        dead_letters={},
        threads=1,
    )
    assert empty == nothing
    assert stats == PoolStats(
        state="running",
        workers=1,
        messages=2,
        unfinished=stats.unfinished,
        leaving=(leaving,),
        started=1,
        failed=0,
        dead_letters={"unknown key": 1},
        threads=2,
    )


def test_stats_count_failed_workers(witness: Witness) -> None:
    with witness.pool() as pool:
        pool.initialize("a", ValueError())
        pool.initialize("b", END)
        until(lambda: len(witness.exits) == 2)
        finish(pool)

    assert (pool.stats().started, pool.stats().failed) == (2, 1)


def test_stats_are_a_frozen_snapshot(witness: Witness) -> None:
    with witness.pool() as pool:
        stats = pool.stats()
        pool.dispatch("unknown", 1)

        assert stats.dead_letters == {}
        with pytest.raises(AttributeError):
            stats.workers = 3
