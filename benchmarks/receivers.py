"""Receivers of numbered messages in the styles of all contenders, which check what they get.

A receiver gets messages numbered 0, 1, 2 … `count - 1` (a message is a tuple with its number in
front), fails at any that is out of order, and after the last says so once in `ended` and ends.
Contenders of a workload differ in how a message comes to them, never in what they do with it.
"""

import queue
import threading
from collections.abc import Callable, Generator, Hashable, Iterable
from typing import Any, Final

from benchmarks.measuring import PATIENCE

type Numbered = tuple[int, *tuple[Any, ...]]
type Handle = Callable[[Numbered], bool]


class OutOfOrderError(AssertionError):
    """A message is missing, came twice or came out of order."""


class Receivers[K: Hashable]:
    """Makes receivers of `count` messages for keys, and waits for them."""

    def __init__(self, count: int) -> None:
        self._count: Final = count
        self._ended: Final[queue.SimpleQueue[K | OutOfOrderError]] = queue.SimpleQueue()

    def wait_for(self, keys: Iterable[K]) -> None:
        """Wait until the receivers of exactly these keys have ended, each once.

        Raises:
            OutOfOrderError: if one got a message out of order, or another one ended.
        """
        waiting = set(keys)
        while waiting:
            key = self._ended.get(timeout=PATIENCE)
            if isinstance(key, OutOfOrderError):
                raise key
            if key not in waiting:
                raise OutOfOrderError(f"the receiver of key {key!r} ended twice, or unasked")
            waiting.remove(key)
        self.check_end()

    def check_end(self) -> None:
        """Raise an error if a receiver that was not waited for said something."""
        if not self._ended.empty():
            raise OutOfOrderError(f"unasked: {self._ended.get()!r}")

    def generator(self, key: K) -> Generator[None, Numbered]:
        """Receive by `yield`."""
        for number in range(self._count):
            message = yield
            if message[0] != number:
                self._fail(key, number, message)
        self._ended.put(key)

    def function(self, key: K, get: Callable[[], Numbered]) -> None:
        """Receive by calling `get`."""
        for number in range(self._count):
            message = get()
            if message[0] != number:
                self._fail(key, number, message)
        self._ended.put(key)

    def loop(self, key: K, mailbox: Iterable[Numbered]) -> None:
        """Receive by iterating."""
        # The numbers come first: once they are used up, `zip` takes no message more.
        for number, message in zip(range(self._count), mailbox, strict=False):
            if message[0] != number:
                self._fail(key, number, message)
        self._ended.put(key)

    def handle(self, key: K) -> Handle:
        """Return a function that is called with each message; it returns whether it ended."""
        number = 0
        last = self._count - 1

        def handle(message: Numbered) -> bool:
            nonlocal number
            if message[0] != number:
                self._fail(key, number, message)
            number += 1
            if message[0] != last:
                return False
            self._ended.put(key)
            return True

        return handle

    def handle_unordered(self, key: K) -> Handle:
        """Return such a function that takes each message once but in any order, from any thread."""
        missing = set(range(self._count))
        lock = threading.Lock()

        def handle(message: Numbered) -> bool:
            with lock:
                if message[0] not in missing:
                    self._fail(key, min(missing, default=-1), message)
                missing.remove(message[0])
                if missing:
                    return False
            self._ended.put(key)
            return True

        return handle

    def _fail(self, key: K, number: int, message: Numbered) -> None:
        error = OutOfOrderError(f"key {key!r}: message {message[0]} came where {number} was due")
        self._ended.put(error)
        raise error
