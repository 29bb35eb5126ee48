"""`Pool`: the door, and the data plane.

A message's life: `Pool.dispatch` → the mailbox's `deliver` ∥ the worker's `receive` → its function.
The sender looks the key up in the routing table, without a lock, and delivers on its own thread: a
full or stuck mailbox holds up the senders to its key, and no others.

The race of a sender and the end of a worker:

1. The sender finds the worker in the table.
2. The worker is removed, or ends; another may be initialized for the key.
3. The sender delivers. Either the message is in the mailbox before it is abandoned, and is received
   or becomes a dead letter there (`line.inlet`); or the sender finds the mailbox closed, by
   `closed` or by the `MailboxClosed` of `deliver`, and looks the key up again.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Final, final

from threadpool_mb.arguments import Start, check_callable, check_key, check_seconds, describe
from threadpool_mb.dead_letters import DeadLetter, DeadLetterOffice, DeadLetterReason
from threadpool_mb.errors import MailboxClosed, PoolClosed
from threadpool_mb.mailbox.kinds import Unlimited
from threadpool_mb.mailbox.using import check_mailbox_config
from threadpool_mb.messages import Dispatch, Initialize, Remove
from threadpool_mb.observer import Observer
from threadpool_mb.observing import observers_of
from threadpool_mb.pool.dispatcher import Dispatcher
from threadpool_mb.pool.flows import check_flow
from threadpool_mb.pool.incarnation import Incarnation
from threadpool_mb.pool.inputs import KeyInput, PoolInput, calls_of, check_pairs
from threadpool_mb.pool.later import Timer
from threadpool_mb.pool.lives import Restart, check_lives
from threadpool_mb.pool.pool_life import PoolLife
from threadpool_mb.pool.reports import WorkerExit
from threadpool_mb.pool.routes import find
from threadpool_mb.pool.undelivered import Overflow, Undelivered
from threadpool_mb.pool.which_kind import Worker, check_inline_calls, worker_kind
from threadpool_mb.protocols import Input, MailboxConfig
from threadpool_mb.rates import Rate, WhenFull
from threadpool_mb.values import MISSING, Missing, Uncopied

__all__ = ["Pool"]

_numbers: Final = itertools.count(1)


@final
class Pool[K, M](PoolLife[K, M], Uncopied):
    """Hands messages to workers by key: in order per key, parallel across keys.

    A worker is a generator function of a key, which takes a message at each `yield`. Millions of
    them share a few threads:

    ```python
    def account(key: str) -> Generator[None, int]:
        total = 0
        while True:
            total += yield

    with Pool(account) as pool:
        pool.initialize("alice")
        pool.dispatch("alice", 5)
    ```

    Or a function of a key and a mailbox, `for amount in mailbox: …`, which owns a thread until it
    returns. Leaving the block (`with`, `async with`) drains the pool: every message is handled,
    every worker has ended. Leaving it with an exception cancels instead.

    **Order.** Messages that one thread delivers to one key are handled in that order. A worker of a
    key starts only after the one before it has completely ended.

    **Nothing is lost silently.** A message that no worker will receive becomes a `DeadLetter`; a
    sender whose message was not taken learns it from `False` or an exception. The message that a
    worker has in hand when it raises is the worker's.

    **How a worker ends.** It returns, or lets `MailboxClosed` or `Cancelled` of its mailbox pass:
    it has ended well. A generator that has handled all is closed at its `yield` (`GeneratorExit`,
    see `until_drained`); one that is removed or cancelled gets `Cancelled` there. Anything else
    that a worker raises is logged with its traceback. What waits in its mailbox becomes dead
    letters, then `on_worker_exit` is told the cause.

    **Contexts.** Each worker has a `contextvars` context of its own, in force in all its turns.

    Threads: internally synchronized. A key's `__hash__` and `__eq__` run under the pool's lock and
    must not wait for another thread that uses the pool.

    From the original's `Pool`.
    """

    # fmt: off
    __slots__ = (
        "__weakref__", "_calls", "_new_incarnation", "_office", "_roster", "_routes",
        "_undelivered",
    )
    # fmt: on

    def __init__(
        self,
        worker: Worker[K, M],
        *,
        mailbox: MailboxConfig | None = None,
        max_threads: int | None = None,
        throughput: int | None = None,
        pinned: bool = False,
        name: str | None = None,
        overflow: Overflow = "refuse",
        inline_calls: bool | None = None,
        start: Start = "explicit",
        idle_timeout: float | None = None,
        max_keys: int | None = None,
        restart: Restart | None = None,
        rate: Rate | None = None,
        message_ttl: float | None = None,
        max_waiting: int | None = None,
        when_full: WhenFull = "wait",
        on_dead_letter: Callable[[DeadLetter[K, M]], object] | None = None,
        on_worker_exit: Callable[[WorkerExit[K]], object] | None = None,
        observe: Observer | Iterable[Observer] | None = None,
        stuck_after: float | None = None,
    ) -> None:
        """Start an empty pool.

        Args:
            worker: a generator function `worker(key)`, run on a few threads that all share; or a
                function `worker(key, mailbox)`, run on a thread of its own for each key.
            mailbox: creates each worker's mailbox; `Unlimited()` if it is not given.
            max_threads: the most threads for generator workers, started when they are needed and
                then kept; as for `ThreadPoolExecutor` if it is not given, `min(32, cores + 4)`.
            throughput: the most messages a generator worker handles in a row; 64 if not given.
            pinned: whether all turns of a generator worker run on one thread, for its whole life. A
                worker is dealt to the thread that has the fewest. No call is handled on its
                caller's thread, and no thread more is started where all wait.
            name: shown in thread names and log lines; `"pool-1"` and so on if it is not given.
            overflow: whether a refused message removes its worker, as it does in the original.
            inline_calls: whether an idle generator worker may handle a `call` without a timeout on
                the caller's thread: some µs in the place of tens. If it is not given: unless that
                is the main thread, where Ctrl-C would stop the worker. The caller goes on at the
                worker's next `yield`: give `False` where a worker replies, then waits for it.
            start: `"explicit"`: `initialize` starts a key's worker; `"on_demand"`: so does the
                first message, or call, for a key that has none.
            idle_timeout: seconds without a message after which a worker ends cleanly (cause
                `"idle"`). Its key is unknown after that, unless keys start on demand. A function is
                idle while it waits for its mailbox; each wait counts anew. A worker is not idle as
                long as it owes an answer: to a caller that waits, or for the reply of an `ask`.
            max_keys: how many workers there may be. One more ends the one that is idle longest
                (cause `"evicted"`); if none is idle, there are more until some are.
            restart: when a worker that has failed is started again, its mailbox kept.
            rate: how often a generator worker may take a message. It holds no thread meanwhile.
                With this, or one of the next two, no call is handled on its caller's thread.
            message_ttl: seconds that a message may wait for its generator worker. One that has
                waited longer is a dead letter (`"expired"`) when its turn comes.
            max_waiting: how many messages may wait for generator workers, of all keys together. A
                worker that waits for room gets `Full` once all threads of the pool do so, or have
                nothing to do; at once, if it is pinned.
            when_full: what `dispatch` does that finds so many: `"wait"`, or `"raise"` `Full`; the
                message was not taken.
            on_dead_letter: called with each message that no worker will receive, on the thread on
                which that turned out; without it they are logged at WARNING, at most once a second
                for a reason. An `Exception` that it raises is logged.
            on_worker_exit: called with the end of each worker that was started, on that worker's
                thread, and of each that was refused a thread, on the dispatcher's; after what it
                left became dead letters and before the next worker of the key starts. It may call
                `initialize` to start that one (`PoolClosed`, while the pool drains). Where a
                restart is called off it is called once more, on the thread that removes the worker
                or cancels the pool; on the dispatcher's as the pool closes. What it raises is
                logged.
            observe: what is told of workers and messages: an `Observer`, or several.
            stuck_after: seconds after which a worker that is busy on one message is told of, once:
                in the log, with its stack; in `stats()`; to `observe`.

        Raises:
            TypeError: if the worker is neither, or an argument is of a wrong type.
            ValueError: if `overflow` is another word, a number is no `int` of at least 1, or the
                worker is a function and the number is for generators, or is a generator and its
                mailboxes have a `receive_timeout`.
            ThreadRefused: if the system starts no thread.
        """
        config = Unlimited() if mailbox is None else check_mailbox_config(mailbox)
        if overflow not in {"refuse", "remove_worker"}:
            raise ValueError(f"overflow must be 'refuse' or 'remove_worker', not {overflow!r}")
        if on_dead_letter is not None:
            check_callable(on_dead_letter, "on_dead_letter", "dead_letter")
        if on_worker_exit is not None:
            check_callable(on_worker_exit, "on_worker_exit", "worker_exit")
        inline = check_inline_calls(inline_calls, pinned=pinned)
        if name is None:
            name = f"pool-{next(_numbers)}"
        office = DeadLetterOffice[K, M](name, on_dead_letter, observers_of(observe, name, "pool"))
        lives = check_lives(start, idle_timeout, max_keys, restart)
        # fmt: off
        flow = check_flow(
            name, rate, message_ttl, max_waiting, when_full, removes=overflow == "remove_worker"
        )
        kind = worker_kind(
            worker, config, office, name, max_threads, throughput,
            pinned=pinned, lives=lives, flow=flow,
        )
        self._office: Final = office
        self._dispatcher = Dispatcher(
            name, office, on_worker_exit, kind, lives,
            flow=flow, stuck_after=stuck_after, driver=self._driver,
        )
        # fmt: on
        self._ends = self._dispatcher
        # Bound once: `dispatch` then touches one shared object less, `initialize` two.
        self._roster: Final = self._dispatcher.roster
        self._routes: Final = self._roster.routes
        self._new_incarnation: Final = self._dispatcher.new_incarnation
        self._undelivered: Final = Undelivered(self._dispatcher, self._office, overflow)
        self._calls: Final = calls_of(self._dispatcher, self._undelivered, inline=inline)

    def initialize(self, key: K, message: M | Missing = MISSING, /) -> bool:
        """Start a worker for the key, with a first message ahead of all others if one is given.

        Returns at once: the worker starts on its own thread, after a worker of the key that is
        still ending has ended. Messages for it are accepted from now on.

        Blocks: as long as creating a mailbox does; with `max_waiting`, a message waits for room.

        Returns:
            `False` if the key has a worker; the message is then a dead letter.

        Raises:
            PoolClosed: if the pool is closed; no worker starts, the message was not taken.
            TypeError: if the key cannot be hashed.
            Exception: what the mailbox config's `create` raises; no worker starts.

        From the original's `Initialize`.
        """
        roster = self._roster
        if roster.closed:
            # Not the pool's `repr`, which asks its threads.
            msg = f"the pool {self._dispatcher.name!r} {roster.why_closed}: it starts no worker"
            raise PoolClosed(f"{msg} for key {describe(key)}")
        try:
            taken = key in self._routes and roster.has(key)
        except TypeError:
            check_key(key)
            raise
        if not taken:
            incarnation = self._new_incarnation(key)
            try:
                refused = message is not MISSING and not incarnation.deliver_first(message)
                entered = roster.enter(incarnation)
            except BaseException:
                incarnation.not_entered(message)
                raise
            if entered:
                if (keeping := self._dispatcher.keeping) is not None:
                    keeping.entered()
                if refused and message is not MISSING:
                    self._office.take(key, message, DeadLetterReason.REFUSED)
                return True
            incarnation.unseen()
        if message is not MISSING:
            self._office.take(key, message, DeadLetterReason.DUPLICATE_INITIALIZE)
        return False

    def dispatch(self, key: K, message: M, /) -> bool:
        """Hand a message to the key's worker.

        Blocks: as long as the worker's mailbox does. If its kind is `Blocking`, that is until there
        is room, if need be for ever; otherwise it is some microseconds, or `deliver_timeout`. With
        `max_waiting`, it is until there is room in the pool. A task of asyncio has `aio.deliver`.

        Returns:
            `True` once the message is in the mailbox; `False` if the key has no worker, or its
            mailbox refused the message. The message is then a dead letter.

        Raises:
            PoolClosed: if the pool is closed, before or during the wait; the message was not taken.
            DispatchDeadlock: in a worker, if it would wait for room for ever; it was not taken.
            Full: see `max_waiting`; it was not taken.
            TypeError: if the key cannot be hashed.
            Exception: what the `priority` of a `Prioritized` mailbox raises; it was not taken.

        From the original's `Dispatch`.
        """
        incarnation: Incarnation[K, M] | None = None
        try:
            incarnation = self._routes[key]  # not `get`; see `routes`
            direct = incarnation.direct
            if direct is None:
                return incarnation.input.deliver(message) or self._undelivered.refused(
                    incarnation, message
                )
            if not direct.closed:
                direct.put(message)
                if direct.unattended:
                    direct.attend()
                return True
        except MailboxClosed:
            pass
        except KeyError:
            # Of the user's mailbox; what the key itself has raised comes again below.
            if incarnation is not None:
                raise
        except TypeError:
            check_key(key)
            raise
        return self._undelivered.again(key, message, incarnation)

    def dispatch_many(self, key: K, messages: Iterable[M], /) -> int:
        """Hand many messages to the key's worker, in their order; as `dispatch` does one by one.

        Blocks: as `dispatch` does, for each of them.

        Returns:
            How many were taken; each of the others is a dead letter.

        Raises:
            PoolClosed: if the pool is closed before the last one; those before it were taken.
            TypeError: if the key cannot be hashed.
            Exception: what the iterable raises; those before it were taken.
        """
        return self._undelivered.many(self.dispatch, key, messages)

    def dispatch_all(self, pairs: Iterable[tuple[K, M]], /) -> int:
        """Hand messages to their keys' workers, in order.

        Blocks, returns and raises as `dispatch_many` does; a mapping raises `TypeError`.
        """
        return sum(itertools.starmap(self.dispatch, check_pairs(pairs)))

    def dispatch_later(self, delay: float, key: K, message: M, /) -> Timer:
        """Hand a message to the key's worker after `delay` seconds.

        It is dispatched on the pool's dispatcher thread, as `dispatch` does it; where that would
        wait for room, it waits in the mailbox's line. Messages for one key are dispatched in the
        order of their times. What is not due when the pool closes is a dead letter, and so may be
        what comes due just then, or waits for room.

        Blocks: never; O(log n) on the dispatcher's thread. Threads: any.

        Returns:
            What cancels it.

        Raises:
            PoolClosed: if the pool is closed.
            TypeError: if the key cannot be hashed.
            ValueError: if the delay is no number of seconds of at least 0.
        """
        later = self._dispatcher.later(key, self._calls.offer)
        return later.add(check_seconds(delay, "delay"), key, message)

    def dispatch_every(self, interval: float, key: K, message: M, /) -> Timer:
        """Hand a message to the key's worker each `interval` seconds, until that is cancelled.

        The first time is after one interval. Times that have passed before the dispatcher comes to
        it are left out; messages that the worker has not handled yet wait in its mailbox. The rest
        is as for `dispatch_later`.

        Raises:
            ValueError: if the interval is no number of seconds, or below a nanosecond.
        """
        seconds = check_seconds(interval, "interval", above=True)
        later = self._dispatcher.later(key, self._calls.offer)
        return later.add(seconds, key, message, seconds)

    def remove(self, key: K, /, *, drain: bool = False) -> bool:
        """End the key's worker: cancel it, or with `drain` let it finish its backlog first.

        Returns at once. From now on the key has no worker; `initialize` may give it a new one,
        which starts when the old one has ended. A worker that has not started yet never will,
        unless it is to drain.

        Blocks: as long as `on_dead_letter` does, for the messages of a worker that never starts.

        Returns:
            `False` if the key has no worker.

        Raises:
            TypeError: if the key cannot be hashed.

        From the original's `removePoolWorkerMessage`.
        """
        check_key(key)
        incarnation = find(self._routes, key)
        return incarnation is not None and self._dispatcher.remove(
            incarnation, drain=drain, reason=self._dispatcher.why_removed(drain=drain)
        )

    @property
    def input(self) -> Input[Initialize[K, M] | Dispatch[K, M] | Remove[K]]:
        """The pool as an `Input` of `Initialize`, `Dispatch` and `Remove` messages.

        From the original's `poolInput`.
        """
        return PoolInput(self)

    def ref(self, key: K, /) -> KeyInput[K, M]:
        """Return an `Input` that addresses a key, whichever worker it has when a message comes.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return KeyInput(key, self.dispatch, self._calls)
