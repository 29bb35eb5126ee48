"""What is to be done at a time, one thing of it; see `timers`."""

from collections.abc import Callable
from typing import ClassVar

from threadpool_mb.logs import Logger
from threadpool_mb.threads.turns import Turn

__all__ = ["Entry", "do", "log_raised"]

_logger = Logger(__name__)


class Entry:
    """Something that is to be done at a time; subclasses have the slots."""

    __slots__ = ("number", "when")

    quick: ClassVar[bool] = False
    """Whether `fire` calls no user's code, so that what is to be scheduled may wait for it; and
    does nothing where the entry was cancelled."""

    def __init__(self, when: float) -> None:
        """Be due at `when`, by `Timers.now`, in seconds."""
        self.when: float = when
        self.number: int = 0
        """Above 0 from being sorted in on; of two with the same time, the lower one comes first."""

    def __lt__(self, other: "Entry") -> bool:
        """Return whether it comes before another one."""
        return self.when < other.when or (self.when == other.when and self.number < other.number)

    @property
    def cancelled(self) -> bool:
        """Whether it is to be neither fired nor dropped."""
        return False

    def fire(self) -> Turn | None:
        """Do it; on the thread that has the heap. What it raises is logged.

        Returns:
            Of what is quick: the turn that it has scheduled, together with those of others.
        """
        raise NotImplementedError

    def drop(self) -> None:
        """Take note that it will not be done; on any thread. What it raises is logged."""
        raise NotImplementedError


def do(function: Callable[[], object]) -> None:
    """Call a user's code, perhaps: a hook, a key. The thread goes on whatever it raises."""
    try:
        function()
    except BaseException:  # noqa: BLE001 - logged
        log_raised()


def log_raised() -> None:
    """Log what was raised, in the place of raising it."""
    _logger.exception("something that was to be done at a time raised")  # noqa: LOG004 - in one
