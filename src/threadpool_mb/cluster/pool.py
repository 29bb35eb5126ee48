"""`ClusterPool`: the door.

A message's life: `ClusterPool.dispatch` pickles it and has the router put it into the outbox of the
node of its key → the link's thread sends it with others → the node's feeder dispatches it into a
`Pool` there → its worker → the node tells that it was handled, and it is forgotten here.
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Literal, Self, final, override

from threadpool_mb.aio.life import AsyncLife
from threadpool_mb.arguments import (
    NEVER,
    Deadline,
    check_callable,
    check_flag,
    check_key,
    check_limit,
    check_seconds,
    check_timeout,
    describe,
)
from threadpool_mb.cluster.asks import Removal, answer_call
from threadpool_mb.cluster.control import Control
from threadpool_mb.cluster.dask import check_client
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.membership import Membership
from threadpool_mb.cluster.refs import ClusterInput
from threadpool_mb.cluster.wire import (
    CALL,
    PICKLED,
    PLAIN,
    REMOVE,
    Asked,
    Options,
    dumped,
    is_plain,
)
from threadpool_mb.dead_letters import DeadLetter, DeadLetterOffice
from threadpool_mb.mailbox.kinds import NonBlocking, Prioritized, Sliding, Unlimited
from threadpool_mb.observer import Observer
from threadpool_mb.observing import attach, exit_hook, observers_of
from threadpool_mb.pool.lives import Restart, check_lives
from threadpool_mb.pool.reports import DrainReport, PoolStats, WorkerExit
from threadpool_mb.pool.which_kind import Worker
from threadpool_mb.protocols import MailboxConfig
from threadpool_mb.threads.exit_hook import close_at_exit
from threadpool_mb.values import MISSING, Missing, Uncopied

__all__ = ["ClusterPool"]

_numbers: Final = itertools.count(1)


@final
class ClusterPool[K, M](AsyncLife[DrainReport[K]], Uncopied):
    """Hands messages to workers by key, on the workers of a Dask cluster."""

    __slots__ = ("__weakref__", "_control", "_place")

    def __init__(
        self,
        worker: Worker[K, M],
        client: object,
        *,
        name: str | None = None,
        start: Literal["on_demand"] = "on_demand",
        idle_timeout: float | None = None,
        max_keys: int | None = None,
        mailbox: MailboxConfig | None = None,
        max_threads: int | None = None,
        throughput: int | None = None,
        restart: Restart | None = None,
        on_dead_letter: Callable[[DeadLetter[K, M]], object] | None = None,
        on_worker_exit: Callable[[WorkerExit[K]], object] | None = None,
        observe: Observer | Iterable[Observer] | None = None,
        redeliver: bool = False,
        batch: int = 1000,
        batch_time: float = 0.002,
        credits: int = 20_000,
    ) -> None:
        """Start a pool."""
        checked = check_client(client)
        if start != "on_demand":
            raise ValueError(f"start must be 'on_demand' in a cluster, not {describe(start)}")
        lives = check_lives(start, idle_timeout, max_keys, restart)
        if on_dead_letter is not None:
            check_callable(on_dead_letter, "on_dead_letter", "dead_letter")
        if on_worker_exit is not None:
            check_callable(on_worker_exit, "on_worker_exit", "worker_exit")
        check_flag(redeliver, "redeliver")
        check_limit(batch, "batch")
        check_limit(credits, "credits")
        check_seconds(batch_time, "batch_time")
        _check_mailbox(mailbox)
        if name is None:
            name = f"cluster-{next(_numbers)}"
        observers = observers_of(observe, name, "pool")
        hook = exit_hook(observers, on_worker_exit)
        options = Options(
            mailbox=mailbox,
            max_threads=max_threads,
            throughput=throughput,
            idle_timeout=lives.idle_timeout,
            max_keys=lives.max_keys,
            restart=lives.restart,
            tells_workers=hook is not None,
        )
        membership = Membership(
            name,
            checked,
            _pickled(worker, "the worker"),
            _pickled(options, "the options"),
            batch=batch,
            batch_time=batch_time,
            credits=credits,
        )
        office = DeadLetterOffice[Any, Any](name, on_dead_letter, observers)
        control = Control(name, membership, office, hook, credits=credits, redeliver=redeliver)
        control.start()
        attach(observers, functools.partial(control.stats, ask=False), control.ending.when_reached)
        self._control: Final = control
        self._ends = control
        self._place: Final = control.router.place
        close_at_exit(control)

    def dispatch(self, key: K, message: M, /) -> bool:
        """Hand a message to the key's worker."""
        if is_plain(message):
            entry = Entry(key, message, message, PLAIN, self._control.epoch())
        else:
            entry = self._entry(key, message)
        try:
            return self._place(entry, NEVER)
        except TypeError:
            check_key(key)
            raise

    def _entry(self, key: K, message: M) -> Entry:
        try:
            body = dumped(message)
        except Exception as error:
            raise TypeError(
                f"the message {describe(message)} for key {describe(key)} cannot be pickled:"
                f" {error}"
            ) from error
        return Entry(key, message, body, PICKLED, self._control.epoch())

    def dispatch_many(self, key: K, messages: Iterable[M], /) -> int:
        """Hand many messages to the key's worker, in their order; as `dispatch` does one by one."""
        return sum(self.dispatch(key, message) for message in messages)

    def remove(self, key: K, /, *, drain: bool = False, timeout: float | None = None) -> bool:
        """End the key's worker: cancel it, or with `drain` let it finish its backlog first."""
        check_key(key)
        self._control.check_not_own_thread("asked to remove a key")
        deadline = Deadline(timeout)
        asks = self._control.asks
        removal = Removal()
        asked = Asked(asks.add(removal.answered), None, drain)
        entry = Entry(key, None, None, REMOVE, self._control.epoch(), asked)
        try:
            if not self._place(entry, deadline):
                asks.withdraw(asked.number)
                return False
        except BaseException:
            asks.withdraw(asked.number)
            raise
        return removal.result(deadline)

    def ref(self, key: K, /) -> ClusterInput[K, M]:
        """Return an `Input` that addresses a key, wherever it lives."""
        check_key(key)
        return ClusterInput(key, self.dispatch, self._call)

    def _call(self, key: K, call: Any, deadline: Deadline) -> bool:
        body = self._entry_of_command(key, call.command)
        asks = self._control.asks
        number = asks.add(functools.partial(answer_call, call))
        entry = Entry(
            key, call, body, CALL, self._control.epoch(), Asked(number, deadline.remaining())
        )
        taken = False
        try:
            taken = self._place(entry, deadline)
        finally:
            if not taken:
                asks.withdraw(number)
        return taken

    def _entry_of_command(self, key: K, command: object) -> bytes:
        try:
            return dumped(command)
        except Exception as error:
            raise TypeError(
                f"the command {describe(command)} for key {describe(key)} cannot be pickled:"
                f" {error}"
            ) from error

    def flush(self, key: K | Missing = MISSING, /, *, timeout: float | None = None) -> bool:
        """Wait until all messages are handled that were taken before; of a key, or of all."""
        return self._control.flush(key, Deadline(timeout), of_all=key is MISSING)

    def stats(self) -> PoolStats:
        """Return the sum of what the nodes tell of their pools."""
        return self._control.stats(ask=True)

    def vacate(self, address: str, /, *, timeout: float | None = None) -> bool:
        """Have a Dask worker get no more keys, and those that it has end there and move."""
        self._control.check_not_own_thread("asked to vacate")
        return self._control.vacate(address, Deadline(timeout))

    @override
    def close(self) -> None:
        """Take no more messages; the workers finish their backlog and end."""
        self._control.close()

    @override
    def cancel(self) -> None:
        """Take no more messages and ask the workers to stop; what waits becomes dead letters."""
        self._control.cancel()

    def join(self, *, timeout: float | None = None) -> DrainReport[K]:
        """Wait until the pool was closed or cancelled, and all its workers have ended."""
        finished = self._control.join(Deadline(timeout))
        return self._control.report(finished=finished)

    @override
    def drain(self, *, timeout: float | None) -> DrainReport[K]:
        """Close, wait for the backlog to be handled, and cancel what is left after the timeout."""
        check_timeout(timeout)
        self._control.check_not_own_thread()
        try:
            self.close()
            report = self.join(timeout=timeout)
        except BaseException:
            self.cancel()
            raise
        if not report.finished:
            self.cancel()
        return report

    def __repr__(self) -> str:
        """Show name, counts and state."""
        return repr(self._control)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain the pool, or cancel it if the block was left with an exception; then join it."""
        try:
            (self.close if error_type is None else self.cancel)()
            self.join(timeout=None)
        except BaseException:
            self.cancel()
            raise

    def __del__(self) -> None:
        """Warn of a pool that was never closed, and let its workers finish their backlog."""
        control: Control | None = getattr(self, "_control", None)
        if control is not None and control.state == "running":
            control.close()
            warnings.warn(
                f"unclosed <ClusterPool {control.name!r}>",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )


def _pickled(value: object, what: str) -> bytes:
    try:
        return dumped(value)
    except Exception as error:
        raise TypeError(f"{what} {describe(value)} cannot be pickled: {error}") from error


def _check_mailbox(mailbox: object) -> None:
    """Refuse mailboxes whose senders wait: at a node all keys have one sender.

    Raises:
        TypeError: if it is of another kind.
    """
    inner = mailbox.config if isinstance(mailbox, Prioritized) else mailbox
    if not isinstance(inner, Unlimited | NonBlocking | Sliding | None):
        raise TypeError(
            "mailbox must be Unlimited(), NonBlocking, Sliding, or a Prioritized of the first two,"
            f" not {describe(mailbox)}: its senders would wait, and a node has one for all keys"
        )
