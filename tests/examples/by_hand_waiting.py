"""What examples would be in which something is sent later, or waited for, if it were by hand.

As `by_hand.py`; `test_by_hand_waiting.py` compares the results. No worker holds a thread while it
waits: what it waits for is sent to it as one more message, and it keeps what comes meanwhile. An
event loop on a thread of its own is the timer of all keys; `threading.Timer` would be a thread for
each of them.
"""

import asyncio
import contextlib
import queue
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Final, Self

import threadpool_mb as mb
from examples.heartbeats import Device, Outcome
from examples.order_pipeline import Order
from examples.rate_limited import Allowance, Clock, Send


class ClientByHand:
    """As `examples.rate_limited.Client`; no thread may send while the block is left."""

    def __init__(
        self,
        service: Callable[[str, str], str],
        *,
        burst: int,
        interval: float,
        clock: Clock | None = None,
        max_threads: int = 2,
    ) -> None:
        self._service: Final = service
        self._burst: Final = burst
        self._interval: Final = interval
        self._clock: Final = clock or Clock()
        self._idle_timeout: Final = max(1.0, 2 * burst * interval)
        # By tenant. Guarded by the condition, as is the step from `initialize` to the call.
        self._sent: Final = Counter[str]()
        self._unanswered: Final = Counter[str]()
        self._changed: Final = threading.Condition()
        self._timers: Final = asyncio.new_event_loop()
        self._timer_thread: Final = threading.Thread(target=self._timers.run_forever)
        self._pool: Final[mb.Pool[str, mb.Call[Any] | None]] = mb.Pool(
            self._tenant, max_threads=max_threads, name="client"
        )

    def _later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        self._timers.call_soon_threadsafe(self._timers.call_later, seconds, function, *args)

    def _pause(self, tenant: str, seconds: float) -> None:
        self._later(seconds, self._pool.dispatch, tenant, None)

    def _tenant(self, name: str) -> Generator[None, mb.Call[Any] | None]:
        now = self._clock.now
        allowance = Allowance(self._burst, self._interval, now(name))
        waiting: deque[tuple[str, mb.ReplyBox[str]]] = deque()
        paused = False
        while True:
            match (yield):
                case mb.Call(Send(request), reply_box):
                    waiting.append((request, reply_box))
                case _:
                    paused = False
            while waiting and not paused:
                if seconds := allowance.wait(now(name)):
                    paused = True
                    self._pause(name, seconds)
                    continue
                request, reply_box = waiting.popleft()
                allowance.spend(now(name))
                try:
                    reply_box.reply(self._service(name, request))
                except OSError as error:
                    reply_box.fail(error)

    def send(self, tenant: str, request: str) -> mb.Reply[str]:
        with self._changed:
            self._pool.initialize(tenant)
            reply = mb.ask(self._pool.ref(tenant), Send(request))
            self._sent[tenant] += 1
            self._unanswered[tenant] += 1
        # Also where the worker fails, and with it all requests that it keeps.
        reply.add_done_callback(lambda _: self._is_answered(tenant))
        return reply

    def _is_answered(self, tenant: str) -> None:
        with self._changed:
            self._unanswered[tenant] -= 1
            if not self._unanswered[tenant]:
                del self._unanswered[tenant]
                self._later(self._idle_timeout, self._forget, tenant, self._sent[tenant])
                self._changed.notify_all()

    def _forget(self, tenant: str, sent: int) -> None:
        with self._changed:
            if self._sent[tenant] == sent:  # none since then
                del self._sent[tenant]
                self._pool.remove(tenant, drain=True)

    def __enter__(self) -> Self:
        self._timer_thread.start()
        self._pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        # Before the pool is closed: a worker that only waits for its pause to end has, for the
        # pool, nothing to do.
        with self._changed:
            self._changed.wait_for(lambda: not self._unanswered)
        self._pool.drain(timeout=None)
        self._timers.call_soon_threadsafe(self._timers.stop)
        self._timer_thread.join()
        self._timers.close()


class MonitorByHand:
    """As `examples.heartbeats.Monitor`."""

    def __init__(self, devices: dict[str, Device], *, interval: float, restart: mb.Restart) -> None:
        self._devices: Final = devices
        self._interval: Final = interval
        self._restart: Final = restart  # its figures; nothing else of it
        self._readings: Final = {name: list[int]() for name in devices}
        self._restarts: Final = {name: list[float]() for name in devices}
        self._ends: Final[queue.SimpleQueue[mb.WorkerExit[str]]] = queue.SimpleQueue()
        self._timers: Final = asyncio.new_event_loop()
        self._pool: Final[mb.Pool[str, None]] = mb.Pool(
            self._poll, on_worker_exit=self._ended, name="monitor"
        )

    def _at(self, when: float, function: Callable[..., object], *args: object) -> None:
        self._timers.call_soon_threadsafe(self._timers.call_at, when, function, *args)

    def _poll(self, name: str) -> Generator[None]:
        device = self._devices[name]
        device.connect()
        due = self._timers.time()
        while True:
            due = max(due + self._interval, self._timers.time())
            self._at(due, self._pool.dispatch, name, None)
            yield  # the next tick
            reading = device.poll()
            if reading is None:
                return
            self._readings[name].append(reading)

    def _ended(self, worker: mb.WorkerExit[str]) -> None:
        restart, now = self._restart, self._timers.time()
        restarts = [at for at in self._restarts[worker.key] if now - at < restart.within]
        if worker.error is None or len(restarts) >= restart.max_restarts:
            self._ends.put(worker)
        else:
            delay = min(restart.delay * restart.factor ** len(restarts), restart.max_delay)
            self._restarts[worker.key] = [*restarts, now]
            self._at(now + delay, self._pool.initialize, worker.key)

    def run(self) -> dict[str, Outcome]:
        timer_thread = threading.Thread(target=self._timers.run_forever)
        timer_thread.start()
        try:
            with self._pool as pool:
                for name in self._devices:
                    pool.initialize(name)
                ends = [self._ends.get() for _ in self._devices]
        finally:
            self._timers.call_soon_threadsafe(self._timers.stop)
            timer_thread.join()
            self._timers.close()
        errors = {end.key: end.error for end in ends}
        return {
            name: Outcome(tuple(readings), errors[name])
            for name, readings in self._readings.items()
        }


class PipelineByHand:
    """As `examples.order_pipeline.Shop`, if no worker raises: a day would not end after that.

    What a customer may have waiting is counted by a semaphore, not by its mailbox: answers of the
    stock come there as well, and if they waited for room the stages would wait in a circle.
    """

    def __init__(self, stock: dict[str, int], *, limit: int = 8) -> None:
        self.bad_lines: defaultdict[str, list[str]] = defaultdict(list)
        self.sold: defaultdict[str, list[Order]] = defaultdict(list)
        self.left: dict[str, int] = dict(stock)
        self._limit: Final = limit
        self._room: Final[dict[str, threading.Semaphore]] = {}
        self._unsold = 0  # lines; guarded by the condition
        self._changed: Final = threading.Condition()
        self._parsers: Final[mb.Pool[str, str]] = mb.Pool(
            self._parser, mailbox=mb.Blocking(limit), name="parsers"
        )
        self._customers: Final[mb.Pool[str, Order | int]] = mb.Pool(
            self._customer, name="customers"
        )
        self._products: Final[mb.Pool[str, tuple[str, int]]] = mb.Pool(
            self._product, mailbox=mb.Blocking(limit), name="products"
        )
        self._blocks: Final = contextlib.ExitStack()

    def _parser(self, file: str) -> Generator[None, str]:
        while True:
            line = yield
            match line.split():
                case [customer, product, amount] if amount.isdecimal():
                    self._room.setdefault(customer, threading.Semaphore(self._limit)).acquire()
                    self._customers.initialize(customer)
                    self._customers.dispatch(customer, Order(customer, product, int(amount)))
                case _:
                    self.bad_lines[file].append(line)
                    self._add_unsold(-1)

    def _customer(self, name: str) -> Generator[None, Order | int]:
        waiting: deque[Order] = deque()
        asked = False
        while True:
            match (yield):
                case Order() as order:
                    waiting.append(order)
                case amount:
                    asked = False
                    order = waiting.popleft()
                    self.sold[name].append(Order(name, order.product, amount))
                    self._room[name].release()
                    self._add_unsold(-1)
            if waiting and not asked:
                asked = True
                self._products.initialize(waiting[0].product)
                self._products.dispatch(waiting[0].product, (name, waiting[0].amount))

    def _product(self, name: str) -> Generator[None, tuple[str, int]]:
        while True:
            customer, amount = yield
            given = min(amount, self.left.get(name, 0))
            self.left[name] = self.left.get(name, 0) - given
            self._customers.dispatch(customer, given)

    def _add_unsold(self, count: int) -> None:
        with self._changed:
            self._unsold += count
            self._changed.notify_all()

    def read(self, lines: Iterable[tuple[str, str]]) -> None:
        for file, line in lines:
            self._parsers.initialize(file)
            self._add_unsold(1)
            self._parsers.dispatch(file, line)

    def end_of_day(self) -> dict[str, int]:
        with self._changed:
            self._changed.wait_for(lambda: self._unsold == 0)
        return dict(self.left)

    def __enter__(self) -> Self:
        for pool in (self._products, self._customers, self._parsers):
            self._blocks.enter_context(pool)
        return self

    def __exit__(self, *_: object) -> None:
        # A customer that only waits for an answer has, for its pool, nothing to do.
        self.end_of_day()
        self._blocks.close()
