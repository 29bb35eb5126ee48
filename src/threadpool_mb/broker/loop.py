"""The loop of a broker's thread, and the table of resources that the thread owns.

**Guarantees.** Messages are handled one by one, in the order in which the mailbox gives them out.
Each resource that was created is cleaned once, or the one that took its place: at the end of the
loop at the latest, whatever ended it. Each message that a resource was to handle is handed to
`handle` or becomes a dead letter, once.

**Assumes.** One thread runs the loop, and no other touches the table but to count it. `len(dict)`
is atomic, and so is reading and writing an attribute; errors are noted before `ended` is set, and
read after it (`tests/test_assumptions.py`).

The loop does not know the `Broker` that users hold: the thread must not keep it alive.
"""

import dataclasses
import logging
from typing import Any, Final, Never, final

from threadpool_mb.broker.config import (
    BrokerConfig,
    KeepResource,
    RemoveResource,
    UpdateResource,
)
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.describing import describe
from threadpool_mb.errors import Cancelled, MailboxClosed, MailboxEmpty
from threadpool_mb.mailbox.protocols import Mailbox
from threadpool_mb.markers import MISSING, Missing
from threadpool_mb.messages import Dispatch, Initialize

__all__ = ["BrokerLoop"]

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class _Entry[K, R]:
    """One line of the table; so that an update needs no look-up, which the key could make fail."""

    key: K
    resource: R


@final
class BrokerLoop[M, K, W, R]:
    """Receives, demultiplexes, creates, handles and cleans, until the mailbox ends.

    Threads: `run` is the broker's thread; `close`, `cancel`, `state` and `resources` are for any.
    """

    __slots__ = (
        "__weakref__",
        "_config",
        "_entries",
        "_errors",
        "_name",
        "_office",
        "cancelling",
        "closing",
        "ended",
        "mailbox",
    )

    def __init__(
        self,
        name: str,
        config: BrokerConfig[M, K, W, R],
        mailbox: Mailbox[M],
        office: DeadLetterOffice[K, M | W],
    ) -> None:
        """Serve `mailbox`; what is not handled goes to `office`."""
        self._name: Final = name
        self._config: Final = config
        self._office: Final = office
        self._entries: Final[dict[K, _Entry[K, R]]] = {}
        self.mailbox: Final = mailbox
        self.closing: bool = False
        self.cancelling: bool = False
        self.ended: bool = False
        """All is done: resources are cleaned, and `error` stays as it is."""
        self._errors: Final[list[BaseException]] = []

    def close(self) -> None:
        """Take no more messages, and end when those that were taken are handled."""
        self.closing = True
        self.mailbox.close()

    def cancel(self) -> None:
        """Take no more messages, and end before the next one is handled."""
        self.closing = self.cancelling = True
        self.mailbox.cancel()

    @property
    def resources(self) -> int:
        """The number of resources."""
        return len(self._entries)

    @property
    def error(self) -> BaseException | None:
        """What stopped the loop, if it is not the normal end: the first error, else `Cancelled`."""
        errors = [error for error in self._errors if not isinstance(error, Cancelled)]
        return next(iter(errors or self._errors), None)

    @property
    def state(self) -> str:
        """What the loop does, in one word."""
        if not self.ended:
            return "cancelling" if self.cancelling else "closing" if self.closing else "running"
        if self.error is None:
            return "ended"
        return "cancelled" if isinstance(self.error, Cancelled) else "failed"

    def run(self) -> None:
        """Run the loop: the broker's thread from its first step to its last."""
        receive = self.mailbox.receive
        take = self._take

        try:
            while True:
                # No name here holds the message while the next one is waited for.
                take(receive())
        except (MailboxClosed, MailboxEmpty):
            pass  # from `receive`: `_take` lets no `Exception` out
        except BaseException as error:  # noqa: BLE001 - `join` raises it
            self._errors.append(error)

        # First, so that senders are refused and callers answered while resources are cleaned.
        for step in (self.mailbox.abandon, self._clean_all, self._office.flush, self._log_errors):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - `join` raises it; the rest is due
                self._errors.append(error)
        self.ended = True

    def _log_errors(self) -> None:
        for error in self._errors:
            if isinstance(error, Cancelled):
                # Its traceback tells nothing, and would keep this loop alive by its frame.
                error.with_traceback(None)
            else:
                _logger.error("%s: stopped by an error", self._name, exc_info=error)

    def _take(self, message: M) -> None:
        """Handle one message; only what is no `Exception` leaves."""
        try:
            address = self._config.demultiplex(message)
            _check_address(address)
        except Exception:
            _logger.exception("%s: demultiplex raised, a message is ignored", self._name)
            return
        if isinstance(address, Dispatch):
            self._dispatch(address.key, address.message)
        else:
            self._initialize(address.key, address.message)

    def _dispatch(self, key: K, message: W) -> None:
        entry = None
        try:
            entry = self._entries.get(key)
        except Exception:
            _logger.exception("%s: the key %s cannot be looked up", self._name, describe(key))
        finally:
            if entry is None:
                self._office.take(key, message, DeadLetterReason.UNKNOWN_KEY)
        if entry is not None:
            self._handle(entry, message)

    def _initialize(self, key: K, message: W | Missing) -> None:
        entry = None
        reason = DeadLetterReason.WORKER_FAILED
        try:
            if key in self._entries:
                reason = DeadLetterReason.DUPLICATE_INITIALIZE
            else:
                entry = self._create(key, message)
        except Exception:
            _logger.exception("%s: no resource for the key %s", self._name, describe(key))
        finally:
            if entry is None and message is not MISSING:
                self._office.take(key, message, reason)
        if entry is not None and message is not MISSING:
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
        except Exception:
            _logger.exception(
                "%s: handle raised, the resource of the key %s is removed",
                self._name,
                describe(entry.key),
            )
        self._remove(entry)

    def _remove(self, entry: _Entry[K, R]) -> None:
        try:
            del self._entries[entry.key]
        except Exception:
            _logger.exception(
                "%s: the key %s cannot be looked up, its resource stays until the broker ends",
                self._name,
                describe(entry.key),
            )
        else:
            self._clean(entry)

    def _clean(self, entry: _Entry[K, R]) -> None:
        try:
            self._config.clean(entry.key, entry.resource)
        except Exception:
            _logger.exception("%s: clean raised for the key %s", self._name, describe(entry.key))

    def _clean_all(self) -> None:
        """Clean every resource, whatever the cleaning of others raises."""
        for entry in self._in_order():
            try:
                self._clean(entry)
            except BaseException as error:  # noqa: BLE001 - `join` raises it
                self._errors.append(error)
        self._entries.clear()

    def _in_order(self) -> list[_Entry[K, R]]:
        """Return the table by ascending keys; as it was created if they have no order."""
        entries: list[_Entry[Any, R]] = list(self._entries.values())
        try:
            return sorted(entries, key=lambda entry: entry.key)
        except Exception:  # noqa: BLE001 - a user's `__lt__` may raise anything
            return entries
        except BaseException as error:  # noqa: BLE001 - `join` raises it
            self._errors.append(error)
            return entries


def _check_address(address: object) -> None:
    if not isinstance(address, (Initialize, Dispatch)):
        msg = f"demultiplex must return an Initialize or a Dispatch, not {describe(address)}"
        raise TypeError(msg)


def _refuse_update(update: object) -> Never:
    msg = f"handle must return a ResourceUpdate or None, not {describe(update)}"
    raise TypeError(msg)
