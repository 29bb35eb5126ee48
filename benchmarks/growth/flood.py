"""A flood of messages: how many a second, until all are handled, each once and in order by key."""

import functools
import itertools
import random
import time
from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol

from benchmarks.growth.tally import Tally
from benchmarks.measuring import run_threads, timed

type Message = tuple[int, int]
"""Its sender, and its number among the sender's."""
type Last = tuple[()]
"""The last message of a key."""
type Plan = Sequence[int]
"""The keys of a sender's messages, in the order in which it sends them."""

SEED: Final = 20_260_601
"""Of the keys that are drawn: the same in every run."""


def in_turn(keys: int, messages: int, senders: int = 1) -> list[Plan]:
    """Return plans in which each sender's share of the messages goes to all keys in turn."""
    return [
        list(itertools.islice(itertools.cycle(range(keys)), messages // senders))
        for _ in range(senders)
    ]


def drawn(keys: int, messages: int, exponent: float) -> list[Plan]:
    """Return the plan of one sender, its keys drawn by Zipf's law; exponent 0: all alike."""
    weights = [(rank + 1) ** -exponent for rank in range(keys)]
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    return [chance.choices(range(keys), weights, k=messages)]


class Work:
    """The workers of keys `0 … keys - 1`, and what they have handled.

    A key's last message is an empty one, which tells that all before it are handled.
    """

    def __init__(self, keys: int, plans: Sequence[Plan], sleep: float = 0.0) -> None:
        self.keys: Final = range(keys)
        self.plans: Final = plans
        self.sleep: Final = sleep
        """Seconds for which each handler blocks its thread."""
        self.started: Final = Tally(keys)
        self.done: Final = Tally(keys)
        self.ended: Final = Tally(keys)
        # A key's list is written by one thread at a time; the unordered peer's by any.
        self._handled: Final[list[list[Message]]] = [[] for _ in range(keys)]

    def handle(self, key: int) -> Callable[[Message], object]:
        """Return the function that handles a key's messages, but for the last."""
        append = self._handled[key].append
        if not self.sleep:
            return append

        def handle(message: Message) -> None:
            time.sleep(self.sleep)
            append(message)

        return handle

    def generator(self, key: int) -> Generator[None, Message | Last]:
        """Receive by `yield`."""
        handle = self.handle(key)
        self.started.tell()
        while True:
            message = yield
            if message:
                handle(message)
            else:
                self.done.tell()

    def until_none(self, key: int) -> Callable[[Message | Last | None], bool]:
        """Return a function that is called with each message; `None` is its end."""
        handle = self.handle(key)
        self.started.tell()

        def handle_or_end(message: Message | Last | None) -> bool:
            if message:
                handle(message)
            elif message is None:
                self.ended.tell()
                return True
            else:
                self.done.tell()
            return False

        return handle_or_end

    def check(self, *, ordered: bool) -> None:
        """Raise an error unless each message was handled once, and in order if it is promised."""
        expected: list[list[list[int]]] = [[[] for _ in self.plans] for _ in self.keys]
        for sender, plan in enumerate(self.plans):
            for number, key in enumerate(plan):
                expected[key][sender].append(number)
        for key, handled in enumerate(self._handled):
            found: list[list[int]] = [[] for _ in self.plans]
            for sender, number in handled:
                found[sender].append(number)
            if not ordered:
                found = [sorted(numbers) for numbers in found]
            if found != expected[key]:
                raise AssertionError(f"messages of key {key} are missing or out of order")


class Contender(Protocol):
    """What handles the messages of a `Work`; it is made with all its workers started."""

    def run(self) -> object:
        """Send everything, from a sender for each plan; return once all is handled."""

    def close(self) -> object:
        """End all threads."""


class FromThreads:
    """Has a thread for each sender."""

    def __init__(self, work: Work) -> None:
        self._work: Final = work

    def run(self) -> None:
        """Send everything; return once all is handled."""
        plans = self._work.plans
        run_threads(*[functools.partial(self.send, *each) for each in enumerate(plans)])
        self.send_last()
        self._work.done.wait()

    def send(self, sender: int, plan: Plan) -> None:
        """Send one sender's messages."""
        raise NotImplementedError

    def send_last(self) -> None:
        """Send each key its last message."""
        raise NotImplementedError


def flood(make: Callable[[Work], Contender], work: Work, *, ordered: bool = True) -> float:
    """Return how many messages a second a contender handles; its start and end do not count."""
    contender = make(work)
    took = timed(contender.run)
    contender.close()
    work.check(ordered=ordered)
    return sum(map(len, work.plans)) / took
