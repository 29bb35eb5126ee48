"""Calls that get no reply: watching for the end of the worker that has one; the errors' words.

**Guarantees.** A caller that watches a *holder*, the worker that is to answer, is told when it
ends, also when it has ended already.

The race of a caller that begins to watch and the holder's end:

1. The watcher puts its reply among the watchers.
2. It reads `gone`.
a. The holder's owner sets `gone`.
b. It goes through the watchers and tells each.

If (2) does not see `gone`, (1) comes before (a), and so before (b), which finds the reply. If both
tell it, the second one changes nothing.

**Assumes.** The methods of a dict are atomic, and so are reading and writing an attribute
(`tests/test_assumptions.py`).
"""

import contextlib
import threading
import types
from typing import Final, cast, final

from threadpool_mb.arguments import describe
from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.errors import (
    CallDeadlock,
    CallError,
    CallFailed,
    CallNotDelivered,
    CallTimedOut,
    WorkerGone,
)
from threadpool_mb.forking import MADE_BEFORE_FORK, remade_in_children
from threadpool_mb.numbers import CallId
from threadpool_mb.threads.here import Awaited, Holder
from threadpool_mb.values import MISSING

__all__ = [
    "DROPPED",
    "Move",
    "add_watcher",
    "deadlock",
    "fails",
    "forget_locals",
    "fresh",
    "made_before_fork",
    "no_reply_in_time",
    "not_delivered",
    "not_delivered_in_time",
    "not_handled",
    "tell_watchers",
    "unwatch",
    "watching",
]

DROPPED: Final = "its reply box was dropped"

_NOT_TAKEN: Final = {
    DeadLetterReason.UNKNOWN_KEY,
    DeadLetterReason.REFUSED,
    DeadLetterReason.DISPLACED,
    DeadLetterReason.DUPLICATE_INITIALIZE,
}
"""Of what became a dead letter for these reasons, no worker has seen anything."""


def _to(call_id: CallId, key: object) -> str:
    """Return which call it is, in words."""
    return f"the call {call_id}{'' if key is MISSING else f' to key {describe(key)}'}"


def not_handled(
    call_id: CallId, key: object, reason: str, *, started: bool, error: BaseException | None
) -> CallError:
    """Nobody will handle the call, or answer it any more, since `error` was raised, if any was."""
    text = _to(call_id, key)
    told: CallError
    if reason in _NOT_TAKEN:
        text = f"{text} was not delivered: {reason}"
        told = CallNotDelivered(text, call_id, key=key, reason=reason)
    else:
        text = f"{text} will not be answered: {reason}"
        told = WorkerGone(text, call_id, key=key, reason=reason, started=started)
    if error is not None:
        told.__cause__ = error
    return told


def not_delivered(call_id: CallId, key: object, error: Exception) -> CallNotDelivered:
    """The delivery raised."""
    text = f"the call {call_id} was not delivered: {error}"
    return CallNotDelivered(text, call_id, key=key, reason=str(error))


def not_delivered_in_time(call_id: CallId, key: object) -> CallTimedOut:
    """The deadline came before there was room for the call."""
    text = f"{_to(call_id, key)} was not delivered within the timeout"
    return CallTimedOut(text, call_id, key=key, reason="not delivered in time")


def deadlock(call_id: CallId, chain: str, key: object) -> CallDeadlock:
    """The answer would have to wait for itself, as `chain` tells."""
    text = f"the call {call_id} would wait for ever: {chain}"
    return CallDeadlock(text, call_id, key=key, reason="deadlock")


def no_reply_in_time(call_id: CallId, key: object) -> CallTimedOut:
    """The deadline came before the reply."""
    text = f"no reply to {_to(call_id, key)} came within the timeout"
    return CallTimedOut(text, call_id, key=key, reason="no reply in time")


def made_before_fork(call_id: CallId, key: object) -> WorkerGone:
    """The call was made by the process that has forked this one, and had no answer then."""
    text = f"the call {call_id} was {MADE_BEFORE_FORK}: whoever has it is not in this process"
    return WorkerGone(text, call_id, key=key, reason=MADE_BEFORE_FORK)


def fresh(call_id: CallId, key: object, error: BaseException, *, from_box: bool) -> CallError:
    """Return an exception of one's own to raise: each raise adds to its traceback."""
    if not from_box:
        return _again(cast("CallError", error))
    text = f"{_to(call_id, key)} failed: {type(error).__name__}: {_text(error)}"
    failed = CallFailed(text, call_id, key=key, reason="failed")
    failed.__cause__ = error
    return failed


def _again(given: CallError) -> CallError:
    """Return another error that says the same."""
    key, reason = given.key, given.reason
    again: CallError
    if isinstance(given, WorkerGone):
        again = WorkerGone(str(given), given.call_id, key=key, reason=reason, started=given.started)
    else:
        again = type(given)(str(given), given.call_id, key=key, reason=reason)
    if given.__cause__ is not None:
        again.__cause__ = given.__cause__
    return again


def fails(holder: Holder | None) -> bool:
    """Return whether a worker has failed, and may have yet to be known to have ended."""
    return holder is not None and holder.end_reason == DeadLetterReason.WORKER_FAILED


def forget_locals(error: BaseException) -> None:
    """Clear the locals of the frames that have ended of which the traceback of an error tells.

    For an error that callers get as a cause, before any other thread has it: to clear a frame at
    which another thread looks crashes 3.14t. The call that was in hand is among the locals, and
    refers to the caller's reply, which refers to the error: a cycle, which would keep all that the
    worker held. So nothing of it lives on, a `with` block that was suspended, say, though somebody
    keeps the error. Lines and names stay to be read.
    """
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        each = errors.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            _clear_frames(each.__traceback__)
            errors += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                errors += cast("BaseExceptionGroup[BaseException]", each).exceptions


def _clear_frames(entry: types.TracebackType | None) -> None:
    """Do what `traceback.clear_frames` does, whose module takes a tenth of the import."""
    while entry is not None:
        # `RuntimeError`: of a frame that has not ended.
        with contextlib.suppress(RuntimeError):
            entry.tb_frame.clear()
        entry = entry.tb_next


def _text(error: BaseException) -> str:
    """Return the text of a user's exception, whatever its `__str__` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it may raise anything
        return describe(error)


@final
class Move:
    """The way of a call that is handed on."""

    __slots__ = ("room",)

    def __init__(self) -> None:
        """Begin it."""
        self.room: Awaited | None = None
        """Room in the next one's mailbox, where that is waited for."""


watching: Final = remade_in_children(threading.RLock())
"""Guards the watchers of all holders. No thread waits under it. It is taken for answers that are
waited for or have a callback, and for calls that are handed on: not for a plain call's reply."""


def add_watcher(holder: Holder, watcher: Awaited) -> None:
    """Have `watcher` told when `holder` has ended; under the lock.

    `gone` is to be read after this.
    """
    if holder.watchers is None:
        holder.watchers = {}
    holder.watchers[watcher] = None


def unwatch(holder: Holder, watcher: Awaited) -> None:
    """Have `watcher` told no more."""
    watchers = holder.watchers
    if watchers is not None:
        watchers.pop(watcher, None)


def tell_watchers(holder: Holder) -> None:
    """Tell each watcher that `holder` has ended, and that no worker has taken its mailbox over."""
    holder.gone = True
    watchers = holder.watchers
    if watchers is not None:
        raised: BaseException | None = None
        for watcher in watchers.copy():
            try:
                watcher.holder_gone(holder)
            except BaseException as error:  # noqa: BLE001 - a callback's; the others are told, too
                raised = error
        if raised is not None:
            raise raised
