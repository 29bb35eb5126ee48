"""Workers of both kinds, and every way in which one starts and ends."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Literal

import threadpool_mb as mb
from benchmarks.measuring import scaled
from leakcheck.scenarios.pools import expect_end, lasting_pool, until_idle
from leakcheck.waiting import PATIENCE

KEYS: Final = 300
FUNCTION_KEYS: Final = 8

type _Key = tuple[str, int]


class WorkerError(Exception):
    """What the workers raise that are to fail."""


type _Message = Literal["work", "return", "raise"]
_ENDS: Final[dict[str, tuple[_Message, ...]]] = {
    "returns": ("work", "return"),
    "fails": ("work", "raise"),
    "fails at once": (),
    "is cancelled": ("work", "work"),
    "drains": ("work", "work"),
    "is replaced": ("work", "work"),
    "leaves messages": ("return", "work", "work"),
}
"""How a worker ends, and the messages that it gets."""


def _handle(message: _Message) -> bool:
    if message == "raise":
        raise WorkerError(message)
    return message == "work"


def _generator(key: _Key) -> Generator[None, _Message]:
    if key[0] == "fails at once":
        raise WorkerError(key)
    with contextlib.closing(_held()):
        while _handle((yield)):
            pass


def _function(key: _Key, mailbox: mb.Mailbox[_Message]) -> None:
    if key[0] == "fails at once":
        raise WorkerError(key)
    with contextlib.closing(_held()):
        for message in mailbox:
            if not _handle(message):
                return


def _held() -> Generator[None]:
    """Stand for something that a worker holds and closes."""
    yield


def _use(pool: mb.Pool[_Key, _Message], numbers: range) -> None:
    """Start a worker for each end and number, and bring it there."""
    for number in numbers:
        for end, messages in _ENDS.items():
            key = (end, number)
            pool.initialize(key)
            for message in messages:
                pool.dispatch(key, message)
            match end:
                case "is cancelled":
                    pool.remove(key)
                case "drains":
                    pool.remove(key, drain=True)
                case "is replaced":
                    # Its successors wait for its end; all but the last are removed before it.
                    for _ in range(3):
                        pool.remove(key)
                        pool.initialize(key, "work")
                    pool.remove(key)


@contextlib.contextmanager
def generator_workers(scale: float) -> Iterator[Callable[[], object]]:
    """Generator workers started, removed, replaced and failed, in one pool for all rounds.

    They return, raise at once and after a message, are cancelled, drained, replaced before they
    have ended, and leave messages. For each of five kinds of mailbox in turn, in a round each.
    """
    numbers = range(scaled(KEYS // len(_ENDS), scale, least=3))
    with contextlib.ExitStack() as stack:
        pools = [
            stack.enter_context(lasting_pool(_generator, mailbox=config, overflow=overflow))
            for config, overflow in _POOLS
        ]

        def work() -> None:
            for pool in pools:
                _use(pool, numbers)
            for pool in pools:
                until_idle(pool)

        yield work


_POOLS: Final[tuple[tuple[mb.MailboxConfig, Any], ...]] = (
    (mb.Unlimited(), "refuse"),
    (mb.NonBlocking(1), "remove_worker"),
    (mb.Waiting(4, deliver_timeout=0.001), "refuse"),
    (mb.CatchAll(mb.Unlimited()), "refuse"),
    (mb.Blocking(8), "refuse"),
    (mb.Sliding(4), "refuse"),
    (mb.Prioritized(mb.Unlimited(), id), "refuse"),
    (mb.Prioritized(mb.Blocking(8), id), "refuse"),
)
"""The mailboxes of the pools, and what they do with what does not fit."""


@contextlib.contextmanager
def function_workers(scale: float) -> Iterator[Callable[[], object]]:
    """Function workers started, removed, replaced and failed, in new pools in each round.

    The same ends as those of the generator workers, on a thread for each worker. Pools are closed,
    cancelled, and drained.
    """
    numbers = range(scaled(FUNCTION_KEYS, scale, least=1))

    def work() -> None:
        for config, overflow in _POOLS:
            with mb.Pool(_function, mailbox=config, overflow=overflow) as pool:
                _use(pool, numbers)
        cancelled: mb.Pool[_Key, _Message] = mb.Pool(_function)
        _use(cancelled, numbers)
        cancelled.initialize(("lives", 0))
        cancelled.cancel()
        expect_end(cancelled.join(timeout=PATIENCE))
        drained: mb.Pool[_Key, _Message] = mb.Pool(_function)
        drained.initialize(("lives", 0))
        expect_end(drained.drain(timeout=PATIENCE))

    yield work
