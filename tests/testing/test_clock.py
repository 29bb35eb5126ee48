"""The clock of a `SeededPool`: it goes on where the test, or all that is left, waits."""

import logging
from collections.abc import Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.testing.workers import Get, Log
from threadpool_mb.testing import SeededPool, Stuck


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="threadpool_mb")


@pytest.fixture
def log() -> Log:
    """Return a log."""
    return Log()


def test_it_stands_still_until_it_is_told(log: Log) -> None:
    with SeededPool(log.worker) as pool:
        pool.initialize("a", 2.5)
        pool.run()
        assert (pool.now, log.handled) == (0.0, [])
        pool.advance(2.4)
        assert (pool.now, log.handled) == (2.4, [])
        pool.advance(1)
        assert (pool.now, log.handled) == (3.4, [("a", 2.5)])
        assert [step.at for step in pool.order if step.what == "goes on"] == [2.5]


@pytest.mark.parametrize("seconds", [-1, None, float("nan")])
def test_advance_takes_a_number_of_seconds(seconds: Any) -> None:  # noqa: ANN401
    with (
        SeededPool(Log().worker) as pool,
        pytest.raises(ValueError, match="the time to advance must be seconds, at least 0"),
    ):
        pool.advance(seconds)


def test_what_is_due_is_done_in_the_order_of_its_time(log: Log) -> None:
    with SeededPool(log.worker) as pool:
        for key, seconds in (("late", 3.0), ("early", 1.0), ("between", 2.0)):
            pool.initialize(key, seconds)
        pool.advance(10)

    assert [key for key, _ in log.handled] == ["early", "between", "late"]


def test_the_seed_decides_who_goes_on_first_of_those_that_are_due_together() -> None:
    firsts = set[object]()
    for seed in range(30):
        log = Log()
        with SeededPool(log.worker, seed=seed) as pool:
            for key in "abc":
                pool.initialize(key, 1.0)
        firsts.add(log.handled[0][0])

    assert firsts == {"a", "b", "c"}


@pytest.mark.parametrize("seed", range(10))
def test_messages_that_are_dispatched_later_come_at_their_times_in_their_order(seed: int) -> None:
    log = Log()
    with SeededPool(log.worker, seed=seed, start="on_demand") as pool:
        pool.dispatch_later(2, "a", "third")
        pool.dispatch_later(1, "a", "first")
        pool.dispatch_later(1, "a", "second")
        every = pool.dispatch_every(10, "b", "tick")
        pool.advance(1)
        assert log.handled == [("a", "first"), ("a", "second")]
        pool.advance(29)
        assert log.handled[2:] == [("a", "third")] + 3 * [("b", "tick")]
        assert every.cancel()
        pool.advance(100)
        assert len(log.handled) == 6
    assert [step.at for step in pool.order if step.message == "tick"] == [10.0, 20.0, 30.0]


def test_what_is_not_due_at_the_end_is_a_dead_letter(log: Log) -> None:
    letters: list[mb.DeadLetter[Any, Any]] = []
    with SeededPool(log.worker, start="on_demand", on_dead_letter=letters.append) as pool:
        pool.dispatch_later(1000, "a", 1)

    assert [letter.reason for letter in letters] == [mb.DeadLetterReason.NOT_DUE]
    assert pool.now == 0.0


def test_a_rate_holds_by_the_clock(log: Log) -> None:
    with SeededPool(log.worker, rate=mb.Rate(10)) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", range(4))
        pool.run()
        assert log.of("a") == [0]
        pool.advance(1)

    at = [step.at for step in pool.order if step.what == "handles"]
    assert at == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_messages_expire_by_the_clock(log: Log) -> None:
    letters: list[mb.DeadLetter[Any, Any]] = []
    with SeededPool(log.worker, message_ttl=5, on_dead_letter=letters.append) as pool:
        pool.initialize("a")
        pool.dispatch("a", 6.0)
        pool.dispatch("a", "too late")
        pool.advance(4)
        pool.dispatch("a", "in time")

    assert log.of("a") == [6.0, "in time"]
    assert [letter.message for letter in letters] == ["too late"]


def test_a_worker_that_is_idle_ends_by_the_clock(log: Log) -> None:
    exits: list[mb.WorkerExit[Any]] = []
    with SeededPool(log.worker, idle_timeout=60, on_worker_exit=exits.append) as pool:
        pool.initialize("a", 1)
        pool.initialize("b", 2)
        pool.advance(50)
        pool.dispatch("b", 3)
        pool.advance(40)
        assert pool.keys() == ["b"]
        pool.advance(100)
        assert pool.keys() == []
    assert [(each.key, each.cause) for each in exits] == [("a", "idle"), ("b", "idle")]


def test_one_key_too_many_evicts_the_one_that_is_idle_longest(log: Log) -> None:
    with SeededPool(log.worker, start="on_demand", max_keys=2) as pool:
        for key in "abc":
            pool.dispatch(key, key)
            pool.run()
        assert pool.keys() == ["b", "c"]


def test_a_timeout_of_a_call_goes_by_the_clock() -> None:
    def worker(key: str) -> Generator[Any, mb.Call[int]]:
        while True:
            match (yield):
                case mb.Call(Get(), box):
                    yield from mb.sleep(3)
                    box.reply(1)

    with SeededPool(worker) as pool:
        pool.initialize("a")
        with pytest.raises(mb.CallTimedOut):
            mb.call(pool.ref("a"), Get(), timeout=2)
        assert pool.now == 2.0
        assert mb.call(pool.ref("a"), Get(), timeout=5) == 1
        assert pool.now == 6.0
        reply = mb.ask(pool.ref("a"), Get())
        with pytest.raises(mb.CallTimedOut):
            reply.result(timeout=1)
        assert pool.now == 7.0
        assert reply.result() == 1
    assert pool.now == 9.0


def test_flush_waits_by_the_clock(log: Log) -> None:
    with SeededPool(log.worker) as pool:
        pool.initialize("a", 5.0)
        assert not pool.flush("a", timeout=2)
        assert pool.now == 2.0
        assert pool.flush()
        assert pool.now == 5.0
        assert log.of("a") == [5.0]


def test_a_pool_that_does_not_come_to_rest_is_stuck() -> None:
    def worker(key: str) -> Generator[None, int]:
        while True:
            number = yield
            if number < 200:
                pool.dispatch(key, number + 1)

    with SeededPool(worker, seed=2, throughput=1) as pool:
        pool.initialize("a", 0)
        with pytest.raises(Stuck, match=r"seed 2, at 0 s: .*after 100 turns"):
            pool.run(max_turns=100)
        pool.run()
