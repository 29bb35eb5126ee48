"""The loop of a broker's thread: it receives, has each message handled, and cleans up at the end.

**Guarantees.** Messages of a key are handled one by one, in the order in which the mailbox gives
them out; so are all messages, unless the broker has threads to handle those of different keys in
parallel. Each resource that was created is cleaned once, or the one that took its place: at the end
of the loop at the latest, whatever ended it. Each message that a resource was to handle is handed
to `handle` or becomes a dead letter, once.

**Assumes.** One thread runs the loop. `len(dict)` and `list.append` are atomic, and so is reading
and writing an attribute; errors are noted before `ended` is set, and read after it
(`tests/test_assumptions.py`).

The loop does not know the `Broker` that users hold: the thread must not keep it alive.
"""

from collections.abc import Callable
from typing import Final, final

from threadpool_mb.arguments import AT_ONCE, Deadline, counted, describe
from threadpool_mb.broker.config import BrokerConfig, BrokerDrainReport
from threadpool_mb.broker.parallel import ParallelHandling
from threadpool_mb.broker.resources import Address, Resources
from threadpool_mb.calls.unanswered import forget_locals
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import Cancelled, MailboxClosed, MailboxEmpty
from threadpool_mb.forking import MADE_BEFORE_FORK, end_child, keep
from threadpool_mb.logs import Logger
from threadpool_mb.mailbox.kinds import own_mailbox
from threadpool_mb.messages import Dispatch, Initialize
from threadpool_mb.protocols import Mailbox
from threadpool_mb.threads.latches import Ending, Latch
from threadpool_mb.values import MISSING

__all__ = ["BrokerLoop"]

_logger = Logger(__name__)

_NOTHING: Final = object()
"""No message."""


@final
class BrokerLoop[M, K, W, R]:
    """Receives, demultiplexes, has messages handled and resources cleaned, until the mailbox ends.

    Threads: `run` is the broker's thread; the rest is for any.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_closing",
        "_demultiplex",
        "_errors",
        "_handle",
        "_handled",
        "_in_hand",
        "_office",
        "_over",
        "_owner",
        "cancelling",
        "ended",
        "ending",
        "in_child",
        "mailbox",
        "parallel",
        "resources",
    )

    def __init__(
        self,
        owner: str,
        config: BrokerConfig[M, K, W, R],
        mailbox: Mailbox[M],
        office: DeadLetterOffice[K, M | W],
        make_parallel: Callable[
            [Resources[K, W, R], Callable[[BaseException], object]], ParallelHandling[K, W, R]
        ]
        | None = None,
        *,
        on_demand: bool = False,
    ) -> None:
        """Serve `mailbox`; what is not handled goes to `office`.

        `make_parallel` makes what has messages handled, from the resources and what is to be called
        with an error that stops the broker. Without it the loop's own thread handles them.
        `on_demand`: the first message for a key creates its resource.
        """
        self._owner: Final = owner
        errors: list[BaseException] = []

        # Not a method: what handles in parallel would hold this loop, which holds it.
        def fail(error: BaseException) -> None:
            errors.append(error)
            try:
                mailbox.cancel()
            except BaseException as second:  # noqa: BLE001 - a user's mailbox; `join` raises the first
                errors.append(second)

        self._demultiplex: Final = config.demultiplex
        self._office: Final = office
        self.resources: Final = Resources(owner, config, office, on_demand=on_demand)
        """The table of the resources."""
        self.parallel: Final = (
            None if make_parallel is None else make_parallel(self.resources, fail)
        )
        self._handle: Final[Callable[[Address[K, W]], object]] = (
            self.resources.take if self.parallel is None else self.parallel.take
        )
        self.mailbox: Final = mailbox
        # What the thread has in hand: a message's key, `MISSING` if that is not known.
        self._in_hand: object = _NOTHING
        # How many messages it has handled, or handed to others.
        self._handled: int = 0
        self._begun: bool = False
        self._closing: bool = False
        self.cancelling: bool = False
        self.in_child: bool = False
        """Whether the broker's thread is one of the process that has forked this one."""
        self.ended: bool = False
        """All is done: resources are cleaned, and `error` stays as it is."""
        self.ending: Final = Ending()
        """Reached when `ended` is set."""
        # Opened when `ended` is set.
        self._over: Final = Latch()
        self._errors: Final = errors

    def close(self) -> None:
        """Take no more messages, and end when those that were taken are handled."""
        if self.in_child:
            return
        self._closing = True
        self.mailbox.close()

    def cancel(self) -> None:
        """Take no more messages, and end before the next one is handled."""
        if self.in_child:
            return
        self._closing = self.cancelling = True
        if self.parallel is not None:
            self.parallel.stop()
        self.mailbox.cancel()

    def wait(self, deadline: Deadline) -> bool:
        """Wait for the end; `False` if the deadline came first."""
        return self._over.wait(deadline)

    def report(self) -> BrokerDrainReport:
        """Return a snapshot; see `Broker.drain`."""
        error = self.error if self.ended else None
        return BrokerDrainReport(
            finished=self.ended,
            messages=self.waiting,
            resources=len(self.resources),
            error=None if isinstance(error, Cancelled) else error,
            dead_letters=self._office.counts(),
        )

    def waits_for(self, deadline: Deadline) -> str | None:
        """Return what keeps it from its end, once closed, at the deadline; see `exit_hook`."""
        # The system may have refused its thread.
        if not self._begun or self.wait(deadline):
            return None
        waiting = self.waiting
        text = f"{self._owner}: {counted(waiting, 'message')} waiting"
        handled = None if self.parallel is None else self.parallel.waits_for(AT_ONCE)
        return text if handled is None else f"{text} ({handled})"

    def forked(self) -> bool:
        """Take no more messages: the broker's thread is not in this child of `os.fork`.

        Returns:
            `False`: it does not work here.
        """
        self._office.forked()
        self.resources.tally.forked()
        if self.ended:
            return False
        self.in_child = self._closing = self.resources.in_child = True
        own = own_mailbox(self.mailbox)
        if own is not None:
            own.forked()
        if self.parallel is not None:
            self.parallel.forked()
        # For a thread that waits for the end, and has forked in a signal handler.
        self._over.open()
        keep(self)
        return False

    @property
    def closing(self) -> bool:
        """Whether the end is near: it was closed or cancelled, or an error has stopped it."""
        return self._closing or bool(self._errors)

    @property
    def waiting(self) -> int:
        """The number of messages that wait in the mailbox or for those of their key.

        Without the one that the broker's thread has in hand.
        """
        if self.in_child:
            return 0
        return len(self.mailbox) + (0 if self.parallel is None else self.parallel.waiting)

    @property
    def busy(self) -> bool:
        """Whether the thread has a message in hand."""
        return self._in_hand is not _NOTHING

    @property
    def key_in_hand(self) -> object:
        """The key of that message; `MISSING` if it is not known, or there is none."""
        key = self._in_hand
        return MISSING if key is _NOTHING else key

    @property
    def handled(self) -> int:
        """How many messages are done with for which there was a key; see `Resources.tally`."""
        return self._handled if self.parallel is None else self.parallel.handled

    @property
    def error(self) -> BaseException | None:
        """What stopped the loop, if it is not the normal end: the first error, else `Cancelled`."""
        errors = [error for error in self._errors if not isinstance(error, Cancelled)]
        return next(iter(errors or self._errors), None)

    @property
    def state(self) -> str:
        """What the loop does, in a few words."""
        if self.in_child:
            return MADE_BEFORE_FORK
        if not self.ended:
            return "cancelling" if self.cancelling else "closing" if self.closing else "running"
        if self.error is None:
            return "ended"
        return "cancelled" if isinstance(self.error, Cancelled) else "failed"

    def run(self) -> None:
        """Run the loop: the broker's thread from its first step to its last."""
        self._begun = True
        receive, take = self.mailbox.receive, self._take

        try:
            while not self.in_child:
                # No name here holds the message while the next one is waited for.
                take(receive())
        except (MailboxClosed, MailboxEmpty):
            pass  # from `receive`: `_take` lets no `Exception` out
        except BaseException as error:  # noqa: BLE001 - `join` raises it
            self._errors.append(error)
            if self.parallel is not None:
                self.parallel.stop()
        if self.in_child:
            # One of the four functions has forked. What is to be done at the end, the parent does.
            end_child(self.error)

        # First, so that senders are refused while resources are cleaned.
        for step in (
            self.mailbox.abandon,
            self._end_parallel,
            self._clean_all,
            self._office.flush,
            self._log_errors,
        ):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - `join` raises it; the rest is due
                self._errors.append(error)
        self.ended = True
        self._over.open()
        self.ending.reach()

    def _end_parallel(self) -> None:
        if self.parallel is not None:
            self.parallel.join()
            if self.cancelling:
                # It may have come when `receive` had seen the end: then nothing has raised it.
                self._errors.append(Cancelled("the broker was asked to stop"))

    def _clean_all(self) -> None:
        self.resources.clean_all(self._errors)

    def _log_errors(self) -> None:
        for error in self._errors:
            if isinstance(error, Cancelled):
                # Its traceback tells nothing, and would keep this loop alive by its frame.
                error.with_traceback(None)
            else:
                _logger.error("%s: stopped by an error", self._owner, exc_info=error)

    def _take(self, message: M) -> None:
        """Handle one message; only what is no `Exception` leaves."""
        self._in_hand = MISSING
        try:
            address = self._address(message)
            # `demultiplex` may have forked.
            if address is not None and not self.in_child:
                self._in_hand = address.key
                try:
                    self._handle(address)
                finally:
                    self._handled += 1
        finally:
            self._in_hand = _NOTHING

    def _address(self, message: M) -> Address[K, W] | None:
        """Return where a message goes; `None` if that cannot be found out."""
        try:
            address = self._demultiplex(message)
            _check_address(address)
        except BaseException as error:
            self.resources.tally.count_failed()
            if isinstance(error, Exception):
                _logger.exception("%s: demultiplex failed for %s", self._owner, describe(message))
            self._office.take(MISSING, message, DeadLetterReason.DEMULTIPLEX_FAILED, error)
            if not isinstance(error, Exception):
                raise
            forget_locals(error)
            return None
        return address


def _check_address(address: object) -> None:
    if not isinstance(address, (Initialize, Dispatch)):
        msg = f"demultiplex must return an Initialize or a Dispatch, not {describe(address)}"
        raise TypeError(msg)
