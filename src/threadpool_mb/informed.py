"""Messages that are told when they will not be handled: calls, for whose answer a caller waits."""

__all__ = ["Informed", "inform"]


class Informed:
    """A message that wants to know what becomes of it."""

    __slots__ = ()

    def not_handled(
        self,
        key: object,
        reason: str,
        *,
        started: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Take note that no worker will handle it; a second time changes nothing.

        Called on any thread, with no lock held. It neither blocks nor raises.

        Args:
            key: whom it was for; `MISSING` where that is not known.
            reason: why; a `DeadLetterReason`, where it was for a worker.
            started: whether it was being handled.
            error: what has ended that, if it was an error.
        """
        raise NotImplementedError


def inform(
    message: object,
    key: object,
    reason: str,
    *,
    started: bool = False,
    error: BaseException | None = None,
) -> None:
    """Tell a message that it will not be handled, if it wants to know; see `Informed`."""
    if isinstance(message, Informed):
        message.not_handled(key, reason, started=started, error=error)
