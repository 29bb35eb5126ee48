"""What callers are told when there is no reply: the errors and their words."""

from typing import Final, cast

from threadpool_mb.counters import CallId
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.describing import describe
from threadpool_mb.errors import (
    CallError,
    CallFailed,
    CallNotDelivered,
    CallTimedOut,
    WorkerGone,
)
from threadpool_mb.forking import MADE_BEFORE_FORK
from threadpool_mb.markers import MISSING

__all__ = [
    "fresh",
    "made_before_fork",
    "no_reply_in_time",
    "not_delivered",
    "not_delivered_in_time",
    "not_handled",
]

_NOT_TAKEN: Final = {
    DeadLetterReason.UNKNOWN_KEY,
    DeadLetterReason.REFUSED,
    DeadLetterReason.DUPLICATE_INITIALIZE,
}
"""Of what became a dead letter for these reasons, nobody has seen anything."""


def not_handled(
    call_id: CallId, key: object, reason: str, cause: BaseException | None = None
) -> CallError:
    """Nobody will handle the call, or answer it any more, because of the `cause` if given."""
    for_key = "" if key is MISSING else f" to key {describe(key)}"
    never_taken = reason in _NOT_TAKEN
    happened = "was not delivered" if never_taken else "will not be answered"
    kind = CallNotDelivered if never_taken else WorkerGone
    text = f"the call {call_id}{for_key} {happened}: {reason}"
    error = kind(text, call_id, key=key, reason=reason)
    error.__cause__ = cause
    return error


def not_delivered(call_id: CallId, key: object, error: Exception) -> CallNotDelivered:
    """The delivery raised."""
    text = f"the call {call_id} was not delivered: {error}"
    return CallNotDelivered(text, call_id, key=key, reason=str(error))


def not_delivered_in_time(call_id: CallId, key: object) -> CallTimedOut:
    """The deadline came before there was room for the call."""
    text = f"the call {call_id} was not delivered within the timeout"
    return CallTimedOut(text, call_id, key=key, reason="not delivered in time")


def no_reply_in_time(call_id: CallId, key: object) -> CallTimedOut:
    """The deadline came before the reply."""
    text = f"no reply to the call {call_id} came within the timeout"
    return CallTimedOut(text, call_id, key=key, reason="no reply in time")


def made_before_fork(call_id: CallId, key: object) -> WorkerGone:
    """The call was made by the process that has forked this one, and had no answer then."""
    text = f"the call {call_id} was {MADE_BEFORE_FORK}: whoever has it is not in this process"
    return WorkerGone(text, call_id, key=key, reason=MADE_BEFORE_FORK)


def fresh(call_id: CallId, key: object, error: BaseException, *, from_box: bool) -> CallError:
    """Return an exception of one's own to raise: each who raises it adds to its traceback."""
    if not from_box:
        given = cast("CallError", error)
        again = type(given)(str(given), call_id, key=given.key, reason=given.reason)
        again.__cause__ = given.__cause__
        return again
    text = f"the call {call_id} failed: {type(error).__name__}: {_text(error)}"
    failed = CallFailed(text, call_id, key=key, reason="failed")
    failed.__cause__ = error
    return failed


def _text(error: BaseException) -> str:
    """Return the text of a user's exception, whatever its `__str__` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it may raise anything
        return describe(error)
