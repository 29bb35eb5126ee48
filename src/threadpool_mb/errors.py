"""What the library raises.

Every error subclasses what people already catch::

    queue.Empty ── MailboxEmpty           nothing came within the timeout
    queue.Full ── Full                    as many wait as may wait
    queue.ShutDown ── MailboxClosed       closed: nothing more goes in, or comes out
                        └── PoolClosed    the pool was closed or cancelled
    RuntimeError ── ThreadRefused         the system gave no thread that is needed
                ├── DispatchDeadlock      room for the message would have to wait for its sender
                └── DuplicateReply        a call was answered twice
    Exception ── CallError                a call has no reply, and why:
                ├── CallNotDelivered      it was not taken, and so was not handled
                ├── CallTimedOut          its time ran out (a TimeoutError, too)
                ├── CallFailed            its receiver answered with an error, or raised
                ├── WorkerGone            no receiver is left that would answer
                └── CallDeadlock          the answer would have to wait for itself
    BaseException ── Cancelled            this worker was asked to stop

`Cancelled` is a `BaseException`, so that an `except Exception` in a worker does not swallow it.
"""

import functools
import queue

from threadpool_mb.numbers import CallId
from threadpool_mb.values import MISSING

__all__ = [
    "CallDeadlock",
    "CallError",
    "CallFailed",
    "CallNotDelivered",
    "CallTimedOut",
    "Cancelled",
    "DispatchDeadlock",
    "DuplicateReply",
    "Full",
    "MailboxClosed",
    "MailboxEmpty",
    "PoolClosed",
    "ThreadRefused",
    "WorkerGone",
]


class MailboxEmpty(queue.Empty):
    """No message came within the timeout."""


class Full(queue.Full):
    """As many wait as may wait (`max_waiting`): this one was not taken."""


class MailboxClosed(queue.ShutDown):
    """The mailbox is closed: it takes no more messages, and all it held were received."""

    receiver: object = None
    """The mailbox of this library that has raised it in `receive`; `None` where a sender was
    refused, and where other code has raised it."""


class PoolClosed(MailboxClosed):
    """The pool takes no more messages: it was closed or cancelled."""


class ThreadRefused(RuntimeError):
    """The system refused to start a thread that a pool, a broker or an executor needs."""


class DispatchDeadlock(RuntimeError):
    """The sender is a worker, and room for its message would have to wait for the sender: for ever.

    The sender waits for room in the full mailbox of a worker. That worker waits, through whatever
    chain, for room in the sender's own mailbox, or for an answer of the sender. The message was not
    taken. The text names the chain. A worker that waits is taken not to receive meanwhile: do not
    have another thread receive from its mailbox.
    """

    def __init__(self, message: str, key: object = MISSING) -> None:
        """Say which worker waits for which."""
        super().__init__(message)
        self.key = key
        """The key of the worker that the message was for."""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.key)


class Cancelled(BaseException):
    """The worker that receives from this mailbox was asked to stop.

    Let it pass: the worker ends as it should, and `finally` and `with` blocks run on the way out.
    """


class DuplicateReply(RuntimeError):
    """A reply box was used twice; the first reply stands.

    From the original's `DuplicateReply`.
    """

    def __init__(self, call_id: CallId) -> None:
        """Name the call."""
        super().__init__(f"more than one reply sent for: {call_id}")
        self.call_id = call_id
        """The call that has its reply already."""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.call_id,)


class CallError(Exception):
    """A call has no reply; the subclasses say why.

    From the original's `CommandError`.
    """

    def __init__(
        self, message: str, call_id: CallId, *, key: object = MISSING, reason: str = ""
    ) -> None:
        """Say what happened to the call, in words that name its id."""
        super().__init__(message)
        self.call_id = call_id
        """The id of the call."""
        self.key = key
        """The key of the worker that the call was for, `MISSING` where there is none."""
        self.reason = reason
        """Why, in a few words; a `DeadLetterReason` where the call became a dead letter."""

    def __reduce__(self) -> tuple[object, ...]:
        return _call_error, (type(self), str(self), self.call_id, self.key, self.reason)


def _call_error(
    kind: type[CallError], message: str, call_id: CallId, key: object, reason: str
) -> CallError:
    return kind(message, call_id, key=key, reason=reason)


class CallNotDelivered(CallError):
    """The call was not taken, or a newer message has displaced it: it will not be handled.

    From the original's `CouldNotEnqueueCommand`.
    """


class CallTimedOut(CallError, TimeoutError):
    """No reply came within the timeout. The call may have been handled, or still be.

    From the original's `BlockingCommandTimedOut`.
    """


class CallFailed(CallError):
    """The receiver of the call answered with an error, or raised: `__cause__` is that exception.

    From the original's `BlockingCommandFailure`.
    """


class WorkerGone(CallError):
    """No answer will come: the worker is gone, or has dropped the call.

    If the worker has failed, `__cause__` is what it has raised; `__cause__` is lost in pickling.
    """

    def __init__(
        self,
        message: str,
        call_id: CallId,
        *,
        key: object = MISSING,
        reason: str = "",
        started: bool = True,
    ) -> None:
        """Say what happened to the call, and whether the worker had it in hand."""
        super().__init__(message, call_id, key=key, reason=reason)
        self.started = started
        """Whether a worker had taken the call, and may have done a part of what was asked. If not,
        nothing was begun: the call can be sent again."""

    def __reduce__(self) -> tuple[object, ...]:
        make = functools.partial(type(self), key=self.key, reason=self.reason, started=self.started)
        return make, (str(self), self.call_id)


class CallDeadlock(CallError):
    """The caller is a worker, and the worker that is to answer waits for the caller: for ever.

    The text names the chain.
    """
