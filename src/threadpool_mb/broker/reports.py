"""What a broker tells of its end: a frozen snapshot."""

import dataclasses
from collections.abc import Mapping

from threadpool_mb.dead_letters import DeadLetterReason

__all__ = ["BrokerDrainReport"]


@dataclasses.dataclass(frozen=True, slots=True)
class BrokerDrainReport:
    """How a broker ended, or what it waits for; from `Broker.drain`."""

    finished: bool
    """Whether all that was taken is accounted for, all resources are cleaned, and the threads have
    ended. Never, in a child of the process in which the broker was made, if it was open at the
    fork."""
    messages: int
    """Messages that had not been handled when the timeout ran out, without those in hand."""
    resources: int
    """Resources that are not cleaned yet."""
    error: BaseException | None
    """What has stopped the broker, if that was an error."""
    dead_letters: Mapping[DeadLetterReason, int]
    """Messages that were not handled, by reason, since the broker was made."""
