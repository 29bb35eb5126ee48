"""What stands in the place of a task's context, where the task waits for more than its key's."""

from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

__all__ = ["Barrier", "RunsTasks", "StandIn"]


class StandIn:
    """Stands in the place of a task's context, and says whether the task runs now."""

    __slots__ = ()

    is_gate: bool = False
    """Whether what it stands in is a gate: see `keyed.several`."""

    def run(self, function: Callable[[Any], object], task: Any, /) -> object:  # noqa: ANN401 - a task
        """Call `function(task)`, and return what it returns; or itself: see `keep`."""
        raise NotImplementedError

    def keep(self, lane: Any, task: Any) -> tuple[bool, bool]:  # noqa: ANN401 - tasks
        """Keep the lane until something schedules it again, if it is to wait; after `run`.

        Where it is kept, nothing may touch the lane on this thread after that.

        Returns:
            Whether it is kept; and whether `task` has run. If neither, `task` is done all the same.
        """
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
