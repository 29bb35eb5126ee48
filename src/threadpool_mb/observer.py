"""What a user's observer is: a base class whose methods do nothing."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from threadpool_mb.dead_letters import DeadLetter
from threadpool_mb.events import StuckWorker, WorkerExit

__all__ = ["Kind", "Observer", "Stats"]

type Kind = Literal["pool", "executor", "broker"]
"""Whose observer it is."""


class Stats(Protocol):
    """What the snapshots of a `Pool`, a `KeyedExecutor` and a `Broker` have in common."""

    @property
    def name(self) -> str:
        """The name of the pool, executor or broker."""
        ...

    @property
    def state(self) -> str:
        """`"running"`, `"closing"` and so on."""
        ...

    @property
    def keys(self) -> int:
        """Keys that have a worker, a task or a resource."""
        ...

    @property
    def threads(self) -> int:
        """Threads, idle ones included."""
        ...


class Observer:
    """Is told what goes on in a pool, executor or broker: `Pool(worker, observe=MyObserver())`.

    A subclass overrides what it wants to know. What it does not override is never called, and costs
    nothing. One observer may be given to several pools; `for_owner` tells them apart.

    **The control plane**, `started` to `stuck`: workers, and messages that are not handled. A
    `KeyedExecutor` and a `Broker` tell those of them that they have: `dead_letter` and the three
    before it (a broker), `stuck`.

    **The message plane**, `sent`, `begun` and `done`: each message that a worker handles, each task
    of an executor, each message of a broker's resource. What `sent` returns goes with the message,
    to `begun`; what `begun` returns goes to `done`. So a trace can follow the message.

    **What an observer may do.** It is called with no lock of this library held. What it raises that
    is an `Exception` is logged, at most once a second, and changes nothing else; `begun` that has
    raised gets no `done`. What is no `Exception`, an interrupt, passes, as if the code around the
    call had raised it. A call that takes longer than 10 ms holds up the thread that it is on, which
    is a sender's or a worker's: where two follow each other, or one takes longer than a second,
    that is logged, at most once a second, with how many there were.

    Threads: each method may be called on any thread, and on several at once; `sent` may come at the
    same time as `done` of the same key. What is said of one worker comes in its order.
    """

    __slots__ = ()

    def for_owner(self, name: str, kind: Kind, /) -> "Observer":
        """Return what is told of the pool, executor or broker of this name; this by default.

        Called first, on the thread that makes the pool. What it raises passes: there is no pool
        then.
        """
        del name, kind
        return self

    def attach(self, name: str, stats: Callable[[], Stats], /) -> None:
        """Take note of a pool that was made; `stats()` returns what its method of that name does.

        `stats` does not keep the pool alive, never blocks, and may be called on any thread, also
        after the pool's end.
        """

    def detach(self, name: str, /) -> None:
        """Take note that the pool has ended: its workers, and all that it tells.

        The turns in which they have ended may not be counted yet: `stats()` is the last word once
        its `state` is `"ended"`.
        """

    def started(self, key: Any, incarnation: int, /) -> None:  # noqa: ANN401 - of any pool
        """Take note of a worker that begins, on its thread: before its first step."""

    def ended(self, worker_exit: WorkerExit[Any], /) -> None:
        """Take note of a worker's end, as `on_worker_exit` does, and after that."""

    def restarted(self, worker_exit: WorkerExit[Any], /) -> None:
        """Take note of a worker that has failed and is to be started again.

        `ended` was told before; it is told once more where the restart is called off.
        """

    def refused(self, key: Any, message: Any, /) -> None:  # noqa: ANN401 - of any pool
        """Take note of a message that a full mailbox has refused."""

    def expired(self, key: Any, message: Any, /) -> None:  # noqa: ANN401 - of any pool
        """Take note of a message that has waited for longer than the pool's `message_ttl`."""

    def displaced(self, key: Any, message: Any, /) -> None:  # noqa: ANN401 - of any pool
        """Take note of a message for which a `Sliding` mailbox has kept a newer one."""

    def dead_letter(self, letter: DeadLetter[Any, Any], /) -> None:
        """Take note of any message that will not be handled; one of the three was told before."""

    def stuck(self, worker: StuckWorker[Any], /) -> None:
        """Take note of a worker that is busy on one message for longer than `stuck_after`."""

    def sent(self, key: Any, message: Any, /) -> object:  # noqa: ANN401 - of any pool
        """Take note of a message that is about to be taken; return what goes with it to `begun`.

        On the sender's thread, in its context, before the message can be taken. It may still be
        refused, or become a dead letter. A message that starts its key's worker may be told twice,
        where another one starts it at the same time. For a task, the message is its function; for a
        broker, the key is `MISSING`.
        """

    def begun(self, key: Any, message: Any, sent: Any, /) -> object:  # noqa: ANN401 - of any pool
        """Take note of a message that is about to be handled; return what goes to `done`.

        On the thread that handles it, in the worker's context. `sent` is what `sent` has returned;
        `None` where a user's own kind of mailbox has carried the message, which has no place for
        it.
        """

    def done(
        self,
        key: Any,  # noqa: ANN401 - of any pool
        message: Any,  # noqa: ANN401 - of any pool
        begun: Any,  # noqa: ANN401 - what the observer itself has returned
        error: BaseException | None,
        /,
    ) -> None:
        """Take note of a message that was handled, or whose handling has raised `error`.

        In the same context as `begun`, and on the same thread, but where a generator worker waits
        in the midst of the message (`sleep`, `wait`) and another thread goes on with it. A function
        worker has handled a message when it asks for the next one, or has ended; several that it
        was given at once (`receive_many`) are done together, the last one first.
        """
