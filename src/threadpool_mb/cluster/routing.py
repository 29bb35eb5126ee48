"""Which node a key's messages go to, also while keys move from one node to another.

A `Table` says which node a key is dealt to. It is replaced when a node joins, leaves or is lost. As
long as nothing moves it is *settled*, and a sender puts its message into the node's outbox itself:

1. The sender reads the table, and looks the key up.
2. Under the link's lock, it looks whether this table is in force there, and puts the message in.
a. The router publishes a table that is not settled.
b. It has each link, under its lock, use that table, and puts a `MOVE` into the outboxes.

If (2) comes before (b), the message is in front of the `MOVE`: it is handled where the key was. If
not, the sender looks again, finds a table that is not settled, and goes on under the router's lock.

**Moves.** A node that gets a `MOVE` ends, cleanly, each worker whose key is dealt to another node
now. It tells which these are, and then of each when it has ended. Until then messages for such a
key are *held*. Before the node has told which, so are those for all keys that it may have had.

**Loss.** What was in the outbox of a node that is lost goes to the key's new place, and so does, if
that was asked for, what was sent and not settled; in that order, in front of what is held.

**Guarantees.** Messages of one thread for one key come to their nodes in order, each one after the
worker of the key on the node before has ended. The exception is a node that is lost to Dask and
runs on.
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from threading import get_ident
from typing import Any, Final, final

from threadpool_mb.arguments import Deadline, describe
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.link import Link
from threadpool_mb.cluster.outbox import FULL, TAKEN, any_left
from threadpool_mb.cluster.own_threads import OwnThreads
from threadpool_mb.cluster.placing import digest_of, owner_of
from threadpool_mb.cluster.wire import MOVE, dumped, is_plain
from threadpool_mb.forking import remake

__all__ = ["Router", "Table"]

_REMEMBERED: Final = 200_000
"""Keys of which a table remembers the node: to work it out takes some µs."""


@final
class Table:
    """Which node each key is dealt to. Threads: any."""

    __slots__ = ("_known", "addresses", "links", "settled")

    def __init__(
        self, links: Mapping[str, Link], *, settled: bool, known: dict[Any, Link] | None = None
    ) -> None:
        """Deal keys to `links`, by address; `known` are some that were worked out before."""
        self.links: Final = dict(links)
        self.addresses: Final = tuple(sorted(links))
        self.settled: Final = settled
        self._known: Final[dict[Any, Link]] = {} if known is None else known

    def owner(self, key: Any) -> Link | None:
        """Return the node of a key; `None` if there is no node."""
        link = self._known.get(key)
        if link is None and self.links:
            link = self.links[owner_of(_digest(key), self.addresses)]
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = link
        return link

    def links_but(self, lost: Link) -> dict[str, Link]:
        """Return all links but one."""
        return {address: link for address, link in self.links.items() if link is not lost}

    def as_settled(self, *, settled: bool) -> "Table":
        """Return one that deals the same, settled or not."""
        return Table(self.links, settled=settled, known=self._known)


# Loops that end on a condition, and so do not stand in the `with` of a lock; see `interrupts`.


def _any_left_at(links: Iterable[Link], epoch: int, key: object, *, of_all: bool) -> bool:
    return any(link.outbox.left(epoch, key, of_all=of_all) for link in links)


def _any_outstanding(links: Iterable[Link]) -> bool:
    return any(link.outbox.outstanding for link in links)


def _not_in(links: Iterable[Link], unanswered: set[Link]) -> list[Link]:
    return [link for link in links if link not in unanswered]


def _keys_at(ending: Mapping[Any, Link], link: Link) -> list[Any]:
    return [key for key, where in ending.items() if where is link]


def _digest(key: object) -> bytes:
    """Return the digest of a key that can be sent.

    Raises:
        TypeError: if it cannot be pickled.
    """
    try:
        if not is_plain(key):
            dumped(key)  # a part that does not count for the digest, too
        return digest_of(key, dumped)
    except Exception as error:
        raise TypeError(f"the key {describe(key)} cannot be pickled: {error}") from error


@final
class Router:
    """Places messages. Threads: internally synchronized.

    Lock order: the router's, then a link's.
    """

    def __init__(self, credits: int, own: OwnThreads) -> None:
        """Have no node; hold at most as many messages as there are `credits`.

        The pool's own threads run hooks: they do not wait for room, which they make.
        """
        self._own: Final = own.running
        self._credits: Final = credits
        # Guards what follows; reentrant, as a key's own methods may use the pool.
        self.lock: Final = threading.RLock()
        # Notified when held messages were placed, or the pool is closed.
        self._changed: Final = threading.Condition(self.lock)
        self.table: Table = Table({}, settled=False)
        self._previous: Table = self.table
        self._unanswered: Final[set[Link]] = set()
        self._ending: Final[dict[Any, Link]] = {}
        self._held: dict[Any, list[Entry]] = {}
        # What is held for keys that cannot be hashed or compared any more: what the class of one
        # key does is not to concern messages for others. The monitor makes dead letters of it.
        self._unplaceable: list[tuple[list[Entry], Exception]] = []
        # Of both.
        self._held_count = 0
        self._moves = 0
        self.closed: Callable[[], Exception] | None = None
        """What makes the error of senders, once the pool is closed."""

    # For senders.

    def place(self, entry: Entry, deadline: Deadline) -> bool:
        """Put a message on its way; `False` if there was no room until the deadline.

        Raises:
            PoolClosed: if the pool is closed.
        """
        while True:
            table = self.table
            link = table.owner(entry.key) if table.settled else self._place_slowly(entry, deadline)
            if link is True or link is False:
                return link
            if link is not None:
                outcome = link.outbox.offer(entry, table)
                if outcome == FULL and get_ident() in self._own:
                    # A hook that waited for room here would wait for itself.
                    outcome = link.outbox.offer(entry, table, limited=False)
                if outcome == TAKEN:
                    return True
                if outcome == FULL and not link.outbox.wait_for_room(table, deadline):
                    return False

    def _place_slowly(self, entry: Entry, deadline: Deadline) -> "Link | bool | None":
        """Place a message, or return where to wait for room (`None`: look again)."""
        with self.lock:
            if self.closed is not None:
                raise self.closed()
            table = self.table
            if table.settled:
                return None
            key = entry.key
            if key in self._held or self._must_wait(key):
                if self._held_count < self._credits or get_ident() in self._own:
                    self._held.setdefault(key, []).append(entry)
                    self._held_count += 1
                    return True
                left = deadline.remaining()
                if left == 0:
                    return False
                self._changed.wait(left)
                return None
            link = table.owner(key)
            limited = get_ident() not in self._own
            if link is None or link.outbox.offer(entry, table, limited=limited) == TAKEN:
                return link is not None
        return None if link.outbox.wait_for_room(table, deadline) else False

    def _must_wait(self, key: Any) -> bool:
        """Return whether a worker of the key may still be elsewhere, or there is no node."""
        owner = self.table.owner(key)
        if owner is None:
            return True
        where = self._ending.get(key)
        if where is not None and where is not owner:
            return True
        if not self._unanswered:
            return False
        before = self._previous.owner(key)
        return before is not owner and before in self._unanswered

    # For the control plane.

    @property
    def moving(self) -> bool:
        """Whether nodes are still to say which keys move; no table replaces this one meanwhile."""
        with self.lock:
            return bool(self._unanswered)

    def leaves_here(self, link: Link) -> bool:
        """Return whether keys are still to end at a node."""
        with self.lock:
            return link in self._unanswered or link in self._ending.values()

    @property
    def held(self) -> int:
        """How many messages wait for their keys to have moved."""
        return self._held_count

    def left(
        self, links: Callable[[], Iterable[Link]], epoch: int, key: object, *, of_all: bool
    ) -> bool:
        """Return whether a message is held or not settled that was sent by then.

        Of one key, or of all. Under the lock, since messages go from one place to another.
        """
        hashed = None if of_all else hash(key)
        with self.lock:
            lists = [*self._held.values(), *(each for each, _ in self._unplaceable)]
            entries = itertools.chain.from_iterable(lists)
            here = any_left(entries, epoch, key, hashed)
            return here or _any_left_at(links(), epoch, key, of_all=of_all)

    def outstanding(self, links: Iterable[Link]) -> bool:
        """Return whether any message is held or not settled; under the lock, as `left`."""
        with self.lock:
            return bool(self._held_count) or _any_outstanding(links)

    def deal(self, links: Mapping[str, Link]) -> bool:
        """Deal keys to other nodes from now on; `False` if nodes are still to say what moves."""
        with self.lock:
            if self._unanswered:
                return False
            old, new = self.table, Table(links, settled=False)
            self._moves += 1
            self._previous, self.table = old, new
            self._unanswered.update(old.links.values())
            body = (self._moves, new.addresses)
            for link in old.links.values():
                link.outbox.use(new, first=Entry(None, None, body, MOVE, -1))
            for link in _not_in(new.links.values(), self._unanswered):
                link.outbox.use(new)
            self._go_on_locked()
        return True

    def answered(self, link: Link, number: int, keys: Iterable[Any]) -> None:
        """Take note of which keys are to end at a node, and no others."""
        with self.lock:
            if number == self._moves and link in self._unanswered:
                for key in keys:
                    # What the class of one key does is not to concern messages for others.
                    with contextlib.suppress(Exception):
                        self._ending[key] = link
                self._unanswered.discard(link)
                self._go_on_locked()

    def moved(self, link: Link, keys: Iterable[Any]) -> None:
        """Take note of keys that have ended at a node."""
        with self.lock:
            for key in keys:
                with contextlib.suppress(Exception):  # of a user's class
                    if self._ending.get(key) is link:
                        del self._ending[key]
            self._go_on_locked()

    def lose(self, link: Link, again: Iterable[Entry]) -> None:
        """Deal the keys of a node to others at once; place `again` in front of what is held."""
        with self.lock:
            self._unanswered.discard(link)
            for key in _keys_at(self._ending, link):
                del self._ending[key]
            rest = self.table.links_but(link)
            self.table = Table(rest, settled=False)
            for each in rest.values():
                each.outbox.use(self.table)
            first: dict[Any, list[Entry]] = {}
            for entry in again:
                self._held_count += 1
                try:
                    first.setdefault(entry.key, []).append(entry)
                except Exception as error:  # noqa: BLE001 - of a user's class
                    self._unplaceable.append(([entry], error))
            for key, entries in first.items():
                try:
                    self._held[key] = entries + self._held.get(key, [])
                except Exception as error:  # noqa: BLE001 - of a user's class
                    self._unplaceable.append((entries, error))
            self._go_on_locked()

    def _go_on_locked(self) -> None:
        """Place what need not be held any more; settle if nothing moves."""
        given_up: list[list[Entry]] = []
        for key, entries in list(self._held.items()):
            try:
                link = None if self._must_wait(key) else self.table.owner(key)
                if link is None:
                    continue
                del self._held[key]
            except Exception as error:  # noqa: BLE001 - of a user's class
                self._unplaceable.append((entries, error))
                given_up.append(entries)
                continue
            self._held_count -= len(entries)
            link.outbox.push(entries)
        if given_up:
            self._held = {k: v for k, v in self._held.items() if all(v is not g for g in given_up)}
        if (
            not (
                self._unanswered or self._ending or self._held or self.closed or self.table.settled
            )
            and self.table.links
        ):
            self.table = self.table.as_settled(settled=True)
            for link in self.table.links.values():
                link.outbox.use(self.table)
        self._changed.notify_all()

    def take_unplaceable(self) -> list[tuple[list[Entry], Exception]]:
        """Take out what cannot be placed any more, and why."""
        if not self._unplaceable:
            return []  # mostly
        with self.lock:
            taken, self._unplaceable = self._unplaceable, []
            self._held_count -= sum(len(entries) for entries, _ in taken)
        return taken

    def close(self, error: Callable[[], Exception]) -> None:
        """Let no sender place anything any more."""
        with self.lock:
            if self.closed is None:
                self.closed = error
            self.table = self.table.as_settled(settled=False)
            for link in self.table.links.values():
                link.outbox.use(self.table)
            self._changed.notify_all()

    def forked(self, error: Callable[[], Exception]) -> None:
        """Let no sender place anything, in a child of `os.fork`."""
        remake(self.lock)
        self.closed = error
        self.table = Table({}, settled=False)

    def take_held(self) -> list[Entry]:
        """Take out all that is held."""
        with self.lock:
            held = [entry for entries in self._held.values() for entry in entries]
            self._held.clear()
            self._held_count = sum(len(entries) for entries, _ in self._unplaceable)
            self._changed.notify_all()
        return held
