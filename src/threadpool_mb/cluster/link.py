"""The client's side of one node: its outbox, and two threads that talk to its actor.

Two threads per node: one sends batches, in order; one asks for what the node has to tell. An
actor's call takes a millisecond or two: so a batch has up to a thousand messages, and a few of them
are on their way at a time.

**Guarantees.** A call to the actor that has failed is made again, with the same number, until it
succeeds or Dask says that the worker is gone: this module decides nothing about failure.
"""

import pickle
from collections import deque
from concurrent.futures import Future
from typing import Any, Final, Protocol, final

from threadpool_mb.arguments import describe
from threadpool_mb.cluster.dask import Actor
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.outbox import Outbox
from threadpool_mb.cluster.own_threads import OwnThreads
from threadpool_mb.cluster.wire import PLAIN_TYPES, Events, Parcel, dumped, loaded
from threadpool_mb.logs import Logger
from threadpool_mb.pool.reports import PoolStats

__all__ = ["Link", "LinkOwner"]

_logger = Logger(__name__)

_WINDOW: Final = 4
"""Batches that are on their way to the actor at a time."""
_WAIT: Final = 1.0
"""Seconds that the node waits for something to tell."""
_PATIENCE: Final = 0.1
"""Seconds within which a node that has more to do tells what was handled; `news` says why."""
_LOOK: Final = 0.5
"""Seconds between two looks whether the node is lost, while an answer is waited for."""
_PAUSE: Final = 0.2
"""Seconds before a call to the actor that has failed is made again."""


class LinkOwner(Protocol):
    """What is told of what a node tells. No lock is held; it may run a user's hooks."""

    def told(self, link: "Link", events: Events, dead: list[tuple[Entry, str]]) -> None:
        """Take note of what a node has told, but of what is settled by that: `dead`."""
        ...

    def moved(self, link: "Link", events: Events) -> None:
        """Take note of keys that move, once what they were sent is settled."""
        ...

    def lost(self, link: "Link") -> None:
        """Take note that nothing more is told by a node that is lost."""
        ...

    def settled(self) -> None:
        """Take note that messages were settled."""
        ...

    @property
    def threads(self) -> OwnThreads:
        """The threads of the pool."""
        ...

    @property
    def in_haste(self) -> bool:
        """Whether somebody waits for a part of what a node is to handle."""
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
        self.outbox: Final = Outbox(batch, batch_time, credits)
        """What is to be sent, and what was sent and is not settled."""
        # How the node was told to end.
        self._told_to_end: tuple[str, Future[Any] | None] = "", None
        self.is_lost: bool = False
        """Whether the node is lost; written before the outbox is stopped."""
        self.report: bytes | None = None
        """How the node's pool has ended, if it has."""
        self.figures: PoolStats | None = None
        """What the node has told last of its pool."""
        self.threads: Final = [
            owner.threads.new(self._send, f"{name}-sender-{number}"),
            owner.threads.new(self._run_receiver, f"{name}-receiver-{number}"),
        ]

    def __repr__(self) -> str:
        """Show the address."""
        return f"<Link {self.address} [{self.outbox.outstanding} outstanding]>"

    def ask(self, timeout: float, method: str, *arguments: object) -> Any:
        """Return what the node answers, unpickled; `None` if it does not answer in time."""
        future = self._begin("no answer", method, *arguments)
        try:
            return None if future is None else loaded(future.result(timeout=timeout))
        except Exception as error:  # noqa: BLE001 - of whatever kind Dask raises
            self._failed("no answer", error)
            return None

    def latest(self, timeout: float) -> PoolStats | None:
        """Return what the node tells of its pool in time, or has told last."""
        now: PoolStats | None = self.ask(timeout, "stats") if timeout else None
        return self.figures if now is None else now

    def hasten(self) -> None:
        """Send what there is, and have the node tell what it has handled."""
        self.outbox.hurry()
        if self.outbox.outstanding:
            self._begin("haste", "hasten")

    # The sender's thread.

    def _send(self) -> None:
        """Send batches until the link is stopped."""
        under_way: deque[tuple[int, Parcel, Future[Any] | None]] = deque()
        while (taken := self.outbox.take(wait=not under_way)) is not None:
            number, entries = taken
            if entries:
                parcel = Parcel(self._written(number, entries))
                under_way.append((number, parcel, self._put(number, parcel)))
                del taken, entries, parcel  # not kept while this waits
            elif under_way:
                self._confirm(*under_way.popleft())
            if len(under_way) >= _WINDOW:
                self._confirm(*under_way.popleft())

    def _written(self, number: int, entries: list[Entry]) -> bytes:
        """Return a batch as it travels; dead letters are made of one that cannot be written."""
        try:
            return _written(entries)
        except Exception:
            # Keys that could be pickled when they were first seen.
            _logger.exception("%r: a batch cannot be pickled", self)
            self.outbox.done([(number, None)])
            self._owner.unwritten(entries)
            return _written([])

    def _put(self, number: int, parcel: Parcel) -> Future[Any] | None:
        return self._begin("a batch", "put", number, parcel)

    def _confirm(self, number: int, parcel: Parcel, future: Future[Any] | None) -> None:
        """Wait until a batch has come to the actor; send it again if that has failed."""
        while not self.outbox.stopped:
            if future is not None and self._result(future, "a batch") is not None:
                parcel.data = b""
                return
            if self.outbox.stopped:
                return  # nothing has failed: it was waited for no longer
            self._pause()
            future = self._put(number, parcel)

    def _begin(self, what: str, method: str, *arguments: object) -> Future[Any] | None:
        """Call a method of the actor; `None` if it is lost."""
        actor = self.actor
        try:
            return None if actor is None else actor.begin(method, *arguments)
        except Exception as error:  # noqa: BLE001 - of whatever kind Dask raises
            self._failed(what, error)
            return None

    def _failed(self, what: str, error: Exception) -> None:
        if not self.outbox.stopped:
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
        future = self._begin("its end", "end", how)
        self._told_to_end = how, future
        if future is None:
            self._owner.suspect(self)

    def _result(self, future: Future[Any], what: str) -> tuple[Any] | None:
        """Wait for a future; return its result, alone in a tuple, or `None` if it has failed."""
        while not self.outbox.stopped:
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
        self.outbox.wait_until_stopped(_PAUSE)

    # The receiver's thread.

    def _run_receiver(self) -> None:
        self._gather()
        # On this thread, behind all that the node has told.
        if self.is_lost:
            self._owner.lost(self)

    def _gather(self) -> None:
        """Ask for what the node has to tell, until its pool has ended or the link is stopped."""
        known = 0
        while not self.outbox.stopped:
            patience = 0.0 if self._owner.in_haste else _PATIENCE
            future = self._begin("what it tells", "gather", known, _WAIT, patience)
            result = None if future is None else self._result(future, "what it tells")
            del future
            if result is None:
                self._pause()
                continue
            known, events = loaded(result[0])
            del result
            self._see_to(events)
            if events.ended is not None:
                return

    def _see_to(self, events: Events) -> None:
        dead = self.outbox.dead(events.dead, [asked for asked, _, _ in events.replies])
        if dead is None:
            return
        try:
            self._owner.told(self, events, dead)
        except Exception:  # of what a user's class does as it is unpickled
            _logger.exception("%r: what it tells is unreadable", self)
        self.outbox.done(events.done)
        # Now nothing of a key that has moved is there to be sent again.
        self._owner.moved(self, events)
        if events.figures is not None:
            self.figures = loaded(events.figures)
        if events.ended is not None:
            self.report = events.ended
        self._owner.settled()


def _written_key(key: object) -> bytes:
    try:
        return dumped(key)
    except Exception:  # of a key that could be pickled when one equal to it was first seen
        _logger.exception("the key %s cannot be pickled", describe(key))
        return b""


def _written(entries: list[Entry]) -> bytes:
    """Return a batch as it travels."""
    plain = bytes([type(entry.key) in PLAIN_TYPES for entry in entries])  # `is_plain`, written out
    keys: list[Any] = [entry.key for entry in entries]
    # Each by itself: one that cannot be read at the node, or not be written any more, is not to
    # concern messages for others. As `b""` it is unreadable there.
    written: dict[int, bytes] = {}
    if 0 in plain:
        for at, key in enumerate(keys):
            if not plain[at]:
                keys[at] = written.get(id(key)) or written.setdefault(id(key), _written_key(key))
    bodies = [entry.body for entry in entries]
    kinds = bytes([entry.kind for entry in entries])
    asked = {at: entry.asked for at, entry in enumerate(entries) if entry.asked is not None}
    return pickle.dumps((keys, plain, bodies, kinds, asked), pickle.HIGHEST_PROTOCOL)
