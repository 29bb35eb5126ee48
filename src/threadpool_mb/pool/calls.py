"""Calls to workers: they know who has them, wait for room until their deadline, and may run here.

**Guarantees.** Who has a call is written before that worker can take it. A call is handled on its
caller's thread only where its worker is idle (`Lane.turn_for`).
"""

from typing import Any, Final, final

from threadpool_mb.arguments import AT_ONCE
from threadpool_mb.command.calling import settle_refused
from threadpool_mb.command.replies import Reply
from threadpool_mb.command.waits import here, waiting_for, would_wait_for_itself
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.mailbox.slots import Slots, worth_waiting_for
from threadpool_mb.mailbox.using import deliver_within
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.undelivered import Undelivered

__all__ = ["Calls"]


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
        may_run_here = inline and here.allows(inline_calls=self._inline)
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
        # A user's own is asked once; what waits there, waits for the worker in any case.
        own = getattr(target, "slots", None) is not None
        if own and deliver_within(target, call, AT_ONCE):
            return True
        # Who hands a call on waits here, not for the answer.
        if reply.was_handed_on and (deadlock := would_wait_for_itself(reply)) is not None:
            raise deadlock
        # Who waits for room waits for the worker.
        with waiting_for(reply):
            if deliver_within(target, call, reply.deadline):
                return True
        if reply.deadline.remaining() != 0:
            return self._undelivered.refused(incarnation, call)
        settle_refused(reply)
        return False

    def offer(
        self, key: K, message: M, *, last: bool, reply: Reply[Any] | None = None
    ) -> bool | Slots:
        """Hand a message to the key's worker if that can be done without waiting; for `aio`.

        Returns:
            What `dispatch` does; or the slots for which it would wait, unless it is the last time.
        """
        tried: Incarnation[K, M] | None = None
        while (incarnation := self._find(key)) is not None and incarnation is not tried:
            if reply is not None:
                reply.holder = incarnation
            target = incarnation.input
            try:
                if deliver_within(target, message, AT_ONCE):
                    return True
            except MailboxClosed:
                tried = incarnation
                continue
            slots = worth_waiting_for(getattr(target, "slots", None), last=last)
            return self._undelivered.refused(incarnation, message) if slots is None else slots
        if reply is not None:
            reply.holder = None
        return self._undelivered.nobody(key, message, tried)
