"""Generator workers: `worker(key)` takes a message at each `yield`, on whichever thread has a turn.

A few threads take turns of all of them; each has a lane (`generator_lanes`).
"""

from collections.abc import Callable
from typing import Any, Final, cast, final

from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.here import here
from threadpool_mb.mailbox.inlet import IDLE
from threadpool_mb.mailbox.protocols import Mailbox, MailboxConfig
from threadpool_mb.mailbox.slots import Slots
from threadpool_mb.pool.foreign_lanes import ForeignLane
from threadpool_mb.pool.generator_lanes import GeneratorFunction, GeneratorLane, Kind
from threadpool_mb.pool.incarnation import Incarnation, Leftovers, State
from threadpool_mb.pool.workers import Ended
from threadpool_mb.scheduling.shared_threads import SharedThreads

__all__ = ["GeneratorWorkers"]


@final
class GeneratorWorkers[K, M]:
    """Runs workers in turns on a few threads."""

    __slots__ = ("_config", "_kind", "_make_slots", "threads")

    def __init__(
        self,
        worker: GeneratorFunction[K, M],
        config: MailboxConfig,
        make_slots: Callable[[], Slots | None] | None,
        office: DeadLetterOffice[K, M],
        threads: SharedThreads,
        *,
        throughput: int,
        ended: Ended[K, M],
    ) -> None:
        """Run `worker` on `threads`, with at most `throughput` messages in a turn.

        `make_slots` is what `slots_maker` has found for the config.
        """
        self._kind: Final[Kind[K, M]] = Kind(
            worker, office, threads, throughput=throughput, ended=ended
        )
        self.threads: Final = threads
        self._config: Final = config
        self._make_slots: Final = make_slots

    def new_incarnation(self, key: K) -> Incarnation[K, M]:
        """Create a worker that is not entered yet; see `WorkerKind.new_incarnation`."""
        make_slots = self._make_slots
        if make_slots is None:
            leftovers = Leftovers(key, self._kind.office)
            mailbox: Mailbox[M] = self._config.create(on_dead_letter=leftovers)
            foreign: ForeignLane[K, M] = ForeignLane(self._kind, key, mailbox)
            return Incarnation(key, leftovers, foreign, foreign, None)
        slots = make_slots()
        lane: GeneratorLane[K, M] = GeneratorLane(self._kind, key, slots)
        if slots is None:
            return Incarnation(key, lane, lane, lane, lane)
        incarnation = Incarnation(key, lane, lane, lane, None)
        slots.holder = incarnation
        return incarnation

    def start_at_once(self, incarnation: Incarnation[K, M]) -> bool:
        """Start a worker if there is a thread; see `WorkerKind.start_at_once`.

        A worker that is started by the dispatcher costs 5 µs more, a switch of threads included
        (`benchmarks/`, "original").
        """
        threads = self.threads
        if not threads.any:
            return False
        lane = cast("GeneratorLane[K, M]", incarnation.mailbox)
        lane.incarnation = incarnation
        put = threads.put
        if incarnation.state is not State.PENDING:
            return False  # dropped by what re-entered
        incarnation.state = State.RUNNING
        try:
            put(lane)
            if threads.growing:
                threads.grow_if_needed()
        except BaseException:  # an interrupt, after `put`
            threads.grow_if_needed()
            raise
        return True

    def start(self, incarnation: Incarnation[K, M]) -> None:
        """Start a worker; see `WorkerKind.start`."""
        self.threads.grow(least=1)
        lane = cast("GeneratorLane[K, M]", incarnation.mailbox)
        lane.incarnation = incarnation
        self.threads.schedule(lane)

    def call_here(self, incarnation: Incarnation[K, M], message: M) -> bool:
        """Have a message handled on this thread; see `WorkerKind.call_here`."""
        # Not `cast`, here and below: it is a call, and a call of a command takes 4 µs in all.
        lane: Any = incarnation.mailbox
        inner = here.inner
        if lane.unattended != IDLE or not here.has_room():
            return False
        depth = len(inner)
        try:
            inner.append(incarnation)
            taken: bool = lane.turn_for(message)
        finally:
            del inner[depth:]
        return taken

    def forked(self, incarnation: Incarnation[K, M]) -> None:
        """Have the worker get nothing any more; see `WorkerKind.forked`."""
        cast("GeneratorLane[K, M]", incarnation.mailbox).forked()

    def grow(self) -> None:
        """Start one more thread if one is needed; see `WorkerKind.grow`."""
        self.threads.grow()
