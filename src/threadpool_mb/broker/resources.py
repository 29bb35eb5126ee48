"""The table of a broker's resources, and what a message does to the one of its key.

**Guarantees.** Each resource that was created is cleaned once, or the one that took its place: when
it is removed, or by `clean_all`. Each message is handed to `handle` or becomes a dead letter, once.

**Assumes.** Of one key, one call of `take` at a time; of `clean_all`, one call after all others.
Calls for different keys may come from several threads: each method of a `dict` is atomic
(`tests/test_assumptions.py`).
"""

import dataclasses
from typing import Any, Final, Never, final

from threadpool_mb.arguments import describe
from threadpool_mb.broker.config import (
    BrokerConfig,
    KeepResource,
    RemoveResource,
    UpdateResource,
)
from threadpool_mb.calls.unanswered import forget_locals
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason, inform
from threadpool_mb.keyed.tally import Tally
from threadpool_mb.logs import Logger
from threadpool_mb.messages import Dispatch, Initialize
from threadpool_mb.values import MISSING, Missing

__all__ = ["Address", "Resources"]

_logger = Logger(__name__)

type Address[K, W] = Initialize[K, W] | Dispatch[K, W]
"""What `demultiplex` returns: a message and its key."""


@dataclasses.dataclass(slots=True)
class _Entry[K, R]:
    """One line of the table; so that an update needs no look-up, which the key could make fail."""

    key: K
    resource: R


@final
class Resources[K, W, R]:
    """Creates, handles and cleans."""

    __slots__ = ("_config", "_entries", "_office", "_on_demand", "_owner", "in_child", "tally")

    def __init__(
        self,
        owner: str,
        config: BrokerConfig[Any, K, W, R],
        office: DeadLetterOffice[K, Any],
        *,
        on_demand: bool = False,
    ) -> None:
        """Make an empty table of the broker `owner`; what is not handled goes to `office`.

        `on_demand`: the first message for a key creates its resource.
        """
        self._on_demand: Final = on_demand
        self._owner: Final = owner
        self._config: Final = config
        self._office: Final[DeadLetterOffice[K, Any]] = office
        self._entries: Final[dict[K, _Entry[K, R]]] = {}
        self.tally: Final = Tally()
        """Counts the messages for which a function, or their key, has raised, and those that `take`
        has not handed to `handle`."""
        self.in_child: bool = False
        """Whether they are those of the process that has forked this one: in one of the functions,
        if any of these is called here. Then nothing follows it."""

    def __len__(self) -> int:
        """Return the number of resources."""
        return len(self._entries)

    def all_keys(self) -> list[K]:
        """Return the keys; a snapshot."""
        # Copying is atomic.
        return [entry.key for entry in list(self._entries.values())]

    def __contains__(self, key: object) -> bool:
        """Return whether there is a resource of the key."""
        return key in self._entries

    def take(self, address: Address[K, W]) -> None:
        """Handle one message; only what is no `Exception` leaves."""
        if isinstance(address, Dispatch):
            self.dispatch(address.key, address.message)
        else:
            self.initialize(address.key, address.message)

    def drop(
        self,
        key: K,
        message: W | Missing,
        reason: DeadLetterReason,
        cause: BaseException | None = None,
    ) -> None:
        """Make a dead letter of a message, if there is one; with a cause, it counts as failed."""
        if cause is not None:
            self.tally.count_failed()
        if message is not MISSING:
            self._office.take(key, message, reason, cause)

    def refuse(self, address: Address[K, W], error: Exception) -> None:
        """Log that a key cannot be looked up, and drop its message."""
        key = describe(address.key)
        _logger.error("%s: the key %s cannot be looked up", self._owner, key, exc_info=error)
        is_dispatch = isinstance(address, Dispatch)
        self.drop(
            address.key,
            address.message,
            DeadLetterReason.UNKNOWN_KEY if is_dispatch else DeadLetterReason.WORKER_FAILED,
            error,
        )

    def dispatch(self, key: K, message: W) -> None:
        """Handle the message of a `Dispatch`; see `take`."""
        entry = cause = None
        begins = False
        try:
            entry = self._entries.get(key)
            begins = entry is None and self._on_demand
        except BaseException as error:
            cause = error
            self.tally.count_failed()
            if not isinstance(error, Exception):
                raise
            _logger.exception("%s: the key %s cannot be looked up", self._owner, describe(key))
        finally:
            if entry is None and not begins:
                self.tally.count_left_out()
                self._office.take(key, message, DeadLetterReason.UNKNOWN_KEY, cause)
            if isinstance(cause, Exception):
                forget_locals(cause)
            # Its traceback holds this frame, which must not hold the error.
            del cause
        if begins:
            self.initialize(key, message)
        elif entry is not None:
            self._handle(entry, message)

    def initialize(self, key: K, message: W | Missing) -> None:
        """Create a resource, and handle the message of an `Initialize`; see `take`."""
        entry = cause = None
        reason = DeadLetterReason.WORKER_FAILED
        try:
            if key in self._entries:
                reason = DeadLetterReason.DUPLICATE_INITIALIZE
            else:
                entry = self._create(key, message)
        except BaseException as error:
            cause = error
            self.tally.count_failed()
            if not isinstance(error, Exception):
                raise
            _logger.exception("%s: no resource for the key %s", self._owner, describe(key))
        finally:
            if entry is None and message is not MISSING:
                self.tally.count_left_out()
                self._office.take(key, message, reason, cause)
            if isinstance(cause, Exception):
                forget_locals(cause)
            del cause
        if entry is not None and message is not MISSING and not self.in_child:
            self._handle(entry, message)

    def _create(self, key: K, message: W | Missing) -> _Entry[K, R]:
        entry = _Entry(key, self._config.create(key, message))
        try:
            self._entries[key] = entry
        except BaseException:  # from the key's `__hash__` or `__eq__`
            self._clean(entry)
            raise
        return entry

    def _handle(self, entry: _Entry[K, R], message: W) -> None:
        try:
            update = self._config.handle(entry.key, message, entry.resource)
            match update:
                case None | KeepResource():
                    return
                case UpdateResource(new):
                    entry.resource = new
                    return
                case RemoveResource(new):
                    if new is not MISSING:
                        entry.resource = new
                case _:
                    _refuse_update(update)
        except BaseException as error:
            self.tally.count_failed()
            inform(message, entry.key, DeadLetterReason.WORKER_FAILED, started=True, error=error)
            # The caller gets the error, whose traceback holds this frame.
            del message
            if not isinstance(error, Exception):
                raise
            _logger.exception(
                "%s: handle raised, the resource of the key %s is removed",
                self._owner,
                describe(entry.key),
            )
            forget_locals(error)
        self._remove(entry)

    def _remove(self, entry: _Entry[K, R]) -> None:
        try:
            del self._entries[entry.key]
        except Exception:
            _logger.exception(
                "%s: the key %s cannot be looked up, its resource stays until the broker ends",
                self._owner,
                describe(entry.key),
            )
        else:
            self._clean(entry)

    def _clean(self, entry: _Entry[K, R]) -> None:
        if self.in_child:
            return
        try:
            self._config.clean(entry.key, entry.resource)
        except Exception:
            _logger.exception("%s: clean raised for the key %s", self._owner, describe(entry.key))

    def clean_all(self, errors: list[BaseException]) -> None:
        """Clean every resource, in ascending order of the keys, whatever others raise.

        What is raised that is no `Exception` is added to `errors`.
        """
        for entry in self._in_order(errors):
            try:
                self._clean(entry)
            except BaseException as error:  # noqa: BLE001 - `join` raises it
                errors.append(error)
        self._entries.clear()

    def _in_order(self, errors: list[BaseException]) -> list[_Entry[K, R]]:
        """Return the table by ascending keys; as it was created if they have no order."""
        entries: list[_Entry[Any, R]] = list(self._entries.values())
        try:
            return sorted(entries, key=lambda entry: entry.key)
        except Exception:  # noqa: BLE001 - a user's `__lt__` may raise anything
            return entries
        except BaseException as error:  # noqa: BLE001 - `join` raises it
            errors.append(error)
            return entries


def _refuse_update(update: object) -> Never:
    msg = f"handle must return a ResourceUpdate or None, not {describe(update)}"
    raise TypeError(msg)
