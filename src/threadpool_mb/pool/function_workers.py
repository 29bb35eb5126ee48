"""Function workers: `worker(key, mailbox)` on a thread of its own, from its start to its end."""

import functools
import threading
from collections.abc import Callable
from typing import Any, Final, cast, final, override

from threadpool_mb.arguments import check_ran, describe
from threadpool_mb.dead_letters import DeadLetterOffice
from threadpool_mb.line.adapting import OwnInput, adapted
from threadpool_mb.line.inlet import INPUT_OF_PARENT, Inlet
from threadpool_mb.mailbox.kinds import own_mailbox
from threadpool_mb.pool.incarnation import Incarnation, Leftovers
from threadpool_mb.pool.reports import ExitCause, WorkerState
from threadpool_mb.pool.workers import Ended, ended_well, stop_cause
from threadpool_mb.protocols import Mailbox, MailboxConfig
from threadpool_mb.threads.cached import ThreadCache
from threadpool_mb.threads.here import here
from threadpool_mb.values import MISSING

__all__ = ["FunctionWorker", "FunctionWorkers"]


@final
class FunctionWorker[K, M](Incarnation[K, M]):
    """One worker that has a thread of its own, and a mailbox."""

    __slots__ = (
        "_input",
        "_leftovers",
        "_mailbox",
        "current",
        "direct",
        "end_error",
        "gone",
        "key",
        "number",
        "predecessor",
        "state",
        "successor",
        "waits_for",
        "watchers",
    )

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
        self.direct = direct

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

    __slots__ = ("_config", "_ended", "_office", "_pool_name", "_worker", "threads")

    def __init__(
        self,
        worker: Callable[[K, Mailbox[M]], object],
        config: MailboxConfig,
        office: DeadLetterOffice[K, M],
        pool_name: str,
        ended: Ended[K, M],
    ) -> None:
        """Run `worker` on threads that are named after the pool and the key."""
        self._worker: Final = worker
        self._config: Final = config
        self._office: Final = office
        self._pool_name: Final = pool_name
        self._ended: Final = ended
        self.threads: Final = ThreadCache(pool_name)

    def new_incarnation(self, key: K) -> Incarnation[K, M]:
        """Create a worker that is not entered yet; see `WorkerKind.new_incarnation`."""
        leftovers = Leftovers(key, self._office)
        mailbox: Mailbox[M] = self._config.create(on_dead_letter=leftovers)
        own = own_mailbox(mailbox)
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
        own = own_mailbox(cast("Mailbox[M]", incarnation.mailbox))
        return "idle" if own is not None and own.receiver_waits else "busy"

    def _live(self, incarnation: Incarnation[K, M]) -> None:
        error = self._run(incarnation)
        cause: ExitCause = "failed" if error is not None else _cause(incarnation)
        handed = [error]
        del error
        # Held by nobody else: what its frames hold ends with it.
        self._ended(incarnation, handed.pop(), cause, MISSING)

    def _run(self, incarnation: Incarnation[K, M]) -> BaseException | None:
        """Run the worker to its end; return what it raised, if it did not end well."""
        key, mailbox = incarnation.key, cast("Mailbox[M]", incarnation.mailbox)
        here.inner.append(incarnation)
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
        return stop_cause(incarnation.leftovers.reason)
    return "drained" if mailbox.closed and not mailbox.messages else "returned"
