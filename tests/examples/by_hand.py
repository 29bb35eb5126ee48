"""What examples would be if keys' lives were written by hand: the same results.

With pools whose workers are started by `initialize` and ended by `remove`, as all were before a
pool could do it. `test_by_hand.py` compares the results, and the lines. Examples in which something
is sent later, or waited for, are in `by_hand_waiting.py`.
"""

import asyncio
import collections
import contextlib
import sqlite3
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Final, Self

import threadpool_mb as mb
from examples.ledger import Books, Entry
from examples.sessions import Cart, Put, Show, Store
from examples.telemetry import Reading, Summary
from examples.tenant_databases import SCHEMA, Add, Notes
from examples.webhooks import LONGEST_PAUSE, PAUSE, Busy, Endpoint, Refused, Result


class LedgerByHand:
    """As `examples.ledger.ledger`."""

    def __init__(self, books: Books, *, limit: int = 16, idle_timeout: float) -> None:
        def account(name: str) -> Generator[None, int]:
            with books.transaction(name) as amounts, mb.until_drained():
                while True:
                    amount = yield
                    if amount == 0:
                        raise ValueError(f"{name}: an entry of 0")
                    amounts.append(amount)

        self._idle_timeout: Final = idle_timeout
        # An account's is held by its sender, also while that waits for room: then its worker is
        # not ended between `initialize` and `dispatch`.
        self._locks: Final[dict[str, threading.Lock]] = {}
        self._last: Final[dict[str, float]] = {}
        self._left: Final = threading.Event()
        self._pool: Final = mb.Pool(account, mailbox=mb.Blocking(limit), name="ledger")
        self._sweeper: Final = threading.Thread(target=self._sweep)

    def dispatch(self, name: str, amount: int) -> bool:
        with self._locks.setdefault(name, threading.Lock()):
            self._pool.initialize(name)
            self._last[name] = time.monotonic()
            return self._pool.dispatch(name, amount)

    def dispatch_all(self, entries: Iterable[Entry]) -> int:
        return sum(self.dispatch(name, amount) for name, amount in entries)

    def _sweep(self) -> None:
        while not self._left.wait(self._idle_timeout / 4):
            names = self._pool.keys()
            for name in names:
                lock = self._locks[name]
                if lock.acquire(blocking=False):
                    try:
                        if time.monotonic() - self._last[name] > self._idle_timeout:
                            self._pool.remove(name, drain=True)
                    finally:
                        lock.release()

    def __enter__(self) -> Self:
        self._sweeper.start()
        self._pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._sweeper.join()
        self._pool.drain(timeout=None)


class StationByHand:
    """As `examples.telemetry.Station`; one thread at a time may call `take`."""

    def __init__(self, *, max_keys: int, idle_timeout: float) -> None:
        self.archive: dict[int, Summary] = {}
        self.ends: Counter[mb.ExitCause] = Counter()
        self._causes: list[mb.ExitCause] = []
        self._max_keys: Final = max_keys
        self._idle_timeout: Final = idle_timeout
        # When each device has sent last, in that order.
        self._last: Final[OrderedDict[int, float]] = OrderedDict()
        self._lock: Final = threading.Lock()
        self._left: Final = threading.Event()
        self._sweeper: Final = threading.Thread(target=self._sweep)
        self.pool: mb.Pool[int, Reading] = mb.Pool(
            self._device, on_worker_exit=lambda worker: self._causes.append(worker.cause)
        )

    def _device(self, number: int) -> Generator[None, Reading]:
        summary = self.archive.pop(number, None) or Summary()
        try:
            while True:
                summary.add((yield))
        finally:
            self.archive[number] = summary

    def _dispatch(self, device: int, reading: Reading) -> None:
        with self._lock:
            self.pool.initialize(device)
            self.pool.dispatch(device, reading)
            self._last[device] = time.monotonic()
            self._last.move_to_end(device)
            if len(self._last) > self._max_keys:
                oldest, _ = self._last.popitem(last=False)
                self.pool.remove(oldest, drain=True)

    def _sweep(self) -> None:
        while not self._left.wait(self._idle_timeout / 4):
            with self._lock:
                before = time.monotonic() - self._idle_timeout
                while self._last and next(iter(self._last.values())) < before:
                    oldest, _ = self._last.popitem(last=False)
                    self.pool.remove(oldest, drain=True)

    def take(self, readings: Iterable[tuple[int, Reading]]) -> None:
        self._sweeper.start()
        with self.pool:
            for device, reading in readings:
                self._dispatch(device, reading)
            self._left.set()
            self._sweeper.join()
        self.ends = Counter(self._causes)


def deliver_by_hand(  # noqa: C901, PLR0915 - that is the point
    endpoints: dict[str, Endpoint],
    events: Iterable[tuple[str, str]],
    *,
    pause: float = PAUSE,
    max_threads: int = 2,
) -> Result:
    """As `examples.webhooks.deliver`; a pause takes a thread, but none of the pool's."""
    refused: defaultdict[str, list[str]] = defaultdict(list)
    undelivered: defaultdict[str, list[str]] = defaultdict(list)
    changed = threading.Condition()
    done = collections.Counter[str]()
    timers: list[threading.Timer] = []

    def is_done(customer: str, count: int = 1) -> None:
        with changed:
            done[customer] += count
            changed.notify_all()

    def pause_for(seconds: float, customer: str) -> None:
        timer = threading.Timer(seconds, pool.dispatch, (customer, None))
        timers.append(timer)
        timer.start()

    def post_all(customer: str) -> Generator[None, str | None]:
        waiting: deque[str] = deque()
        restarts: list[float] = []
        next_pause, paused, connected = pause, False, False
        with contextlib.ExitStack() as connection:
            while True:
                event = yield
                if event is None:
                    paused = False
                else:
                    waiting.append(event)
                while waiting and not paused:
                    try:
                        if not connected:
                            post = connection.enter_context(endpoints[customer].connect())
                            connected = True
                        post(waiting[0])
                    except Busy:
                        paused = True
                        pause_for(next_pause, customer)
                        next_pause = min(2 * next_pause, LONGEST_PAUSE)
                        continue
                    except Refused:
                        refused[customer].append(waiting[0])
                    except Exception:  # noqa: BLE001 - as the pool's restart does
                        connection.close()
                        connected = False
                        now = time.monotonic()
                        restarts = [at for at in restarts if now - at < 60]
                        if len(restarts) < 3:
                            paused = True
                            pause_for(min(pause * 2 ** len(restarts), 30.0), customer)
                            restarts.append(now)
                            continue
                        undelivered[customer].extend(waiting)
                        is_done(customer, len(waiting))
                        waiting.clear()
                        restarts.clear()
                        continue
                    waiting.popleft()
                    next_pause = pause
                    is_done(customer)

    pool: mb.Pool[str, str | None] = mb.Pool(post_all, max_threads=max_threads)
    sent = 0
    with pool:
        for customer, event in events:
            pool.initialize(customer)
            sent += pool.dispatch(customer, event)
        with changed:
            changed.wait_for(lambda: done.total() == sent)
        for timer in timers:
            timer.join()
    return Result(dict(refused), dict(undelivered))


class SessionsByHand:
    """As `examples.sessions.Shop`; its books are kept on the loop's thread, without a lock."""

    def __init__(self, store: Store, *, idle_timeout: float) -> None:
        self.sessions: mb.Pool[str, mb.originals.Request] = mb.Pool(
            mb.server(lambda session: Cart(session, store)), name="sessions"
        )
        self._idle_timeout: Final = idle_timeout
        self._loop: Final = asyncio.get_running_loop()
        self._changed: Final = asyncio.Event()
        self._timers: Final[dict[str, asyncio.TimerHandle]] = {}

    async def _call[R](self, session: str, command: mb.Command[R]) -> R:
        if timer := self._timers.pop(session, None):
            timer.cancel()
        self._timers[session] = self._loop.call_later(self._idle_timeout, self._passivate, session)
        self.sessions.initialize(session)
        # The mailbox has no limit: the loop does nothing else before the request is in it. A worker
        # that is ended after that handles it first.
        return await mb.aio.call(self.sessions.ref(session), command)

    def _passivate(self, session: str) -> None:
        del self._timers[session]
        self.sessions.remove(session, drain=True)
        self._changed.set()

    async def all_passivated(self) -> None:
        while self.sessions.keys():
            self._changed.clear()
            await self._changed.wait()

    async def handle(self, session: str, item: str) -> int:
        return await self._call(session, Put(item))

    async def cart(self, session: str) -> tuple[str, ...]:
        return await self._call(session, Show())


class TenantsByHand:
    """As `examples.tenant_databases.Tenants`; each open file has a thread of its own."""

    def __init__(self, folder: Path, *, max_open: int) -> None:
        self._folder: Final = folder
        self._max_open: Final = max_open
        self.log: list[tuple[str, str]] = []
        # The open ones, in the order of their last use.
        self._open: Final[OrderedDict[str, None]] = OrderedDict()
        # Held from `initialize` until the message is in the mailbox: no worker is ended meanwhile.
        self._lock: Final = threading.Lock()
        self.pool: mb.Pool[str, mb.originals.Request] = mb.Pool(
            self._tenant,
            on_worker_exit=lambda worker: self.log.append((worker.key, worker.cause)),
            name="tenants",
        )

    def _tenant(self, name: str, mailbox: mb.Mailbox[mb.originals.Request]) -> None:
        connection = sqlite3.connect(self._folder / f"{name}.sqlite3")
        with contextlib.closing(connection), connection:
            self.log.append((name, "opened"))
            connection.execute(SCHEMA)
            for request in mailbox:
                match request:
                    case mb.Cast(Add(text)):
                        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))
                    case mb.Call(Notes(), reply_box):
                        rows = connection.execute("SELECT text FROM notes ORDER BY number")
                        reply_box.reply(tuple(text for (text,) in rows))
                    case _:
                        pass

    def _use_locked(self, tenant: str) -> mb.KeyInput[str, Any]:
        self._open[tenant] = None
        self._open.move_to_end(tenant)
        if len(self._open) > self._max_open:
            oldest, _ = self._open.popitem(last=False)
            self.pool.remove(oldest, drain=True)
        self.pool.initialize(tenant)
        return self.pool.ref(tenant)

    def add(self, tenant: str, text: str) -> None:
        with self._lock:
            mb.cast(self._use_locked(tenant), Add(text))

    def notes(self, tenant: str) -> tuple[str, ...]:
        with self._lock:
            reply = mb.ask(self._use_locked(tenant), Notes())
        return reply.result()

    def __enter__(self) -> Self:
        self.pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.drain(timeout=None)
