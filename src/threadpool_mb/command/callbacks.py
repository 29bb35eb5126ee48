"""What is called with a reply when its answer is there."""

import concurrent.futures
from collections.abc import Callable
from typing import Any, Final, Protocol, final

__all__ = ["WithReply", "fill_future"]


@final
class WithReply:
    """A function that gets the reply; not bound to it, which would be a cycle."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Any], object]) -> None:
        """Be called as `function(reply)`."""
        self.function: Final = function


class _Answered[R](Protocol):
    def result(self, *, timeout: float | None = ...) -> R: ...


def fill_future[R](future: "concurrent.futures.Future[R]", reply: _Answered[R]) -> None:
    """Set a future from a reply that is there."""
    try:
        value = reply.result(timeout=0)
    except Exception as error:  # noqa: BLE001 - it is the future's
        future.set_exception(error)
    else:
        future.set_result(value)
