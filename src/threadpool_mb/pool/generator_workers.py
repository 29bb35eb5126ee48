"""Generator workers: `worker(key)` takes a message at each `yield`, on whichever thread has a turn.

A few threads take turns of all of them; each has a lane (`generator_lanes`). Where its messages
wait in a user's own kind of mailbox, the lane holds one token a message (`ForeignLane`).
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Literal, cast, override

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.errors import Cancelled
from threadpool_mb.line.adapting import adapted
from threadpool_mb.line.flushing import open_all
from threadpool_mb.line.inlet import Inlet, Marker
from threadpool_mb.line.slots import Slots
from threadpool_mb.mailbox.kinds import no_slots, store_maker
from threadpool_mb.pool.common import Common, shown
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.generators import GeneratorFunction
from threadpool_mb.pool.incarnation import HasReason, Incarnation, Leftovers
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.lane_lives import Retry
from threadpool_mb.pool.reports import WorkerState
from threadpool_mb.pool.stored_lanes import StoredLane
from threadpool_mb.pool.workers import Ended, EndsQuietly, Threads, ended_well
from threadpool_mb.protocols import Mailbox, MailboxConfig, MailboxStats
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.timers import Timers
from threadpool_mb.threads.watching import Busy

__all__ = ["ForeignLane", "GeneratorWorkers"]


class ForeignLane[K, M](GeneratorLane[K, M]):
    """The lane of a worker whose messages wait in a user's own kind of mailbox.

    The queue holds a token for each. That mailbox makes the dead letters, but for a message that
    the worker was to be given again.
    """

    __slots__ = ("_input", "_leftovers", "_mailbox")

    # Said again, as in `Lane`.
    direct: Inlet[M] | None

    def __init__(
        self,
        common: Common[K, M],
        key: K,
        mailbox: Mailbox[M],
        leftovers: Leftovers[K, M],
    ) -> None:
        self._leftovers: Final = leftovers
        super().__init__(common, key, None)
        self.direct = None
        self._mailbox: Final = mailbox
        self._input: Final = adapted(mailbox.new_input())

    @property
    @override
    def leftovers(self) -> HasReason:
        return self._leftovers

    @override
    def deliver(self, message: M, /, deadline: Deadline = NEVER) -> bool:
        """Put one message into the mailbox, and a token into the queue; see `Lane.deliver`."""
        try:
            if not (
                self._input.deliver(message)
                if deadline is NEVER
                else self._input.deliver_within(message, deadline)
            ):
                return False
        except Exception:
            raise
        except BaseException:
            # An interrupt: the mailbox may have the message. A token too many does no harm.
            self._announce()
            raise
        self._announce()
        return True

    def _announce(self) -> None:
        """Put a token; also when the lane is shut by now, as the message is in the mailbox."""
        self.put(cast("M", None))
        if self.unattended:
            self.attend()

    @override
    def stats(self) -> MailboxStats:
        """Return a snapshot of the mailbox."""
        return self._mailbox.stats()

    @property
    @override
    def backlog(self) -> int:
        return self._mailbox.stats().messages

    @override
    def shut(self) -> None:
        if self.cancelled:
            self._mailbox.cancel()
        else:
            self._mailbox.close()
        super().shut()

    @override
    def end_if_empty(self) -> bool:
        return False  # the user's mailbox has to be told

    @override
    def bury_others(self, message: object) -> None:
        self._leftovers.left_out = [message]
        self.abandon()

    @override
    def force(self, message: M) -> None:
        return None  # it may block

    @override
    def renew(self, message: object) -> None:
        super().renew(message)
        self.direct = None

    @override
    def ends_for_good(self, lock: AbstractContextManager[object]) -> bool:
        self.close()
        # A user's mailbox must not be asked under the lock. What comes late is a dead letter.
        return type(self._generator) is not Retry and not self._mailbox.stats().messages

    @property
    @override
    def has_nothing_to_come(self) -> bool:
        return type(self._generator) is not Retry and self._stats_say_over()

    @override
    def _bury(self, message: M, /) -> None:
        self._leftovers(message)  # which know why

    @override
    def sweep(self, bury: Callable[[M], object] | None = None) -> None:
        # The queue has nothing but tokens.
        self._mailbox.abandon()
        open_all(self)

    @override
    def _stopped_by(self, error: BaseException) -> Literal["stopped", "drained"] | None:
        if not ended_well(error, self):
            return None
        return "stopped" if isinstance(error, Cancelled) else "drained"

    @override
    def handle_here(self, message: M, *, inline_calls: bool | None, on_loop: bool = False) -> bool:
        return False  # the messages wait in the user's mailbox

    @override
    def get(self, block: bool = True, timeout: float | None = None) -> M:
        """Take a message out of the mailbox for a token, or the marker; never waits."""
        token = self.get_nowait()
        return token if token is cast("M", Marker) else self._mailbox.receive(timeout=0)


class GeneratorWorkers[K, M]:
    """Runs workers in turns on a few threads."""

    __slots__ = ("_common", "_config", "_make_slots", "_make_store", "_plain", "threads")

    _lane: ClassVar[type[GeneratorLane[Any, Any]]] = GeneratorLane
    _foreign_lane: ClassVar[type[ForeignLane[Any, Any]]] = ForeignLane
    _stored_lane: ClassVar[type[StoredLane[Any, Any]]] = StoredLane

    threads: Threads

    def __init__(  # noqa: PLR0917 - what the dispatcher and a user give
        self,
        worker: GeneratorFunction[K, M],
        config: MailboxConfig,
        make_slots: Callable[[], Slots | None] | None,
        office: DeadLetterOffice[K, M],
        threads: SharedThreads,
        timers: Timers,
        keeping: Keeping[K, M] | None,
        *,
        throughput: int,
        ended: Ended[K, M],
    ) -> None:
        """Run `worker` on `threads`, with at most `throughput` messages in a turn.

        `make_slots` is what `slots_maker` has found for the config; `Common` says what the others
        are.
        """
        self._common: Final[Common[K, M]] = Common(
            worker, office, threads, timers, keeping, throughput=throughput, ended=ended
        )
        self.threads = threads
        self._config: Final = config
        self._make_slots: Final = make_slots
        self._make_store: Final = store_maker(config)
        # Where messages wait in the lane alone, without a limit.
        is_plain = make_slots is no_slots and self._make_store is None
        self._plain: Final = self._lane if is_plain else None

    def new_incarnation(self, key: K) -> Incarnation[K, M]:
        """Create a worker that is not entered yet; see `WorkerKind.new_incarnation`."""
        plain = self._plain
        if plain is not None:
            return plain(self._common, key, None)
        make_slots = self._make_slots
        if make_slots is None:
            leftovers = Leftovers(key, self._common.office)
            mailbox: Mailbox[M] = self._config.create(on_dead_letter=leftovers)
            return self._foreign_lane(self._common, key, mailbox, leftovers)
        if self._make_store is not None:
            return self._stored_lane(self._common, key, make_slots(), self._make_store())
        return self._lane(self._common, key, make_slots())

    @property
    def _commons(self) -> list[Common[K, M]]:
        return [self._common]

    def flow_with(self, flow: object) -> None:
        """Give the lanes what they look at; see `pool.flowing`."""
        for common in self._commons:
            common.flow = flow

    def count_with(
        self, rouse: Callable[[Incarnation[K, M]], object], quiet: EndsQuietly | None
    ) -> None:
        """Have `rouse` called for each worker that wakes up; see `WorkerKind.count_with`."""
        for common in self._commons:
            common.rouse = rouse
            common.quiet = quiet

    def watch(self) -> None:
        """Have turns show how far they have come; see `WorkerKind.watch`."""
        for common in self._commons:
            common.repeat = shown

    def busy(self, _workers: Iterable[Incarnation[K, M]]) -> Iterator[Busy]:
        """Yield what the shared threads have in hand; see `WorkerKind.busy`."""
        for common in self._commons:
            for ident, thread in common.threads.serving.items():
                worker: Any = thread.holder
                if worker is not None:
                    # All three are read as the thread goes on: a mark that is neither the one
                    # before nor the one after is a mark that has changed.
                    mark = (thread.handled, id(thread.progress), _left(thread.progress))
                    yield Busy(ident, worker.key, worker.number, mark)

    def busy_threads(self, _busy: int) -> int:
        """Return how many threads have a turn; see `WorkerKind.busy_threads`."""
        threads = [each for common in self._commons for each in common.threads.serving.values()]
        return sum(thread.turn is not None for thread in threads)

    @property
    def handled(self) -> int | None:
        """How many messages were handled in turns; see `WorkerKind.handled`."""
        return sum(common.threads.handled for common in self._commons)

    def start_at_once(self, incarnation: Incarnation[K, M]) -> bool:
        """Start a worker if there is a thread; see `WorkerKind.start_at_once`.

        A worker that is started by the dispatcher costs 5 µs more, a switch of threads included
        (`benchmarks/`, "original").
        """
        lane: Any = incarnation  # not `cast`, which is a call
        threads: SharedThreads = lane.common.threads
        if not threads.any:
            return False
        put = threads.put
        if incarnation.state != "pending":
            return False  # dropped by what re-entered
        incarnation.state = "running"
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
        lane = cast("GeneratorLane[K, M]", incarnation)
        threads = lane.common.threads
        threads.grow(least=1)
        threads.schedule(lane)

    def grow(self) -> None:
        """Start one more thread if one is needed; see `WorkerKind.grow`."""
        self._common.threads.grow()

    def state_of(self, incarnation: Incarnation[K, M]) -> WorkerState:
        """Return what a worker does; see `WorkerKind.state_of`."""
        return cast("GeneratorLane[K, M]", incarnation).activity


def _left(progress: Any) -> int:  # noqa: ANN401 - what counts down, or `None`
    """Return how many messages of a turn are still to come."""
    return -1 if progress is None else operator.length_hint(progress)
