"""What a pool on a cluster tells of its workers and messages; its hooks.

**Guarantees.** The hooks run with no lock held. What they raise is logged.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from threadpool_mb.cluster.asks import Asks
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.wire import MOVE, REMOVE, loaded, loaded_error, read
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.events import ExitCause, WorkerExit
from threadpool_mb.logs import Logger
from threadpool_mb.values import MISSING

__all__ = ["NodeLost", "Teller"]

_logger = Logger(__name__)

_NUMBERS: Final = 32
"""Bits of the number that a worker has at its node."""


class NodeLost(ConnectionError):
    """The Dask worker on which the worker of a key has run is lost."""


@final
class Teller:
    """Tells of workers and messages. Threads: any; what is of one node, on one at a time."""

    def __init__(
        self,
        name: str,
        office: DeadLetterOffice[Any, Any],
        on_worker_exit: Callable[[WorkerExit[Any]], object] | None,
        asks: Asks,
    ) -> None:
        """Tell `office` and `on_worker_exit`."""
        self._name: Final = name
        self._office: Final = office
        self._on_worker_exit: Final = on_worker_exit
        self._asks: Final = asks
        # Guards `failed`.
        self._lock: Final = threading.Lock()
        self.failed: int = 0
        """Workers that have ended with an error."""
        # The workers of each node that have begun and not ended, by number; if anybody is told.
        self._live: Final[dict[int, dict[int, Any]]] = {}

    def bury(self, entry: Entry, reason: DeadLetterReason) -> None:
        """Make a dead letter of a message that was taken, or answer what was asked."""
        if entry.kind == REMOVE and entry.asked is not None:
            self._asks.answer(entry.asked.number, well=False)
        elif entry.kind not in {MOVE, REMOVE}:
            self._office.take(entry.key, entry.message, reason)
            if entry.asked is not None:
                self._asks.withdraw(entry.asked.number)

    def began(self, node: int, starts: Iterable[tuple[bytes, int]]) -> None:
        """Take note of workers that have begun: their keys, pickled, and their numbers."""
        for key, number in starts:
            try:
                self._live.setdefault(node, {})[number] = read(key)
            except Exception:  # of a user's class
                _logger.exception("%s: the key of a worker is unreadable", self._name)

    def ended(self, node: int, exits: Iterable[bytes]) -> None:
        """Tell of workers that have ended."""
        for each in exits:
            (written, message, text), error, number, cause, restart_in = loaded(each)
            key = self._live.get(node, {}).pop(number, MISSING)
            try:
                if key is MISSING:  # nobody asked for beginnings
                    key = read(written)
            except Exception:  # of a user's class
                _logger.exception("%s: the end of a worker is unreadable", self._name)
                continue
            raised = None if error is None else loaded_error(error)
            self._tell(
                node,
                key,
                number,
                raised,
                cause,
                message=_read(message, text),
                restart_in=restart_in,
            )

    def lost(self, node: int, address: str) -> None:
        """Tell of the workers of a node that is lost."""
        error = NodeLost(f"the Dask worker {address} is lost")
        for number, key in self._live.pop(node, {}).items():
            self._tell(node, key, number, error, "failed")

    def _tell(
        self,
        node: int,
        key: Any,
        number: int,
        error: BaseException | None,
        cause: ExitCause,
        **rest: Any,
    ) -> None:
        if error is not None:
            with self._lock:
                self.failed += 1
        if self._on_worker_exit is None:
            return
        try:
            self._on_worker_exit(WorkerExit(key, node << _NUMBERS | number, error, cause, **rest))
        except Exception:
            _logger.exception("%s: on_worker_exit raised", self._name)


def _read(message: bytes, text: str) -> Any:
    """Return a message, or the text that describes it, where its class cannot be read here."""
    try:
        return read(message)
    except Exception:  # noqa: BLE001 - of a user's class
        return text
