"""`ClusterPool`: the door.

A message's life: `ClusterPool.dispatch` pickles it and has the router put it into the outbox of the
node of its key → the link's thread sends it with others → the node's feeder dispatches it into a
`Pool` there → its worker → the node tells that it was handled, and it is forgotten here.
"""

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, final

from threadpool_mb.arguments import (
    NEVER,
    Deadline,
    check_callable,
    check_flag,
    check_key,
    check_limit,
    check_seconds,
    describe,
)
from threadpool_mb.cluster.asks import Removal, answer_call
from threadpool_mb.cluster.control import Control
from threadpool_mb.cluster.dask import check_client
from threadpool_mb.cluster.entries import Entry
from threadpool_mb.cluster.membership import Membership
from threadpool_mb.cluster.pool_life import ClusterLife
from threadpool_mb.cluster.refs import ClusterInput
from threadpool_mb.cluster.wire import (
    CALL,
    PICKLED,
    PLAIN,
    PLAIN_TYPES,
    REMOVE,
    Asked,
    Options,
    dumped,
)
from threadpool_mb.dead_letters import DeadLetter, DeadLetterOffice
from threadpool_mb.mailbox.kinds import NonBlocking, Prioritized, Sliding, Unlimited
from threadpool_mb.observer import Observer
from threadpool_mb.observing import attach, exit_hook, observers_of
from threadpool_mb.pool.lives import Restart, check_lives
from threadpool_mb.pool.reports import WorkerExit
from threadpool_mb.pool.which_kind import Worker
from threadpool_mb.protocols import MailboxConfig
from threadpool_mb.threads.exit_hook import close_at_exit
from threadpool_mb.values import Uncopied

__all__ = ["ClusterPool"]

_numbers: Final = itertools.count(1)


@final
class ClusterPool[K, M](ClusterLife[K], Uncopied):
    """Hands messages to workers by key, on the workers of a Dask cluster.

    The same workers as for `Pool`, and the same interface; docs/cluster.md has what differs.

    ```python
    with Client("tcp://scheduler:8786") as client, ClusterPool(account, client) as pool:
        pool.dispatch("alice", 5)
    ```

    **Order.** Messages that one thread sends to one key are handled in that order, one at a time.

    **Placement.** A key lives on one Dask worker. One that joins takes its share of the keys: each
    moves by a clean end there, then a start here; its messages wait meanwhile.

    **Nothing is lost silently.** A message is handled, or becomes a `DeadLetter`. Where a Dask
    worker is lost, what was sent there and not told as handled is a dead letter (`"node lost"`);
    with `redeliver`, it is sent to the key's new place: at least once. Callers get `WorkerGone`.

    Leaving the block drains the pool; leaving it with an exception cancels.

    Threads: internally synchronized; any thread of the process that has the client.
    """

    __slots__ = ("__weakref__", "_place")

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
        """Start a node on each Dask worker there is.

        Blocks: until all nodes have started: a Dask worker that is busy starts none meanwhile.

        Args:
            worker: as for `Pool`; it can be pickled, by `cloudpickle` if it is of a script.
            client: a `distributed.Client`, not asynchronous; it stays open as long as the pool.
            name: shown in log lines and thread names; `"cluster-1"` and so on if it is not given.
            start: keys start with their first message.
            idle_timeout: as for `Pool`.
            max_keys: how many workers there may be on each Dask worker.
            mailbox: `Unlimited()` if not given, `NonBlocking`, `Sliding`, or a `Prioritized`.
            max_threads: as for `Pool`, on each Dask worker.
            throughput: as for `Pool`.
            restart: as for `Pool`.
            on_dead_letter: as for `Pool`; called here, on a thread of the pool. It may send
                messages, and does not wait for room then. It does not wait for calls.
            on_worker_exit: called here with the end of each worker; as `on_dead_letter`. Of a Dask
                worker that is lost, with each worker that has begun there: `NodeLost`.
            observe: what is told of ends and of dead letters, here.
            redeliver: whether messages to a Dask worker that is lost are sent again.
            batch: the most messages that travel together.
            batch_time: seconds that a message waits for others to travel with.
            credits: the most messages per Dask worker that are sent and not handled; senders wait.

        Raises:
            TypeError: if the worker cannot be pickled, or an argument is of a wrong type.
            ValueError: if an argument has a wrong value.
            RuntimeError: if the client is closed.
            VersionMismatch: if a Dask worker has another version of Python or of this library.
        """
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
        self._control = control
        self._ends = control
        self._place: Final = control.router.place
        close_at_exit(control)

    def dispatch(self, key: K, message: M, /) -> bool:
        """Hand a message to the key's worker, on the Dask worker where it lives.

        Blocks: as long as there are `credits` messages on the way to that Dask worker, or there is
        none; not for the message to arrive.

        Returns:
            `True`, as the message was taken. What becomes of it is told by `on_dead_letter`.

        Raises:
            PoolClosed: if the pool is closed, before or during the wait; it was not taken.
            TypeError: if the message or the key cannot be pickled, or the key hashed.
        """
        if type(message) in PLAIN_TYPES:  # `is_plain`, written out
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
        """Hand many messages to the key's worker, in their order; as `dispatch` does one by one.

        Returns:
            How many there were.
        """
        return sum(self.dispatch(key, message) for message in messages)

    def remove(self, key: K, /, *, drain: bool = False, timeout: float | None = None) -> bool:
        """End the key's worker: cancel it, or with `drain` let it finish its backlog first.

        What this thread has sent before comes before. The next message starts another worker.

        Blocks: until the key's Dask worker has answered, at most `timeout` seconds.

        Returns:
            `False` if the key had no worker, or there was no answer.

        Raises:
            PoolClosed: if the pool is closed.
            RuntimeError: in a hook, which would wait for itself.
            TypeError: if the key cannot be hashed or pickled.
        """
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
        """Return an `Input` that addresses a key, wherever it lives.

        Raises:
            TypeError: if the key cannot be hashed.
        """
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
