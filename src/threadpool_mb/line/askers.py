"""Senders that stand in the line for a slot of a full mailbox; see `line.slots`.

A worker that waits there waits for the worker that receives from the mailbox.
"""

import functools
import queue
import threading
from collections.abc import Callable
from typing import Final, Protocol, final

from threadpool_mb.errors import DispatchDeadlock
from threadpool_mb.threads.here import Holder, Serving, Waiter, here

__all__ = ["Asker", "Gate", "Room", "always", "asker_in_debt", "asker_of_thread"]

Gate: Final = queue.SimpleQueue[None]
"""What a thread in the line waits for."""


@final
class Asker:
    """A sender that stands in a line."""

    __slots__ = ("runs", "tell")

    def __init__(self, tell: Callable[[], bool], runs: Callable[[], bool]) -> None:
        """Make an asker that is in no line yet."""
        self.tell: Final = tell
        """Tell the sender to try again; `False` if no thread or task is left that could.

        It neither blocks nor raises.
        """
        self.runs: Final = runs
        """Whether the sender could use a slot just now."""


def asker_in_debt(given: "dict[Asker, bool]") -> Asker:
    """Return what stands in the line to give up the slot that it is given; see `Slots.overdraw`."""
    asker = Asker(lambda: given.pop(asker, True), always)
    return asker


def asker_of_thread() -> "tuple[Asker, queue.SimpleQueue[None]]":
    """Return what stands in the line for this thread, and what this thread is to wait for.

    If this thread takes turns of many workers, the thread that gives it a slot counts it as going
    on.
    """
    gate = Gate()
    serving = here.serving
    wait = 0 if serving is None else serving.wait
    return Asker(functools.partial(_open, gate, serving, wait), always), gate


def _open(gate: "queue.SimpleQueue[None]", serving: Serving | None, wait: int) -> bool:
    # In this order: once the gate is open, the thread that waited may be in its next wait.
    if serving is not None:
        serving.goes_on(wait)
    gate.put(None)
    return True


def always() -> bool:
    """Return `True`: the sender could use a slot at any time."""
    return True


class _Slots(Protocol):
    closed: bool

    @property
    def limit(self) -> int: ...
    @property
    def parked(self) -> dict[int, None]: ...


@final
class Room:
    """Room in a full mailbox: a sender that waits for it waits for the worker; see `Awaited`.

    The wait may be over though the sender has not gone on: it may have a slot in hand, or its
    message may be in the mailbox. It has neither if the mailbox is full, and after that look the
    sender is parked for a slot. Full: so no sender has a slot in hand. Parked: so this sender has
    put nothing before.
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
            holder: the worker that receives from the mailbox.
            deadlock: makes the error that is raised where the wait would be for ever.
        """
        self.slots: Final = slots
        """The slots of the mailbox."""
        self._thread: Final = threading.get_ident()
        self._deadlock: Final = deadlock
        self.holder: Final[Holder | None] = holder
        self.waiter: Waiter | None = None

    in_transit = False

    @property
    def answered(self) -> bool:
        """Whether the wait may be over; the sender that waits looks while it is not parked."""
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
        """Not called: room watches no worker, since the end of its worker closes the mailbox."""
