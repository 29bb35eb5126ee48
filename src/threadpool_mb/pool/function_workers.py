"""Function workers: `worker(key, mailbox)` on a thread of its own, from its start to its end."""

import functools
import threading
from collections.abc import Callable
from typing import Final, Protocol, final

from threadpool_mb.describing import describe
from threadpool_mb.errors import Cancelled, MailboxClosed
from threadpool_mb.mailbox.protocols import Mailbox
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.scheduling.threads import ThreadCache

__all__ = ["FunctionWorkers", "WorkerKind"]


class WorkerKind[K, M](Protocol):
    """How workers run; the dispatcher knows nothing else of them."""

    def start(
        self,
        incarnation: Incarnation[K, M],
        ended: Callable[[Incarnation[K, M], BaseException | None], object],
    ) -> None:
        """Start a worker; call `ended` once, when it has completely ended, on the worker's thread.

        Blocks: never for the worker itself.

        Raises:
            ThreadRefused: if it cannot be started; `ended` is not called then.
        """
        ...


@final
class FunctionWorkers[K, M]:
    """Runs each worker on a thread of its own."""

    __slots__ = ("_pool_name", "_threads", "_worker")

    def __init__(
        self, worker: Callable[[K, Mailbox[M]], object], pool_name: str, threads: ThreadCache
    ) -> None:
        """Run `worker` on `threads`, which are named after the pool and the key."""
        self._worker: Final = worker
        self._pool_name: Final = pool_name
        self._threads: Final = threads

    def start(
        self,
        incarnation: Incarnation[K, M],
        ended: Callable[[Incarnation[K, M], BaseException | None], object],
    ) -> None:
        """Start a worker; see `WorkerKind.start`."""
        self._threads.start(functools.partial(self._live, incarnation, ended))

    def _live(
        self,
        incarnation: Incarnation[K, M],
        ended: Callable[[Incarnation[K, M], BaseException | None], object],
    ) -> None:
        ended(incarnation, self._run(incarnation.key, incarnation.mailbox))

    def _run(self, key: K, mailbox: Mailbox[M]) -> BaseException | None:
        """Run the worker to its end; return what it raised, if it did not end well."""
        try:
            threading.current_thread().name = f"{self._pool_name}-{describe(key)}"
            self._worker(key, mailbox)
        except BaseException as error:  # noqa: BLE001 - reported by the caller, whatever it is
            return None if _ended_well(error, mailbox) else error
        return None


def _ended_well[M](error: BaseException, mailbox: Mailbox[M]) -> bool:
    """Return whether the worker's own mailbox can have stopped it, not another that it used."""
    try:
        return (isinstance(error, MailboxClosed) and mailbox.closed) or (
            isinstance(error, Cancelled) and mailbox.cancelled
        )
    except BaseException:  # noqa: BLE001 - a user's mailbox; the worker's end is reported all the same
        return False
