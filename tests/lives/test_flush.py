"""Waiting until all is handled that was taken before."""

import math
import threading
from collections.abc import Generator
from typing import Any

import pytest

from tests.helpers import in_thread, run_together, until
from tests.lives.test_on_demand import KINDS, Kind, worker_of
from tests.pool.doubles import Intercepting
from threadpool_mb import Blocking, Mailbox, Pool, WorkerExit, sleep

both_kinds = pytest.mark.parametrize("kind", KINDS)


@both_kinds
@pytest.mark.parametrize("limit", [None, 2])
def test_flush_returns_when_all_was_handled(kind: Kind, limit: int | None) -> None:
    handled = list[tuple[object, object]]()

    with Pool(
        worker_of(kind, lambda *each: handled.append(each)),
        start="on_demand",
        mailbox=None if limit is None else Blocking(limit),
    ) as pool:
        assert pool.flush()
        for round_ in range(5):
            for key in range(4):
                pool.dispatch(key, round_)
            assert pool.flush(timeout=15)
            assert len(handled) == (round_ + 1) * 4
            assert pool.flush(0, timeout=15)
            assert pool.flush("unknown", timeout=15)
            assert pool.stats().waiting == 0


@both_kinds
def test_flush_of_a_key_waits_for_no_other(kind: Kind) -> None:
    free = threading.Event()

    def handle(key: object, _message: object) -> None:
        if key == "stuck":
            free.wait(15)

    with Pool(worker_of(kind, handle), start="on_demand") as pool:
        pool.dispatch("stuck", 1)
        pool.dispatch("a", 1)
        assert pool.flush("a", timeout=15)
        assert not pool.flush("stuck", timeout=0)
        assert not pool.flush(timeout=0.01)
        free.set()
        assert pool.flush(timeout=15)
        assert pool.stats().waiting == 0


@both_kinds
def test_flush_waits_for_a_worker_that_is_ending_and_for_the_one_behind_it(kind: Kind) -> None:
    inside, free = threading.Event(), threading.Event()
    handled = list[object]()

    def handle(_key: object, message: object) -> None:
        inside.set()
        free.wait(15)
        handled.append(message)

    with Pool(worker_of(kind, handle)) as pool:
        pool.initialize("a", 1)
        inside.wait(15)
        pool.dispatch("a", 2)
        pool.remove("a", drain=True)
        pool.initialize("a", 3)
        with in_thread(lambda: pool.flush("a", timeout=15)) as flushing:
            free.set()
        assert flushing.result()
        assert handled == [1, 2, 3]


@both_kinds
def test_the_end_of_a_worker_ends_a_flush(kind: Kind) -> None:
    inside, free = threading.Event(), threading.Event()

    def handle(_key: object, _message: object) -> None:
        inside.set()
        free.wait(15)
        raise SystemExit

    with Pool(worker_of(kind, handle), on_dead_letter=lambda _: None) as pool:
        pool.initialize("a", 1)
        inside.wait(15)
        pool.dispatch("a", 2)
        with in_thread(lambda: pool.flush("a", timeout=15)) as flushing:
            free.set()
        assert flushing.result()
        until(lambda: "a" not in pool)


def test_flush_waits_for_a_worker_that_sleeps() -> None:
    handled = list[int]()

    def worker(_key: str) -> Generator[None, int]:
        while True:
            message = yield
            yield from sleep(0.01)
            handled.append(message)

    with Pool(worker, start="on_demand") as pool:
        pool.dispatch_many("a", range(3))
        assert pool.flush(timeout=15)
        assert handled == [0, 1, 2]


@both_kinds
def test_many_flushes_beside_messages_and_idle_ends(kind: Kind) -> None:
    handled = dict[int, list[int]]()

    def handle(key: Any, message: int) -> None:  # noqa: ANN401 - any key
        handled.setdefault(key, []).append(message)

    with Pool(worker_of(kind, handle), start="on_demand", idle_timeout=1e-6) as pool:

        def send(sender: int) -> None:
            for number in range(60):
                pool.dispatch(sender, number)
                if number % 3 == 0:
                    assert pool.flush(sender, timeout=15)
                    assert handled[sender][-1] == number
                if number % 20 == 0:
                    assert pool.flush(timeout=15)

        run_together(*(lambda sender=sender: send(sender) for sender in range(3)))  # type: ignore[misc]

    assert handled == {sender: list(range(60)) for sender in range(3)}


def test_a_flush_that_gave_up_leaves_nothing() -> None:
    free = threading.Event()

    def worker(_key: str) -> Generator[None, int]:
        while True:
            yield
            free.wait(15)

    with Pool(worker, start="on_demand") as pool:
        pool.dispatch("a", 1)
        for _ in range(5):
            assert not pool.flush(timeout=0)
        free.set()
        assert pool.flush(timeout=15)
        assert pool.stats().waiting == 0


@both_kinds
def test_a_worker_cannot_flush_itself(kind: Kind) -> None:
    errors = list[str]()
    exits = list[WorkerExit[object]]()

    def handle(key: object, message: object) -> None:
        for what in ((), (key,)):
            try:
                pool.flush(*what, timeout=15)
            except RuntimeError as error:
                errors.append(str(error))
        assert pool.flush("other", timeout=15)

    with Pool(worker_of(kind, handle), start="on_demand", on_worker_exit=exits.append) as pool:
        pool.dispatch("a", 1)
        assert pool.flush(timeout=15)

    assert len(errors) == 2
    assert all("worker of key 'a' cannot flush" in error for error in errors)
    assert [each.cause for each in exits] == ["drained"]


def test_what_a_function_has_handled_of_a_mailbox_of_ones_own_is_not_known() -> None:
    def worker(_key: str, mailbox: Mailbox[int]) -> None:
        for _ in mailbox:
            pass

    with Pool(worker, mailbox=Intercepting()) as pool:
        pool.initialize("a")
        with pytest.raises(TypeError, match="key 'a' cannot be flushed"):
            pool.flush()


def test_generators_may_have_mailboxes_of_ones_own() -> None:
    handled = list[object]()

    with Pool(
        worker_of("generator", lambda *each: handled.append(each)),
        start="on_demand",
        mailbox=Intercepting(),
    ) as pool:
        pool.dispatch_many("a", [1, 2, 3])
        assert pool.flush(timeout=15)
        assert handled == [("a", 1), ("a", 2), ("a", 3)]


def test_a_timeout_that_is_none_is_refused() -> None:
    with Pool(worker_of("generator", lambda *_: None)) as pool:
        with pytest.raises(ValueError, match="timeout must be seconds"):
            pool.flush(timeout=math.nan)
        with pytest.raises(TypeError, match="a key must be hashable"):
            pool.flush([])  # type: ignore[arg-type]
