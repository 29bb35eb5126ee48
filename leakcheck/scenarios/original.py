"""The workload of the original's memory test of its pool: `src-pool-memleak-test`.

Each of N keys has a worker started with `Start`, is sent synchronous work, each piece of which is
waited for, then as much asynchronous work, then `Stop`, which makes the worker put its count into a
mailbox of results and end. Here the senders are two; there they are one for each thousand keys.
"""

import contextlib
import dataclasses
import queue
from collections.abc import Callable, Generator, Iterator
from typing import Final, Literal, assert_never

import threadpool_mb as mb
from benchmarks.measuring import run_threads, scaled
from leakcheck.scenarios.pools import expect_end, lasting_pool, until_idle
from leakcheck.waiting import PATIENCE, StuckError

KEYS: Final = 400
FUNCTION_KEYS: Final = 12
WORK: Final = 10
"""Pieces of work of either kind for a key, as in the original."""
REPETITIONS: Final = 3
"""Of the workload, with one pool of function workers."""
_SENDERS: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class SyncWork:
    """A piece of work whose sender waits for the worker's count."""

    answer: queue.SimpleQueue[int]


type Message = Literal["start", "work", "stop"] | SyncWork
type _Results = mb.Input[tuple[int, int]]


class _Counters:
    """What workers do with their messages."""

    def __init__(self, results: _Results) -> None:
        self._results = results

    def handle(self, key: int, count: int, message: Message) -> int | None:
        """Handle a message; return the new count, or `None` to end."""
        match message:
            case "start":
                return 0
            case "work":
                return count + 1
            case SyncWork(answer):
                answer.put(count)
                return count + 1
            case "stop":
                self._results.deliver((key, count))
                return None
            case _:
                assert_never(message)

    def generator(self, key: int) -> Generator[None, Message]:
        """Work as a generator worker."""
        count: int | None = 0
        while count is not None:
            count = self.handle(key, count, (yield))

    def function(self, key: int, mailbox: mb.Mailbox[Message]) -> None:
        """Work as a function worker."""
        count: int | None = 0
        for message in mailbox:
            count = self.handle(key, count, message)
            if count is None:
                return


def _send(pool: mb.Pool[int, Message], keys: range) -> None:
    target = pool.input
    for key in keys:
        if not target.deliver(mb.Initialize(key, "start")):
            raise StuckError(f"key {key} still has the worker of the repetition before")
        answer = queue.SimpleQueue[int]()
        for number in range(WORK):
            target.deliver(mb.Dispatch(key, SyncWork(answer)))
            if answer.get(timeout=PATIENCE) != number:
                raise StuckError(f"key {key} has lost count")
        for _ in range(WORK):
            target.deliver(mb.Dispatch(key, "work"))
        target.deliver(mb.Dispatch(key, "stop"))


def _repetition(
    pool: mb.Pool[int, Message], results: mb.Mailbox[tuple[int, int]], count: int
) -> None:
    parts = [range(first, count, _SENDERS) for first in range(_SENDERS)]
    run_threads(*(lambda keys=keys: _send(pool, keys) for keys in parts))
    counts = dict(results.receive(timeout=PATIENCE) for _ in range(count))
    if counts != dict.fromkeys(range(count), 2 * WORK):
        raise StuckError("some keys have lost count")
    # A worker that has put its result has not ended yet.
    until_idle(pool)


@contextlib.contextmanager
def original(scale: float) -> Iterator[Callable[[], object]]:
    """The original's pool workload, one pool of generator workers for all rounds.

    In a round each of 400 keys is started, sent 10 pieces of synchronous and 10 of asynchronous
    work, stopped, and its result received.
    """
    count = scaled(KEYS, scale)
    results: mb.Mailbox[tuple[int, int]] = mb.Unlimited().create()

    with lasting_pool(_Counters(results.new_input()).generator) as pool:
        yield lambda: _repetition(pool, results, count)


@contextlib.contextmanager
def original_functions(scale: float) -> Iterator[Callable[[], object]]:
    """The original's pool workload, a new pool of function workers in each round.

    In a round the workload is repeated three times in one pool, for 12 keys, a thread each; then
    the pool is cancelled, as in the original.
    """
    count = scaled(FUNCTION_KEYS, scale, least=4)

    def work() -> None:
        results: mb.Mailbox[tuple[int, int]] = mb.Unlimited().create()
        pool = mb.Pool(_Counters(results.new_input()).function)
        for _ in range(REPETITIONS):
            _repetition(pool, results, count)
        pool.cancel()
        expect_end(pool.join(timeout=PATIENCE))

    yield work
