"""The lane of a generator worker whose messages wait in a user's own kind of mailbox."""

from typing import Final, Literal, cast, final, override

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.errors import Cancelled
from threadpool_mb.mailbox.inlet import Marker
from threadpool_mb.mailbox.protocols import Input, Mailbox, MailboxStats
from threadpool_mb.mailbox.using import deliver_within
from threadpool_mb.pool.generator_lanes import GeneratorLane, Kind
from threadpool_mb.pool.workers import ended_well

__all__ = ["ForeignLane"]


@final
class ForeignLane[K, M](GeneratorLane[K, M]):
    """The lane of a worker whose messages wait in a user's own kind of mailbox.

    The queue holds a token for each. That mailbox makes the dead letters; `reason` and `_bury` are
    not used.
    """

    __slots__ = ("_input", "_mailbox")

    def __init__(
        self,
        kind: Kind[K, M],
        key: K,
        mailbox: Mailbox[M],
    ) -> None:
        super().__init__(kind, key, None)
        self._mailbox: Final = mailbox
        self._input: Final[Input[M]] = mailbox.new_input()

    @override
    def deliver(self, message: M, /, deadline: Deadline = NEVER) -> bool:
        """Put one message into the mailbox, and a token into the queue; see `Lane.deliver`."""
        target = self._input
        try:
            if not (
                target.deliver(message)
                if deadline is NEVER
                else deliver_within(target, message, deadline)
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

    @override
    def shut(self) -> None:
        if self.cancelled:
            self._mailbox.cancel()
        else:
            self._mailbox.close()
        super().shut()

    @override
    def sweep(self) -> None:
        # The queue has nothing but tokens.
        self._mailbox.abandon()

    @override
    def _stopped_by(self, error: BaseException) -> Literal["stopped", "drained"] | None:
        if not ended_well(error, self):
            return None
        return "stopped" if isinstance(error, Cancelled) else "drained"

    @override
    def turn_for(self, _message: M, /) -> bool:
        """Take none: the messages wait in the user's mailbox."""
        return False

    @override
    def get(self, block: bool = True, timeout: float | None = None) -> M:
        """Take a message out of the mailbox for a token, or the marker; never waits."""
        token = self.get_nowait()
        return token if token is cast("M", Marker) else self._mailbox.receive(timeout=0)
