"""Two of `by_hand_waiting.py` without a pool: coroutines, and threads for what may block.

They are shorter than with a pool by hand: a coroutine waits in the midst of what it does.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

import threadpool_mb as mb
from examples.heartbeats import Device, Outcome
from examples.rate_limited import Allowance, Clock


class ClientOnAsyncio:
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
        # By tenant; for the loop's thread alone.
        self._tenants: Final[dict[str, tuple[asyncio.Lock, Allowance]]] = {}
        self._timers: Final[dict[str, asyncio.TimerHandle]] = {}
        self._loop: Final = asyncio.new_event_loop()
        self._loop_thread: Final = threading.Thread(target=self._loop.run_forever)
        self._threads: Final = ThreadPoolExecutor(max_threads)

    def send(self, tenant: str, request: str) -> Future[str]:
        return asyncio.run_coroutine_threadsafe(self._send(tenant, request), self._loop)

    async def _pause(self, _tenant: str, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _send(self, tenant: str, request: str) -> str:
        now = self._clock.now
        if tenant not in self._tenants:
            allowance = Allowance(self._burst, self._interval, now(tenant))
            self._tenants[tenant] = asyncio.Lock(), allowance
        lock, allowance = self._tenants[tenant]
        async with lock:  # in the order in which they came
            while seconds := allowance.wait(now(tenant)):
                await self._pause(tenant, seconds)
            allowance.spend(now(tenant))
            try:
                return await self._loop.run_in_executor(
                    self._threads, self._service, tenant, request
                )
            finally:
                if timer := self._timers.pop(tenant, None):
                    timer.cancel()
                self._timers[tenant] = self._loop.call_later(
                    self._idle_timeout, self._forget, tenant
                )

    def _forget(self, tenant: str) -> None:
        lock, _ = self._tenants[tenant]
        if not lock.locked():  # else another timer starts when that request is sent
            del self._tenants[tenant], self._timers[tenant]

    async def _all_sent(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def __enter__(self) -> Self:
        self._loop_thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._all_sent(), self._loop).result()
        self._threads.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join()
        self._loop.close()


class MonitorOnAsyncio:
    """As `examples.heartbeats.Monitor`."""

    def __init__(self, devices: dict[str, Device], *, interval: float, restart: mb.Restart) -> None:
        self._devices: Final = devices
        self._interval: Final = interval
        self._restart: Final = restart  # its figures; nothing else of it

    async def _watch(self, name: str) -> Outcome:
        device, restart = self._devices[name], self._restart
        readings: list[int] = []
        restarts: list[float] = []
        while True:
            try:
                await asyncio.to_thread(device.connect)
                due = time.monotonic()
                while True:
                    due = max(due + self._interval, time.monotonic())
                    await asyncio.sleep(due - time.monotonic())
                    reading = await asyncio.to_thread(device.poll)
                    if reading is None:
                        return Outcome(tuple(readings), None)
                    readings.append(reading)
            except Exception as error:  # noqa: BLE001 - as the pool's restart does
                now = time.monotonic()
                restarts = [at for at in restarts if now - at < restart.within]
                if len(restarts) >= restart.max_restarts:
                    return Outcome(tuple(readings), error)
                delay = min(restart.delay * restart.factor ** len(restarts), restart.max_delay)
                restarts.append(now)
            await asyncio.sleep(delay)

    async def _watch_all(self) -> dict[str, Outcome]:
        outcomes = await asyncio.gather(*map(self._watch, self._devices))
        return dict(zip(self._devices, outcomes, strict=True))

    def run(self) -> dict[str, Outcome]:
        return asyncio.run(self._watch_all())
