"""Function workers: `worker(key, mailbox)` on a thread of its own, from its start to its end."""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, cast, final, override

from threadpool_mb.arguments import check_ran, describe
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.line.adapting import OwnInput, adapted
from threadpool_mb.line.flushing import open_all
from threadpool_mb.line.inlet import INPUT_OF_PARENT, Inlet
from threadpool_mb.mailbox.counted import CountedMailbox
from threadpool_mb.mailbox.kinds import own_mailbox
from threadpool_mb.pool.incarnation import Incarnation, Leftovers, why_left
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.kept_leftovers import KeptLeftovers
from threadpool_mb.pool.reports import ExitCause, WorkerState
from threadpool_mb.pool.workers import Ended, EndsQuietly, clean_cause, ended_well, stop_cause
from threadpool_mb.protocols import Mailbox, MailboxConfig
from threadpool_mb.threads.cached import ThreadCache
from threadpool_mb.threads.here import here
from threadpool_mb.threads.watching import Busy
from threadpool_mb.values import MISSING

__all__ = ["FunctionWorker", "FunctionWorkers"]


@final
class FunctionWorker[K, M](Incarnation[K, M]):
    """One worker that has a thread of its own, and a mailbox."""

    __slots__ = (
        "_counts",
        "_input",
        "_leftovers",
        "_mailbox",
        "current",
        "direct",
        "end_error",
        "gone",
        "key",
        "number",
        "on_handler_raised",
        "predecessor",
        "state",
        "successor",
        "waits_for",
        "watchers",
    )

    end_error: BaseException | None  # said again for `pyright --verifytypes`, as it is set here

    def __init__(
        self,
        key: K,
        leftovers: Leftovers[K, M],
        mailbox: Mailbox[M],
        sending: OwnInput[M],
        direct: Inlet[M] | None,
    ) -> None:
        """Make a worker that is not entered yet."""
        self._be_new(key)
        self._leftovers: Final = leftovers
        self._mailbox: Final = mailbox
        self._input: OwnInput[M] = sending
        # Of a worker that is watched: what it receives from, and its thread.
        self._counts: tuple[CountedMailbox[M], int] | None = None
        self.direct = direct
        self.on_handler_raised: Callable[[Exception], object] | None = None
        """What is told of what a server's handler raises, while it runs and is observed."""

    @override
    def handler_raised(self, error: Exception) -> None:
        if self.on_handler_raised is not None:
            self.on_handler_raised(error)

    @property
    @override
    def mailbox(self) -> Mailbox[M]:
        return self._mailbox

    @property
    @override
    def input(self) -> OwnInput[M]:
        return self._input

    @property
    @override
    def leftovers(self) -> Leftovers[K, M]:
        return self._leftovers

    @property
    @override
    def owner(self) -> str:
        return self._leftovers.office.owner

    @override
    def deliver(self, message: M, /) -> bool:
        return self._input.deliver(message)

    @override
    def end_if_empty(self) -> bool:
        return False  # a mailbox may have futures, wakers, senders that wait

    def counting(self) -> Mailbox[M]:
        """Return the mailbox, which now counts what is taken out of it; on the worker's thread."""
        counts = CountedMailbox(self._mailbox)
        counts.taken = self.counted  # in the lives before this one
        self._counts = counts, threading.get_ident()
        return counts

    @property
    @override
    def counted(self) -> int:
        return 0 if self._counts is None else self._counts[0].taken

    @counted.setter
    def counted(self, _taken_over: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._counts = None

    @property
    def busy(self) -> Busy | None:
        """What the worker has in hand, if it is watched, and not idle."""
        counts = self._counts
        # A user's kind of mailbox does not say whether a thread waits for it.
        if counts is None or own_mailbox(self._mailbox) is None or self.idle:
            return None
        mailbox, thread = counts
        return Busy(thread, self.key, self.number, (mailbox.taken, mailbox.asked))

    @property
    @override
    def idle(self) -> bool:
        own = own_mailbox(self._mailbox)
        return own is not None and bool(own.receiver_waits)

    @property
    @override
    def inlet(self) -> Inlet[Any]:
        own = own_mailbox(self._mailbox)
        if own is None:
            raise TypeError(
                f"the worker of key {describe(self.key)} cannot be flushed: it is not known what it"
                " has handled of a user's own kind of mailbox"
            )
        return own.inlet

    @property
    @override
    def told_to_stop(self) -> bool:
        try:
            return self._mailbox.cancelled
        except Exception:  # noqa: BLE001 - a user's mailbox
            return True

    @property
    @override
    def idle_since(self) -> int | None:
        own = own_mailbox(self._mailbox)
        if own is None or self.watchers:  # these wait for its answers
            return None
        tick = own.receiver_waits
        # A `bool` is of no use: a task of asyncio waits.
        return tick if tick and type(tick) is int and not len(own) else None

    @override
    def bury_others(self, message: object) -> None:
        self._leftovers.left_out = [message]
        self.bury()

    @override
    def force(self, message: M) -> bool | None:
        own = own_mailbox(self._mailbox)
        return None if own is None else own.inlet.force(message)

    @property
    @override
    def has_nothing_to_come(self) -> bool:
        own = own_mailbox(self._mailbox)
        return super().has_nothing_to_come if own is None else own.closed and own.holds_nothing

    @override
    def ends_for_good(self, lock: AbstractContextManager[object]) -> bool:
        self._mailbox.close()
        own = own_mailbox(self._mailbox)
        if own is None:
            return not self._mailbox.stats().messages
        with lock:
            own.finish()
            over = own.holds_nothing
            self._leftovers.in_use = not over
        if over:
            open_all(own.inlet)
        return over

    @override
    def bury(self) -> None:
        self._leftovers.in_use = False
        super().bury()
        own = own_mailbox(self._mailbox)
        if own is not None:
            open_all(own.inlet)  # the receiver may have been stopped as it took a marker

    @override
    def renew(self, message: object) -> None:
        self.end_error = None
        # What is left is for the new life, also before that begins.
        self._leftovers.in_use = True

    @override
    def forked(self) -> None:
        self.direct = None
        self._input = INPUT_OF_PARENT
        own = own_mailbox(self._mailbox)
        if own is not None:
            own.forked()

    @override
    def handle_here(self, message: M, *, inline_calls: bool | None, on_loop: bool = False) -> bool:
        return False  # a function runs on its own thread

    @override
    def expedite(self) -> None:
        """Do nothing: it shares no thread."""

    @override
    def nudge(self) -> None:
        """Do nothing: it shares no thread."""

    @override
    def receives_from(self, mailbox: object) -> bool:
        return mailbox is not None and mailbox is own_mailbox(self._mailbox)


@final
class FunctionWorkers[K, M]:
    """Runs each worker on a thread of its own."""

    __slots__ = (
        "_config",
        "_ended",
        "_keeping",
        "_office",
        "_pool_name",
        "_watched",
        "_worker",
        "threads",
    )

    def __init__(  # noqa: PLR0917 - what the dispatcher and a user give
        self,
        worker: Callable[[K, Mailbox[M]], object],
        config: MailboxConfig,
        office: DeadLetterOffice[K, M],
        pool_name: str,
        ended: Ended[K, M],
        keeping: Keeping[K, M] | None = None,
    ) -> None:
        """Run `worker` on threads that are named after the pool and the key.

        `keeping` is where keys do not live by hand alone.
        """
        self._keeping: Final = keeping
        self._worker: Final = worker
        self._config: Final = config
        self._office: Final = office
        self._pool_name: Final = pool_name
        self._ended: Final = ended
        self._watched = False
        self.threads: Final = ThreadCache(pool_name)

    def new_incarnation(self, key: K) -> Incarnation[K, M]:
        """Create a worker that is not entered yet; see `WorkerKind.new_incarnation`."""
        keeping = self._keeping
        leftovers = (
            Leftovers(key, self._office)
            if keeping is None
            else KeptLeftovers(key, self._office, keeping)
        )
        mailbox: Mailbox[M] = self._config.create(on_dead_letter=leftovers)
        own = own_mailbox(mailbox)
        if own is not None and keeping is not None:
            own.next_tick = keeping.ticks.take
        slots = None if own is None else own.slots
        # Without a limit, and without a `CatchAll` around it, senders put into it themselves.
        if own is not None and own is mailbox and slots is None:
            return FunctionWorker(key, leftovers, mailbox, own.inlet, own.inlet)
        incarnation = FunctionWorker(key, leftovers, mailbox, adapted(mailbox.new_input()), None)
        if slots is not None:
            slots.holder = incarnation
        return incarnation

    def start_at_once(self, _incarnation: Incarnation[K, M]) -> bool:
        """Start none: a thread may have to be started, which takes its time."""
        return False

    def start(self, incarnation: Incarnation[K, M]) -> None:
        """Start a worker; see `WorkerKind.start`."""
        self.threads.start(functools.partial(self._live, incarnation))

    def grow(self) -> None:
        """Do nothing: each worker has a thread."""

    def state_of(self, incarnation: Incarnation[K, M]) -> WorkerState:
        """Return what a worker does; see `WorkerKind.state_of`."""
        return "idle" if incarnation.idle else "busy"

    def watch(self) -> None:
        """Have workers note what they take; see `WorkerKind.watch`."""
        self._watched = True

    def busy(self, workers: Iterable[Incarnation[K, M]]) -> Iterator[Busy]:
        """Yield what workers have in hand; see `WorkerKind.busy`."""
        for worker in workers:
            busy = cast("FunctionWorker[K, M]", worker).busy
            if busy is not None:
                yield busy

    def busy_threads(self, busy: int) -> int:
        """Return how many threads run a worker; see `WorkerKind.busy_threads`: each has its own."""
        return busy

    def count_with(
        self, rouse: Callable[[Incarnation[K, M]], object], quiet: EndsQuietly | None
    ) -> None:
        """Do nothing: a function's thread is busy or idle by itself."""

    @property
    def handled(self) -> int | None:
        """See `WorkerKind.handled`: only workers that are watched count what they take."""
        return 0 if self._watched else None

    def _live(self, incarnation: Incarnation[K, M]) -> None:
        error = self._run(incarnation)
        cause: ExitCause = "failed" if error is not None else _cause(incarnation)
        handed = [error]
        del error
        # Held by nothing else: what its frames hold ends with it.
        self._ended(incarnation, handed.pop(), cause, MISSING)

    def _run(self, incarnation: Incarnation[K, M]) -> BaseException | None:
        """Run the worker to its end; return what it raised, if it did not end well."""
        key, mailbox = incarnation.key, cast("Mailbox[M]", incarnation.mailbox)
        here.inner.append(incarnation)
        worker = cast("FunctionWorker[K, M]", incarnation)
        worker.leftovers.in_use = True
        if self._watched:
            mailbox = worker.counting()
        try:
            threading.current_thread().name = f"{self._pool_name}-{describe(key)}"
            check_ran(self._worker(key, mailbox))
        except BaseException as error:  # noqa: BLE001 - reported by the caller, whatever it is
            return None if ended_well(error, mailbox) else error
        finally:
            here.inner.clear()
        return None


def _cause(incarnation: Incarnation[Any, Any]) -> ExitCause:
    """Return why a worker has ended that ended well."""
    try:
        mailbox = incarnation.mailbox.stats()
    except Exception:  # noqa: BLE001 - a user's mailbox; the end is reported all the same
        return "returned"
    if mailbox.cancelled:
        return stop_cause(why_left(incarnation.leftovers))
    drained = mailbox.closed and not mailbox.messages
    return clean_cause("drained" if drained else "returned", why_left(incarnation.leftovers))
