"""What a broker leaves, and the end of its thread, as a joiner sees it."""

import threading
from typing import Any, Final, final, override

from threadpool_mb.broker.loop import BrokerLoop
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason, TakesDisplaced
from threadpool_mb.values import MISSING

__all__ = ["Ends", "Leftovers"]


@final
class Leftovers(TakesDisplaced):
    """What a broker's mailbox calls with messages that will not be handled."""

    __slots__ = ("_office",)

    def __init__(self, office: DeadLetterOffice[Any, Any]) -> None:
        """Make dead letters at `office`."""
        self._office: Final = office

    def __call__(self, message: object) -> None:
        """Make a dead letter of a message that is left."""
        self._office.take(MISSING, message, DeadLetterReason.POOL_CLOSED)

    @override
    def displaced(self, message: object) -> None:
        """Make a dead letter of a message that was displaced by a newer one."""
        self._office.take(MISSING, message, DeadLetterReason.DISPLACED)


@final
class Ends:
    """The end of a broker, which it does not keep alive; see `aio.life`."""

    __slots__ = ("_loop", "_owner", "_thread", "ending")

    def __init__(
        self, owner: str, loop: BrokerLoop[Any, Any, Any, Any], thread: threading.Thread
    ) -> None:
        """Be the end of the broker `owner`, of its loop and its thread."""
        self._owner: Final = owner
        self._loop: Final = loop
        self._thread: Final = thread
        self.ending: Final = loop.ending

    def threads_ended(self) -> bool:
        """Return whether the broker and its threads have ended. Blocks: never."""
        if self._loop.in_child:
            return True
        self._thread.join(0)
        return self._loop.ended and not self._thread.is_alive()

    def check_not_own_thread(self) -> None:
        """Raise `RuntimeError` on a thread of the broker's."""
        self.refuse_own_thread(self._owner, "awaited")

    def refuse_own_thread(self, owner: object, what: str) -> None:
        """Raise `RuntimeError` on a thread of the broker's."""
        thread, parallel = threading.current_thread(), self._loop.parallel
        if thread is self._thread or (parallel is not None and thread in parallel):
            msg = f"{owner} cannot be {what} from its own thread: that would wait for itself"
            raise RuntimeError(msg)
