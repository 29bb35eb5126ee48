"""What becomes of messages for a key: of many at once, and of one that its worker has not taken.

**Guarantees.** A message that the worker it was for has not taken reaches the worker that follows,
or becomes a dead letter, or the pool is closed and its sender is told so: one of the three.
"""

from collections.abc import Callable, Iterable
from typing import Final, Literal, final

from threadpool_mb.arguments import describe
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import MailboxClosed, PoolClosed
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.routes import find

__all__ = ["Overflow", "Undelivered"]

type Overflow = Literal["refuse", "remove_worker"]
"""What a refused message does to its worker."""


@final
class Undelivered[K, M]:
    """Sees to the messages that a pool could not deliver at once. Threads: any."""

    __slots__ = ("_dispatcher", "_office", "_overflow")

    def __init__(
        self, dispatcher: Dispatcher[K, M], office: DeadLetterOffice[K, M], overflow: Overflow
    ) -> None:
        """Use the pool's own."""
        self._dispatcher: Final = dispatcher
        self._office: Final = office
        self._overflow: Final[Overflow] = overflow

    def again(self, key: K, message: M, tried: Incarnation[K, M] | None) -> bool:
        """Hand a message to the worker that follows the one that was tried, if there is one.

        Blocks: as long as that worker's mailbox and `on_dead_letter` do.

        Raises:
            PoolClosed: if the pool is closed and nobody has taken the message.
        """
        roster = self._dispatcher.roster
        while (incarnation := roster.routes.get(key)) is not None and incarnation is not tried:
            try:
                return incarnation.input.deliver(message) or self.refused(incarnation, message)
            except MailboxClosed:
                tried = incarnation
        return self.nobody(key, message, tried)

    def many(self, dispatch: Callable[[K, M], bool], key: K, messages: Iterable[M]) -> int:
        """Deliver each message, and return how many were taken; see `Pool.dispatch_many`.

        One look-up is for all of them, as long as the worker takes them. The first one goes through
        `dispatch`, and so does each that a worker does not take directly: it looks the key up
        again, and says what becomes of the message.
        """
        routes = self._dispatcher.roster.routes
        taken = 0
        direct = put = None
        for message in messages:
            if direct is not None and put is not None and not direct.closed:
                put(message)
                if direct.unattended:
                    direct.attend()
                taken += 1
                continue
            taken += dispatch(key, message)
            incarnation = find(routes, key)
            direct = None if incarnation is None else incarnation.direct
            put = None if direct is None else direct.put
        return taken

    def nobody(self, key: K, message: M, tried: Incarnation[K, M] | None) -> Literal[False]:
        """Make a dead letter of a message that no worker is left to take.

        Raises:
            PoolClosed: if the pool is closed.
        """
        roster = self._dispatcher.roster
        if roster.closed:
            msg = f"the pool {self._dispatcher.name!r} {roster.why_closed}: it takes no message"
            raise PoolClosed(f"{msg} for key {describe(key)}")
        reason = DeadLetterReason.UNKNOWN_KEY if tried is None else tried.leftovers.reason
        self._office.take(key, message, reason)
        return False

    def refused(self, incarnation: Incarnation[K, M], message: M) -> Literal[False]:
        """Make a dead letter of what a worker's mailbox has refused."""
        if self._overflow == "remove_worker":
            reason = DeadLetterReason.WORKER_REMOVED
            self._dispatcher.remove(incarnation, drain=False, reason=reason)
        self._office.take(incarnation.key, message, DeadLetterReason.REFUSED)
        return False
