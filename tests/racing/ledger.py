"""An account of every message that was sent to a pool, checked to the last one."""

import collections
import threading
from collections.abc import Callable, Generator
from typing import Any, Final

from tests.helpers import DEADLINE
from threadpool_mb import DeadLetter, Mailbox, Pool, PoolClosed, WorkerExit

type Message = tuple[str, int]
"""The sender's name, and how many it has sent before."""


class Planned(Exception):
    """Raised by a worker whose message is to make it fail."""


class Ledger:
    """Sends messages to a pool, is its worker and its hooks, and compares."""

    def __init__(self, kind: str, keys: str) -> None:
        self._kind: Final = kind
        self.keys: Final = keys
        self.letters: Final[list[DeadLetter[str, Message]]] = []
        self.exits: Final[list[WorkerExit[str]]] = []
        self._taken: Final[list[tuple[str, Message]]] = []
        self._refused: Final[list[tuple[str, Message]]] = []
        self._raised: Final[list[tuple[str, Message]]] = []
        self._handled: Final[dict[str, list[Message]]] = {key: [] for key in keys}
        self._locks: Final = {key: threading.Lock() for key in keys}

    def pool(self, **options: Any) -> Pool[str, Message]:  # noqa: ANN401 - what `Pool` takes
        """Make a pool that works for this ledger."""
        hooks = {"on_dead_letter": self.letters.append, "on_worker_exit": self.exits.append}
        if self._kind == "function":
            return Pool(self.work, **(hooks | options))
        return Pool(self.work_in_turns, **(hooks | options))

    def work(self, key: str, mailbox: Mailbox[Message]) -> None:
        """Keep all messages; return at every 7th of a sender, and fail at every 11th."""
        assert self._locks[key].acquire(blocking=False), "two workers of one key run at once"
        try:
            for message in mailbox:
                if not self._handle(key, message):
                    return
        finally:
            self._locks[key].release()

    def work_in_turns(self, key: str) -> Generator[None, Message]:
        """Do the same as a generator worker."""
        assert self._locks[key].acquire(blocking=False), "two workers of one key run at once"
        try:
            while self._handle(key, (yield)):
                pass
        finally:
            self._locks[key].release()

    def _handle(self, key: str, message: Message) -> bool:
        self._handled[key].append(message)
        if message[0].startswith("ending"):
            if message[1] % 7 == 6:
                return False
            if message[1] % 11 == 10:
                raise Planned
        return True

    def send(self, pool: Pool[str, Message], sender: str, count: int) -> Callable[[], None]:
        """Return a function that dispatches `count` messages, to one key after the other."""
        return self._sender(pool.dispatch, sender, count)

    def initialize(self, pool: Pool[str, Message], sender: str, count: int) -> Callable[[], None]:
        """Return a function that initializes `count` times, with a message each time."""
        return self._sender(pool.initialize, sender, count)

    def _sender(
        self, send: Callable[[str, Message], bool], sender: str, count: int
    ) -> Callable[[], None]:
        def run() -> None:
            for number in range(count):
                key = self.keys[number % len(self.keys)]
                message = (sender, number)
                try:
                    taken = send(key, message)
                except PoolClosed:
                    self._raised.append((key, message))
                else:
                    (self._taken if taken else self._refused).append((key, message))

        return run

    def remove(self, pool: Pool[str, Message], count: int) -> Callable[[], None]:
        """Return a function that removes workers `count` times, every second one draining."""

        def run() -> None:
            for number in range(count):
                key = self.keys[number // 2 % len(self.keys)]
                pool.remove(key, drain=number % 2 == 1)

        return run

    @property
    def sent(self) -> int:
        """How many messages were sent by now, and taken or not."""
        return len(self._taken) + len(self._refused) + len(self._raised)

    def check(self, pool: Pool[str, Message]) -> None:
        """Join the pool and compare all that was sent with all that became of it."""
        report = pool.join(timeout=DEADLINE)
        assert report.finished, report

        handled = [(key, message) for key in self.keys for message in self._handled[key]]
        dead = [(letter.key, letter.message) for letter in self.letters]
        came_of_it = collections.Counter(handled + dead)
        assert came_of_it == collections.Counter(self._taken + self._refused)
        assert not set(handled) & set(self._refused), "refused, and handled all the same"
        assert report.dead_letters == collections.Counter(letter.reason for letter in self.letters)
        self._check_order()
        self._check_exits()

    def _check_order(self) -> None:
        for messages in self._handled.values():
            by_sender: dict[str, list[int]] = collections.defaultdict(list)
            for sender, number in messages:
                by_sender[sender].append(number)
            assert all(numbers == sorted(numbers) for numbers in by_sender.values()), by_sender

    def _check_exits(self) -> None:
        errors = [exit_.error for exit_ in self.exits if exit_.error is not None]
        assert [error for error in errors if not isinstance(error, Planned)] == []
        for key in self.keys:
            numbers = [exit_.incarnation for exit_ in self.exits if exit_.key == key]
            assert numbers == sorted(set(numbers))
