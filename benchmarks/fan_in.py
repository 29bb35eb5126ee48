"""Random graphs of workers that send to each other's small mailboxes: none stands still untold.

    python -m benchmarks.fan_in --rounds 10000 [--seed 0]

In each round 20 keys send to others, as a graph says that a seed has drawn. In half of the graphs
messages flow one way only: there every message has to be handled, and nobody may be told of a
deadlock. In the others senders may wait for room in a circle: then one of them has to be told, and
what is not handled has to be a dead letter, or was in the hand of a worker that failed.
"""

import argparse
import dataclasses
import logging
import random
import sys
import threading
import time
from collections.abc import Generator
from typing import Any, Final

import threadpool_mb as mb

__all__ = ["Round", "main", "play"]

KEYS: Final = range(20)
DEADLINE: Final = 20.0
"""Seconds after which a round that has not ended is held to stand still."""


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """What a seed has drawn."""

    one_way: bool
    limit: int
    threads: int | None
    """`None` for function workers."""
    plans: dict[int, list[int]]
    """To whom a key sends, in this order, once it is told to go."""

    @property
    def messages(self) -> int:
        """How many are sent in all."""
        return len(self.plans) + sum(map(len, self.plans.values()))


def draw(seed: int) -> Round:
    """Draw a round."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    one_way = dice.random() < 0.5  # noqa: PLR2004 - half of them
    targets = {
        key: [
            other
            for other in KEYS
            if (other > key if one_way else other != key) and dice.random() < 0.15  # noqa: PLR2004 - three each
        ]
        for key in KEYS
    }
    times = dice.choice([1, 3, 8])
    return Round(
        one_way=one_way,
        limit=dice.choice([1, 1, 2, 4]),
        threads=dice.choice([1, 2, 6, None]),
        plans={key: targets[key] * times for key in KEYS},
    )


class _Play:
    """One round, as it runs."""

    def __init__(self, drawn: Round) -> None:
        self._drawn: Final = drawn
        self._lock: Final = threading.Lock()
        self.handled = 0
        self.dead = 0
        self.exits: Final[list[mb.WorkerExit[int]]] = []
        self.pool: Final[mb.Pool[int, Any]] = mb.Pool(
            self._turns if drawn.threads else self._loop,
            mailbox=mb.Blocking(drawn.limit),
            max_threads=drawn.threads,
            on_dead_letter=self._bury,
            on_worker_exit=self.exits.append,
        )

    def _bury(self, _: object) -> None:
        with self._lock:
            self.dead += 1

    def _take(self, key: int, message: object) -> None:
        with self._lock:
            self.handled += 1
        if message == "go":
            for other in self._drawn.plans[key]:
                self.pool.dispatch(other, "sent")

    def _turns(self, key: int) -> Generator[None, object]:
        while True:
            self._take(key, (yield))

    def _loop(self, key: int, mailbox: mb.Mailbox[object]) -> None:
        for message in mailbox:
            self._take(key, message)

    @property
    def failures(self) -> list[BaseException]:
        """What workers have raised."""
        return [each.error for each in self.exits if each.error is not None]

    def is_quiet(self) -> bool:
        """Whether nothing waits any more, and every worker that has not failed is done."""
        if any(each.messages or each.senders_waiting for each in self.pool.workers()):
            return False
        return bool(self.failures) or self.handled + self.dead == self._drawn.messages


def play(seed: int) -> tuple[str | None, bool]:
    """Play a round; return what went wrong, if anything, and whether a worker was told."""
    drawn = draw(seed)
    playing = _Play(drawn)
    pool = playing.pool
    for key in KEYS:
        pool.initialize(key)
    for key in KEYS:
        pool.dispatch(key, "go")
    end = time.monotonic() + DEADLINE
    while not playing.is_quiet():
        if time.monotonic() > end:
            standing = [each for each in pool.workers() if each.senders_waiting]
            pool.cancel()
            return f"stands still: {drawn}: {standing}", False
        time.sleep(0)
    pool.close()
    pool.join()
    told = [error for error in playing.failures if isinstance(error, mb.DispatchDeadlock)]
    # Where one was told, others may still send as the pool is closed.
    expected = (mb.DispatchDeadlock, mb.PoolClosed) if told else ()
    if not all(isinstance(error, expected) for error in playing.failures):
        return f"failed: {playing.failures}", bool(told)
    if drawn.one_way and told:
        return f"told of a circle that is none: {told}", True
    if not told and playing.handled != drawn.messages:
        return f"lost {drawn.messages - playing.handled} of {drawn.messages}", False
    return None, bool(told)


def main(arguments: list[str]) -> int:
    """Play round after round; return 1 at the first that went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the failures are the rounds' own
    told = 0
    start = time.monotonic()
    for seed in range(options.seed, options.seed + options.rounds):
        wrong, was_told = play(seed)
        if wrong is not None:
            print(f"seed {seed}: {wrong}")
            return 1
        told += was_told
    seconds = time.monotonic() - start
    print(
        f"{options.rounds} rounds in {seconds:.0f} s: none stood still; {told} were told a circle"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
