"""What is left of a task that was taken back."""

import dataclasses
from collections.abc import Callable
from typing import Any, final

from threadpool_mb.keyed.futures import KeyedFuture
from threadpool_mb.keyed.observed import ObservedCall

__all__ = ["Withdrawn", "withdrawn"]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Withdrawn:
    """A task that was taken back, with the names that `concurrent.futures` has for its parts."""

    future: KeyedFuture[Any]
    """Is cancelled."""
    fn: Callable[..., object]
    args: tuple[object, ...]
    kwargs: dict[str, object]

    @property
    def task(self) -> tuple[Callable[..., object], tuple[object, ...], dict[str, object]]:
        """The last three, as 3.14 has them."""
        return self.fn, self.args, self.kwargs


def withdrawn(
    future: KeyedFuture[Any],
    function: Callable[..., object],
    arguments: tuple[object, ...],
    keywords: dict[str, object],
) -> Withdrawn:
    """Return what is left of a task: the function that was submitted, observed or not."""
    if isinstance(function, ObservedCall):
        function = function.function
    return Withdrawn(future, function, arguments, keywords)
