"""The control plane of a cluster's pool: what its nodes tell, their loss, and the pool's end.

One thread, the *monitor*, looks which Dask workers there are (`membership`), and brings the pool to
its end.

**Guarantees.** A message that was taken is settled: it was handled, or becomes a dead letter. The
hooks run with no lock held.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal, final

from threadpool_mb.arguments import Deadline, counted, describe
from threadpool_mb.cluster.asks import Asks
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.figures import summed
from threadpool_mb.cluster.flushes import Flushes
from threadpool_mb.cluster.link import Link
from threadpool_mb.cluster.membership import Membership
from threadpool_mb.cluster.outbox import again_and_dead
from threadpool_mb.cluster.own_threads import OwnThreads
from threadpool_mb.cluster.routing import Router
from threadpool_mb.cluster.telling import Teller
from threadpool_mb.cluster.wire import Events, loaded_keys
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import PoolClosed
from threadpool_mb.forking import MADE_BEFORE_FORK
from threadpool_mb.logs import Logger
from threadpool_mb.pool.reports import DrainReport, PoolStats, WorkerExit, WorkerStats
from threadpool_mb.threads.latches import Ending

__all__ = ["Control"]

_logger = Logger(__name__)

_LOOK: Final = 0.5
"""Seconds between two looks which Dask workers there are."""
_SOON: Final = 0.01
"""Seconds between two looks while something is under way."""
_PATIENCE: Final = 5.0
"""Seconds that a node has to answer what `stats` or `join` asks."""
_MOST_NAMED: Final = 1000
"""Workers of a node that are named in a report."""

type _State = Literal["running", "closing", "cancelling", "ended"]


@final
class Control:
    """The control plane of one pool. Threads: internally synchronized."""

    def __init__(
        self,
        name: str,
        membership: Membership,
        office: DeadLetterOffice[Any, Any],
        on_worker_exit: Callable[[WorkerExit[Any]], object] | None,
        *,
        credits: int,
        redeliver: bool,
    ) -> None:
        """See to the nodes of `membership`."""
        self.name: Final = name
        self.membership: Final = membership
        self.office: Final = office
        self._redeliver: Final = redeliver
        self.threads: Final = OwnThreads(name)
        self.check_not_own_thread: Final = self.threads.check_not_own
        self.router: Final = Router(credits, self.threads)
        self._flushes: Final = Flushes(self.router, self.links)
        self.asks: Final = Asks()
        self._teller: Final = Teller(name, office, on_worker_exit, self.asks)
        self.ending: Final = Ending()
        # Guards what follows.
        self._lock = threading.Lock()
        self.state: _State = "running"
        # What nodes that are gone have told last of their pools, summed.
        self._past: list[PoolStats] = []
        self._woken: Final = threading.Event()
        self._suspected = self._in_child = False
        # Whether nodes were told to end, as all was handled: a `MOVE` would get no answer any more.
        self._nodes_end = False
        self.dropped = False
        """Whether nobody has the pool any more. No lock: a finalizer may run under any of these."""

    def start(self) -> None:
        """Start the nodes there can be now, and the monitor.

        Blocks: until they have started.

        Raises:
            Exception: what a node raises.
        """
        for address in self.membership.look():
            self.membership.begin(address)
        links = self.membership.wait_for_all(self)
        for link in links:
            self.threads.start(link.threads)
        self.router.deal({link.address: link for link in links})
        self.threads.start([self.threads.new(self._watch, f"{self.name}-monitor")])

    def stats(self, *, ask: bool) -> PoolStats:
        """Return the sum of what the nodes tell of their pools: now, or have told last."""
        links = self.links()
        return summed(
            [each for link in links if (each := link.latest(_PATIENCE if ask else 0)) is not None],
            self._past,
            name=self.name,
            state=self.state,
            here=self.router.held + sum(link.outbox.unsent for link in links),
            threads=self.threads.alive(),
            dead_letters=self.office.counts(),
        )

    def _forget(self, link: Link) -> None:
        """Give a node back to Dask; what it has told last counts on."""
        if link.figures is not None:
            past = [*self._past, link.figures]
            self._past = [summed([], past, name="", state="", here=0, threads=0, dead_letters={})]
        self.membership.forget(link)
        self._flushes.look()

    # What senders ask.

    def epoch(self) -> int:
        """Return how many flushes were begun."""
        return self._flushes.begun

    def closed_error(self) -> PoolClosed:
        """Return what a sender gets once the pool is closed."""
        why = f"was {MADE_BEFORE_FORK}" if self._in_child else "is closed"
        return PoolClosed(f"the pool {self.name!r} {why}: it takes no message")

    def flush(self, key: object, deadline: Deadline, *, of_all: bool) -> bool:
        """Wait until all is settled that was sent before; see `ClusterPool.flush`."""
        self.threads.check_not_own("flushed")
        return self._flushes.flush(key, deadline, self._has_ended, of_all=of_all)

    def _has_ended(self) -> bool:
        return self.state == "ended"

    def links(self) -> list[Link]:
        """Return the nodes that are not lost."""
        return self.membership.links()

    def vacate(self, address: str, deadline: Deadline) -> bool:
        """Have a node get no more keys, and wait until it has gone; see `ClusterPool.vacate`."""
        self.membership.vacate(address)
        self._woken.set()
        return self._flushes.wait_for_a_node(
            lambda: self._has_ended() or not self.membership.has(address), deadline
        )

    # What links tell; see `LinkOwner`.

    def told(self, link: Link, events: Events, dead: list[tuple[Entry, str]]) -> None:
        """Take note of what a node has told."""
        for number, well, payload in events.replies:
            self.asks.answer(number, well=well, payload=payload)
        for entry, reason in dead:
            self._teller.bury(entry, DeadLetterReason(reason))
        self._teller.began(link.number, events.starts)
        self._teller.ended(link.number, events.exits)

    def moved(self, link: Link, events: Events) -> None:
        """Take note of keys that move from a node, or have ended there."""
        for number, keys in events.moves:
            self.router.answered(link, number, loaded_keys(keys))
        if events.moved:
            self.router.moved(link, loaded_keys(events.moved))

    def lost(self, link: Link) -> None:
        """Tell of the workers of a node that is lost."""
        self._teller.lost(link.number, link.address)

    def settled(self) -> None:
        """Take note that messages were settled."""
        self._flushes.look()
        if self.state != "running":
            self._woken.set()

    def unwritten(self, entries: list[Entry]) -> None:
        """Make dead letters of messages that cannot be sent, or placed, after all."""
        for entry in entries:
            self._teller.bury(entry, DeadLetterReason.UNREADABLE)
        self.settled()

    @property
    def in_haste(self) -> bool:
        """Whether a part of what nodes are to handle is waited for."""
        return self._flushes.of_a_key

    def suspect(self, link: Link) -> None:
        """Look soon whether a node is lost."""
        del link
        self._suspected = True
        self._woken.set()

    # The monitor.

    def _watch(self) -> None:
        """Look after the nodes, until the pool has ended."""
        looked = time.monotonic()
        while self.state != "ended":
            busy = (
                self.state != "running"
                or self.membership.starting
                or self.membership.vacating()
                or self.router.moving
            )
            self._woken.wait(_SOON if busy else _LOOK)
            self._woken.clear()
            try:
                now = time.monotonic()
                if self.dropped and self.state == "running":
                    self.close()
                if self._suspected or now - looked >= _LOOK:
                    looked, self._suspected = now, False
                    self._look()
                for link in self.membership.started(self):
                    self.threads.start(link.threads)
                self._deal()
                self._bury_unplaceable()
                if self.state != "running":
                    self._end_step()
            except Exception:
                _logger.exception("%s: the monitor", self.name)
        self._finish()

    def _look(self) -> None:
        addresses = self.membership.look()
        if self.membership.client_is_closed and self.state == "running":
            _logger.error("%s: its client is closed, and so is the pool", self.name)
            self.close()
        for link in self.membership.lost(addresses):
            self._lose(link)
        if self.state == "running":
            for address in addresses:
                self.membership.begin(address)

    def _deal(self) -> None:
        """Have the table be that of the nodes there are."""
        wanted = self.membership.wanted()
        deals = self.state in {"running", "closing"} and not self._nodes_end
        if deals and wanted.keys() != self.router.table.links.keys():
            self.router.deal(wanted)
        for link in self.membership.vacating():
            if link.address not in self.router.table.links and not (
                self.router.leaves_here(link) or link.outbox.outstanding
            ):
                link.tell_to_end("close")
                if link.report is not None:
                    link.outbox.stop()
                    self._forget(link)
                    self._answer(link)
        if self._flushes.of_a_node:
            self._flushes.look()

    def _bury_unplaceable(self) -> None:
        for entries, error in self.router.take_unplaceable():
            text = "%s: the key %s cannot be hashed or compared any more"
            _logger.error(text, self.name, describe(entries[0].key), exc_info=error)
            self.unwritten(entries)

    def _lose(self, link: Link) -> None:
        """See to what was at a node that is lost."""
        # In one step: nothing may be put into the outbox of a link that was stopped.
        with self.router.lock:
            link.is_lost = True
            sent, unsent = link.outbox.stop()
            again, dead = again_and_dead(sent, unsent, redeliver=self._redeliver)
            if self.state == "cancelling":
                dead += again
                again = []
            self.router.lose(link, again)
        self._forget(link)
        _logger.warning(
            "%s: the Dask worker %s is lost: %d messages were sent and not settled, %d not sent",
            self.name,
            link.address,
            len(sent),
            len(unsent),
        )
        self._answer(link)
        for entry in dead:
            self._teller.bury(entry, DeadLetterReason.NODE_LOST)
        self.settled()

    def _answer(self, link: Link) -> None:
        """Answer what a node that is gone was asked."""
        for number in link.outbox.asked:
            self.asks.answer(number, well=False)

    # The end.

    def close(self) -> None:
        """Take no more messages; see `ClusterPool.close`."""
        self._be("closing")

    def cancel(self) -> None:
        """Take no more messages, and drop what is not handled; see `ClusterPool.cancel`."""
        self._be("cancelling")

    def _be(self, state: Literal["closing", "cancelling"]) -> None:
        # First: once the state has changed, nothing is taken that a node would get after its end.
        self.router.close(self.closed_error)
        with self._lock:
            if self.state in {"running", "closing"}:
                self.state = state
        self._woken.set()

    def _end_step(self) -> None:
        """Bring the pool a step nearer to its end."""
        links = self.links()
        cancels = self.state == "cancelling"
        if cancels or not (links or self.membership.starting):
            reason = DeadLetterReason.POOL_CLOSED if cancels else DeadLetterReason.NODE_LOST
            for entry in self.router.take_held():
                self._teller.bury(entry, reason)
        if cancels:
            for link in links:
                for entry in link.outbox.take_unsent():
                    self._teller.bury(entry, DeadLetterReason.POOL_CLOSED)
                link.tell_to_end("cancel")
        elif self._nodes_end or not self.router.outstanding(links):
            self._nodes_end = True
            for link in links:
                link.tell_to_end("close")
        if all(link.report is not None for link in links) and not self.router.held:
            with self._lock:
                self.state = "ended"

    def _finish(self) -> None:
        """Give the nodes back to Dask, and wake all that wait."""
        for link in self.links():
            sent, unsent = link.outbox.stop()
            for entry in sent + unsent:
                self._teller.bury(entry, DeadLetterReason.POOL_CLOSED)
            self._forget(link)
        self.membership.give_up()
        self.asks.answer_all()
        self.office.flush()
        self._flushes.look()
        self.ending.reach()

    def report(self, *, finished: bool) -> DrainReport[Any]:
        """Return how the pool has ended, or what it waits for."""
        unfinished: list[WorkerStats[Any]] = []
        for link in () if finished else self.links():
            unfinished += link.ask(_PATIENCE, "unfinished", _MOST_NAMED) or ()
        return DrainReport(
            finished=finished,
            unfinished=tuple(unfinished),
            failed=self._teller.failed,
            dead_letters=self.office.counts(),
        )

    def join(self, deadline: Deadline) -> bool:
        """Wait for the end; `False` if the deadline came first."""
        self.threads.check_not_own("joined")
        return self.threads.join(deadline)

    def threads_ended(self) -> bool:
        """Return whether all threads have ended. Blocks: never."""
        return not self.threads.alive()

    def waits_for(self, deadline: Deadline) -> str | None:
        """Return what keeps a closed pool from its end at the deadline; see `exit_hook`."""
        if self.join(deadline):
            return None
        left = sum(link.outbox.outstanding for link in self.links())
        return f"pool {describe(self.name)}: {left} messages not handled"

    def forked(self) -> bool:
        """Take note of a fork: the pool is the parent's."""
        self.state, self._in_child = "ended", True
        self.router.forked(self.closed_error)
        self.membership.forked()
        self.office.forked()
        self._flushes.forked()
        self._lock = threading.Lock()
        return False

    def __repr__(self) -> str:
        """Show name, counts and state."""
        links = self.links()
        messages = sum(link.outbox.outstanding for link in links) + self.router.held
        return (
            f"<ClusterPool {self.name!r} [{counted(len(links), 'node')}"
            f" | {counted(messages, 'message')} | {self.state}]>"
        )
