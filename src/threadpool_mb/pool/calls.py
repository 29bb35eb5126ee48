"""Calls to workers: they know who has them, wait for room until their deadline, and may run here.

**Guarantees.** Who has a call is written before that worker can take it. A call is handled on its
caller's thread only where its worker is idle (`Lane.turn_for`).
"""

from typing import Any, Final, final

from threadpool_mb.arguments import AT_ONCE, Deadline, shortest
from threadpool_mb.command.answer import Answer
from threadpool_mb.command.calling import settle_refused
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.here import here
from threadpool_mb.mailbox.room import Room
from threadpool_mb.mailbox.slots import Slots, worth_waiting_for
from threadpool_mb.mailbox.using import deliver_within
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.undelivered import Undelivered
from threadpool_mb.waits import waiting_for, would_wait_for_itself

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

    def deliver(self, key: K, call: M, answer: Answer[Any], *, inline: bool) -> bool:
        """Hand a call to the key's worker; see `CallTarget.deliver_call`."""
        may_run_here = inline and here.allows(inline_calls=self._inline)
        tried: Incarnation[K, M] | None = None
        while (incarnation := self._find(key)) is not None and incarnation is not tried:
            answer.holder = incarnation
            try:
                if may_run_here and self._call_here(incarnation, call):
                    return True
                return self._put(incarnation, call, answer)
            except MailboxClosed:
                tried = incarnation
        answer.holder = None
        return self._undelivered.nobody(key, call, tried)

    def _put(self, incarnation: Incarnation[K, M], call: M, answer: Answer[Any]) -> bool:
        target = incarnation.input
        if incarnation.direct is not None:
            return target.deliver(call)
        slots: Slots | None = getattr(target, "slots", None)
        # A user's own is asked once; what waits there, waits for the worker in any case.
        if slots is not None and deliver_within(target, call, AT_ONCE):
            return True
        if self._put_with_patience(incarnation, call, answer, slots):
            return True
        if answer.deadline.remaining() != 0:
            return self._undelivered.refused(incarnation, call)
        settle_refused(answer)
        return False

    def _put_with_patience(
        self, incarnation: Incarnation[K, M], call: M, answer: Answer[Any], slots: Slots | None
    ) -> bool:
        """Wait for room; whoever does that waits for the worker."""
        target, deadline, move = incarnation.input, answer.deadline, answer.move
        room = answer if slots is None else Room(slots, incarnation, answer.deadlock)
        try:
            if move is not None:
                move.room = room
                # Who hands a call on waits here, not for the answer.
                if (deadlock := would_wait_for_itself(answer)) is not None:
                    raise deadlock
            with waiting_for(room) as waiting:
                if slots is None:
                    return deliver_within(target, call, deadline)
                deadline = Deadline(shortest(slots.timeout, deadline.remaining()))
                return any(deliver_within(target, call, end) for end in waiting.stretches(deadline))
        finally:
            if move is not None:
                move.room = None

    def offer(
        self, key: K, message: M, *, last: bool, answer: Answer[Any] | None = None
    ) -> bool | Slots:
        """Hand a message to the key's worker if that can be done without waiting; for `aio`.

        Returns:
            What `dispatch` does; or the slots for which it would wait, unless it is the last time.
        """
        tried: Incarnation[K, M] | None = None
        while (incarnation := self._find(key)) is not None and incarnation is not tried:
            if answer is not None:
                answer.holder = incarnation
            target = incarnation.input
            try:
                if deliver_within(target, message, AT_ONCE):
                    return True
            except MailboxClosed:
                tried = incarnation
                continue
            slots = worth_waiting_for(getattr(target, "slots", None), last=last)
            return self._undelivered.refused(incarnation, message) if slots is None else slots
        if answer is not None:
            answer.holder = None
        return self._undelivered.nobody(key, message, tried)
