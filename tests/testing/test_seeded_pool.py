"""`SeededPool`: turns on the test's thread, in an order that the seed decides."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.helpers import Running, listed_after_its_end
from tests.testing.workers import Get, Log
from threadpool_mb.testing import SeededPool, Stuck
from threadpool_mb.threads.here import here

KEYS = "abcd"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="threadpool_mb")


def handled_with(seed: int) -> list[tuple[object, Any]]:
    log = Log()
    with SeededPool(log.worker, seed=seed, start="on_demand") as pool:
        pool.dispatch_all((key, number) for number in range(5) for key in KEYS)
        pool.run()
    return log.handled


def test_the_same_seed_gives_the_same_order_and_others_give_others() -> None:
    assert handled_with(3) == handled_with(3)
    assert len({tuple(handled_with(seed)) for seed in range(20)}) > 15


@pytest.mark.parametrize("seed", range(20))
def test_each_key_has_its_messages_in_their_order(seed: int) -> None:
    handled = handled_with(seed)

    assert [[n for each, n in handled if each == key] for key in KEYS] == [[*range(5)]] * 4


def test_turns_take_different_numbers_of_messages() -> None:
    log = Log()
    counts = set[int]()
    for seed in range(20):
        with SeededPool(log.worker, seed=seed) as pool:
            pool.initialize("a")
            pool.dispatch_many("a", range(5))
            pool.run()
            turns = [step.turn for step in pool.order if step.what == "handles"]
        counts |= {turns.count(turn) for turn in turns}

    assert counts == {1, 2, 3, 5} | counts
    assert max(counts) <= 5


def test_a_turn_takes_no_more_messages_than_the_throughput() -> None:
    log = Log()
    for seed in range(10):
        with SeededPool(log.worker, seed=seed, throughput=2) as pool:
            pool.initialize("a")
            pool.dispatch_many("a", range(9))
            pool.run()
            turns = [step.turn for step in pool.order if step.what == "handles"]
        assert max(turns.count(turn) for turn in turns) <= 2


def test_nothing_runs_until_the_test_says_so_and_then_on_its_thread() -> None:
    threads: list[threading.Thread] = []

    def worker(key: str) -> Generator[None, str]:
        while True:
            yield
            threads.append(threading.current_thread())

    before = threading.active_count()
    with SeededPool(worker) as pool:
        pool.initialize("a", "message")
        assert threads == []
        assert pool.run() > 0
        assert threads == [threading.current_thread()]
        assert threading.active_count() == before
        assert pool.run() == 0


def test_step_does_one_thing() -> None:
    log = Log()
    with SeededPool(log.worker, throughput=1) as pool:
        pool.initialize("a", 1)
        pool.initialize("b", 2)
        assert pool.step()
        assert len({step.turn for step in pool.order}) == 1
        while pool.step():
            pass
        assert sorted(log.handled) == [("a", 1), ("b", 2)]
        assert not pool.step()


def test_the_order_is_readable() -> None:
    def worker(key: str) -> Generator[Any, object]:
        message = yield
        yield from mb.sleep(0.5)
        if message == "bad":
            raise ValueError(message)

    with SeededPool(worker, seed=7, name="pool") as pool:
        pool.initialize("a", "good")
        pool.run()
        pool.advance(1)
        pool.initialize("b", "bad")
        pool.run()
        pool.advance(1)
        assert [type(error) for error in pool.errors()] == [ValueError]

    assert [(step.at, step.key, step.what, step.text) for step in pool.order] == [
        (0.0, "a", "starts", ""),
        (0.0, "a", "handles", "'good'"),
        (0.0, "a", "waits", ""),
        (0.5, "a", "goes on", ""),
        (0.5, "a", "ends", ""),
        (1.0, "b", "starts", ""),
        (1.0, "b", "handles", "'bad'"),
        (1.0, "b", "waits", ""),
        (1.5, "b", "goes on", ""),
        (1.5, "b", "fails", "ValueError('bad')"),
    ]
    assert pool.order.handled() == [("a", "good"), ("b", "bad")]
    assert str(pool.order).splitlines()[:3] == [
        "the order of seed 7:",
        "    0.000 s  turn 1    pool  'a' starts",
        "    0.000 s  turn 1    pool  'a' handles 'good'",
    ]
    assert repr(pool.order[:1]) == repr([pool.order[0]])
    assert repr(pool.order) == "<Order of seed 7: 10 steps>"


def test_a_wait_in_a_circle_goes_on_with_its_error() -> None:
    def worker(key: str) -> Generator[Any, str]:
        other = yield
        with contextlib.suppress(mb.CallDeadlock, mb.WorkerGone):
            yield from mb.wait(mb.ask(pool.ref(other), Get()))

    with SeededPool(worker, seed=7, on_dead_letter=lambda _: None) as pool:
        pool.initialize("a", "b")
        pool.initialize("b", "a")
        pool.run()

    texts = [step.text for step in pool.order if step.what == "goes on"]
    assert [text for text in texts if text.startswith("with CallDeadlock(")]


def test_the_engine_is_that_of_a_pool() -> None:
    log = Log()
    letters: list[mb.DeadLetter[Any, Any]] = []
    with SeededPool(log.worker, on_dead_letter=letters.append) as pool:
        assert isinstance(pool, mb.Pool)
        assert pool.initialize("a", 1)
        assert not pool.initialize("a", 2)
        assert not pool.dispatch("b", 3)
        assert pool.dispatch_many("a", [4, 5]) == 2
        assert pool.ref("a").deliver(6)
        assert pool.keys() == ["a"]
        assert len(pool) == 1
        assert "a" in pool
        assert pool.flush("a")
        assert log.of("a") == [1, 4, 5, 6]
        stats = pool.stats()
        assert (stats.keys, stats.waiting, stats.handled) == (1, 0, 4)
        assert [each.state for each in pool.workers()] == ["idle"]
        assert pool.remove("a")
        assert "a" not in pool
        assert not pool.dispatch("a", 7)
    assert [(letter.message, letter.reason) for letter in letters] == [
        (2, mb.DeadLetterReason.DUPLICATE_INITIALIZE),
        (3, mb.DeadLetterReason.UNKNOWN_KEY),
        (7, mb.DeadLetterReason.UNKNOWN_KEY),
    ]
    with pytest.raises(mb.PoolClosed):
        pool.dispatch("a", 8)


def test_a_paused_worker_takes_nothing_until_it_is_resumed() -> None:
    log = Log()
    with SeededPool(log.worker) as pool:
        pool.initialize("a", 1)
        pool.run()
        assert pool.pause("a")
        pool.dispatch("a", 2)
        pool.run()
        assert log.of("a") == [1]
        assert pool.resume("a")
        pool.run()
        assert log.of("a") == [1, 2]


@pytest.mark.parametrize("seed", range(10))
def test_pinned_workers_of_one_thread_have_their_turns_in_order(seed: int) -> None:
    log = Log()
    with SeededPool(log.worker, seed=seed, pinned=True, max_threads=1, throughput=1) as pool:
        for key in KEYS:
            pool.initialize(key)
        pool.run()
        pool.dispatch_all((key, 0) for key in KEYS)
        pool.run()

    assert log.handled == [(key, 0) for key in KEYS]


@pytest.mark.parametrize(
    "mailbox", [mb.Sliding(2), mb.Prioritized(mb.Unlimited(), lambda number: -number)]
)
def test_messages_in_a_store(mailbox: mb.MailboxConfig) -> None:
    log = Log()
    with SeededPool(log.worker, mailbox=mailbox, on_dead_letter=lambda _: None) as pool:
        pool.initialize("a")
        pool.run()
        pool.dispatch_many("a", [1, 2, 3])

    assert log.of("a") == ([2, 3] if isinstance(mailbox, mb.Sliding) else [3, 2, 1])


def test_a_function_worker_is_refused_by_name() -> None:
    def worker(key: str, mailbox: mb.Mailbox[str]) -> None:
        pass

    with pytest.raises(TypeError, match=r"generator workers; it cannot run <function .*worker"):
        SeededPool(worker)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", ["7", 1.5, True])
def test_a_seed_is_an_int(seed: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match=f"seed must be an int, not {seed!r}"):
        SeededPool(Log().worker, seed=seed)


def test_the_arguments_of_a_pool_are_checked() -> None:
    with pytest.raises(ValueError, match="max_keys"):
        SeededPool(Log().worker, max_keys=0)
    with pytest.raises(TypeError, match="on_worker_exit"):
        SeededPool(Log().worker, on_worker_exit=lambda: None)  # type: ignore[arg-type, misc]
    assert here.serving is None


# Several pools


def test_pools_that_are_open_together_share_order_clock_and_seed() -> None:
    log = Log()
    with SeededPool(log.worker, seed=5) as one, SeededPool(log.worker) as other:
        assert other.seed == 5
        one.initialize("a", 1)
        other.initialize("b", 2)
        one.advance(3)
        assert other.now == 3.0
        assert sorted(log.handled) == [("a", 1), ("b", 2)]
        assert other.order is one.order
        assert {step.pool for step in one.order} == {"pool-1", "pool-2"}
        with pytest.raises(
            ValueError, match=r"seed must be 5, not 6: .*, and 'pool-1', 'pool-2' is open"
        ):
            SeededPool(log.worker, seed=6)
    with SeededPool(log.worker, seed=6) as later:
        assert later.now == 0.0
        assert len(later.order) == 0


def test_a_pool_that_was_dropped_unclosed_warns_and_is_no_part_of_what_comes() -> None:
    pool = SeededPool(Log().worker, seed=5, name="dropped")
    with pytest.warns(ResourceWarning, match="unclosed <Pool 'dropped'>"):
        del pool
    assert here.serving is None
    with SeededPool(Log().worker, seed=6) as later:
        assert later.seed == 6


# Where it runs


def test_it_runs_on_no_other_thread() -> None:
    with SeededPool(Log().worker) as pool:
        for function in (pool.run, pool.step, lambda: pool.advance(1)):
            with pytest.raises(RuntimeError, match="on the thread that has made it"):
                Running(function).result()


def test_an_interrupt_in_a_worker_reaches_the_test() -> None:
    def worker(key: str) -> Generator[None]:
        yield
        signal.raise_signal(signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        pool = SeededPool(worker)
        pool.initialize("a", None)
        with pytest.raises(KeyboardInterrupt), pool:
            pool.run()
    finally:
        signal.signal(signal.SIGINT, handler)


def test_it_is_made_in_no_worker_of_another_pool() -> None:
    raised: list[str] = []

    def worker(key: str) -> Generator[None]:
        yield
        with pytest.raises(RuntimeError) as caught:
            SeededPool(Log().worker)
        raised.append(str(caught.value))

    with mb.Pool(worker) as pool:
        pool.initialize("a", None)

    assert raised == ["a SeededPool cannot be made in a worker"]


def test_a_worker_neither_runs_nor_joins_nor_makes_one() -> None:
    raised: list[str] = []

    def worker(key: str) -> Generator[None, Any]:
        while True:
            function = yield
            try:
                function()
            except RuntimeError as error:
                raised.append(str(error))

    with SeededPool(worker, name="pool") as pool:
        pool.initialize("a")
        for function in (pool.run, pool.join, lambda: SeededPool(worker)):
            pool.dispatch("a", function)
        pool.run()

    refused = "a worker can neither make a SeededPool nor run one"
    assert [raised[0], raised[2]] == [refused, refused]
    assert "it would wait for itself" in raised[1]


async def enters(pool: SeededPool[Any, Any]) -> None:
    async with pool:
        pass


async def drains(pool: SeededPool[Any, Any]) -> None:
    await pool.adrain(timeout=None)


@pytest.mark.parametrize("use", [enters, drains])
def test_it_is_not_for_asyncio(use: Callable[[SeededPool[Any, Any]], Any]) -> None:
    with (
        SeededPool(Log().worker) as pool,
        pytest.raises(TypeError, match="not for asyncio"),
    ):
        use(pool).send(None)


# Ends


def test_leaving_the_block_has_all_handled_that_was_taken() -> None:
    log = Log()
    with SeededPool(log.worker) as pool:
        pool.initialize("a")
        pool.dispatch_many("a", [1, 2.0, 3])

    assert log.of("a") == [1, 2.0, 3]
    assert pool.now == 2.0
    assert pool.stats().state == "ended"


def test_leaving_the_block_with_an_exception_cancels() -> None:
    log = Log()
    letters: list[Any] = []
    pool = SeededPool(log.worker, on_dead_letter=lambda letter: letters.append(letter.message))
    pool.initialize("a")
    pool.dispatch("a", 1)
    with pytest.raises(KeyError), pool:
        raise KeyError

    assert log.handled == []
    assert letters == [1]
    assert pool.stats().state == "ended"


def test_drain_cancels_what_is_left_after_its_timeout() -> None:
    log = Log()
    pool = SeededPool(log.worker, on_dead_letter=lambda _: None)
    pool.initialize("a")
    pool.dispatch_many("a", [1, 100.0, 2])

    report = pool.drain(timeout=10)

    assert not report.finished
    assert pool.now == 10.0
    assert pool.join().finished
    assert log.of("a") == [1]


def test_joining_an_open_pool_says_that_this_would_never_end() -> None:
    with SeededPool(Log().worker, seed=3) as pool:
        pool.initialize("a")
        assert not pool.join(timeout=5).finished
        assert pool.now == 5.0
        with pytest.raises(
            Stuck, match=r"seed 3, at 5 s: .* nothing is left to do \(pool 'pool-1' is open, "
        ):
            pool.join()


def test_a_thread_that_has_ended_is_not_waited_for_though_it_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("threadpool_mb.testing.world._OUTSIDE", 1e9)
    pool = SeededPool(Log().worker)

    with listed_after_its_end(), pytest.raises(Stuck, match="nothing is left to do"):
        pool.join()
    pool.close()


# Errors


def test_a_worker_that_fails_fails_the_test() -> None:
    error = ValueError("bad")
    log = Log()
    with pytest.raises(ValueError, match="bad") as caught, SeededPool(log.worker, seed=4) as pool:
        pool.initialize("a", error)

    assert caught.value is error
    assert error.__notes__ == [
        "raised by the worker of key 'a', as it handled ValueError('bad'); seed 4"
    ]
    assert pool.join().failed == 1


def test_several_errors_come_in_a_group_and_what_is_no_exception_does_too() -> None:
    def worker(key: BaseException) -> Generator[None]:
        yield
        raise key

    pool = SeededPool(worker)
    pool.initialize(ValueError(1), None)
    pool.initialize(SystemExit(2), None)
    with pytest.raises(BaseExceptionGroup) as caught, pool:
        pass
    assert {type(each) for each in caught.value.exceptions} == {ValueError, SystemExit}

    with pytest.raises(BaseExceptionGroup, match="1 workers failed"), SeededPool(worker) as pool:
        pool.initialize(SystemExit(2), None)


def test_an_error_that_the_test_has_taken_does_not_fail_it() -> None:
    errors = [ValueError(1), KeyError(2)]
    with SeededPool(Log().worker) as pool:
        pool.initialize("a", errors[0])
        pool.initialize("b", errors[1])
        pool.run()
        assert sorted(map(repr, pool.errors())) == sorted(map(repr, errors))
        assert pool.errors() == []


def test_a_worker_that_is_started_again_does_not_fail_the_test_until_it_is_given_up() -> None:
    log = Log()
    restart = mb.Restart(max_restarts=2, delay=1.0, factor=10.0)
    exits: list[mb.WorkerExit[Any]] = []
    pool = SeededPool(log.worker, restart=restart, on_worker_exit=exits.append)
    pool.initialize("a")
    pool.dispatch_many("a", [ValueError(1), ValueError(2), "good", ValueError(3)])
    with pytest.raises(ValueError, match="3"):
        pool.drain(timeout=None)

    assert log.of("a") == ["good"]
    assert [each.restart_in for each in exits] == [1.0, 10.0, None]
    assert pool.now == 11.0


def test_an_error_of_the_block_stands_and_has_a_note_of_the_workers() -> None:
    pool = SeededPool(Log().worker)
    pool.initialize("a", ValueError("bad"))
    pool.run()
    with pytest.raises(KeyError) as caught, pool:
        raise KeyError("the test's")

    assert caught.value.__notes__ == ["a worker had failed before: ValueError('bad')"]


def test_an_error_of_the_block_stands_though_the_pool_does_not_end() -> None:
    inbox: mb.Mailbox[str] = mb.Unlimited().create()

    def worker(key: str) -> Generator[Any, Any]:
        match (yield):
            case mb.Call(_, box):
                yield from mb.sleep(1)
                box.reply(1)
            case "asks":
                pool.initialize("waits", "for ever")
                mb.call(pool.ref("answers"), Get())
            case _:
                inbox.receive()

    def leave() -> None:
        with pool:
            pool.initialize("answers")
            pool.initialize("asks", "asks")
            pool.run()
            raise KeyError("of the block")

    pool = SeededPool(worker)
    with pytest.raises(KeyError, match="of the block"):
        leave()
    assert pool.stats().state == "ended"
    inbox.close()


def test_the_interface_of_calls() -> None:
    def worker(key: str) -> Generator[None, mb.Call[int]]:
        while True:
            match (yield):
                case mb.Call(Get(), box):
                    box.reply(ord(key))

    with SeededPool(worker, start="on_demand", inline_calls=True) as pool:
        reply = mb.ask(pool.ref("a"), Get())
        assert not reply.done()
        assert mb.call(pool.ref("b"), Get()) == 98
        assert reply.result() == 97
        future = mb.ask(pool.ref("c"), Get()).as_future()
        assert future.result() == 99
        # An idle worker handles it at once.
        assert mb.call(pool.ref("a"), Get()) == 97
        assert [(step.turn, step.key) for step in pool.order[-1:]] == [(0, "a")]
