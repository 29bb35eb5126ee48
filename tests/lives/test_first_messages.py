"""A key's first message, and what comes in the midst of the start of its worker."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import DEADLINE
from threadpool_mb import DeadLetter, Pool, PoolClosed


@pytest.fixture
def handled() -> list[tuple[str, object]]:
    """Return what workers have handled."""
    return []


@pytest.fixture
def letters() -> list[DeadLetter[str, object]]:
    """Return the dead letters."""
    return []


@pytest.fixture
def pool(
    handled: list[tuple[str, object]], letters: list[DeadLetter[str, object]]
) -> Pool[str, object]:
    """Return a pool whose keys start on demand."""

    def worker(key: str) -> Generator[None, object]:
        while True:
            handled.append((key, (yield)))

    return Pool(worker, start="on_demand", on_dead_letter=letters.append)


def between(
    monkeypatch: pytest.MonkeyPatch, pool: Pool[str, object], step: Callable[[], object]
) -> None:
    """Do something once, between the look-up of a key and the entry of the worker made for it."""
    undelivered = pool._undelivered
    new_incarnation = undelivered._new_incarnation
    steps = [step]

    def made(key: str) -> Any:  # noqa: ANN401 - an incarnation
        incarnation = new_incarnation(key)
        if steps:
            steps.pop()()
        return incarnation

    monkeypatch.setattr(undelivered, "_new_incarnation", made)


def test_one_whose_worker_another_thread_has_just_started_goes_to_that_one(
    monkeypatch: pytest.MonkeyPatch,
    pool: Pool[str, object],
    handled: list[tuple[str, object]],
    letters: list[DeadLetter[str, object]],
) -> None:
    with pool:
        between(monkeypatch, pool, lambda: pool.dispatch("a", "first"))

        assert pool.dispatch("a", "second")
        assert pool.flush(timeout=DEADLINE)
        assert pool.stats().started == 1

    assert handled == [("a", "first"), ("a", "second")]
    assert not letters


def test_one_that_comes_as_that_worker_is_removed_starts_the_next(
    monkeypatch: pytest.MonkeyPatch, pool: Pool[str, object], handled: list[tuple[str, object]]
) -> None:
    def come_and_go() -> None:
        pool.dispatch("a", "first")
        pool.remove("a", drain=True)

    with pool:
        between(monkeypatch, pool, come_and_go)

        assert pool.dispatch("a", "second")
        assert pool.dispatch("a", "third")
        assert pool.flush(timeout=DEADLINE)
        assert pool.stats().started == 2

    assert handled == [("a", "first"), ("a", "second"), ("a", "third")]


def test_one_whose_pool_is_closed_meanwhile_was_not_taken(
    monkeypatch: pytest.MonkeyPatch,
    pool: Pool[str, object],
    handled: list[tuple[str, object]],
    letters: list[DeadLetter[str, object]],
) -> None:
    with pool:
        between(monkeypatch, pool, pool.close)

        with pytest.raises(PoolClosed):
            pool.dispatch("a", "first")
        with pytest.raises(PoolClosed, match="takes no message for key 'b'"):
            pool.dispatch("b", "first")

    assert not handled
    assert not letters
    assert not pool.keys()
