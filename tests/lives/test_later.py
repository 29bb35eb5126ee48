"""Messages that are dispatched at a time."""

import collections
import math
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import run_together, until
from tests.insides import dispatcher_of
from tests.lives.test_on_demand import KINDS, Kind, worker_of
from threadpool_mb import (
    MISSING,
    Blocking,
    DeadLetter,
    MailboxConfig,
    NonBlocking,
    Pool,
    PoolClosed,
    Unlimited,
    Waiting,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_comes_at_its_time_after_those_of_earlier_times(kind: Kind) -> None:
    handled = list[tuple[object, object]]()

    with Pool(worker_of(kind, lambda *each: handled.append(each)), start="on_demand") as pool:
        delays = (0.03, 0.01, 0.02, 0, 0.02)
        timers = [pool.dispatch_later(delay, "a", delay) for delay in delays]
        until(lambda: len(handled) == 5)

    # A delay counts from its own call on: a thread that waits for its core sets later ones later.
    times = sorted((timer.when, delay) for timer, delay in zip(timers, delays, strict=True))
    assert handled == [("a", delay) for _, delay in times]
    assert all(timer.cancelled for timer in timers)
    assert not any(timer.cancel() for timer in timers)


@pytest.mark.parametrize("message", [MISSING, None, (), ...], ids=repr)
def test_any_object_comes_at_its_time_or_is_dead_or_is_cancelled(message: object) -> None:
    handled = list[object]()
    letters = list[DeadLetter[str, object]]()

    with Pool(
        worker_of("generator", lambda _, message: handled.append(message)),
        start="on_demand",
        on_dead_letter=letters.append,
    ) as pool:
        pool.dispatch_later(0, "a", message)
        until(lambda: handled)
        timer = pool.dispatch_later(60, "a", message)
        assert not timer.cancelled
        assert timer.cancel()
        assert not timer.cancel()
        pool.dispatch_later(60, "a", message)

    assert handled == [message]
    assert [(each.message, each.reason) for each in letters] == [(message, "not due yet")]


def test_a_key_is_looked_up_when_the_time_has_come() -> None:
    handled = list[int]()
    letters = list[DeadLetter[str, int]]()

    def worker(_key: str) -> Generator[None, int]:
        while True:
            handled.append((yield))

    with Pool(worker, on_dead_letter=letters.append) as pool:
        pool.dispatch_later(0, "nobody", 1)
        until(lambda: letters)
        pool.dispatch_later(0.01, "a", 2)
        pool.initialize("a")
        until(lambda: handled)

    assert handled == [2]
    assert [(each.message, each.reason) for each in letters] == [(1, "unknown key")]


def test_a_message_comes_each_interval_until_it_is_cancelled() -> None:
    ticks = list[str]()

    def worker(_key: str) -> Generator[None, str]:
        while True:
            ticks.append((yield))

    with Pool(worker, start="on_demand") as pool:
        timer = pool.dispatch_every(0.002, "a", "tick")
        until(lambda: len(ticks) > 5)
        assert "in " in repr(timer)
        assert timer.cancel()
        assert not timer.cancel()
        assert pool.flush(timeout=15)
        before = len(ticks)
        pool.dispatch_later(0.01, "a", "last")
        until(lambda: ticks[-1] == "last")

    # The one that was on its way may have come.
    assert len(ticks) - before <= 2
    assert repr(timer).endswith("[over]>")


def test_cancelling_races_with_the_time_and_one_of_them_has_the_message() -> None:
    handled = collections.Counter[object]()

    def worker(_key: int) -> Generator[None, int]:
        while True:
            handled[(yield)] += 1

    with Pool(worker, start="on_demand") as pool:
        timers = [pool.dispatch_later(number * 1e-5, 0, number) for number in range(500)]
        cancelled = list[int]()

        def cancel(first: int) -> None:
            for number in range(first, 500, 2):
                if timers[number].cancel():
                    cancelled.append(number)

        run_together(lambda: cancel(0), lambda: cancel(1))
        until(lambda: not pool.stats().timers)

    assert sorted([*handled, *cancelled]) == list(range(500))
    assert set(handled.values()) <= {1}


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_what_is_not_due_when_the_pool_closes_is_a_dead_letter_that_says_so(how: str) -> None:
    letters = list[DeadLetter[str, int]]()
    pool = Pool[str, int](worker_of("generator", lambda *_: None), on_dead_letter=letters.append)
    pool.dispatch_later(3600, "a", 1)
    pool.dispatch_every(3600, "b", 2)
    pool.dispatch_later(3600, "c", 3).cancel()
    (pool.close if how == "close" else pool.cancel)()

    assert pool.join(timeout=15).finished
    assert sorted((each.key, each.message, each.reason) for each in letters) == [
        ("a", 1, "not due yet"),
        ("b", 2, "not due yet"),
    ]
    with pytest.raises(PoolClosed, match="takes no message for key 'a'"):
        pool.dispatch_later(1, "a", 1)


class ClosingKey:
    """A key that closes its pool when the dispatcher's thread looks it up."""

    def __init__(self, close: Callable[[], object]) -> None:
        self._close = close

    def __hash__(self) -> int:
        """Close the pool."""
        if threading.current_thread() is not threading.main_thread():
            self._close()
        return 1


def test_what_comes_due_in_the_moment_in_which_the_pool_closes_is_a_dead_letter() -> None:
    letters: list[DeadLetter[ClosingKey, int]] = []

    def worker(_key: ClosingKey) -> Generator[None, int]:
        while True:
            yield

    with Pool(worker, start="on_demand", on_dead_letter=letters.append) as pool:
        pool.dispatch_later(0, ClosingKey(pool.close), 1)
        until(lambda: pool.stats().state == "ended")

    assert [(letter.message, letter.reason) for letter in letters] == [(1, "pool closed")]


def test_a_timer_that_is_set_as_the_pool_closes_is_dispatched_dead_or_refused() -> None:
    for _ in range(20):
        letters = list[DeadLetter[int, int]]()
        refused, taken = list[int](), list[int]()
        handled = list[int]()

        def handle(_key: object, message: int) -> None:
            handled.append(message)  # noqa: B023 - of this round

        pool = Pool[int, int](
            worker_of("generator", handle), start="on_demand", on_dead_letter=letters.append
        )

        def add(pool: Pool[int, int] = pool, taken: list[int] = taken) -> None:
            for number in range(50):
                try:
                    pool.dispatch_later(number * 1e-5, 0, number)
                except PoolClosed:
                    refused.append(number)  # noqa: B023
                else:
                    taken.append(number)

        run_together(add, pool.close)
        assert pool.join(timeout=15).finished
        assert sorted([*handled, *(each.message for each in letters)]) == taken


@pytest.mark.parametrize(
    "config",
    [Unlimited(), Blocking(1), Waiting(1, deliver_timeout=15.0)],
    ids=["Unlimited", "Blocking", "Waiting"],
)
def test_messages_whose_time_has_come_stand_in_the_line_of_a_full_mailbox(
    config: MailboxConfig,
) -> None:
    free = threading.Event()
    handled = list[object]()

    def worker(_key: str) -> Generator[None, object]:
        while True:
            message = yield
            free.wait(15)
            handled.append(message)

    with Pool(worker, mailbox=config, max_threads=2) as pool:
        pool.initialize("full", "first")
        pool.initialize("other")
        for number in range(10):
            pool.dispatch_later(0, "full", number)
        # The dispatcher goes on with others meanwhile; it may have to give up with the first ones.
        until(lambda: pool.stats().timers <= 2)
        pool.dispatch_later(0, "other", "others")
        free.set()
        until(lambda: len(handled) == 12)

    assert [each for each in handled if each != "others"] == ["first", *range(10)]


def test_a_timer_that_was_cancelled_does_nothing_when_its_time_comes_or_its_pool_ends() -> None:
    letters, handled = list[DeadLetter[str, int]](), list[int]()

    def worker(_key: str) -> Generator[None, int]:
        while True:
            handled.append((yield))

    with Pool(worker, start="on_demand", on_dead_letter=letters.append) as pool:
        timer = pool.dispatch_later(3600, "a", 1)
        assert timer.cancel()
        timer.fire()  # it was just being taken out
        timer.drop()
        assert pool.flush(timeout=15)
        assert not timer.cancel()

    assert (handled, letters) == ([], [])


def test_what_still_stands_in_the_line_at_the_very_end_is_dead_and_comes_no_more() -> None:
    inside, free = threading.Event(), threading.Event()
    letters, handled = list[DeadLetter[str, int]](), list[int]()

    def worker(_key: str) -> Generator[None, int]:
        while True:
            message = yield
            inside.set()
            free.wait(15)
            handled.append(message)

    with Pool(worker, mailbox=Blocking(1), on_dead_letter=letters.append) as pool:
        pool.initialize("a", 0)
        inside.wait(15)
        pool.dispatch("a", 1)
        for number in (2, 3):
            pool.dispatch_later(0, "a", number)
        later = dispatcher_of(pool)._later
        until(lambda: [len(line.places) for line in later._waiting.values()] == [2])
        (line,) = later._waiting.values()

        later.drop(last=True)
        line.go_on()  # room that comes too late

        assert [(each.message, each.reason) for each in letters] == [
            (2, "pool closed"),
            (3, "pool closed"),
        ]
        free.set()
        until(lambda: len(handled) == 2)
        assert pool.dispatch("a", 4)  # the room that it stood in line for is there
    assert handled == [0, 1, 4]
    assert len(letters) == 2


@pytest.mark.parametrize(
    "config",
    [NonBlocking(1), Waiting(1, deliver_timeout=0.01)],
    ids=["NonBlocking", "Waiting"],
)
def test_where_there_is_no_room_in_time_the_message_is_refused(config: MailboxConfig) -> None:
    inside, free = threading.Event(), threading.Event()
    letters = list[DeadLetter[str, object]]()

    def worker(_key: str) -> Generator[None, object]:
        while True:
            yield
            inside.set()
            free.wait(15)

    with Pool(worker, mailbox=config, on_dead_letter=letters.append) as pool:
        pool.initialize("a", 0)
        inside.wait(15)
        pool.dispatch("a", 1)
        for number in (2, 3):
            pool.dispatch_later(0, "a", number)
        until(lambda: len(letters) == 2)
        free.set()

    assert [(each.message, each.reason) for each in letters] == [
        (2, "refused by the limit"),
        (3, "refused by the limit"),
    ]


def test_messages_that_stand_in_the_line_when_the_pool_is_cancelled_are_dead() -> None:
    inside, free = threading.Event(), threading.Event()
    letters = list[DeadLetter[str, object]]()

    def worker(_key: str) -> Generator[None, object]:
        while True:
            yield
            inside.set()
            free.wait(15)

    pool = Pool[str, object](worker, mailbox=Blocking(1), on_dead_letter=letters.append)
    pool.initialize("a", 0)
    inside.wait(15)
    pool.dispatch("a", 1)
    for number in (2, 3):
        pool.dispatch_later(0, "a", number)
    waiting: Any = dispatcher_of(pool)._later._waiting  # type: ignore[union-attr]
    until(lambda: "a" in waiting and len(waiting["a"].places) == 2)
    pool.cancel()
    free.set()

    assert pool.join(timeout=15).finished
    assert sorted((each.message, each.reason) for each in letters) == [
        (number, "pool closed") for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, None, "1", True])
def test_a_delay_that_is_none_is_refused_and_nothing_is_set(seconds: Any) -> None:  # noqa: ANN401
    with Pool(worker_of("generator", lambda *_: None)) as pool:
        with pytest.raises(ValueError, match="delay must be seconds, at least 0"):
            pool.dispatch_later(seconds, "a", 1)
        with pytest.raises(ValueError, match="interval must be seconds, more than 0"):
            pool.dispatch_every(seconds, "a", 1)
        with pytest.raises(ValueError, match="interval"):
            pool.dispatch_every(0, "a", 1)
        with pytest.raises(ValueError, match="interval must be at least 1e-09 seconds, not 5e-324"):
            pool.dispatch_every(5e-324, "a", 1)
        with pytest.raises(TypeError, match="a key must be hashable"):
            pool.dispatch_later(1, [], 1)  # type: ignore[arg-type]
        assert pool.stats().timers == 0


def test_a_pool_that_was_never_closed_keeps_its_timers_to_itself() -> None:
    letters = list[DeadLetter[str, int]]()
    pool = Pool[str, int](worker_of("generator", lambda *_: None), on_dead_letter=letters.append)
    pool.dispatch_later(3600, "a", 1)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del pool
    until(lambda: letters)

    assert [each.reason for each in letters] == ["not due yet"]
