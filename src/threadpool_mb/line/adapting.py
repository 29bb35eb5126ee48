"""What is needed of an input beside `deliver`, and a user's own input that lacks it.

An input is adapted where it comes in: that of a worker's mailbox once, the target of a call for
each call. Behind that door nothing is looked up by name.
"""

from collections.abc import Callable
from typing import Final, final, override

from threadpool_mb.arguments import AT_ONCE, Deadline
from threadpool_mb.line.slots import Slots
from threadpool_mb.protocols import Input

__all__ = ["OwnInput", "adapted"]


class OwnInput[M]:
    """An `Input` that knows its limit and can stop waiting; the library's own are based on this."""

    __slots__ = ()

    def deliver(self, message: M, /) -> bool:
        """Deliver a message; see `Input.deliver`."""
        raise NotImplementedError

    @property
    def room(self) -> Slots | None:
        """The slots of a limit, if there is one that is known."""
        raise NotImplementedError

    def deliver_within(self, message: M, deadline: Deadline) -> bool:
        """Deliver, and wait for room at most until the deadline.

        Returns and raises what `deliver` does; `False` also if the deadline came first.
        """
        raise NotImplementedError

    def offer(self, message: M, *, last: bool = False) -> bool | Slots:
        """Deliver, if that can be done without waiting; for `aio`.

        Returns:
            What `deliver` does; or the slots for which it would wait, unless it is the last time.
        """
        taken = self.deliver_within(message, AT_ONCE)
        return taken or _worth_waiting_for(self.room, last=last) or False


@final
class _Adapted[M](OwnInput[M]):
    """A user's own input. It is asked once, and blocks as long as its `deliver` does.

    It may have a method `deliver_within(message, deadline)`, as the library's own have.
    """

    __slots__ = ("_input", "_within")

    def __init__(self, given: Input[M]) -> None:
        self._input: Final = given
        within: Callable[[M, Deadline], bool] | None = getattr(given, "deliver_within", None)
        self._within: Final = within

    @override
    def deliver(self, message: M, /) -> bool:
        return self._input.deliver(message)

    @property
    @override
    def room(self) -> Slots | None:
        return None

    @override
    def deliver_within(self, message: M, deadline: Deadline) -> bool:
        return self.deliver(message) if self._within is None else self._within(message, deadline)


def adapted[M](given: Input[M]) -> OwnInput[M]:
    """Return one of the library's inputs as it is, and a user's own as one that has these, too."""
    return given if isinstance(given, OwnInput) else _Adapted(given)


def _worth_waiting_for(slots: Slots | None, *, last: bool) -> Slots | None:
    """Return the slots of a mailbox that was full, if a sender is to wait for one of them.

    `None` if the sender tries for the `last` time, or if `deliver` would not wait either.
    """
    return None if last or slots is None or slots.timeout == 0 else slots
