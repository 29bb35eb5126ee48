"""What is called with a reply when its answer is there."""

import concurrent.futures
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, final

from threadpool_mb.counters import CallId

__all__ = ["WithReply", "fill_future", "run_callback"]

_logger = logging.getLogger(__name__)


@final
class WithReply:
    """A function that gets the reply; not bound to it, which would be a cycle."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Any], object]) -> None:
        """Be called as `function(reply)`."""
        self.function: Final = function


class _Answered[R](Protocol):
    @property
    def call_id(self) -> CallId: ...
    def result(self, *, timeout: float | None = ...) -> R: ...


def fill_future[R](future: "concurrent.futures.Future[R]", reply: _Answered[R]) -> None:
    """Set a future from a reply that is there."""
    try:
        value = reply.result(timeout=0)
    except Exception as error:  # noqa: BLE001 - it is the future's
        future.set_exception(error)
    else:
        future.set_result(value)


def run_callback(callback: Callable[[], object] | WithReply, reply: _Answered[Any]) -> None:
    """Call what is to be called once a reply is there; an `Exception` of it is logged."""
    try:
        if isinstance(callback, WithReply):
            callback.function(reply)
        else:
            callback()
    except Exception:
        _logger.exception("a callback of the call %s raised", reply.call_id)
