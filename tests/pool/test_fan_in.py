"""Workers that send to a full worker: each gets its room, or learns that it never would."""

import itertools
import pickle
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.pool.witness import Gate
from threadpool_mb import (
    Blocking,
    CatchAll,
    Command,
    DeadLetter,
    Dispatch,
    DispatchDeadlock,
    Mailbox,
    MailboxConfig,
    NonBlocking,
    Pool,
    Unlimited,
    Waiting,
    WorkerExit,
    call,
)
from threadpool_mb.threads.turns import _IN_A_ROW

PRODUCERS = 40
EACH = 20

FULL = [
    Blocking(4),
    Blocking(1),
    Waiting(4, deliver_timeout=DEADLINE),
    Waiting(4, deliver_timeout=None),
    CatchAll(Blocking(4)),
    Unlimited(),
]

WAYS: dict[str, Callable[[Pool[Any, Any], list[int]], object]] = {
    "dispatch": lambda pool, numbers: [pool.dispatch("sink", number) for number in numbers],
    "dispatch_many": lambda pool, numbers: pool.dispatch_many("sink", numbers),
    "dispatch_all": lambda pool, numbers: pool.dispatch_all(("sink", n) for n in numbers),
    "ref": lambda pool, numbers: [pool.ref("sink").deliver(number) for number in numbers],
    "input": lambda pool, numbers: [pool.input.deliver(Dispatch("sink", n)) for n in numbers],
}


class Fan:
    """Producers that send to one key of their own pool."""

    def __init__(self, kind: str, send: Callable[[Pool[Any, Any], list[int]], object]) -> None:
        self._send = send
        self.taken: list[object] = []
        self.done: list[object] = []
        self.dead: list[DeadLetter[Any, Any]] = []
        self.exits: list[WorkerExit[Any]] = []
        self._worker = self.turns if kind == "generator" else self.loop

    def pool(self, mailbox: MailboxConfig, **options: Any) -> Pool[Any, Any]:  # noqa: ANN401
        """Make the pool."""
        self._pool: Pool[Any, Any] = Pool(
            self._worker,
            mailbox=mailbox,
            on_dead_letter=self.dead.append,
            on_worker_exit=self.exits.append,
            **options,
        )
        return self._pool

    def _take(self, key: object, message: object) -> None:
        if key == "sink":
            self.taken.append(message)
        else:
            self._send(self._pool, list(range(EACH)))
            self.done.append(key)

    def turns(self, key: object) -> Generator[None, Any]:
        """Work as a generator."""
        while True:
            self._take(key, (yield))

    def loop(self, key: object, mailbox: Mailbox[Any]) -> None:
        """Work as a function."""
        for message in mailbox:
            self._take(key, message)


def _fan_in(kind: str, mailbox: MailboxConfig, way: str) -> None:
    fan = Fan(kind, WAYS[way])

    with fan.pool(mailbox) as pool:
        pool.initialize("sink")
        for key in range(PRODUCERS):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: len(fan.done) == PRODUCERS)

    assert sorted(fan.taken, key=str) == sorted(list(range(EACH)) * PRODUCERS, key=str)
    assert fan.dead == []
    assert [each for each in fan.exits if each.error] == []


@pytest.mark.parametrize("mailbox", FULL, ids=repr)
@pytest.mark.parametrize("kind", ["generator", "function"])
def test_all_producers_get_through_to_one_key(kind: str, mailbox: MailboxConfig) -> None:
    _fan_in(kind, mailbox, "dispatch")


@pytest.mark.parametrize("way", [way for way in WAYS if way != "dispatch"])
def test_producers_get_through_by_whatever_method_they_send(way: str) -> None:
    _fan_in("generator", Blocking(4), way)


@pytest.mark.parametrize("max_threads", [1, 6])
def test_many_producers_do_not_need_a_thread_each(max_threads: int) -> None:
    producers = 500
    threads: set[int] = set()

    def send(pool: Pool[Any, Any], numbers: list[int]) -> None:
        threads.add(threading.get_native_id())
        for number in numbers:
            pool.dispatch("sink", number)

    fan = Fan("generator", send)

    with fan.pool(Blocking(4), max_threads=max_threads) as pool:
        pool.initialize("sink")
        for key in range(producers):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: len(fan.done) == producers)

    assert len(fan.taken) == producers * EACH
    # Those that were started and ended again included: at most one for each `_IN_A_ROW` turns of
    # the sink, which has four messages handled in each.
    assert len(threads) <= max_threads + 5 + producers * EACH // 4 // _IN_A_ROW


class _Ask(Command[int]):
    """Asks the sink."""


@pytest.mark.parametrize("max_threads", [1, 6])
def test_many_callers_do_not_need_a_thread_each(max_threads: int) -> None:
    callers, each = 500, 4
    threads: set[int] = set()
    done: list[int] = []

    def worker(key: object) -> Generator[None, Any]:
        while True:
            message = yield
            if key == "sink":
                message.reply_box.reply(1)
                continue
            threads.add(threading.get_native_id())
            done.append(sum(call(sink, _Ask()) for _ in range(each)))

    with Pool(worker, max_threads=max_threads, inline_calls=False) as pool:
        pool.initialize("sink")
        sink = pool.ref("sink")
        for key in range(callers):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: len(done) == callers)

    assert done == [each] * callers
    assert len(threads) < callers // 4


def test_a_refusing_mailbox_refuses_producers_as_it_does_others() -> None:
    fan = Fan("generator", WAYS["dispatch"])

    with fan.pool(NonBlocking(4)) as pool:
        pool.initialize("sink")
        for key in range(PRODUCERS):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: len(fan.done) == PRODUCERS)

    assert len(fan.taken) + len(fan.dead) == PRODUCERS * EACH


def test_producers_of_one_pool_get_through_to_a_key_of_another_that_sends_back() -> None:
    sink: Pool[str, Any]
    handled: list[object] = []

    def send_on(key: int) -> Generator[None, str]:
        while True:
            yield
            for number in range(EACH):
                sink.dispatch("sink", (key, number))

    def send_back(_: str) -> Generator[None, Any]:
        while True:
            handled.append((yield))

    with (
        Pool(send_back, mailbox=Blocking(2), max_threads=1) as sink,
        Pool(send_on, mailbox=Blocking(2), max_threads=1) as pool,
    ):
        sink.initialize("sink")
        for key in range(PRODUCERS):
            pool.initialize(key)
            pool.dispatch(key, "go")
        until(lambda: len(handled) == PRODUCERS * EACH)

    assert sorted(handled, key=str) == sorted(
        itertools.product(range(PRODUCERS), range(EACH)), key=str
    )


def test_workers_that_fill_a_mailbox_of_their_own_get_through() -> None:
    """A mailbox that is no pool's, emptied by another worker of the same pool."""
    box: Mailbox[int] = Blocking(1).create()
    box_input = box.new_input()
    received: list[int] = []

    def worker(key: str) -> Generator[None, str]:
        while True:
            yield
            if key == "receiver":
                received.extend(box.receive() for _ in range(3 * EACH))
            else:
                for number in range(EACH):
                    box_input.deliver(number)

    with Pool(worker, max_threads=1) as pool:
        for key in ("a", "b", "c", "receiver"):
            pool.initialize(key)
            pool.dispatch(key, "go")

    assert sorted(received) == sorted(list(range(EACH)) * 3)


class Ask(Command[int]):
    """Is answered at once."""


def ring(kind: str, keys: str, told: list[DispatchDeadlock]) -> Pool[Any, Any]:
    """Return a pool of workers each of which fills the mailbox of the next one."""
    started = threading.Barrier(len(keys))

    def fill(key: str, message: object) -> None:
        if message != "go":
            return
        started.wait(DEADLINE)
        follower = keys[(keys.index(key) + 1) % len(keys)]
        try:
            for number in range(3):
                pool.dispatch(follower, number)
        except DispatchDeadlock as error:
            told.append(error)
            raise

    def turns(key: str) -> Generator[None, object]:
        while True:
            fill(key, (yield))

    def loop(key: str, mailbox: Mailbox[object]) -> None:
        for message in mailbox:
            fill(key, message)

    pool: Pool[Any, Any] = Pool(
        turns if kind == "generator" else loop,
        mailbox=Blocking(2),
        on_dead_letter=lambda _: None,
        name="ring",
        # Each of them waits for the others to have started.
        max_threads=len(keys) if kind == "generator" else None,
    )
    return pool


@pytest.mark.parametrize("keys", ["a", "ab", "abc", "abcdefgh"])
@pytest.mark.parametrize("kind", ["generator", "function"])
def test_of_workers_that_wait_for_room_in_a_circle_one_is_told(kind: str, keys: str) -> None:
    told: list[DispatchDeadlock] = []

    with ring(kind, keys, told) as pool:
        for key in keys:
            pool.initialize(key, "go")
        until(lambda: told)

    assert len(told) == 1
    text = str(told[0])
    assert text.startswith("a message to a full mailbox would wait for room for ever: ring '")
    assert text.count("→") == len(keys)
    assert text.split(" → ")[1] == f"ring {told[0].key!r}"


def test_a_worker_that_waits_for_room_at_one_that_calls_it_is_told() -> None:
    told: list[BaseException] = []
    full = threading.Event()

    def worker(key: str) -> Generator[None, object]:
        while True:
            message = yield
            if message == "fill":
                try:
                    for number in range(3):
                        pool.dispatch("asker", number)
                        full.set()
                except DispatchDeadlock as error:
                    told.append(error)
            elif message == "ask":
                full.wait(DEADLINE)
                try:
                    call(pool.ref("filler"), Ask())
                except Exception as error:  # noqa: BLE001 - what it is told
                    told.append(error)

    with Pool(worker, mailbox=Blocking(2), on_dead_letter=lambda _: None) as pool:
        pool.initialize("filler")
        pool.initialize("asker", "ask")
        pool.dispatch("filler", "fill")
        until(lambda: told)

    assert len(told) >= 1


def test_a_wait_that_ends_by_itself_closes_no_circle() -> None:
    results: dict[str, list[bool]] = {"a": [], "b": []}
    both = threading.Barrier(2)

    def worker(key: str) -> Generator[None, object]:
        other = "b" if key == "a" else "a"
        while True:
            if (yield) == "go":
                both.wait(DEADLINE)
                results[key].extend(pool.dispatch(other, number) for number in range(3))

    mailbox = Waiting(2, deliver_timeout=0.01)
    with Pool(worker, mailbox=mailbox, on_dead_letter=lambda _: None) as pool:
        pool.initialize("a", "go")
        pool.initialize("b", "go")
        until(lambda: all(len(each) == 3 for each in results.values()))

    assert results["a"][:2] == results["b"][:2] == [True, True]


def test_a_deadlock_is_pickled_with_its_text_and_key() -> None:
    error = DispatchDeadlock("a → b → a", "b")

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - just made

    assert (type(copy), str(copy), copy.key) == (DispatchDeadlock, "a → b → a", "b")


def test_a_sender_that_is_no_worker_waits_as_long_as_it_takes() -> None:
    gate = Gate()

    def worker(_: str) -> Generator[None, object]:
        yield
        gate()
        while True:
            yield

    with Pool(worker, mailbox=Blocking(1)) as pool:
        pool.initialize("a", "held")
        gate.wait_until_reached()
        pool.dispatch("a", 1)
        sender = Running(lambda: pool.dispatch("a", 2))
        until(lambda: next(pool.workers()).senders_waiting)
        gate.open()

        assert sender.result() is True
