"""The pool as an `Input`: of messages and calls for one key, and of the original's pool messages.

A call knows which worker has it, waits for room until its deadline, and may run here.

**Guarantees.** The worker that has a call is written down before it can take it. A call is handled
on its caller's thread only where its worker is idle (`GeneratorLane.handle_here`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, cast, final, override

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline, describe, shortest
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.calling import CallTarget, settle_refused
from threadpool_mb.calls.unanswered import Move
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.line.askers import Room
from threadpool_mb.line.slots import Slots
from threadpool_mb.messages import Dispatch, Initialize, Remove
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.routes import find
from threadpool_mb.pool.undelivered import Undelivered
from threadpool_mb.threads.circles import waiting_for, would_wait_for_itself
from threadpool_mb.values import Missing, Uncopied

__all__ = ["Calls", "KeyInput", "PoolInput", "calls_of", "check_pairs"]


class _Routes[K, M](Protocol):
    def initialize(self, key: K, message: M | Missing = ..., /) -> bool: ...
    def dispatch(self, key: K, message: M, /) -> bool: ...
    def remove(self, key: K, /, *, drain: bool = ...) -> bool: ...


@final
class KeyInput[K, M](CallTarget[K, M]):
    """An `Input` that addresses one key, whichever worker it has; from `Pool.ref`.

    Threads: internally synchronized.
    """

    __slots__ = ("_calls",)

    def __init__(self, key: K, dispatch: Callable[[K, M], bool], calls: "Calls[K, M]") -> None:
        """Address `key` through `dispatch`, and with calls through `calls`."""
        super().__init__(key, dispatch)
        self._calls: Final = calls

    @override
    def _offer(
        self, message: M, *, last: bool = False, answer: Answer[Any] | None = None
    ) -> bool | Slots:
        return self._calls.offer(self._key, message, last=last, answer=answer)

    @override
    def _deliver_call(self, call: M, answer: Answer[Any], *, inline: bool) -> bool:
        calls = self._calls
        if inline:
            # Here, not in `calls`: a call that is handled here takes 2 µs in all.
            try:
                incarnation = calls.routes[self._key]
            except KeyError:
                pass  # nobody has it, or the key has raised that: it is asked once more
            else:
                answer.holder = incarnation
                if incarnation.handle_here(call, inline_calls=calls.inline):
                    return True
            return calls.deliver(self._key, call, answer)
        return calls.deliver_asked(self._key, call, answer)

    @override
    def _handle_on_loop(self, call: M, answer: Answer[Any]) -> bool:
        return self._calls.handle_on_loop(self._key, call, answer)


@final
class PoolInput[K, M](Uncopied):
    """An `Input` of `Initialize`, `Dispatch` and `Remove`; from `Pool.input`.

    Each is carried out on the sender's thread, as if the pool's method of that name had been
    called.
    """

    __slots__ = ("_pool",)

    def __init__(self, pool: _Routes[K, M]) -> None:
        """Carry messages out on `pool`."""
        self._pool: Final = pool

    def deliver(self, message: Initialize[K, M] | Dispatch[K, M] | Remove[K], /) -> bool:
        """Carry out one message; see `Pool.initialize`, `Pool.dispatch` and `Pool.remove`.

        Raises:
            TypeError: if it is none of the three.
        """
        match message:
            case Dispatch(key, content):
                return self._pool.dispatch(key, content)
            case Initialize(key, content):
                return self._pool.initialize(key, content)
            case Remove(key, drain):
                return self._pool.remove(key, drain=drain)
            case _:
                raise TypeError(
                    f"a pool takes Initialize, Dispatch or Remove, not {describe(message)}"
                )


class Calls[K, M]:
    """Hands calls to the workers of a pool. Threads: any."""

    __slots__ = ("_undelivered", "inline", "routes")

    def __init__(
        self, dispatcher: Dispatcher[K, M], undelivered: Undelivered[K, M], *, inline: bool | None
    ) -> None:
        """Use the pool's own.

        `inline` says whether calls may be handled on the caller's thread; `None`: unless that is
        the main one.
        """
        self.routes: Final = dispatcher.roster.routes
        self._undelivered: Final = undelivered
        self.inline: Final = inline

    def deliver(self, key: K, call: M, answer: Answer[Any]) -> bool:
        """Hand a call to the key's worker, which handles it on another thread."""
        # `Undelivered.to_current`, written out.
        tried: Incarnation[K, M] | None = None
        while (incarnation := find(self.routes, key)) is not None and incarnation is not tried:
            answer.holder = incarnation
            try:
                return self._put(incarnation, call, answer)
            except MailboxClosed:
                tried = incarnation
        return self._undelivered.nobody(
            key, call, tried, lambda current: self._put(current, call, answer), answer=answer
        )

    def deliver_asked(self, key: K, call: M, answer: Answer[Any]) -> bool:
        """Do the same with a call for whose answer no thread may wait yet."""
        return self.deliver(key, call, answer)

    def handle_on_loop(self, key: K, call: M, answer: Answer[Any]) -> bool:
        """Have a call handled here, on a loop's thread; see `CallTarget`."""
        incarnation = find(self.routes, key) if self.inline else None
        if incarnation is None:
            return False
        answer.holder = incarnation
        return incarnation.handle_here(call, inline_calls=True, on_loop=True)

    def _put(self, incarnation: Incarnation[K, M], call: M, answer: Answer[Any]) -> bool:
        direct = incarnation.direct
        if direct is not None:
            return direct.deliver(call)
        target = incarnation.input
        slots = target.room
        # A user's own is asked once; what waits there, waits for the worker in any case.
        if slots is not None and target.deliver_within(call, AT_ONCE):
            return True
        if self._put_with_patience(incarnation, call, answer):
            return True
        if answer.deadline.remaining() != 0:
            return self._undelivered.refused(incarnation, call)
        settle_refused(answer)
        return False

    def _put_with_patience(
        self, incarnation: Incarnation[K, M], call: M, answer: Answer[Any]
    ) -> bool:
        """Wait for room; a thread that does that waits for the worker."""
        target, deadline, move = incarnation.input, answer.deadline, answer.move
        slots = target.room
        room = answer if slots is None else Room(slots, incarnation, answer.deadlock)
        try:
            if move is not None:
                move.room = room
                # A thread that hands a call on waits here, not for the answer.
                if (deadlock := would_wait_for_itself(answer)) is not None:
                    raise deadlock
            with waiting_for(room) as waiting:
                if slots is None:
                    return target.deliver_within(call, deadline)
                deadline = Deadline(shortest(slots.timeout, deadline.remaining()))
                return any(target.deliver_within(call, end) for end in waiting.pauses(deadline))
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
        # Written out for a mailbox without a limit.
        incarnation = find(self.routes, key)
        direct = None if incarnation is None else incarnation.direct
        if direct is not None:
            if answer is not None:
                answer.holder = incarnation
            try:
                return direct.deliver(message)
            except MailboxClosed:
                pass  # it is asked once more, and then the next one

        def deliver(incarnation: Incarnation[K, M]) -> bool | Slots:
            taken = incarnation.input.offer(message, last=last)
            return taken or self._undelivered.refused(incarnation, message)

        return self._undelivered.to_current(key, message, deliver, answer=answer)


@final
class _KeepingCalls[K, M](Calls[K, M]):
    """Calls to workers that may end as idle: one whose answer is still to come keeps its worker.

    A `call` comes to that by itself, within a millisecond: a thread waits for it. The reply of an
    `ask` may be looked at much later. So its answer watches the worker before that can have the
    call: the worker could be idle, and be evicted, right after it has taken the call. As long as
    the call is on its way, the end of a worker is no answer: the next one may get it.
    """

    __slots__ = ()

    @override
    def deliver_asked(self, key: K, call: M, answer: Answer[Any]) -> bool:
        if answer.deadline is not NEVER or answer.move is not None:
            return self.deliver(key, call, answer)
        move = Move()
        try:
            answer.hand_on(move, times=0)
            taken = self.deliver(key, call, answer)
        except BaseException:
            answer.holder = None  # nobody will ask for the answer: it is to keep no worker
            answer.handed_on(move)
            raise
        answer.handed_on(move)
        return taken

    @override
    def _put(self, incarnation: Incarnation[K, M], call: M, answer: Answer[Any]) -> bool:
        if answer.move is not None:
            answer.watch()
        return super()._put(incarnation, call, answer)


def calls_of[K, M](
    dispatcher: Dispatcher[K, M], undelivered: Undelivered[K, M], *, inline: bool | None
) -> Calls[K, M]:
    """Return what hands calls to the workers of a pool; `inline` as in `Calls`."""
    keeping = dispatcher.keeping
    if keeping is not None and keeping.lives.end_idle:
        return _KeepingCalls(dispatcher, undelivered, inline=inline)
    return Calls(dispatcher, undelivered, inline=inline)


def check_pairs[P](pairs: Iterable[P]) -> Iterable[P]:
    """Return pairs of a key and a message, as they are.

    Raises:
        TypeError: if they are a mapping. It yields its keys, of which those that are pairs would be
            taken for a key and a message each.
    """
    given: object = pairs
    if isinstance(given, Mapping):
        shown = describe(cast("object", given))
        raise TypeError(f"pairs of a key and a message are the items() of {shown}")
    return pairs
