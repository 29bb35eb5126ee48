"""Workers that return, or are ended, before they have got the message that they were to try again.

It is beside the mailbox meanwhile, ahead of all that waits.
"""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.helpers import until
from tests.pool.doubles import Intercepting
from threadpool_mb import DeadLetter, MailboxConfig, Pool, Restart, Sliding, Unlimited, sleep

MAILBOXES: list[MailboxConfig] = [Unlimited(), Sliding(5), Intercepting()]  # type: ignore[list-item]


def ids(value: object) -> str:
    """Return a name of a parameter."""
    return type(value).__name__ if isinstance(value, Unlimited | Sliding | Intercepting) else ""


class Lives:
    """A worker whose first life fails with its first message, and whose second one returns."""

    def __init__(self, second: Callable[[], Generator[Any, Any]]) -> None:
        self.handled: list[object] = []
        self.number = 0
        self._second = second

    def worker(self, _key: str) -> Generator[Any, Any]:
        """Live once more."""
        self.number += 1
        if self.number == 1:
            yield
            raise ValueError
        if self.number == 2:
            yield from self._second()
            return
        while True:
            self.handled.append((yield))


def pool_of(
    lives: Lives,
    mailbox: MailboxConfig,
    letters: list[DeadLetter[str, int]],
    delay: float = 0,
    **options: Any,  # noqa: ANN401 - of a pool
) -> Pool[str, int]:
    """Return a pool that gives the next life the message that the one before it has failed with."""
    return Pool(
        lives.worker,
        mailbox=mailbox,
        restart=Restart(delay=delay, max_delay=3600, in_hand="retry"),
        on_dead_letter=letters.append,
        **options,
    )


def at_once() -> Generator[Any, Any]:
    """Return before the first message."""
    yield from ()


def after_a_sleep() -> Generator[Any, Any]:
    """Return before the first message, after a wait."""
    yield from sleep(0)


@pytest.mark.parametrize("second", [at_once, after_a_sleep])
@pytest.mark.parametrize("mailbox", MAILBOXES, ids=ids)
def test_on_demand_the_next_life_gets_what_the_last_one_has_not_taken(
    second: Callable[[], Generator[Any, Any]], mailbox: MailboxConfig
) -> None:
    lives = Lives(second)
    letters: list[DeadLetter[str, int]] = []

    with pool_of(lives, mailbox, letters, start="on_demand") as pool:
        pool.dispatch_many("a", [1, 2])
        until(lambda: len(lives.handled) == 2)

    assert (lives.handled, letters) == ([1, 2], [])


@pytest.mark.parametrize("hook", [True, False])
@pytest.mark.parametrize("second", [at_once, after_a_sleep])
@pytest.mark.parametrize("mailbox", MAILBOXES, ids=ids)
def test_otherwise_it_is_a_dead_letter_before_what_waits(
    second: Callable[[], Generator[Any, Any]], mailbox: MailboxConfig, *, hook: bool
) -> None:
    lives = Lives(second)
    letters: list[DeadLetter[str, int]] = []

    on_worker_exit = (lambda _: None) if hook else None
    with pool_of(lives, mailbox, letters, on_worker_exit=on_worker_exit) as pool:
        pool.initialize("a", 1)
        until(lambda: lives.number == 2)
        until(lambda: "a" not in pool)
        until(lambda: letters)

    assert [(each.message, str(each.reason)) for each in letters] == [(1, "worker ended")]


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=ids)
def test_a_pool_that_is_closed_before_the_restart_has_the_message_handled(
    mailbox: MailboxConfig,
) -> None:
    lives = Lives(at_once)
    letters: list[DeadLetter[str, int]] = []

    with pool_of(lives, mailbox, letters, delay=0.05) as pool:
        pool.initialize("a", 1)
        until(lambda: pool.stats().timers)
        lives.number = 2
        pool.close()

    assert (lives.handled, letters) == ([1], [])


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=ids)
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda pool: pool.remove("a"), "worker removed"),
        (lambda pool: pool.cancel(), "pool closed"),
    ],
    ids=["remove", "cancel"],
)
def test_its_dead_letter_says_why_there_is_no_restart(
    end: Callable[[Pool[str, int]], object], reason: str, mailbox: MailboxConfig
) -> None:
    lives = Lives(at_once)
    letters: list[DeadLetter[str, int]] = []

    with pool_of(lives, mailbox, letters, delay=3600) as pool:
        pool.initialize("a", 1)
        until(lambda: pool.stats().timers)
        end(pool)

    assert [(each.message, str(each.reason)) for each in letters] == [(1, reason)]
