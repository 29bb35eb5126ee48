"""What becomes of messages for a key: of many at once, and of one that its worker has not taken.

**Guarantees.** A message that the worker it was for has not taken reaches the worker that follows,
or becomes a dead letter, or the pool is closed and its sender is told so: one of the three.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, final

from threadpool_mb.arguments import describe
from threadpool_mb.calls.answer import Answer
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import MailboxClosed, PoolClosed
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation, why_left
from threadpool_mb.pool.keeping import Keeping
from threadpool_mb.pool.routes import find

__all__ = ["Overflow", "Undelivered"]

type Overflow = Literal["refuse", "remove_worker"]
"""What a refused message does to its worker."""


@final
class Undelivered[K, M]:
    """Sees to the messages that a pool could not deliver at once. Threads: any."""

    __slots__ = ("_dispatcher", "_new_incarnation", "_office", "_overflow", "_roster", "_starts")

    def __init__(
        self, dispatcher: Dispatcher[K, M], office: DeadLetterOffice[K, M], overflow: Overflow
    ) -> None:
        """Use the pool's own."""
        self._dispatcher: Final = dispatcher
        self._roster: Final = dispatcher.roster
        self._new_incarnation: Final = dispatcher.new_incarnation
        keeping = dispatcher.keeping
        # Where a key's first message starts a worker: what keeps its life.
        self._starts: Final = keeping if keeping is not None and keeping.on_demand else None
        self._office: Final = office
        self._overflow: Final[Overflow] = overflow

    def again(self, key: K, message: M, tried: Incarnation[K, M] | None) -> bool:
        """Hand a message to the worker that follows the one that was tried, if there is one.

        Blocks: as long as that worker's mailbox and `on_dead_letter` do.

        Raises:
            PoolClosed: if the pool is closed and nobody has taken the message.
        """
        keeping = self._starts
        if keeping is not None and tried is None and not self._roster.closed:
            # `_start`, written out for the usual first message: the key is unknown, and its
            # worker's mailbox has no limit. A worker that was entered meanwhile is found below.
            incarnation: Any = self._new_incarnation(key)
            if incarnation.direct is incarnation:
                incarnation.put(message)
                try:
                    entered = self._roster.enter(incarnation)
                except BaseException:
                    incarnation.not_entered(message)
                    raise
                if entered:
                    keeping.entered()
                    return True
                incarnation.unseen()

        def deliver(incarnation: Incarnation[K, M]) -> bool:
            return incarnation.input.deliver(message) or self.refused(incarnation, message)

        return self.to_current(key, message, deliver, tried=tried)

    def to_current[T](
        self,
        key: K,
        message: M,
        deliver: Callable[[Incarnation[K, M]], T],
        *,
        tried: Incarnation[K, M] | None = None,
        answer: Answer[Any] | None = None,
    ) -> T | bool:
        """Hand a message to the key's worker with `deliver`, or see to it as `nobody` does.

        `tried` is a worker that has not taken it; the rest is as for `nobody`.
        """
        routes = self._dispatcher.roster.routes
        while (incarnation := find(routes, key)) is not None and incarnation is not tried:
            if answer is not None:
                answer.holder = incarnation
            try:
                return deliver(incarnation)
            except MailboxClosed:
                tried = incarnation
        return self.nobody(key, message, tried, deliver, answer=answer)

    def many(self, dispatch: Callable[[K, M], bool], key: K, messages: Iterable[M]) -> int:
        """Deliver each message, and return how many were taken; see `Pool.dispatch_many`.

        One look-up is for all of them, as long as the worker takes them. The first one goes through
        `dispatch`, and so does each that a worker does not take directly: it looks the key up
        again, and says what becomes of the message.
        """
        routes = self._dispatcher.roster.routes
        taken = 0
        direct = put = None
        for message in messages:
            if direct is not None and put is not None and not direct.closed:
                put(message)
                if direct.unattended:
                    direct.attend()
                taken += 1
                continue
            taken += dispatch(key, message)
            incarnation = find(routes, key)
            direct = None if incarnation is None else incarnation.direct
            put = None if direct is None else direct.put
        return taken

    def nobody[T](
        self,
        key: K,
        message: M,
        tried: Incarnation[K, M] | None,
        deliver: Callable[[Incarnation[K, M]], T],
        *,
        answer: Answer[Any] | None = None,
    ) -> T | bool:
        """See to a message that no worker is left to take, or to a call whose answer is `answer`.

        Where keys start at their first message, this is the first message of a worker. Otherwise it
        is a dead letter.

        Returns:
            Whether it was taken; or what `deliver` returns, which hands the message to a worker
            that another thread has started meanwhile.

        Raises:
            PoolClosed: if the pool is closed.
        """
        roster = self._dispatcher.roster
        keeping = self._dispatcher.keeping
        if keeping is not None and keeping.on_demand and not roster.closed:
            return self._start(keeping, key, message, deliver, answer)
        if answer is not None:
            answer.holder = None
        if roster.closed:
            msg = f"the pool {self._dispatcher.name!r} {roster.why_closed}: it takes no message"
            raise PoolClosed(f"{msg} for key {describe(key)}")
        reason = DeadLetterReason.UNKNOWN_KEY if tried is None else why_left(tried.leftovers)
        self._office.take(key, message, reason)
        return False

    def _start[T](  # noqa: C901 - one loop
        self,
        keeping: Keeping[K, M],
        key: K,
        message: M,
        deliver: Callable[[Incarnation[K, M]], T],
        answer: Answer[Any] | None,
    ) -> T | bool:
        """Start the worker of a key that has none, with its first message.

        Another thread may start one at the same time: one of the two is entered, and the message of
        the other thread goes to that one. What it has put into its own worker, nobody has seen.

        Raises:
            PoolClosed: if the pool is closed.
        """
        roster = self._dispatcher.roster
        while not roster.closed:
            incarnation = self._dispatcher.new_incarnation(key)
            if answer is not None:
                answer.holder = incarnation
                if answer.move is not None:
                    answer.watch()  # see `inputs`
            try:
                if incarnation.first_may_wait:
                    try:
                        if (taken := deliver(incarnation)) is not True:
                            return taken
                    except MailboxClosed:
                        continue  # it has waited for room of the pool, which was closed
                elif not incarnation.deliver_first(message):
                    return self.refused(incarnation, message)
                entered = roster.enter(incarnation)
            except BaseException:
                incarnation.not_entered(message)
                raise
            if entered:
                keeping.entered()
                return True
            incarnation.unseen()
            current = roster.current(key)
            if current is None:
                continue
            if answer is not None:
                answer.holder = current
            try:
                return deliver(current)
            except MailboxClosed:
                # It has left since; or it has closed its mailbox itself, and leaves now.
                roster.leave(current, may_start=True)
        return self.nobody(key, message, None, deliver, answer=answer)

    def refused(self, incarnation: Incarnation[K, M], message: M) -> Literal[False]:
        """Make a dead letter of what a worker's mailbox has refused."""
        if self._overflow == "remove_worker":
            reason = DeadLetterReason.WORKER_REMOVED
            self._dispatcher.remove(incarnation, drain=False, reason=reason)
        self._office.take(incarnation.key, message, DeadLetterReason.REFUSED)
        return False
