"""Messages that no worker will receive, for every reason."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Final

import threadpool_mb as mb
from benchmarks.measuring import scaled
from leakcheck.scenarios.pools import THREADS, expect_end, lasting_pool, until_idle
from leakcheck.waiting import PATIENCE

COUNT: Final = 300


class _DeadLetterError(Exception):
    """What a worker raises that is to fail."""


def _worker(key: int) -> Generator[None, str]:
    while (message := (yield)) != "return":
        if message == "raise":
            raise _DeadLetterError(key)


def _hook(letter: mb.DeadLetter[int, str]) -> None:
    if letter.message == "raise in the hook":
        raise _DeadLetterError(letter)


def _die(pool: mb.Pool[int, str], count: int) -> None:
    """Send messages that die: all but those for which the whole pool has to end."""
    for key in range(count):
        pool.dispatch(key, f"nobody has {key}")
        pool.initialize(key, "work")
        pool.initialize(key, "duplicate")
        pool.dispatch_many(key, ["raise", "left by a failed one", "left"])
    until_idle(pool)
    for key in range(count):
        pool.initialize(key, "work")
        pool.dispatch_many(key, ["return", "left by one that has returned"])
    until_idle(pool)
    for key in range(count):
        pool.initialize(key, "work")
        pool.dispatch_many(key, ["for one that is removed"] * 8)
        pool.remove(key)
        pool.ref(key).deliver("nobody")
    until_idle(pool)


@contextlib.contextmanager
def dead_letters(scale: float) -> Iterator[Callable[[], object]]:
    """Dead letters for every reason, handed to a hook, and logged.

    Unknown keys, duplicate starts, refused by the limit, left by workers that failed, returned or
    were removed, in three pools that live over all rounds; and, in a new pool each round, closed
    over its messages. The hook raises now and then.
    """
    count = scaled(COUNT, scale)
    with contextlib.ExitStack() as stack:
        pools = [
            stack.enter_context(lasting_pool(_worker, **options))
            for options in (
                {"on_dead_letter": _hook},
                {},
                {"mailbox": mb.NonBlocking(2), "on_dead_letter": _hook},
            )
        ]

        def work() -> None:
            for pool in pools:
                _die(pool, count)
            pools[0].dispatch(-1, "raise in the hook")
            _close_over_messages(count)

        yield work


def _close_over_messages(count: int) -> None:
    pool: mb.Pool[int, str] = mb.Pool(_worker, max_threads=THREADS, on_dead_letter=_hook)
    for key in range(count):
        pool.initialize(key, "work")
        pool.dispatch(key, "work")
    pool.cancel()
    with contextlib.suppress(mb.PoolClosed):
        pool.dispatch(0, "too late")
    expect_end(pool.join(timeout=PATIENCE))
