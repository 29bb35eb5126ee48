"""Calls to workers: they know who has them, wait for room until their deadline, and may run here.

**Guarantees.** Who has a call is written before that worker can take it. A call is handled on its
caller's thread only where its worker is idle (`Lane.turn_for`).
"""

from typing import Any, Final, final

from threadpool_mb.arguments import Deadline
from threadpool_mb.command import failures
from threadpool_mb.command.replies import Reply
from threadpool_mb.command.waits import here, waiting_for
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.mailbox.using import deliver_within
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.undelivered import Undelivered

__all__ = ["Calls"]

_AT_ONCE: Final = Deadline(0)
_NEVER: Final = Deadline(None)


@final
class Calls[K, M]:
    """Hands calls to the workers of a pool. Threads: any."""

    __slots__ = ("_call_here", "_find", "_inline", "_undelivered")

    def __init__(
        self, dispatcher: Dispatcher[K, M], undelivered: Undelivered[K, M], *, inline: bool | None
    ) -> None:
        """Use the pool's own.

        `inline` says whether calls may be handled on the caller's thread; `None`: unless that is
        the main one.
        """
        self._find: Final = dispatcher.roster.routes.get
        self._call_here: Final = dispatcher.call_here
        self._undelivered: Final = undelivered
        self._inline: Final = inline

    def deliver(self, key: K, call: M, reply: Reply[Any], *, inline: bool) -> bool:
        """Hand a call to the key's worker; see `CallTarget.deliver_call`."""
        may_run_here = inline and (self._inline or (self._inline is None and not here.is_main))
        tried: Incarnation[K, M] | None = None
        while (incarnation := self._find(key)) is not None and incarnation is not tried:
            reply.holder = incarnation
            try:
                if may_run_here and self._call_here(incarnation, call):
                    return True
                return self._put(incarnation, call, reply)
            except MailboxClosed:
                tried = incarnation
        reply.holder = None
        return self._undelivered.nobody(key, call, tried)

    def _put(self, incarnation: Incarnation[K, M], call: M, reply: Reply[Any]) -> bool:
        target = incarnation.input
        if incarnation.direct is not None:
            return target.deliver(call)
        if deliver_within(target, call, _AT_ONCE):
            return True
        deadline = reply.deadline
        # Who waits for room waits for the worker.
        with waiting_for(reply):
            if deliver_within(target, call, _NEVER if deadline is None else deadline):
                return True
        if deadline is None or deadline.remaining():
            return self._undelivered.refused(incarnation, call)
        reply.settle_error(failures.not_delivered_in_time(reply.call_id, reply.key))
        return False

    def dispatch(self, key: K, message: M, deadline: Deadline) -> bool:
        """Dispatch a message; wait for room at most until the deadline."""
        tried: Incarnation[K, M] | None = None
        while (incarnation := self._find(key)) is not None and incarnation is not tried:
            try:
                return deliver_within(
                    incarnation.input, message, deadline
                ) or self._undelivered.refused(incarnation, message)
            except MailboxClosed:
                tried = incarnation
        return self._undelivered.nobody(key, message, tried)
