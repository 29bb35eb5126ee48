"""Designs of a bounded mailbox that were tried beside the one that was kept.

The one that was kept has two `SimpleQueue`s. Of the others there is only their way through
delivering and receiving, without closing, timeouts and claims: each is at its best here, and the
one that was kept carries everything.
"""

import collections
import contextlib
import queue
import threading
from typing import Any, Final


class SenderLock:
    """One `SimpleQueue`; senders hold a lock from looking at its size to putting."""

    def __init__(self, limit: int) -> None:
        messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._put, self._get, self._size = messages.put, messages.get, messages.qsize
        self._limit = limit
        self._lock = threading.Lock()
        self._waiters: collections.deque[threading.Lock] = collections.deque()

    def put(self, message: object) -> None:
        """Put, once there is room."""
        while True:
            with self._lock:
                if self._size() < self._limit:
                    return self._put(message)
                waiter = threading.Lock()
                waiter.acquire()
                self._waiters.append(waiter)
                if self._size() < self._limit:
                    # The receiver may have woken it already; one that stayed would eat a wake-up.
                    with contextlib.suppress(ValueError):
                        self._waiters.remove(waiter)
                    return self._put(message)
            waiter.acquire()

    def get(self) -> Any:  # noqa: ANN401
        """Take, once there is something."""
        message = self._get()
        if self._waiters:
            with contextlib.suppress(IndexError):
                self._waiters.popleft().release()
        return message


class OneLock:
    """A deque under one lock; who waits, waits on a lock of its own."""

    def __init__(self, limit: int) -> None:
        self._messages: collections.deque[Any] = collections.deque()
        self._limit = limit
        self._lock = threading.Lock()
        self._senders: collections.deque[threading.Lock] = collections.deque()
        self._receivers: collections.deque[threading.Lock] = collections.deque()

    def put(self, message: object) -> None:
        """Put, once there is room."""
        while True:
            with self._lock:
                if len(self._messages) < self._limit:
                    self._messages.append(message)
                    if self._receivers:
                        self._receivers.popleft().release()
                    return
                waiter = threading.Lock()
                waiter.acquire()
                self._senders.append(waiter)
            waiter.acquire()

    def get(self) -> Any:  # noqa: ANN401
        """Take, once there is something."""
        while True:
            with self._lock:
                if self._messages:
                    message = self._messages.popleft()
                    if self._senders:
                        self._senders.popleft().release()
                    return message
                waiter = threading.Lock()
                waiter.acquire()
                self._receivers.append(waiter)
            waiter.acquire()


class TwoConditions:
    """A deque under one lock with two conditions, as in `queue.Queue` but for its task counting."""

    def __init__(self, limit: int) -> None:
        self._messages: collections.deque[Any] = collections.deque()
        self._limit = limit
        self._lock = threading.Lock()
        self._not_empty = threading.Condition(self._lock)
        self._not_full = threading.Condition(self._lock)

    def put(self, message: object) -> None:
        """Put, once there is room."""
        with self._lock:
            while len(self._messages) >= self._limit:
                self._not_full.wait()
            self._messages.append(message)
            self._not_empty.notify()

    def get(self) -> Any:  # noqa: ANN401
        """Take, once there is something."""
        with self._lock:
            while not self._messages:
                self._not_empty.wait()
            message = self._messages.popleft()
            self._not_full.notify()
            return message


DESIGNS: Final = {
    "sender lock and qsize": SenderLock,
    "one lock, a deque": OneLock,
    "one lock, two conditions": TwoConditions,
}
