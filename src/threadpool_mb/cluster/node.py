"""What runs on a Dask worker: an actor that holds one pool, and the thread that feeds it.

Batches come to the actor in any order (its methods are coroutines, and several may be under way);
the feeder puts them in the order of their numbers, drops what comes twice, and dispatches. It never
waits: no mailbox of a node has senders that wait.

**Guarantees.** Each batch is dispatched once, in order. What is gathered is kept until the client
says that it has it, so that an answer that is lost on the way is given again.
"""

import functools
import itertools
import pickle
import queue
import time
from typing import Any, Final, Literal, final

from threadpool_mb.arguments import NEVER, Deadline, describe
from threadpool_mb.calls import unanswered
from threadpool_mb.calls.answer import Answer
from threadpool_mb.calls.calling import begin_call
from threadpool_mb.cluster.moving import Leaving
from threadpool_mb.cluster.news import News
from threadpool_mb.cluster.tickets import (
    NodeObserver,
    RetryingObserver,
    Ticket,
    Tray,
    taken,
)
from threadpool_mb.cluster.wire import (
    CALL,
    PICKLED,
    PLAIN,
    Asked,
    Events,
    Options,
    Setup,
    dumped,
    loaded,
    read,
    sendable_error,
    versions_here,
)
from threadpool_mb.dead_letters import DeadLetter, DeadLetterReason
from threadpool_mb.envelopes import Observed
from threadpool_mb.errors import CallError, MailboxClosed, PoolClosed
from threadpool_mb.logs import Logger
from threadpool_mb.pool.pool import Pool
from threadpool_mb.pool.reports import PoolStats, WorkerExit, WorkerStats
from threadpool_mb.threads.launching import new_thread

__all__ = ["NodeActor", "VersionMismatch"]

_logger = Logger(__name__)

_FIGURES: Final = 1.0
"""Seconds after which the client is told the pool's statistics again."""


class VersionMismatch(RuntimeError):
    """The client and a Dask worker differ in what must be the same on both."""


@final
class NodeActor:
    """The actor: what the client calls. Its methods run on the loop of the Dask worker."""

    def __init__(self, setup: Setup) -> None:
        """Start the node.

        Raises:
            VersionMismatch: if this is another Python, or another version of this library.
        """
        here = versions_here()
        if here != setup.versions:
            raise VersionMismatch(
                f"the client of the pool {setup.pool!r} runs {setup.versions}, and the Dask worker"
                f" {setup.node} runs {here}: both must be the same"
            )
        self._node: Final = _Node(setup)

    async def put(self, number: int, batch: bytes) -> None:
        """Take a batch."""
        self._node.queue.put((number, batch))

    async def gather(self, known: int, wait: float, patience: float) -> bytes:
        """Return what there is to tell, and its number, pickled; wait for something for a time.

        `known` is the number of the last answer that the client has; `patience`, how long it may
        take until it is told what was handled, while there is more to handle.
        """
        # As bytes: Dask looks into collections, element by element.
        gathered = await self._node.gather(known, wait, patience)
        return pickle.dumps(gathered, pickle.HIGHEST_PROTOCOL)

    async def hasten(self) -> None:
        """Have the client told what was handled by now: it waits for a part of it."""
        self._node.news.tell_at_once()

    async def end(self, how: Literal["close", "cancel"]) -> None:
        """Have the pool end: once it has handled all, or at once."""
        self._node.end(how)

    async def stats(self) -> bytes:
        """Return the pool's statistics, pickled."""
        return dumped(self._node.stats())

    async def unfinished(self, most: int) -> bytes:
        """Return the first workers that have not ended, as `WorkerStats`, pickled."""
        return dumped(self._node.unfinished(most))

    def __del__(self) -> None:
        """Let the pool finish its backlog, and end: the client has gone, or has no use for it."""
        node: _Node | None = getattr(self, "_node", None)
        if node is not None:
            node.end("close")


@final
class _Node:
    """The pool, and what feeds it and gathers from it."""

    def __init__(self, setup: Setup) -> None:
        options: Options = loaded(setup.options)
        self._address: Final = setup.node
        self.news: Final = News()
        self._tray: Final = Tray(self.news.tell)
        retries = options.restart is not None and options.restart.in_hand == "retry"
        self._tells_workers: Final = options.tells_workers
        kind = RetryingObserver if retries else NodeObserver
        self._observer: Final = kind(self._started if options.tells_workers else None)
        self._pool: Final[Pool[Any, Any]] = Pool(
            read(setup.worker),
            name=f"{setup.pool}@{setup.node}",
            start="on_demand",
            inline_calls=False,
            mailbox=options.mailbox,
            max_threads=options.max_threads,
            throughput=options.throughput,
            idle_timeout=options.idle_timeout,
            max_keys=options.max_keys,
            restart=options.restart,
            on_dead_letter=self._dead,
            on_worker_exit=self._exited,
            observe=self._observer,
        )
        self._leaving: Final = Leaving(self._pool, setup.node)
        self.queue: Final[queue.SimpleQueue[tuple[int, bytes] | None]] = queue.SimpleQueue()
        self._early: Final[dict[int, bytes]] = {}
        self._next = 1
        self._how: Literal["close", "cancel"] | None = None
        self._last: tuple[int, Events] | None = None
        self._ended: bytes | None = None
        self._ended_told = False
        self._figures_at = 0.0
        new_thread(self._feed, f"{setup.pool}-feeder").start()

    # What the feeder does.

    def _feed(self) -> None:
        """Dispatch batches until the pool is to end; then end it."""
        while self._how is None:
            try:
                item = self.queue.get(timeout=self._leaving.pause)
            except queue.Empty:
                item = None
            if item is not None:
                self._take(*item)
            if self._leaving.look():
                self.news.tell_at_once()
        self._take_rest()
        if self._how == "cancel":
            self._pool.cancel()
        else:
            self._pool.close()
        while not (report := self._pool.join(timeout=0.05)).finished:
            # A pool that is closed may be cancelled.
            if self._how == "cancel":
                self._pool.cancel()
        self._ended = dumped(report)
        self.news.tell_at_once()

    def _take_rest(self) -> None:
        while True:
            try:
                item = self.queue.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                self._take(*item)

    def _take(self, number: int, data: bytes) -> None:
        if number < self._next:
            return  # it came before
        self._early[number] = data
        while (ready := self._early.pop(self._next, None)) is not None:
            number, self._next = self._next, self._next + 1
            self._dispatch(number, ready)

    def _dispatch(self, number: int, data: bytes) -> None:
        keys, plain, bodies, kinds, asked = loaded(data)
        batch = self._tray.batch(number, len(keys))
        known: dict[bytes, Any] = {}
        pool_dispatch, tray = self._pool.dispatch, self._tray
        for index, (sent, body, kind) in enumerate(zip(keys, bodies, kinds, strict=True)):
            key = sent
            ticket = Ticket(batch, index, tray)
            if self._how == "cancel":
                ticket.dead(DeadLetterReason.POOL_CLOSED)
                continue
            try:
                if not plain[index]:
                    key = known[sent] if sent in known else known.setdefault(sent, loaded(sent))
                if kind == PLAIN:
                    pool_dispatch(key, Observed(body, ticket))
                elif kind == PICKLED:
                    pool_dispatch(key, Observed(loaded(body), ticket))
                else:
                    self._control(kind, key, body, ticket, asked.get(index))
            except PoolClosed:
                ticket.dead(DeadLetterReason.POOL_CLOSED)
            except BaseException:  # `SystemExit`, too: of a script that is imported as it is read
                _logger.exception(
                    "%s: the message for key %s is unreadable", self._pool, describe(key)
                )
                ticket.dead(DeadLetterReason.UNREADABLE)

    def _control(
        self, kind: int, key: object, body: Any, ticket: Ticket, asked: Asked | None
    ) -> None:
        if asked is None:  # a `MOVE`: nobody waits for an answer
            self._leaving.begin(*body)
            ticket.done()
        elif kind == CALL:
            self._call(key, body, ticket, asked)
        else:  # a `REMOVE`
            removed = self._pool.remove(key, drain=asked.drain)
            self._tray.replies.append((asked.number, True, dumped(removed)))
            ticket.done()
            self.news.tell_at_once()

    def _call(self, key: object, body: bytes, ticket: Ticket, asked: Asked) -> None:
        try:
            command = read(body)
        except Exception as error:
            self._tray.replies.append((asked.number, False, sendable_error(error, self._address)))
            self.news.tell_at_once()
            raise
        target: Any = self._pool.ref(key)
        deadline = NEVER if asked.seconds is None else Deadline(asked.seconds)
        answer, call = begin_call(target, command, deadline)
        carried: Any = Observed(call, ticket)
        del call  # the worker holds the only reference, and can drop it
        try:
            # Users see nothing of it.
            target._deliver_call(carried, answer, inline=False)  # noqa: SLF001
        except MailboxClosed as error:
            answer.settle_error(unanswered.not_delivered(answer.call_id, key, error))
            raise
        finally:
            del carried
            # Now it is known which worker has it, whose end is to be told.
            answer.when_answered(functools.partial(self._answered, asked.number, answer))

    # What the pool tells, on any of its threads.

    def _answered(self, number: int, answer: Answer[Any]) -> None:
        outcome = answer.outcome()
        if outcome is None:  # pragma: no cover - it is called once the answer is there
            return
        value, error, from_box = outcome
        reply: tuple[int, bool, Any]
        if error is None:
            try:
                reply = (number, True, dumped(value))
            except Exception as not_dumped:  # noqa: BLE001 - of a user's class
                reply = (number, False, sendable_error(not_dumped, self._address))
        elif from_box or not isinstance(error, CallError):
            reply = (number, False, sendable_error(error, self._address))
        else:
            cause = error.__cause__
            sent = None if cause is None else sendable_error(cause, self._address)
            started = bool(getattr(error, "started", False))
            kind = type(error).__name__
            reply = (number, False, (kind, error.reason, started, sent))
        self._tray.replies.append(reply)
        self.news.tell_at_once()

    def _started(self, key: object, number: int) -> None:
        self._tray.starts.append((dumped(key), number))
        self.news.tell()

    def _dead(self, letter: DeadLetter[Any, Any]) -> None:
        self._observer.dead(letter.key, letter.reason)

    def _exited(self, ended: WorkerExit[Any]) -> None:
        if self._tells_workers or ended.error is not None:
            self._tray.exits.append(_sendable_exit(ended, self._address))
            self.news.tell()

    # What the client asks, on the loop.

    @property
    def has_news(self) -> bool:
        """Whether there is anything to tell."""
        return not (
            self._tray.empty and self._leaving.quiet and (self._ended is None or self._ended_told)
        )

    @property
    def has_hasty_news(self) -> bool:
        """Whether there is anything for which somebody may wait."""
        return not (self._tray.empty_of_haste and self._leaving.quiet and self._ended is None)

    @property
    def is_worth_it(self) -> bool:
        """Whether what was handled is worth an answer."""
        return self._tray.is_worth_it

    async def gather(self, known: int, wait: float, patience: float) -> tuple[int, Events]:
        """Return what is new, once something is; see `NodeActor.gather`."""
        tray = self._tray
        if self._last is None or self._last[0] <= known:
            await self.news.wait(self, wait, patience)
        # Also where this has waited: a call that the client has given up goes on here, beside the
        # next one. Whichever gathers first, both tell the same, so that nothing is lost.
        last = self._last
        if last is not None and last[0] > known:
            return last
        # Before anything else is gathered: all that the pool tells was told before. So it is with
        # keys that have moved: what their workers have handled is told by then.
        ended = self._ended
        figures = self._figures()  # what it raises comes before anything is taken
        self._ended_told = ended is not None
        moves, moved = self._leaving.gather()
        # In the reverse order of `Events`. What an entry rests on (a worker's end on its beginning,
        # say) was told before it, in a list that stands in front: that is taken later, and has it.
        done = tray.gather()
        exits = taken(tray.exits)
        starts = taken(tray.starts)
        replies = taken(tray.replies)
        dead = taken(tray.dead)
        events = Events(dead, replies, starts, exits, moves, moved, done, figures, ended)
        self._last = (known + 1, events)
        return self._last

    def end(self, how: Literal["close", "cancel"]) -> None:
        """Have the feeder end the pool."""
        if self._how != "cancel":
            self._how = how
        self.queue.put(None)

    def stats(self) -> PoolStats:
        """Return the pool's."""
        return self._pool.stats()

    def unfinished(self, most: int) -> list[WorkerStats[Any]]:
        """Return the first workers of the pool that have not ended."""
        return list(itertools.islice(self._pool.workers(), most))

    def _figures(self) -> bytes | None:
        """Return the statistics, if it is time to."""
        now = time.monotonic()
        if now < self._figures_at and self._ended is None:
            return None
        self._figures_at = now + _FIGURES
        return dumped(self._pool.stats())


def _sendable_exit(ended: WorkerExit[Any], address: str) -> bytes:
    error = None if ended.error is None else sendable_error(ended.error, address)
    # Each by itself: what cannot be read there is not to keep the end from being told.
    text = describe(ended.message)
    written = _dumped_or(ended.key, b"")
    message = _dumped_or(ended.message, dumped(text))
    return dumped(
        ((written, message, text), error, ended.incarnation, ended.cause, ended.restart_in)
    )


def _dumped_or(value: object, other: bytes) -> bytes:
    try:
        return dumped(value)
    except Exception:  # noqa: BLE001 - of a user's class, or changed here
        return other
