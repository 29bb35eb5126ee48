"""The client's side of one node: what is to be sent to it, and what was sent and is not settled.

Two threads per node: one sends batches, in order; one asks for what the node has to tell. An
actor's call takes a millisecond or two: so a batch has up to a thousand messages, and a few of them
are on their way at a time.

**Guarantees.** Messages of one thread for one key are sent in order. At most `credits` messages are
taken and not settled, but for those that come from another node (`push`). A call to the actor that
has failed is made again, with the same number, until it succeeds or Dask says that the worker is
gone: this module decides nothing about failure.
"""

import functools
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, final

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.cluster.dask import Actor, ActorFuture
from threadpool_mb.cluster.entries import Entry, Unsettled
from threadpool_mb.cluster.wire import MOVE, Events, dumped, loaded
from threadpool_mb.logs import Logger
from threadpool_mb.pool.reports import PoolStats
from threadpool_mb.threads.launching import new_thread

__all__ = ["FULL", "STALE", "TAKEN", "Link", "LinkOwner"]

_logger = Logger(__name__)

TAKEN: Final = 0
"""The message is in the outbox."""
STALE: Final = 1
"""The sender has looked in a table that is not in force any more."""
FULL: Final = 2
"""There are as many messages as there are credits."""

_WINDOW: Final = 4
"""Batches that are on their way to the actor at a time."""
_MOST_BYTES: Final = 8_000_000
"""The size of a batch, of more than one message."""
_SIZED: Final = frozenset({bytes, str})
_WAIT: Final = 1.0
"""Seconds that the node waits for something to tell."""
_LOOK: Final = 0.5
"""Seconds between two looks whether the node is lost, while an answer is waited for."""
_PAUSE: Final = 0.2
"""Seconds before a call to the actor that has failed is made again."""


class LinkOwner(Protocol):
    """What is told of what a node tells. No lock is held; it may run a user's hooks."""

    def told(self, link: "Link", events: Events, dead: list[tuple[Entry, str]]) -> None:
        """Take note of what a node has told, but of what is settled by that: `dead`."""
        ...

    def settled(self) -> None:
        """Take note that messages were settled."""
        ...

    def unwritten(self, entries: list[Entry]) -> None:
        """Take note of messages that cannot be sent after all."""
        ...

    def suspect(self, link: "Link") -> None:
        """Take note that a call to the actor has failed."""
        ...


@final
class Link:
    """The client's side of one node. Threads: internally synchronized."""

    def __init__(
        self,
        address: str,
        number: int,
        actor: Actor,
        owner: LinkOwner,
        *,
        name: str,
        batch: int,
        batch_time: float,
        credits: int,
    ) -> None:
        """Talk to the actor on the Dask worker at `address`."""
        self.address: Final = address
        self.number: Final = number
        self.actor: Actor | None = actor
        self._owner: Final = owner
        self._batch: Final = batch
        self._batch_time: Final = batch_time
        self._credits: Final = credits
        # Guards what follows.
        self.lock: Final = threading.Lock()
        # Notified when there is something to send, or the link is stopped.
        self._ready: Final = threading.Condition(self.lock)
        # Notified when messages were settled, the table has changed, or the link is stopped.
        self._room: Final = threading.Condition(self.lock)
        self._waiters = 0
        self.table: object = None
        """The table by which messages may be put here."""
        self._outbox: list[Entry] = []
        self._urgent = False
        self._unsettled: Final = Unsettled()
        self.outstanding: int = 0
        """How many messages were taken and are not settled."""
        self._number = 0
        self.asked: Final[set[int]] = set()
        """The numbers of what was asked and is not answered."""
        self.stopped: bool = False
        """Whether nothing is sent or asked for any more: the node is lost, or has ended."""
        # How the node was told to end.
        self._told_to_end: tuple[str, ActorFuture | None] = "", None
        self.report: bytes | None = None
        """How the node's pool has ended, if it has."""
        self.figures: PoolStats | None = None
        """What the node has told last of its pool."""
        self.threads: Final = [
            new_thread(self._send, f"{name}-sender-{number}"),
            new_thread(self._gather, f"{name}-receiver-{number}"),
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self.threads:
            thread.start()

    def __repr__(self) -> str:
        """Show the address."""
        return f"<Link {self.address} [{self.outstanding} outstanding]>"

    # For senders, and the router.

    def offer(self, entry: Entry, table: object, *, limited: bool = True) -> int:
        """Take a message, if the table is still in force and there is room, or need not be."""
        with self.lock:
            if self.table is not table:
                return STALE
            if limited and self.outstanding >= self._credits:
                return FULL
            self._put_locked(entry)
        return TAKEN

    def push(self, entries: Iterable[Entry]) -> None:
        """Take messages, whether there is room or not."""
        with self.lock:
            for entry in entries:
                self._put_locked(entry)

    def _put_locked(self, entry: Entry) -> None:
        outbox = self._outbox
        outbox.append(entry)
        self.outstanding += 1
        count = len(outbox)
        if entry.asked is not None or entry.kind == MOVE:
            self._urgent = True
            self._ready.notify()
        elif count == 1 or count == self._batch:
            self._ready.notify()

    def use(self, table: object, *, first: Entry | None = None) -> None:
        """Have a table in force from now on; with `first`, put that in before."""
        with self.lock:
            self.table = table
            if first is not None:
                self._put_locked(first)
            self._room.notify_all()

    def wait_for_room(self, table: object, deadline: Deadline = NEVER) -> bool:
        """Wait until there may be room, or the table has changed; `False` at the deadline."""
        with self.lock:
            self._waiters += 1
            try:
                while self.table is table and self.outstanding >= self._credits:
                    left = deadline.remaining()
                    if left == 0:
                        return False
                    self._room.wait(left)
            finally:
                self._waiters -= 1
        return True

    def hurry(self) -> None:
        """Send what there is without waiting for more."""
        with self.lock:
            self._urgent = True
            self._ready.notify()

    def stop(self) -> tuple[list[Entry], list[Entry]]:
        """Send nothing any more; return what was sent and is not settled, and what was not sent."""
        with self.lock:
            self.stopped = True
            self.table = None
            sent, unsent = self._unsettled.take_all(), self._outbox
            self._outbox = []
            self.outstanding = 0
            self._ready.notify_all()
            self._room.notify_all()
        return sent, unsent

    @property
    def unsent(self) -> int:
        """How many messages were not sent yet."""
        return len(self._outbox)

    def take_unsent(self) -> list[Entry]:
        """Take out what was not sent."""
        with self.lock:
            unsent, self._outbox = self._outbox, []
            self.outstanding -= len(unsent)
        return unsent

    def left(self, epoch: int, key: object, *, of_all: bool) -> bool:
        """Return whether a message is left that was sent by then; of one key, or of all."""
        with self.lock:
            if not self.outstanding:
                return False
            return any(
                entry.epoch <= epoch and (of_all or entry.key == key)
                for entries in (self._unsettled, self._outbox)
                for entry in entries
            )

    def ask(self, ask: Callable[[Actor], ActorFuture], timeout: float) -> Any:
        """Return what the node answers, unpickled; `None` if it does not answer in time."""
        actor = self.actor
        try:
            return None if actor is None else loaded(ask(actor).result(timeout=timeout))
        except Exception as error:  # noqa: BLE001 - of whatever kind Dask raises
            self._failed("no answer", error)
            return None

    # The sender's thread.

    def _send(self) -> None:
        """Send batches until the link is stopped."""
        under_way: deque[tuple[int, bytes, ActorFuture | None]] = deque()
        while (taken := self._take(wait=not under_way)) is not None:
            number, entries = taken
            if entries:
                data = self._written(number, entries)
                under_way.append((number, data, self._put(number, data)))
                del taken, entries  # not kept while this waits
            elif under_way:
                self._confirm(*under_way.popleft())
            if len(under_way) >= _WINDOW:
                self._confirm(*under_way.popleft())

    def _take(self, *, wait: bool) -> tuple[int, list[Entry]] | None:
        """Take out the next batch; an empty one if there is none now, and this is not to wait."""
        with self.lock:
            while not self._outbox and not self.stopped and wait:
                self._ready.wait()
            if self.stopped:
                return None
            if wait and len(self._outbox) < self._batch and not self._urgent:
                # The notification of the first one may still be to come.
                deadline = Deadline(self._batch_time, real=True)
                while (
                    (left := deadline.remaining())
                    and len(self._outbox) < self._batch
                    and not (self._urgent or self.stopped)
                ):
                    self._ready.wait(left)
                if self.stopped:
                    return None
            count = _fitting(self._outbox, self._batch)
            entries = self._outbox[:count]
            self._outbox = self._outbox[count:]
            self._urgent = self._urgent and bool(self._outbox)
            if entries:
                self._number += 1
                self._unsettled.sent(self._number, entries)
                self.asked.update(
                    entry.asked.number for entry in entries if entry.asked is not None
                )
            return self._number, entries

    def _written(self, number: int, entries: list[Entry]) -> bytes:
        """Return a batch as it travels; dead letters are made of one that cannot be written."""
        try:
            return _written(entries)
        except Exception:
            # Keys that could be pickled when they were first seen.
            _logger.exception("%r: a batch cannot be pickled", self)
            with self.lock:
                self.outstanding -= self._unsettled.done(number, None)
            self._owner.unwritten(entries)
            return _written([])

    def _put(self, number: int, data: bytes) -> ActorFuture | None:
        return self._begin(lambda actor: actor.put(number, data), "a batch")

    def _confirm(self, number: int, data: bytes, future: ActorFuture | None) -> None:
        """Wait until a batch has come to the actor; send it again if that has failed."""
        while not self.stopped:
            if future is not None and self._result(future, "a batch") is not None:
                return
            self._pause()
            future = self._put(number, data)

    def _begin(self, call: Callable[[Actor], ActorFuture], what: str) -> ActorFuture | None:
        """Call a method of the actor; `None` if it is lost."""
        actor = self.actor
        try:
            return None if actor is None else call(actor)
        except Exception as error:  # noqa: BLE001 - of whatever kind Dask raises
            self._failed(what, error)
            return None

    def _failed(self, what: str, error: Exception) -> None:
        if not self.stopped:
            _logger.warning("%r: %s: %s: %s", self, what, type(error).__name__, error)

    def tell_to_end(self, how: str) -> None:
        """Have the node's pool end; again, where that was tried and has failed. For one thread."""
        told, future = self._told_to_end
        if (
            future is not None
            and told in {how, "cancel"}
            and not (future.done() and self._result(future, "its end") is None)
        ):
            return
        future = self._begin(lambda actor: actor.end(how), "its end")
        self._told_to_end = how, future
        if future is None:
            self._owner.suspect(self)

    def _result(self, future: ActorFuture, what: str) -> tuple[Any] | None:
        """Wait for a future; return its result, alone in a tuple, or `None` if it has failed."""
        while not self.stopped:
            try:
                return (future.result(timeout=_LOOK),)
            except TimeoutError:
                if not future.done():
                    continue
            except Exception as error:  # noqa: BLE001 - of whatever kind Dask raises
                self._failed(what, error)
            return None
        return None

    def _pause(self) -> None:
        self._owner.suspect(self)
        with self.lock:
            if not self.stopped:
                self._room.wait(_PAUSE)

    # The receiver's thread.

    def _gather(self) -> None:
        """Ask for what the node has to tell, until its pool has ended or the link is stopped."""
        known = 0
        while not self.stopped:
            future = self._begin(functools.partial(_gathering, known), "what it tells")
            result = None if future is None else self._result(future, "what it tells")
            del future
            if result is None:
                self._pause()
                continue
            known, events = result[0]
            del result
            self._see_to(events)
            if events.ended is not None:
                return

    def _see_to(self, events: Events) -> None:
        dead: list[tuple[Entry, str]] = []
        with self.lock:
            if self.stopped:
                return
            for number, index, reason in events.dead:
                entry = self._unsettled.take(number, index)
                if entry is not None:
                    self.outstanding -= 1
                    dead.append((entry, reason))
            for asked, _, _ in events.replies:
                self.asked.discard(asked)
        try:
            self._owner.told(self, events, dead)
        except Exception:  # of what a user's class does as it is unpickled
            _logger.exception("%r: what it tells is unreadable", self)
        with self.lock:
            for number, indices in events.done:
                self.outstanding -= self._unsettled.done(number, indices)
            if self._waiters and self.outstanding < self._credits:
                self._room.notify_all()
            if events.figures is not None:
                self.figures = loaded(events.figures)
            if events.ended is not None:
                self.report = events.ended
        self._owner.settled()


def _fitting(entries: list[Entry], most: int) -> int:
    """Return how many of the first messages are a batch: by their number, and their size."""
    size = 0
    for count, entry in enumerate(entries[:most]):
        if type(entry.body) in _SIZED:
            size += len(entry.body)
            if size > _MOST_BYTES:
                return max(count, 1)
    return min(len(entries), most)


def _gathering(known: int, actor: Actor) -> ActorFuture:
    return actor.gather(known, _WAIT)


def _written(entries: list[Entry]) -> bytes:
    """Return a batch as it travels."""
    keys = dumped([entry.key for entry in entries])
    bodies = [entry.body for entry in entries]
    kinds = bytes(entry.kind for entry in entries)
    asked = {at: entry.asked for at, entry in enumerate(entries) if entry.asked is not None}
    return pickle.dumps((keys, bodies, kinds, asked), pickle.HIGHEST_PROTOCOL)
