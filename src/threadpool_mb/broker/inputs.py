"""The input of a broker that may handle calls on their callers' threads."""

from collections.abc import Callable
from typing import Any, Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.copying import Uncopied
from threadpool_mb.here import here
from threadpool_mb.mailbox.protocols import Input
from threadpool_mb.mailbox.slots import Slots
from threadpool_mb.mailbox.using import deliver_within

__all__ = ["BrokerInput"]


@final
class BrokerInput[M](Uncopied):
    """Delivers into the broker's mailbox, one of this library's, and lets callers `call_here`."""

    __slots__ = ("_call_here", "_inline", "_target", "deliver")

    def __init__(
        self, target: Input[M], call_here: Callable[[M], bool], *, inline: bool | None
    ) -> None:
        """Deliver into `target`; `inline` says where `call_here` may run, as `inline_calls`."""
        self._target: Final = target
        self.deliver: Callable[[M], bool] = target.deliver
        """Put one message into the mailbox; see `Input.deliver`."""
        self._call_here: Final = call_here
        self._inline: Final = inline

    def call_here(self, message: M) -> bool:
        """Have a message handled on this thread, if that can be done; `call` tries it first."""
        return here.allows(inline_calls=self._inline) and self._call_here(message)

    def deliver_within(self, message: M, deadline: Deadline) -> bool:
        """Put one message into the mailbox; see `QueueInput.deliver_within`."""
        return deliver_within(self._target, message, deadline)

    def offer(self, message: M, *, last: bool = False, **_: object) -> bool | Slots:
        """Put one message into the mailbox without waiting; see `QueueInput.offer`."""
        target: Any = self._target
        taken: bool | Slots = target.offer(message, last=last)
        return taken
