"""What stands in the place of a task's context, where the task waits for more than its key's."""

from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

__all__ = ["Barrier", "Held", "RunsTasks", "StandIn"]


class Held(Exception):
    """What a task's context raises in the place of running it, where the task has to wait."""

    def keep(self, lane: Any, task: Any) -> bool:  # noqa: ANN401 - tasks
        """Keep the lane, which waits for its turn no more, until something schedules it again.

        Nothing may touch the lane on this thread after that.

        Returns:
            `False` if it need not wait, and `task` is done.
        """
        raise NotImplementedError


class StandIn:
    """Stands in the place of a task's context, and says whether the task runs now."""

    __slots__ = ()

    is_gate: bool = False
    """Whether what it stands in is a gate: see `keyed.several`."""

    def run(self, function: Callable[[Any], object], task: Any, /) -> object:  # noqa: ANN401 - a task
        """Call `function(task)`, or raise `Held`."""
        raise NotImplementedError

    def runs_here(self, _key: object, /) -> bool:
        """Return whether this thread runs what the task waits for, besides its key's."""
        return False

    def runs_on(self) -> int:
        """Return the thread that runs what lanes wait for together; 0 before and after."""
        return 0


type RunsTasks = Context | StandIn


class Barrier(Protocol):
    """A task that those of all keys wait for."""

    def runs_here(self, key: object, /) -> bool:
        """Return whether this thread runs it, or a task that it waits for."""
        ...

    def hold_back(self, lane: Any, /) -> bool:  # noqa: ANN401 - a task
        """Keep a new lane until the task is over; `False` if it is."""
        ...
