"""A mailbox that could not be told that its pool is closed, or cancelled, is told again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import DEADLINE, Running, until
from tests.pool.doubles import Boom, Calling
from tests.pool.witness import Witness
from threadpool_mb import Pool
from threadpool_mb.pool import draining


class Failing:
    """Raises where a mailbox is told something, as often as it was told to."""

    def __init__(self, error: type[BaseException], *methods: str, times: int = 1) -> None:
        self._error = error
        self._methods = methods
        self.left = times

    def __call__(self, _mailbox: object, method: str) -> None:
        """Raise, perhaps."""
        if method in self._methods and self.left:
            self.left -= 1
            raise self._error


ERRORS = pytest.mark.parametrize("error", [MemoryError, Boom, KeyboardInterrupt])


@ERRORS
@pytest.mark.parametrize("again", [Pool.close, lambda pool: pool.join(timeout=0), Pool.cancel])
def test_what_keeps_a_mailbox_from_being_closed_reaches_the_caller_and_it_is_told_again(
    witness: Witness, error: type[BaseException], again: Callable[[Pool[Any, Any]], object]
) -> None:
    with witness.pool(mailbox=Calling(Failing(error, "close"))) as pool:
        for key in ("a", "b"):
            witness.start(pool, key)

        with pytest.raises(error):
            pool.close()
        until(lambda: len(witness.exits) == 1)
        again(pool)
        until(lambda: len(witness.exits) == 2)
        report = pool.join()

    assert report.finished


@ERRORS
def test_what_keeps_a_mailbox_from_being_cancelled_reaches_the_caller_and_it_is_told_again(
    witness: Witness, error: type[BaseException]
) -> None:
    with witness.pool(mailbox=Calling(Failing(error, "cancel"))) as pool:
        witness.start(pool, "a")

        with pytest.raises(error):
            pool.cancel()
        report = pool.join()

    assert report.finished
    assert [each.cause for each in witness.exits] == ["cancelled"]


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
def test_leaving_the_block_raises_what_has_kept_a_mailbox_from_being_told(
    witness: Witness, error: type[BaseException]
) -> None:
    failing = Failing(error, "close", "cancel", times=2)

    with pytest.raises(error), witness.pool(mailbox=Calling(failing)) as outer, outer as pool:
        witness.start(pool, "a")

    assert failing.left == 0
    assert [each.cause for each in witness.exits] == ["cancelled"]


@pytest.mark.parametrize("way", ["with", "drain", "join"])
def test_where_there_is_no_memory_to_tell_a_mailbox_who_waits_for_the_end_tells_it_again(
    witness: Witness, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "_UNTIL_TOLD_AGAIN", 0.001)
    failing = Failing(MemoryError, "close", times=5)

    with witness.pool(mailbox=Calling(failing)) as outer, outer as pool:
        witness.start(pool, "a")
        if way == "drain":
            assert pool.drain(timeout=DEADLINE).finished
        elif way == "join":
            with pytest.raises(MemoryError):
                pool.close()
            assert pool.join().finished

    assert failing.left == 0
    assert [each.cause for each in witness.exits] == ["drained"]


def test_where_there_is_no_memory_until_the_timeout_that_is_said(witness: Witness) -> None:
    failing = Failing(MemoryError, "close", times=3)

    with witness.pool(mailbox=Calling(failing)) as pool:
        witness.start(pool, "a")
        with pytest.raises(MemoryError):
            pool.drain(timeout=0)

    assert [each.cause for each in witness.exits] == ["cancelled"]


def test_a_pool_that_was_told_completely_is_not_told_again() -> None:
    witness = Witness("function")
    told: list[str] = []

    with witness.pool(mailbox=Calling(lambda _, method: told.append(method))) as pool:
        gate = witness.hold(pool, "a")
        pool.close()
        joiner = Running(pool.join)
        gate.open()
        joiner.result()

    assert told.count("close") == 1
