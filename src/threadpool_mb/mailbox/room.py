"""Who waits for room in a worker's mailbox waits for that worker."""

import threading
from collections.abc import Callable
from typing import Final, Protocol, final

from threadpool_mb.errors import DispatchDeadlock
from threadpool_mb.here import Holder, Waiter

__all__ = ["Room"]


class _Slots(Protocol):
    closed: bool

    @property
    def limit(self) -> int: ...
    @property
    def parked(self) -> dict[int, None]: ...


@final
class Room:
    """Room in a full mailbox: who waits for it waits for the worker; see `Awaited`.

    The wait may be over though the one who waits has not gone on: with a slot in its hand, or with
    its message in the mailbox. It has neither if the mailbox is full, and the thread is parked for
    a slot after that: full, so no slot is in anybody's hand; parked, so it has put nothing before.
    """

    __slots__ = ("_deadlock", "_thread", "holder", "slots", "waiter")

    def __init__(
        self,
        slots: _Slots,
        holder: Holder,
        deadlock: Callable[[str, object], Exception] | None = None,
    ) -> None:
        """Wait on this thread.

        Args:
            slots: those of the mailbox.
            holder: the worker whose mailbox it is.
            deadlock: makes what is raised where the wait would be for ever.
        """
        self.slots: Final = slots
        """Those of the mailbox."""
        self._thread: Final = threading.get_ident()
        self._deadlock: Final = deadlock
        self.holder: Final[Holder | None] = holder
        self.waiter: Waiter | None = None

    in_transit = False

    @property
    def answered(self) -> bool:
        """Whether the wait may be over; the one who waits itself looks while it does not wait."""
        slots, holder = self.slots, self.holder
        if slots.closed or holder is None or holder.backlog < slots.limit:
            return True
        return self._thread not in slots.parked and self._thread != threading.get_ident()

    def deadlock(self, chain: str, key: object, /) -> Exception:
        """Return what is raised in the place of a wait for ever; see `Awaited`."""
        if self._deadlock is not None:
            return self._deadlock(chain, key)
        return DispatchDeadlock(
            f"a message to a full mailbox would wait for room for ever: {chain}", key
        )

    def holder_gone(self, holder: Holder, /) -> None:
        """Not called: it watches nobody, as the end of its worker closes the mailbox."""
