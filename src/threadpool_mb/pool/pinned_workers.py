"""Pinned generator workers: all turns of a worker run on one thread, for its whole life.

A worker is dealt to a thread when it starts, not when it is made: one that never starts counts for
none. From then on its lane waits for that thread's turns alone (`threads.pinned`).
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, cast, final, override

from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.line.slots import Slots
from threadpool_mb.pool.common import Common
from threadpool_mb.pool.generator_lanes import GeneratorLane
from threadpool_mb.pool.generator_workers import ForeignLane, GeneratorWorkers
from threadpool_mb.pool.generators import GeneratorFunction
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.stored_lanes import StoredLane
from threadpool_mb.pool.workers import Ended, EndsQuietly, Threads
from threadpool_mb.protocols import MailboxConfig
from threadpool_mb.threads.pinned import PinnedThreads
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.timers import Timers

__all__ = ["PinnedForeignLane", "PinnedLane", "PinnedStoredLane", "PinnedWorkers"]


@final
class _CommonAtHome[K, M](Common[K, M]):
    """What the workers have in common that were dealt to one thread."""

    __slots__ = ("_pinned",)

    def __init__(  # noqa: PLR0917 - what the dispatcher and a user give
        self,
        worker: GeneratorFunction[K, M],
        office: DeadLetterOffice[K, M],
        home: SharedThreads,
        pinned: PinnedThreads,
        timers: Timers,
        keeping: Keeping[K, M] | None,
        *,
        throughput: int,
        ended: Ended[K, M],
    ) -> None:
        super().__init__(worker, office, home, timers, keeping, throughput=throughput, ended=ended)
        self._pinned: Final = pinned

    def release(self) -> None:
        """Take note that one of them has ended."""
        self._pinned.release(self.threads)


class _Pinned:
    """A lane that tells when it has ended, so that its thread gets another one."""

    __slots__ = ()

    common: Any

    def _work(self) -> int:
        common = self.common
        lane: Any = super()
        goes_on: int = lane._work()  # noqa: SLF001 - its own
        if goes_on < 0:
            common.release()
        return goes_on


class PinnedLane[K, M](_Pinned, GeneratorLane[K, M]):
    """A pinned worker's lane."""

    __slots__ = ()


class PinnedForeignLane[K, M](_Pinned, ForeignLane[K, M]):
    """The same, where the messages wait in a user's own kind of mailbox."""

    __slots__ = ()


class PinnedStoredLane[K, M](_Pinned, StoredLane[K, M]):
    """The same, with its messages in a store."""

    __slots__ = ()


class PinnedWorkers[K, M](GeneratorWorkers[K, M]):
    """Runs each worker in turns on one of a few threads, always the same."""

    __slots__ = ("_at", "_pinned")

    _lane: ClassVar[type[GeneratorLane[Any, Any]]] = PinnedLane
    _foreign_lane: ClassVar[type[ForeignLane[Any, Any]]] = PinnedForeignLane
    _stored_lane: ClassVar[type[StoredLane[Any, Any]]] = PinnedStoredLane

    threads: Threads  # said again for `pyright --verifytypes`, as it is set here

    def __init__(  # noqa: PLR0917 - what the dispatcher and a user give
        self,
        worker: GeneratorFunction[K, M],
        config: MailboxConfig,
        make_slots: Callable[[], Slots | None] | None,
        office: DeadLetterOffice[K, M],
        pinned: PinnedThreads,
        timers: Timers,
        keeping: Keeping[K, M] | None,
        *,
        throughput: int,
        ended: Ended[K, M],
    ) -> None:
        """Run `worker` on `pinned`; the rest is as for `GeneratorWorkers`."""
        super().__init__(
            worker,
            config,
            make_slots,
            office,
            pinned.homes[0],
            timers,
            keeping,
            throughput=throughput,
            ended=ended,
        )
        self.threads = self._pinned = pinned
        self._at: Final[dict[SharedThreads, _CommonAtHome[K, M]]] = {
            home: _CommonAtHome(
                worker, office, home, pinned, timers, keeping, throughput=throughput, ended=ended
            )
            for home in pinned.homes
        }

    @property
    @override
    def _commons(self) -> list[Common[K, M]]:
        # The first one's threads are those of the first home, which is in `_at`.
        return list(self._at.values())

    @override
    def flow_with(self, flow: object) -> None:
        super().flow_with(flow)
        self._common.flow = flow

    @override
    def count_with(
        self, rouse: Callable[[Incarnation[K, M]], object], quiet: EndsQuietly | None
    ) -> None:
        super().count_with(rouse, quiet)
        self._common.rouse = rouse

    @override
    def start_at_once(self, incarnation: Incarnation[K, M]) -> bool:
        """Start a worker if the thread that it is dealt to is there."""
        home: SharedThreads | None = None
        try:
            # An interrupt that comes behind the count leaves one too many, which costs no more than
            # a worker that the thread is not dealt.
            home = self._pinned.deal_if_runs()
            if home is None:
                return False
            self._deal(incarnation, home)
            return super().start_at_once(incarnation)
        finally:
            # Unless it was scheduled before an interrupt: then it runs.
            if home is not None and incarnation.state != "running":
                self._pinned.release(home)

    @override
    def start(self, incarnation: Incarnation[K, M]) -> None:
        """Start a worker on the thread that it is dealt to.

        Raises:
            ThreadRefused: if there is no thread, and the system starts none.
        """
        home = self._deal(incarnation, self._pinned.deal())
        try:
            super().start(incarnation)
        except ThreadRefused:
            self._pinned.release(home)
            running = self._pinned.deal_to_running()
            if running is None:
                raise
            self._deal(incarnation, running)
            super().start(incarnation)

    @override
    def grow(self) -> None:
        """Start the threads that are needed."""
        self._pinned.grow()

    def _deal(self, incarnation: Incarnation[K, M], home: SharedThreads) -> SharedThreads:
        # No thread has scheduled it yet.
        cast("GeneratorLane[K, M]", incarnation).common = self._at[home]
        return home
