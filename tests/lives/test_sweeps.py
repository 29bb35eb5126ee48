"""What ends idle workers: in slices where there are many, and beside a limit of keys."""

import threading
from collections.abc import Generator
from typing import Any

import pytest

from tests.helpers import DEADLINE, in_thread, until
from tests.insides import dispatcher_of
from threadpool_mb import Pool, Restart, WorkerExit
from threadpool_mb.pool import keeping
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.testing import SeededPool


def worker(_key: int) -> Generator[None, str]:
    """Take messages."""
    while True:
        yield


def send(pool: SeededPool[int, str], keys: range) -> None:
    """Let the workers of some keys handle a message."""
    for key in keys:
        pool.dispatch(key, "hello")
    pool.run()


def test_of_more_keys_than_one_slice_has_those_end_that_are_idle_for_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "_IN_A_SLICE", 3)

    with SeededPool(worker, start="on_demand", idle_timeout=60) as pool:
        send(pool, range(20))
        pool.advance(50)
        send(pool, range(10))
        assert len(pool.keys()) == 20

        pool.advance(45)
        assert sorted(pool.keys()) == list(range(10))
        pool.advance(90)
        assert pool.keys() == []


def test_with_a_limit_of_keys_besides_one_too_many_is_evicted_and_the_others_end_as_idle() -> None:
    exits = list[WorkerExit[int]]()

    with SeededPool(
        worker, start="on_demand", idle_timeout=60, max_keys=2, on_worker_exit=exits.append
    ) as pool:
        for key in range(3):
            pool.dispatch(key, "hello")
            pool.run()
            pool.advance(1)
        assert sorted(pool.keys()) == [1, 2]
        pool.advance(120)
        assert pool.keys() == []

    assert [(each.key, each.cause) for each in exits] == [
        (0, "evicted"),
        (1, "idle"),
        (2, "idle"),
    ]


def test_where_looking_for_the_idlest_takes_long_it_is_done_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "_FEW", 0)

    with SeededPool(worker, start="on_demand", max_keys=1) as pool:
        kept = dispatcher_of(pool).keeping
        assert kept is not None
        spent = iter([0.0, 10.0])  # the first look takes ten seconds, all later ones nothing
        kept.thread_time = lambda: next(spent, 10.0)  # type: ignore[misc]
        for key in range(2):
            send(pool, range(key, key + 1))
            pool.advance(0.1)
        assert pool.keys() == [1]
        looked = kept._not_before
        assert looked > pool.now + 9 * keeping._PATIENCE

        send(pool, range(2, 5))
        assert len(pool.keys()) == 4
        pool.advance(looked - pool.now - 1)
        assert len(pool.keys()) == 4
        pool.advance(2)
        assert len(pool.keys()) == 1


class Key:
    """A key whose hash can be made to raise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.raises = False

    def __hash__(self) -> int:
        """Return a number, or raise."""
        if self.raises:
            raise ValueError("the key's")
        return hash(self.name)


def test_a_worker_whose_key_raises_is_not_evicted_again_and_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inside, free = threading.Event(), threading.Event()

    def busy_or_idle(key: Key) -> Generator[None, str]:
        while True:
            yield
            if key.name == "busy":
                inside.set()
                free.wait(DEADLINE)

    evil, busy = Key("evil"), Key("busy")
    with Pool(busy_or_idle, start="on_demand", max_keys=1) as pool:
        pool.dispatch(evil, "hello")
        assert pool.flush(timeout=DEADLINE)
        evil.raises = True

        with in_thread(lambda: pool.dispatch(busy, "hello")) as sending:
            inside.wait(DEADLINE)
            until(lambda: not sending.running)  # it waits for no other worker to be idle
        kept = dispatcher_of(pool).keeping
        assert kept is not None
        kept._trim()
        assert [each.levelname for each in caplog.records] == ["ERROR"]

        # After its next turn it may be evicted.
        evil.raises = False
        pool.dispatch(evil, "hello")
        until(lambda: pool.keys() == [busy])
        free.set()
    assert not kept._raised


def until_last(_key: str) -> Generator[None, str]:
    """Take messages until the last one."""
    while True:
        message = yield
        if message == "fail":
            raise ValueError
        if message == "last":
            return


@pytest.mark.parametrize("ends_first", [True, False])
def test_what_is_noted_of_a_worker_that_could_not_be_evicted_is_forgotten_with_it(
    ends_first: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Pool(until_last, start="on_demand", max_keys=1) as pool:
        pool.dispatch("a", "hello")
        until(lambda: [each.state for each in pool.workers()] == ["idle"])
        kept = dispatcher_of(pool).keeping
        assert kept is not None

        def not_removed(_worker: Incarnation[str, Any], _reason: object) -> bool:
            if ends_first:
                pool.dispatch("a", "last")
                until(lambda: "a" not in pool)
            return False

        monkeypatch.setattr(kept, "remove", not_removed)
        pool.dispatch("b", "hello")
        assert bool(kept._raised) != ends_first
        assert kept.roster.quiet == ends_first

        left = pool.keys()
        for key in left:
            pool.dispatch(key, "last")
        until(lambda: not list(pool.workers()))
        assert not kept._raised
        assert kept.roster.quiet


def test_what_is_noted_of_a_worker_that_was_restarted_is_forgotten_with_it() -> None:
    with Pool(until_last, start="on_demand", restart=Restart(delay=0)) as pool:
        kept = dispatcher_of(pool).keeping
        assert kept is not None
        pool.dispatch("a", "fail")
        pool.dispatch("b", "hello")
        until(lambda: pool.stats().restarted == 1)
        assert not kept.roster.quiet

        # The end of another one is told, and changes nothing.
        pool.dispatch("b", "last")
        until(lambda: len(list(pool.workers())) == 1)
        assert not kept.roster.quiet
        pool.dispatch("a", "last")
        until(lambda: not list(pool.workers()))
        assert not kept._restarts
        assert kept.roster.quiet
