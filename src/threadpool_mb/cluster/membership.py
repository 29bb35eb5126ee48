"""Which Dask workers there are, and the node of each.

**Guarantees.** What is known comes from Dask: a worker is there if the scheduler knows it, and its
node is there as long as the scheduler knows its actor.
"""

import itertools
import threading
import uuid
from collections.abc import Iterable, Mapping
from typing import Final, final

from threadpool_mb.cluster.dask import (
    Client,
    DaskFuture,
    actor_of,
    give_back,
    is_closed,
    let_go,
    node_addresses,
    wait_a_moment,
)
from threadpool_mb.cluster.link import Link, LinkOwner
from threadpool_mb.cluster.node import NodeActor
from threadpool_mb.cluster.wire import Setup, versions_here
from threadpool_mb.forking import keep
from threadpool_mb.logs import Logger

__all__ = ["Membership"]

_logger = Logger(__name__)

_LOOK: Final = 0.5
"""Seconds that a node is waited for until it is looked whether its Dask worker is there."""
_GONE: Final = frozenset({"closing", "closed", "failed"})
"""The states of a Dask worker that is not there any more."""


@final
class Membership:
    """The nodes of one pool. Threads: any may look; the monitor changes it."""

    def __init__(
        self,
        name: str,
        client: Client,
        worker: bytes,
        options: bytes,
        *,
        batch: int,
        batch_time: float,
        credits: int,
    ) -> None:
        """Start nodes with a pickled worker function and pickled `Options`."""
        self._name: Final = name
        self._client: Final = client
        self._worker: Final = worker
        self._options: Final = options
        self._batch: Final = batch
        self._batch_time: Final = batch_time
        self._credits: Final = credits
        self._numbers: Final = itertools.count(1)
        # Guards what follows. No thread waits under it.
        self._lock = threading.Lock()
        self._links: dict[str, Link] = {}
        self._futures: Final[dict[str, DaskFuture]] = {}
        self._starting: Final[dict[str, DaskFuture]] = {}
        # Workers on which no node is to be started: one has failed there, or they are to be freed.
        self._shunned: Final[set[str]] = set()
        self._seen: list[str] = []
        # On which a node may be about to start.
        self._beginning: str | None = None

    def look(self) -> list[str]:
        """Return the addresses of the Dask workers there are.

        Blocks: for an answer of the scheduler.
        """
        try:
            seen = node_addresses(self._client)
        except Exception as error:  # noqa: BLE001 - of whatever kind Dask raises
            text = "%s: the scheduler does not answer: %s: %s"
            _logger.warning(text, self._name, type(error).__name__, error)
            let_go(error)
        else:
            self._seen = [address for address, each in seen.items() if each not in _GONE]
            for address in self._starting.keys() - set(self._seen):
                # It would wait for ever: for a worker that does not come back.
                give_back(self._client, self._starting.pop(address))
        return self._seen

    def begin(self, address: str) -> None:
        """Start a node on a Dask worker, unless there is one."""
        if address in self._links or address in self._starting:
            return
        # Before the look whether it is to be freed: `has` is asked after it was noted that it is.
        self._beginning = address
        try:
            if address not in self._shunned:
                self._starting[address] = self._submitted(address)
        finally:
            self._beginning = None

    def _submitted(self, address: str) -> DaskFuture:
        setup = Setup(versions_here(), self._name, address, self._worker, self._options)
        return self._client.submit(
            NodeActor,
            setup,
            actor=True,
            workers=[address],
            allow_other_workers=False,
            pure=False,
            key=f"threadpool_mb-{self._name}-{uuid.uuid4().hex}",
        )

    @property
    def client_is_closed(self) -> bool:
        """Whether there will be no node any more."""
        return is_closed(self._client)

    @property
    def starting(self) -> int:
        """How many nodes are starting."""
        return len(self._starting)

    def has(self, address: str) -> bool:
        """Return whether a Dask worker has a node, or one is starting there."""
        # In this order: it is each until it is the next.
        return address == self._beginning or address in self._starting or address in self._links

    def wait_for_all(self, owner: LinkOwner) -> list[Link]:
        """Wait for the nodes that are starting; return their links, which are not started.

        Raises:
            Exception: what a node raises.
        """
        try:
            while waiting := [each for each in self._starting.values() if not each.done()]:
                wait_a_moment(waiting[0], _LOOK)
                self.look()
            for address, future in self._starting.items():
                actor_of(self._client, future, NodeActor, address)
        except BaseException:
            for future in self._starting.values():
                give_back(self._client, future)
            self._starting.clear()
            raise
        return self.started(owner)

    def started(self, owner: LinkOwner) -> list[Link]:
        """Return the links of nodes that have started since; they are not started."""
        links: list[Link] = []
        for address, future in list(self._starting.items()):
            # It may be gone, as another node had failed, and its Dask worker was not found.
            if future.done() and address in self._starting:
                link = self._begun(address, future, owner)
                links += () if link is None else (link,)
                self._starting.pop(address, None)
        return links

    def _begun(self, address: str, future: DaskFuture, owner: LinkOwner) -> Link | None:
        """Return the link of a node that has ended to start; `None` if there is none."""
        try:
            actor = actor_of(self._client, future, NodeActor, address)
        except Exception as error:
            # If the Dask worker is gone, that is no news.
            if address in self.look():
                self._shunned.add(address)
                text = "%s: no node on the Dask worker %s"
                _logger.error(text, self._name, address, exc_info=error)  # noqa: TRY400 - of another place
            return None
        if actor is None:
            return None  # another one is started, if the Dask worker is there
        link = Link(
            address,
            next(self._numbers),
            actor,
            owner,
            name=self._name,
            batch=self._batch,
            batch_time=self._batch_time,
            credits=self._credits,
        )
        with self._lock:
            self._links[address] = link
            self._futures[address] = future
        return link

    def lost(self, addresses: Iterable[str]) -> list[Link]:
        """Return the links of nodes that are there no more, if these are the Dask workers."""
        there = set(addresses)
        with self._lock:
            links, futures = self._links.copy(), self._futures.copy()
        return [
            link
            for address, link in links.items()
            if address not in there or futures[address].status != "finished"
        ]

    def forget(self, link: Link) -> None:
        """Give a node back to Dask."""
        with self._lock:
            self._links.pop(link.address, None)
            future = self._futures.pop(link.address, None)
        link.actor = None
        if future is not None:
            give_back(self._client, future)

    def give_up(self) -> None:
        """Give back the nodes that are starting: the pool has ended."""
        while self._starting:
            give_back(self._client, self._starting.popitem()[1])

    def forked(self) -> None:
        """Know of no node, in a child of `os.fork`."""
        keep(self._links, self._futures, self._starting)
        self._lock, self._links = threading.Lock(), {}

    def vacate(self, address: str) -> None:
        """Have a Dask worker get no more keys."""
        with self._lock:
            self._shunned.add(address)

    def links(self) -> list[Link]:
        """Return the links of all nodes."""
        with self._lock:
            return list(self._links.values())

    def wanted(self) -> Mapping[str, Link]:
        """Return the nodes to which keys are to be dealt."""
        with self._lock:
            links, shunned = self._links.copy(), self._shunned.copy()
        return {address: link for address, link in links.items() if address not in shunned}

    def vacating(self) -> list[Link]:
        """Return the nodes that are to get no more keys."""
        with self._lock:
            links, shunned = self._links.copy(), self._shunned.copy()
        return [link for address, link in links.items() if address in shunned]
