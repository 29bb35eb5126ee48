"""Staged races: queues that stop between two steps, where the test says so.

The mailboxes that are created on a stage use stand-ins for `queue.SimpleQueue`. Each method is the
queue's own; before and after it the calling thread passes a *point*, named by a text such as
`before put 'late'`, and stops there if the test has asked for it.
"""

import functools
import queue
import threading
import types
from collections.abc import Callable
from typing import Final, Self

import pytest

from tests.helpers import DEADLINE
from threadpool_mb.line import standing
from threadpool_mb.line.stores import Store, StoredQueue, unranked
from threadpool_mb.mailbox import sending


class Stop:
    """A point at which one thread stops until it is let go."""

    def __init__(self, skip: int) -> None:
        self._skip = skip
        self._reached = threading.Event()
        self._go = threading.Event()

    def reach(self) -> None:
        """Stop here, if it is the turn for it."""
        if self._skip:
            self._skip -= 1
        elif not self._reached.is_set():
            self._reached.set()
            assert self._go.wait(DEADLINE), "the test has not let the thread go"

    def wait(self) -> None:
        """Wait until a thread has stopped here."""
        assert self._reached.wait(DEADLINE), "no thread came to the point at which it should stop"

    def go(self) -> None:
        """Let the thread go on."""
        self._go.set()


class Stage:
    """Where the mailboxes play that are created after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stops: Final[dict[str, Stop]] = {}
        self._waits: Final = threading.Event()
        for module, name in ((sending, ""), (standing, "slot ")):
            stand_in = types.SimpleNamespace(
                SimpleQueue=functools.partial(_StagedQueue, self, name), Empty=queue.Empty
            )
            monkeypatch.setattr(module, "queue", stand_in)
        monkeypatch.setattr(sending, "StoredQueue", functools.partial(_StagedStore, self))

    def stop(self, point: str, *, skip: int = 0) -> Stop:
        """Stop the first thread that comes to `point`, after `skip` others that may pass."""
        stop = Stop(skip)
        self._stops[point] = stop
        return stop

    def until_receiver_waits(self) -> None:
        """Wait until a thread has begun to wait for a message, since this was last asked."""
        assert self._waits.wait(DEADLINE), "no thread has begun to wait for a message"
        self._waits.clear()

    @property
    def receiver_waits(self) -> bool:
        """Whether a thread has begun to wait for a message, since `until_receiver_waits`."""
        return self._waits.is_set()

    def passing(self, point: str) -> None:
        """Stop if the test has asked for it."""
        if stop := self._stops.get(point):
            stop.reach()

    def waits(self) -> None:
        """Say that a thread begins to wait for a message."""
        self._waits.set()


class _StagedQueue(queue.SimpleQueue[object]):
    def __new__(cls, stage: Stage, name: str) -> Self:
        self = super().__new__(cls)
        self._stage = stage
        self._name = name
        return self

    def __init__(self, stage: Stage, name: str) -> None:
        """Ignore what `__new__` has taken."""

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 - as in the original
        point = f"{self._name}put" if self._name else f"put {item!r}"
        self._stage.passing(f"before {point}")
        super().put(item)
        self._stage.passing(f"after {point}")

    def get(self, block: bool = True, timeout: float | None = None) -> object:  # noqa: FBT001, FBT002 - as in the original
        self._stage.passing(f"before {self._name}get")
        if block and timeout != 0 and not self._name and self.empty():
            self._stage.waits()
        item = super().get(block, timeout)
        self._stage.passing(f"after {self._name}get")
        return item

    def get_nowait(self) -> object:
        self._stage.passing(f"before {self._name}get_nowait")
        item = super().get_nowait()
        self._stage.passing(f"after {self._name}get_nowait")
        return item


class _StagedStore(StoredQueue[object]):
    """The same, where the messages are in a store: the points are outside of its lock."""

    def __new__(cls, stage: Stage, store: Store, displaced: Callable[[object], object]) -> Self:
        self = super().__new__(cls)
        self._stage = stage
        return self

    def __init__(self, stage: Stage, store: Store, displaced: Callable[[object], object]) -> None:
        """Be one on a stage."""
        super().__init__(store, displaced)

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 - as in the original
        point = f"put {unranked(item)!r}"
        self._stage.passing(f"before {point}")
        super().put(item)
        self._stage.passing(f"after {point}")

    def get(self, block: bool = True, timeout: float | None = None) -> object:  # noqa: FBT001, FBT002 - as in the original
        self._stage.passing("before get")
        if block and timeout != 0 and not self.qsize():
            self._stage.waits()
        item = super().get(block, timeout)
        self._stage.passing("after get")
        return item

    def get_nowait(self) -> object:
        self._stage.passing("before get_nowait")
        item = self.store.get_prepared(self)
        item = unranked(item)
        self._stage.passing("after get_nowait")
        return item

    def get_prepared(self) -> object:
        self._stage.passing("before get_nowait")
        item = super().get_prepared()
        self._stage.passing("after get_nowait")
        return item
