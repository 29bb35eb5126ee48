"""What is called with a reply when its answer is there."""

from collections.abc import Callable
from typing import Any, Final, Protocol, final

from threadpool_mb.counters import CallId
from threadpool_mb.logs import logger_of

__all__ = ["Answered", "WithReply", "run_callback"]

_logger = logger_of(__name__)


@final
class WithReply:
    """A function that gets the reply; not bound to it, which would be a cycle."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Any], object]) -> None:
        """Be called as `function(reply)`."""
        self.function: Final = function


class Answered(Protocol):
    """A reply that has its answer."""

    @property
    def call_id(self) -> CallId:
        """The id of the call."""
        ...


def run_callback(callback: Callable[[], object] | WithReply, reply: Answered) -> None:
    """Call what is to be called once a reply is there; an `Exception` of it is logged."""
    try:
        if isinstance(callback, WithReply):
            callback.function(reply)
        else:
            callback()
    except Exception:
        _logger.exception("a callback of the call %s raised", reply.call_id)
