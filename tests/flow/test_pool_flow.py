"""Flow of pools: messages that expire, workers that are paused or throttled, and a bound."""

import asyncio
import collections
import queue
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, run_together, until
from tests.insides import roster_of, worker_of
from tests.pool.doubles import Intercepting
from tests.pool.witness import Gate
from threadpool_mb import (
    Blocking,
    Call,
    CallError,
    Command,
    DeadLetter,
    DispatchDeadlock,
    Full,
    Mailbox,
    MailboxConfig,
    Pool,
    Prioritized,
    Rate,
    Restart,
    Sliding,
    Unlimited,
    aio,
    ask,
    call,
    sleep,
)
from threadpool_mb.line.flushing import waiting_at
from threadpool_mb.line.inlet import IDLE, ending
from threadpool_mb.line.striped import StripedSlots
from threadpool_mb.pool import flows, lane_lives


class Log:
    """What workers have handled, by key."""

    def __init__(self) -> None:
        self.handled: dict[object, list[Any]] = collections.defaultdict(list)
        self.letters: list[DeadLetter[Any, Any]] = []

    def worker(self, key: object) -> Generator[Any, Any]:
        """Keep messages; answer calls; call functions."""
        while True:
            message = yield
            if isinstance(message, Call):
                message.reply_box.reply(len(self.handled[key]))
            elif callable(message):
                message()
            else:
                self.handled[key].append(message)


def unused(room: StripedSlots) -> int:
    """Return how many more may wait."""
    return room._free.qsize() + room._unissued + sum(each.qsize() for each in room.stripes)


class Count(Command[int]):
    """Asks how many were handled."""


def pool_of(log: Log, **options: Any) -> Pool[Any, Any]:  # noqa: ANN401 - what `Pool` takes
    return Pool(
        log.worker, **{"start": "on_demand", "on_dead_letter": log.letters.append} | options
    )


def idle_pause(pool: Pool[Any, Any], key: object = "a") -> None:
    """Have a worker pause itself, so that it does not end as idle; wait for its turn's end."""
    paused: list[bool] = []
    pool.dispatch(key, lambda: paused.append(pool.pause(key)))
    until(lambda: paused)
    assert paused == [True]
    assert [each.state for each in pool.workers() if each.key == key] == ["paused"]
    lane: Any = roster_of(pool).routes[key]
    until(lambda: lane.unattended == IDLE)


class Clock:
    """A clock that stands still until it is turned, in the place of `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of messages that wait."""
    clock = Clock()
    monkeypatch.setattr(flows, "time", clock)
    return clock


@pytest.fixture
def log() -> Log:
    """Return a log."""
    return Log()


# Pausing


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pinned": True},
        {"idle_timeout": 0.001},
        {"rate": Rate(1e6)},
        {"mailbox": Prioritized(Unlimited(), lambda _: 0)},
        {"mailbox": Sliding(1000)},
    ],
)
def test_a_paused_worker_keeps_its_messages_in_order_and_others_go_on(
    log: Log, options: dict[str, Any]
) -> None:
    with pool_of(log, **options) as pool:
        pool.dispatch("a", 0)
        idle_pause(pool)
        assert not pool.pause("a")
        for number in range(1, 40):
            pool.dispatch("a", number)
            pool.dispatch("b", number)
        assert pool.flush("b", timeout=DEADLINE)
        assert log.handled["a"] == [0]
        assert "a" in pool
        assert pool.resume("a")
        assert not pool.resume("a")
        assert pool.flush("a", timeout=DEADLINE)
    assert log.handled["a"] == list(range(40))
    assert log.handled["b"] == list(range(1, 40))


def test_a_paused_worker_answers_no_call_until_it_goes_on(log: Log) -> None:
    with pool_of(log) as pool:
        pool.dispatch("a", "x")
        idle_pause(pool)
        reply = ask(pool.ref("a"), Count())
        with pytest.raises(CallError):
            call(pool.ref("a"), Count(), timeout=0.01)
        assert not reply.done()
        pool.resume("a")
        assert reply.result(timeout=DEADLINE) == 1


@pytest.mark.parametrize("how", ["close", "remove", "drain", "cancel"])
def test_what_ends_a_paused_worker_resumes_it(log: Log, how: str) -> None:
    pool = pool_of(log)
    pool.dispatch("a", 0)
    idle_pause(pool)
    pool.dispatch("a", 1)
    if how == "close":
        pool.close()
    elif how == "cancel":
        pool.cancel()
    else:
        pool.remove("a", drain=how == "drain")
        pool.close()
    assert pool.join(timeout=DEADLINE).finished
    drained = how in {"close", "drain"}
    assert log.handled["a"] == ([0, 1] if drained else [0])
    assert [each.message for each in log.letters] == ([] if drained else [1])


def test_a_worker_in_the_midst_of_a_wait_is_paused_behind_it(log: Log) -> None:
    gate = Gate()

    def worker(key: object) -> Generator[Any, Any]:
        while True:
            message = yield
            gate()
            yield from sleep(0.001)
            log.handled[key].append(message)

    with Pool(worker, start="on_demand") as pool:
        pool.dispatch("a", 1)
        gate.wait_until_reached()
        pool.pause("a")
        gate.open()
        pool.dispatch("b", 1)
        assert pool.flush("b", timeout=DEADLINE)
        assert not log.handled["a"]
        pool.resume("a")
        assert pool.flush("a", timeout=DEADLINE)
    assert log.handled == {"a": [1], "b": [1]}


def test_a_worker_that_is_restarted_stays_paused(log: Log) -> None:
    failed: list[int] = []

    def worker(key: object) -> Generator[Any, Any]:
        while True:
            message = yield
            if not failed:
                failed.append(message)
                pool.pause("a")
                raise KeyError("its own")
            log.handled[key].append(message)

    with Pool(worker, start="on_demand", restart=Restart(delay=0, in_hand="retry")) as pool:
        pool.dispatch("a", 1)
        pool.dispatch("a", 2)
        until(lambda: pool.stats().restarted)
        pool.dispatch("b", 3)
        assert pool.flush("b", timeout=DEADLINE)
        assert not log.handled["a"]
        pool.resume("a")
    assert log.handled["a"] == [1, 2]


@pytest.mark.parametrize(
    "mailbox", [Unlimited(), Blocking(3), Intercepting()], ids=lambda c: type(c).__name__
)
def test_the_pause_of_a_worker_that_returns_ends_with_it(mailbox: MailboxConfig) -> None:
    handled: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def worker(_key: str) -> Generator[None, str]:
        while True:
            handled.append((yield))
            if handled[-1] == "last":
                begun.set()
                assert go_on.wait(DEADLINE)
                return

    with Pool(worker, mailbox=mailbox, start="on_demand") as pool:
        pool.dispatch("a", "last")
        assert begun.wait(DEADLINE)
        assert pool.pause("a")
        pool.dispatch("a", "left")
        go_on.set()

        # The next life is the key's current worker no more: nobody could resume it.
        until(lambda: "left" in handled)
        pool.dispatch("a", "next")
        until(lambda: "next" in handled)

    assert handled == ["last", "left", "next"]


def test_which_keys_can_be_paused(log: Log) -> None:
    with pool_of(log, start="explicit") as pool:
        assert not pool.pause("nobody")
        assert not pool.resume("nobody")
        with pytest.raises(TypeError):
            pool.pause([])

    def function(_key: object, mailbox: Mailbox[Any]) -> None:
        collections.deque(mailbox, 0)

    with Pool(function) as functions:
        functions.initialize("a")
        with pytest.raises(TypeError, match="function"):
            functions.pause("a")


@pytest.mark.racing
def test_pauses_beside_messages_and_ends_lose_nothing(log: Log) -> None:
    senders, each, keys = 3, 200, 3
    with pool_of(log, idle_timeout=0.001) as pool:

        def send(sender: int) -> None:
            for number in range(each):
                pool.dispatch(number % keys, (sender, number))

        def toggle(how: Callable[[int], object]) -> None:
            for number in range(300):
                how(number % keys)

        run_together(
            *(lambda sender=sender: send(sender) for sender in range(senders)),  # type: ignore[misc]
            lambda: toggle(pool.pause),
            lambda: toggle(pool.resume),
        )
        # Some are paused as the pool is closed.
    for key in range(keys):
        for sender in range(senders):
            mine = [number for whose, number in log.handled[key] if whose == sender]
            assert mine == [number for number in range(each) if number % keys == key]
    assert not log.letters


# Messages that expire


def test_a_message_that_has_waited_too_long_is_a_dead_letter_and_is_not_handled(
    log: Log, clock: Clock
) -> None:
    gate = Gate()
    with pool_of(log, message_ttl=5) as pool:
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        for number in range(3):
            pool.dispatch("a", number)
        reply = ask(pool.ref("a"), Count())
        clock.now += 1
        pool.dispatch("a", "just in time")
        clock.now += 4.5
        pool.dispatch("a", "fresh")
        gate.open()
        assert pool.flush(timeout=DEADLINE)
        with pytest.raises(CallError, match="expired"):
            reply.result(timeout=DEADLINE)
        assert pool.stats().dead_letters == {"expired": 4}
        until(lambda: pool.stats().handled == 3)
    assert log.handled["a"] == ["just in time", "fresh"]
    assert [each.message for each in log.letters[:3]] == [0, 1, 2]


@pytest.mark.parametrize("options", [{"mailbox": Blocking(1)}, {"max_waiting": 1}])
def test_an_expired_message_frees_its_room(log: Log, clock: Clock, options: dict[str, Any]) -> None:
    gate = Gate()
    with pool_of(log, message_ttl=5, **options) as pool:
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        pool.dispatch("a", 1)
        clock.now += 6
        sender = Running(lambda: pool.dispatch("a", 2))
        gate.open()
        assert sender.result()
        assert pool.flush(timeout=DEADLINE)
    assert [each.message for each in log.letters] == [1]
    assert log.handled["a"] == [2]


# Rates


def test_a_worker_takes_messages_in_order_no_more_often_than_it_may(log: Log) -> None:
    began: list[float] = []
    with pool_of(log, rate=Rate(200), max_threads=1) as pool:
        start = time.monotonic()
        for number in range(20):
            pool.dispatch("a", number)
            pool.dispatch("a", lambda: began.append(time.monotonic()))
        assert pool.flush(timeout=DEADLINE)
    assert log.handled["a"] == list(range(20))
    assert began[-1] - start > 39 / 200 - 0.1


def test_a_worker_that_waits_for_its_time_holds_no_thread(log: Log) -> None:
    with pool_of(log, rate=Rate(1 / 3600), max_threads=1) as pool:
        for number in range(2):
            pool.dispatch("a", number)
        until(lambda: log.handled["a"] == [0])
        assert call(pool.ref("b"), Count(), timeout=DEADLINE) == 0
        pool.cancel()
    assert log.handled["a"] == [0]


@pytest.mark.parametrize("how", ["remove", "cancel"])
def test_a_worker_that_waits_for_its_time_can_be_ended(log: Log, how: str) -> None:
    pool = pool_of(log, rate=Rate(0.001))
    for number in range(3):
        pool.dispatch("a", number)
    until(lambda: log.handled["a"] == [0])
    if how == "remove":
        pool.remove("a")
        pool.close()
    else:
        pool.cancel()
    assert pool.join(timeout=DEADLINE).finished
    assert log.handled["a"] == [0]
    assert sorted(each.message for each in log.letters) == [1, 2]


def test_a_worker_that_fails_under_a_rate_is_restarted_in_order(log: Log) -> None:
    failed: set[int] = set()

    def worker(key: object) -> Generator[Any, Any]:
        while True:
            message = yield
            if message % 5 == 0 and message not in failed:
                failed.add(message)
                raise KeyError(message)
            log.handled[key].append(message)

    with Pool(
        worker,
        start="on_demand",
        rate=Rate(2000, burst=3),
        restart=Restart(max_restarts=100, delay=0, in_hand="retry"),
    ) as pool:
        for number in range(40):
            pool.dispatch("a", number)
        assert pool.flush(timeout=DEADLINE)
    assert log.handled["a"] == list(range(40))


# A bound


@pytest.mark.parametrize("options", [{}, {"pinned": True}, {"max_keys": 2}])
def test_a_sender_is_told_where_as_many_wait_as_may(log: Log, options: dict[str, Any]) -> None:
    gate = Gate()
    with pool_of(log, max_waiting=3, when_full="raise", **options) as pool:
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        for number in range(3):
            pool.dispatch("a", number)
        with pytest.raises(Full, match="3 messages wait"):
            pool.dispatch("b", "more")
        with pytest.raises(queue.Full):
            pool.dispatch("a", "more")
        gate.open()
        assert pool.flush(timeout=DEADLINE)
        pool.dispatch("b", "later")
    assert log.handled == {"a": [0, 1, 2], "b": ["later"]}
    assert not log.letters


def test_a_sender_waits_for_room_of_any_key_and_wakes_when_the_pool_is_closed(log: Log) -> None:
    gate = Gate()
    pool = pool_of(log, max_waiting=1)
    pool.dispatch("a", gate)
    gate.wait_until_reached()
    pool.dispatch("b", "waits behind nobody")
    assert pool.flush("b", timeout=DEADLINE)
    pool.dispatch("a", 1)
    sender = Running(lambda: pool.dispatch("b", 2))
    room = pool._dispatcher._flow.room  # type: ignore[union-attr]
    assert room is not None
    until(lambda: room.waiting)
    pool.close()
    with pytest.raises(queue.ShutDown):
        sender.result()
    gate.open()
    assert pool.join(timeout=DEADLINE).finished
    assert log.handled["a"] == [1]


def test_a_worker_that_would_wait_for_room_for_ever_is_told() -> None:
    told: list[BaseException] = []

    def worker(_key: object) -> Generator[Any, int]:
        while True:
            left = yield
            for _ in range(3 if left else 0):
                try:
                    pool.dispatch("a", left - 1)
                except (Full, DispatchDeadlock) as error:
                    told.append(error)

    with Pool(worker, start="on_demand", max_waiting=2, max_threads=1) as pool:
        pool.dispatch("a", 2)
        until(lambda: told)
        assert pool.flush(timeout=DEADLINE)


@pytest.mark.racing
def test_no_more_than_that_wait_and_none_is_lost(log: Log) -> None:
    limit, senders, each = 10, 4, 200
    most: list[int] = []
    with pool_of(log, max_waiting=limit, idle_timeout=0.001, max_keys=3) as pool:

        def send(sender: int) -> None:
            for number in range(each):
                pool.dispatch(number % 5, (sender, number))
                most.append(pool.stats().waiting)

        run_together(*(lambda sender=sender: send(sender) for sender in range(senders)))  # type: ignore[misc]
        assert pool.flush(timeout=DEADLINE)
        room = pool._dispatcher._flow.room  # type: ignore[union-attr]
        assert room is not None
        assert unused(room) == limit
    assert max(most) <= limit + senders
    assert not log.letters
    for key in range(5):
        for sender in range(senders):
            mine = [number for whose, number in log.handled[key] if whose == sender]
            assert mine == [number for number in range(each) if number % 5 == key]


class _Own:
    """A user's own kind of mailbox."""

    def create(self, *, on_dead_letter: Callable[[Any], object] | None = None) -> Mailbox[Any]:
        """Not called."""
        raise NotImplementedError


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"rate": 5}, TypeError, "rate"),
        ({"message_ttl": 0}, ValueError, "message_ttl"),
        ({"message_ttl": float("nan")}, ValueError, "message_ttl"),
        ({"message_ttl": "1"}, (TypeError, ValueError), "message_ttl"),
        ({"max_waiting": 0}, ValueError, "max_waiting"),
        ({"max_waiting": 5, "when_full": "drop"}, ValueError, "'drop'"),
        ({"max_waiting": 5, "overflow": "remove_worker"}, ValueError, "remove_worker"),
        ({"max_waiting": 5, "mailbox": Blocking(2)}, ValueError, "limit of its own"),
        ({"rate": Rate(1), "mailbox": _Own()}, ValueError, "mailbox of this library"),
        ({"rate": Rate(1), "mailbox": Sliding(1)}, ValueError, "in their order"),
        ({"message_ttl": 1, "mailbox": Prioritized(Unlimited(), int)}, ValueError, "Prioritized"),
    ],
)
def test_arguments_are_checked(
    log: Log,
    arguments: dict[str, Any],
    error: type[Exception],
    match: str,
) -> None:
    before = threading.active_count()
    with pytest.raises(error, match=match):
        pool_of(log, **arguments)
    assert threading.active_count() == before


@pytest.mark.parametrize("arguments", [{"rate": Rate(1)}, {"message_ttl": 1.0}, {"max_waiting": 1}])
def test_they_are_for_generator_workers(arguments: dict[str, Any]) -> None:
    def function(_key: object, mailbox: Mailbox[Any]) -> None:
        collections.deque(mailbox, 0)

    with pytest.raises(ValueError, match="generator workers"):
        Pool(function, **arguments)


def test_tasks_of_asyncio_wait_for_room_without_their_loop(log: Log) -> None:
    gate = Gate()

    async def send() -> list[bool]:
        ticks: list[bool] = []
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(aio.deliver(pool.ref("a"), number))
            while len(slots.askers) < 4:
                ticks.append(True)
                await asyncio.sleep(0)
            gate.open()
        return ticks

    with pool_of(log, max_waiting=2) as pool:
        slots = pool._dispatcher._flow.room  # type: ignore[union-attr]
        assert slots is not None
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        assert asyncio.run(send())
        assert pool.flush(timeout=DEADLINE)
    assert sorted(log.handled["a"]) == list(range(6))


def test_what_is_dispatched_at_a_time_stands_in_the_line_of_a_full_pool(log: Log) -> None:
    gate = Gate()
    with pool_of(log, max_waiting=1) as pool:
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        pool.dispatch("a", 1)
        pool.dispatch_later(0, "a", 2)
        pool.dispatch_later(0, "b", 3)
        slots = pool._dispatcher._flow.room  # type: ignore[union-attr]
        assert slots is not None
        until(lambda: len(slots.askers) == 2)
        gate.open()
        until(lambda: log.handled["b"])
        assert pool.flush(timeout=DEADLINE)
    assert log.handled == {"a": [1, 2], "b": [3]}


def test_a_call_to_a_full_pool_that_does_not_wait_is_told(log: Log) -> None:
    gate = Gate()
    with pool_of(log, max_waiting=1, when_full="raise") as pool:
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        pool.dispatch("a", 1)
        with pytest.raises(CallError, match="refused"):
            call(pool.ref("a"), Count())
        gate.open()
        assert pool.flush(timeout=DEADLINE)
        assert call(pool.ref("a"), Count()) == 1


def test_a_worker_that_was_restarted_takes_no_more_than_may_wait() -> None:
    gate = Gate()
    failed: list[object] = []

    def worker(_key: object) -> Generator[Any, Any]:
        while True:
            message = yield
            if not failed:
                failed.append(message)
                raise KeyError("its own")
            if callable(message):
                message()

    with Pool(
        worker,
        start="on_demand",
        max_waiting=2,
        when_full="raise",
        restart=Restart(delay=0, in_hand="drop"),
    ) as pool:
        pool.dispatch("a", "fails")
        pool.dispatch("a", gate)
        gate.wait_until_reached()
        for _ in range(2):
            pool.dispatch("a", 1)
        with pytest.raises(Full):
            pool.dispatch("a", 1)
        gate.open()


def test_the_rate_is_the_keys_whichever_worker_it_has(log: Log) -> None:
    began: list[float] = []
    with pool_of(log, rate=Rate(20, burst=2), idle_timeout=0.001) as pool:
        for _ in range(5):
            pool.dispatch("a", lambda: began.append(time.monotonic()))
            pool.flush(timeout=DEADLINE)
            pool.remove("a", drain=True)
        pool.flush(timeout=DEADLINE)
        until(lambda: len(began) == 5)
    assert began[-1] - began[0] > 3 / 20 - 0.1


def test_closing_waits_for_no_rate_where_nothing_waits(log: Log) -> None:
    pool = pool_of(log, rate=Rate(1 / 3600))
    pool.dispatch("a", 1)
    until(lambda: log.handled["a"])
    pool.close()
    assert pool.join(timeout=DEADLINE).finished


def test_a_flush_waits_for_no_rate_where_nothing_waits(log: Log) -> None:
    gate = Gate()
    pool = pool_of(log, rate=Rate(1 / 3600))
    pool.dispatch("a", gate)
    gate.wait_until_reached()
    flushing = Running(lambda: pool.flush(timeout=DEADLINE))
    until(lambda: waiting_at(worker_of(pool, "a")))
    pool.close()  # its marker comes behind the flush's
    gate.open()
    assert flushing.result()
    assert pool.join(timeout=DEADLINE).finished


def test_a_marker_that_is_just_being_put_is_not_taken_for_a_message_that_waits(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane looks when the end's marker is in its queue, and is not marked yet."""
    gate, put = Gate(), Gate()
    pool = pool_of(log, rate=Rate(1 / 3600))
    pool.dispatch("a", gate)
    gate.wait_until_reached()
    put_as_before = type(worker_of(pool, "a")).put

    def put_and_stop(lane: Any, message: Any) -> None:  # noqa: ANN401 - as there
        put_as_before(lane, message)
        put()

    class Looked:
        """The lock, by which the test learns that the lane looks."""

        def __enter__(self) -> None:
            put.open()
            ending.acquire()

        def __exit__(self, *_: object) -> None:
            ending.release()

    monkeypatch.setattr(type(worker_of(pool, "a")), "put", put_and_stop)
    monkeypatch.setattr(lane_lives, "ending", Looked())
    closing = Running(pool.close)
    put.wait_until_reached()
    gate.open()
    closing.result()
    assert pool.join(timeout=DEADLINE).finished


def test_a_worker_waits_for_room_while_others_wait_for_a_time() -> None:
    """None of the threads goes on just now, and one will."""
    done: list[object] = []

    def worker(key: object) -> Generator[Any, Any]:
        while True:
            message = yield
            if message == "send":
                pool.dispatch("c", "sent")
            elif message == "sleep":
                yield from sleep(0.15)
            done.append((key, message))

    with Pool(worker, start="on_demand", max_waiting=2, max_threads=1) as pool:
        pool.dispatch("a", "sleep")
        pool.flush()
        pool.dispatch("a", "sleep")
        until(lambda: next(pool.workers()).state == "waiting")
        pool.dispatch("b", "send")
        pool.dispatch("a", 1)
        pool.dispatch("a", 2)
        assert pool.flush(timeout=DEADLINE)
    assert ("c", "sent") in done


class _Closed:
    """Mailboxes that are closed from the beginning."""

    made = 0

    def create(self, *, on_dead_letter: Callable[[Any], object] | None = None) -> Mailbox[Any]:
        """Create one."""
        self.made += 1
        mailbox: Mailbox[Any] = Unlimited().create(on_dead_letter=on_dead_letter)
        mailbox.close()
        return mailbox


def test_a_mailbox_that_is_closed_as_it_is_created_is_not_tried_for_ever() -> None:
    config = _Closed()

    def worker(_key: object) -> Generator[Any, Any]:
        while True:
            yield

    with Pool(worker, start="on_demand", mailbox=config) as pool:
        with pytest.raises(queue.ShutDown):
            pool.dispatch("a", 1)
        assert config.made < 5


def test_a_worker_with_a_rate_may_wait_in_the_midst_of_a_message() -> None:
    handled: list[object] = []

    def worker(_: object) -> Generator[Any, Any]:
        while True:
            message = yield
            handled.append(f"{message} begins")
            yield from sleep(0)
            yield from sleep(0)
            handled.append(f"{message} ends")

    with Pool(worker, start="on_demand", rate=Rate(1e6), max_threads=1) as pool:
        pool.dispatch_many("a", [1, 2])

    assert handled == ["1 begins", "1 ends", "2 begins", "2 ends"]
