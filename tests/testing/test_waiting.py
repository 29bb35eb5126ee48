"""Workers of a `SeededPool` that wait: for answers, for room, for each other."""

import concurrent.futures
import logging
import threading
from collections.abc import Generator
from typing import Any

import pytest

import threadpool_mb as mb
from tests.testing.workers import Get, Log
from threadpool_mb.testing import SeededPool, Stuck

SEEDS = range(30)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="threadpool_mb")


class Chain:
    """A worker asks the next one, with its thread held, or without."""

    def __init__(self, length: int, *, holds: bool, seconds: float = 0.0) -> None:
        self.length = length
        self.holds = holds
        self.seconds = seconds
        self.running = 0
        self.threads = set[threading.Thread]()
        self.pool: SeededPool[int, Any]

    def worker(self, key: int) -> Generator[Any, mb.Call[int]]:
        """Answer with how many are behind this one."""
        while True:
            match (yield):
                case mb.Call(Get(), box):
                    self.threads.add(threading.current_thread())
                    if key == self.length:
                        yield from mb.sleep(self.seconds)
                        box.reply(0)
                    elif self.holds:
                        box.reply(1 + mb.call(self.pool.ref(key + 1), Get()))
                    else:
                        reply = mb.ask(self.pool.ref(key + 1), Get())
                        box.reply(1 + (yield from mb.wait(reply)))

    def run(self, seed: int) -> int:
        """Ask the first one."""
        with SeededPool(self.worker, seed=seed) as self.pool:
            for key in range(self.length + 1):
                self.pool.initialize(key)
            return mb.call(self.pool.ref(0), Get())


@pytest.mark.parametrize("holds", [True, False])
def test_workers_ask_each_other(*, holds: bool) -> None:
    chain = Chain(10, holds=holds, seconds=2.0)
    for seed in SEEDS:
        assert chain.run(seed) == 10
        assert chain.pool.now == 2.0


def test_those_that_wait_without_holding_a_thread_run_on_the_tests() -> None:
    chain = Chain(5, holds=False)
    for seed in SEEDS:
        chain.run(seed)

    assert chain.threads == {threading.current_thread()}


def test_one_that_waits_goes_on_first_where_the_other_waits_for_it() -> None:
    """Two wait, each with its thread held; the one that has begun later waits for the first."""
    orders = set[str]()

    def worker(key: str) -> Generator[Any, Any]:
        while True:
            match (yield):
                case mb.Call(Get(), box):
                    box.reply(1)
                case "go" if key == "first":
                    mb.call(pool.ref("server"), Get())
                case "go":
                    mb.call(pool.ref("first"), Get())
                case _:
                    pass

    for seed in SEEDS:
        with SeededPool(worker, seed=seed) as pool:
            for key in ("first", "second", "server"):
                pool.initialize(key)
            pool.dispatch("first", "go")
            pool.dispatch("second", "go")
            pool.run()
            orders.add(" ".join(str(step.key) for step in pool.order if step.what == "handles"))

    assert "first second server first" in orders
    assert len(orders) == 3


@pytest.mark.parametrize("holds", [True, False])
def test_the_same_seed_gives_the_same_order_whichever_threads_it_runs_on(*, holds: bool) -> None:
    def orders() -> list[str]:
        found: list[str] = []
        for seed in SEEDS:
            chain = Chain(6, holds=holds, seconds=1.0)
            chain.run(seed)
            found.append(str(chain.pool.order))
        return found

    first = orders()
    assert first == orders()
    assert len(set(first)) > 20


def test_others_have_their_turns_while_a_worker_holds_its_thread() -> None:
    """A race over a call: what was read before it is written after it."""
    lost = list[int]()
    for seed in SEEDS:
        shared = [0]

        def worker(key: str) -> Generator[Any, Any]:
            while True:
                match (yield):
                    case mb.Call(Get(), box):
                        box.reply(1)
                    case "add":
                        before = shared[0]  # noqa: B023 - used in this round
                        shared[0] = before + mb.call(pool.ref("one"), Get())  # noqa: B023

        with SeededPool(worker, seed=seed) as pool:
            for key in ("a", "b", "one"):
                pool.initialize(key)
            pool.dispatch("a", "add")
            pool.dispatch("b", "add")
            pool.run()
        lost.append(2 - shared[0])

    assert set(lost) == {0, 1}


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_wait_for_each_other_get_a_deadlock(seed: int) -> None:
    def worker(key: str) -> Generator[Any, str]:
        while True:
            other = yield
            mb.call(pool.ref(other), Get())

    with SeededPool(worker, seed=seed, on_dead_letter=lambda _: None) as pool:
        pool.initialize("a", "b")
        pool.initialize("b", "a")
        pool.run()
        errors = pool.errors()
    assert mb.CallDeadlock in {type(error) for error in errors}
    assert {type(error) for error in errors} <= {mb.CallDeadlock, mb.WorkerGone}


def test_a_worker_that_waits_for_what_never_comes_is_stuck() -> None:
    class Never(mb.Command[None]):
        pass

    kept: list[object] = []

    def worker(key: str) -> Generator[Any, Any]:
        while True:
            message = yield
            if key == "keeps":
                kept.append(message)
            else:
                mb.call(pool.ref("keeps"), Never())

    with SeededPool(worker, seed=9) as pool:
        pool.initialize("keeps")
        pool.initialize("a", "go")
        pool.run()
        (error,) = pool.errors()
    assert isinstance(error, Stuck)
    assert str(error).startswith("seed 9, at 0 s: what is waited for never comes")
    kept.clear()


def test_a_pool_whose_worker_waits_for_ever_is_given_up() -> None:
    def worker(key: str) -> Generator[Any, Any]:
        yield
        yield from mb.wait(concurrent.futures.Future[None]())

    with (
        pytest.raises(Stuck, match=r"nothing is left to do \(pool 'pool-1' 1 worker not ended"),
        SeededPool(worker) as pool,
    ):
        pool.initialize("a", 1)
    assert pool.stats().state == "ended"


def test_a_worker_that_waits_for_ever_on_another_thread_is_given_up() -> None:
    """It has begun while another one waited, on the test's thread."""
    inbox: mb.Mailbox[str] = mb.Unlimited().create()
    ends: list[tuple[str, threading.Thread]] = []

    def worker(key: str) -> Generator[Any, Any]:
        try:
            match (yield):
                case mb.Call(Get(), box):
                    yield from mb.sleep(1)
                    box.reply(1)
                case "asks":
                    pool.initialize("waits", "for ever")
                    mb.call(pool.ref("answers"), Get())
                case _:
                    inbox.receive()
        finally:
            ends.append((key, threading.current_thread()))

    pool = SeededPool(worker)
    pool.initialize("answers")
    pool.initialize("asks", "asks")
    pool.run()
    with pytest.raises(Stuck, match=r"1 worker not ended \(key 'waits'\)"), pool:
        pass
    assert [key for key, _ in ends] == ["answers", "asks", "waits"]
    assert ends[1][1] is threading.current_thread()
    assert ends[2][1] is not threading.current_thread()
    inbox.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_senders_wait_for_room_and_nothing_is_lost(seed: int) -> None:
    log = Log()

    def parser(key: str) -> Generator[None, int]:
        while True:
            message = yield
            for number in range(3):
                customers.dispatch("all", (key, message, number))

    with (
        SeededPool(log.worker, seed=seed, mailbox=mb.Blocking(2)) as customers,
        SeededPool(parser, mailbox=mb.Blocking(1)) as parsers,
    ):
        customers.initialize("all")
        for key in "abc":
            parsers.initialize(key)
        for message in range(4):
            for key in "abc":
                assert parsers.dispatch(key, message)
        parsers.flush()
        customers.flush()
        assert len(log.handled) == 36
    for key in "abc":
        mine = [each[1:] for each in log.of("all") if each[0] == key]
        assert mine == [(message, number) for message in range(4) for number in range(3)]


def test_a_full_mailbox_refuses_after_its_timeout_by_the_clock() -> None:
    log = Log()
    mailbox = mb.Waiting(1, deliver_timeout=5)
    with SeededPool(log.worker, mailbox=mailbox, on_dead_letter=lambda _: None) as pool:
        pool.initialize("a", 100.0)
        pool.run()
        assert pool.dispatch("a", 1)
        assert not pool.dispatch("a", 2)
        assert pool.now == 5.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pool_that_is_full_waits_or_says_so(seed: int) -> None:
    log = Log()
    with SeededPool(log.worker, seed=seed, max_waiting=3) as pool:
        pool.initialize("a")
        for number in range(10):
            assert pool.dispatch("a", number)

    assert log.of("a") == [*range(10)]


def test_a_worker_that_waits_for_room_which_only_it_could_make_gets_full() -> None:
    def worker(key: str) -> Generator[None, int]:
        while True:
            number = yield
            pool.dispatch(key, number + 1)
            pool.dispatch(key, number + 2)

    with SeededPool(worker, max_waiting=1, on_dead_letter=lambda _: None) as pool:
        pool.initialize("a")
        pool.dispatch("a", 0)
        pool.run()
        assert [type(error) for error in pool.errors()] == [mb.Full]


def test_a_mailbox_of_the_tests_own_is_filled_while_the_test_waits() -> None:
    def worker(key: str) -> Generator[Any, mb.Input[str]]:
        while True:
            target = yield
            yield from mb.sleep(3)
            target.deliver("answer")

    inbox: mb.Mailbox[str] = mb.Unlimited().create()
    with SeededPool(worker) as pool:
        pool.initialize("a", inbox.new_input())
        assert inbox.receive() == "answer"
        pool.dispatch("a", inbox.new_input())
        with pytest.raises(mb.MailboxEmpty):
            inbox.receive(timeout=2)
        assert pool.now == 5.0
        assert inbox.receive(timeout=2) == "answer"
        inbox.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_in_a_blocking_pool_the_test_goes_on_while_a_worker_holds_its_thread(seed: int) -> None:
    chain = Chain(2, holds=True, seconds=2.0)
    with SeededPool(chain.worker, seed=seed, blocking=True) as chain.pool:
        for key in range(3):
            chain.pool.initialize(key)
        chain.pool.pause(1)
        reply = mb.ask(chain.pool.ref(0), Get())
        chain.pool.run()
        assert not reply.done()
        chain.pool.resume(1)
        chain.pool.advance(1.5)
        assert chain.pool.now == 1.5
        assert not reply.done()
        chain.pool.advance(0.5)
        assert reply.try_result() == 2
    assert threading.current_thread() not in chain.threads


def test_otherwise_it_is_told_how_it_would() -> None:
    chain = Chain(1, holds=True)
    with SeededPool(chain.worker) as chain.pool:
        chain.pool.initialize(0)
        chain.pool.initialize(1)
        chain.pool.pause(1)
        mb.ask(chain.pool.ref(0), Get())
        chain.pool.run()
        (error,) = chain.pool.errors()
        assert str(error).endswith("while a worker waits so: SeededPool(..., blocking=True)")
        chain.pool.resume(1)


def test_a_future_that_another_thread_fills_is_waited_for() -> None:
    def square(number: int) -> int:
        gate.wait()
        return number * number

    def worker(key: str) -> Generator[Any, int]:
        while True:
            number = yield
            got.append((yield from mb.wait(executor.submit(square, number))))

    got: list[int] = []
    gate = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        with SeededPool(worker) as pool:
            pool.initialize("a", 3)
            pool.run()
            assert got == []
            gate.set()
        assert got == [9]


def test_timeouts_of_futures_are_real() -> None:
    gate = threading.Event()
    with SeededPool(Log().worker) as seeded, mb.KeyedExecutor(1) as executor:
        future = executor.submit_keyed("a", gate.wait)
        with pytest.raises(TimeoutError):
            future.result(timeout=0.01)
        assert concurrent.futures.wait([future], timeout=0.01).not_done == {future}
        gate.set()
        assert future.result(timeout=10)
        assert seeded.now == 0.0


def test_a_call_to_a_pool_with_threads_is_waited_for() -> None:
    def worker(key: str) -> Generator[Any, mb.Call[int]]:
        while True:
            (yield).reply_box.reply(5)

    with SeededPool(Log().worker) as seeded, mb.Pool(worker) as pool:
        pool.initialize("a")
        assert mb.call(pool.ref("a"), Get()) == 5
        assert mb.call(pool.ref("a"), Get(), timeout=5) == 5
        assert seeded.now == 0.0


def test_what_another_thread_fills_is_waited_for() -> None:
    def worker(key: str) -> Generator[Any, Any]:
        while True:
            message = yield
            kept.append(message.reply_box)
            kept.append(threading.Timer(0.01, lambda: kept[0].reply(7)))
            kept[-1].start()

    kept: list[Any] = []
    with SeededPool(worker) as pool:
        pool.initialize("a")
        assert mb.call(pool.ref("a"), Get()) == 7
        kept[-1].join()
