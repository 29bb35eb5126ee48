"""A client of a remote service that keeps each tenant's requests below a rate.

**Problem.** A service takes so many requests of a tenant at once, and then one in so many seconds.
A client that is faster is locked out. It has hundreds of tenants, and must not have a thread asleep
for each. Requests of a tenant are sent in the order in which they were made, and whoever has made
one gets its result.

**Solution.** A tenant is a key, its worker a generator. Before it sends a request that comes too
early, it waits with `yield from mb.sleep(seconds)`: its own requests wait, in their order, and its
thread takes turns of other tenants. The requests are calls: `mb.ask` returns at once, the result
comes later. `start="on_demand"` makes no difference between a new tenant and one that was there
before; `idle_timeout` forgets a tenant whose allowance is full again.

Read: `Allowance`, which counts; `Client`, above all `_tenant`, the worker.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import threadpool_mb as mb


@dataclass(frozen=True, slots=True)
class Send(mb.Command[str]):
    """Send this request; the answer is what the service says."""

    request: str


class Clock:
    """The time, and how a worker waits; a test has another one."""

    def now(self, _tenant: str) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    def sleep(self, _tenant: str, seconds: float) -> Iterator[Any]:
        """Wait in a worker."""
        return mb.sleep(seconds)


class Allowance:
    """What a tenant may send: `burst` requests at once, and one more each `interval` seconds."""

    def __init__(self, burst: int, interval: float, now: float) -> None:
        self._burst: Final = burst
        self._interval: Final = interval
        self._full_at = now

    def wait(self, now: float) -> float:
        """Return the seconds until one more may be sent; 0 for at once."""
        return max(0.0, self._full_at - (self._burst - 1) * self._interval - now)

    def spend(self, now: float) -> None:
        """Take note that one is sent."""
        self._full_at = max(self._full_at, now) + self._interval


class Client:
    """Sends requests; leaving its block waits for all of them."""

    def __init__(
        self,
        service: Callable[[str, str], str],
        *,
        burst: int,
        interval: float,
        clock: Clock | None = None,
        max_threads: int = 2,
    ) -> None:
        """Send to `service(tenant, request)`, `burst` at once, then one in `interval` seconds."""
        self._service: Final = service
        self._burst: Final = burst
        self._interval: Final = interval
        self._clock: Final = clock or Clock()
        self._pool: mb.Pool[str, mb.Call[Any]] = mb.Pool(
            self._tenant,
            start="on_demand",
            # Only once the allowance is full: else a tenant could begin a new one too early.
            idle_timeout=max(1.0, 2 * burst * interval),
            max_threads=max_threads,
            name="client",
        )

    def _tenant(self, name: str) -> Generator[None, mb.Call[Any]]:
        clock = self._clock
        allowance = Allowance(self._burst, self._interval, clock.now(name))
        while True:
            match (yield):
                case mb.Call(Send(request), reply_box) if not reply_box.expired:
                    while seconds := allowance.wait(clock.now(name)):
                        yield from clock.sleep(name, seconds)
                    allowance.spend(clock.now(name))
                    try:
                        reply_box.reply(self._service(name, request))
                    except OSError as error:
                        reply_box.fail(error)
                case _:
                    pass

    def send(self, tenant: str, request: str) -> mb.Reply[str]:
        """Have a request sent when the tenant may; return where its result comes."""
        return mb.ask(self._pool.ref(tenant), Send(request))

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.drain(timeout=None)


def main() -> None:
    """Send six requests of each of five tenants, three at once, then one in 20 ms."""
    tenants = [f"tenant {number}" for number in range(1, 6)]

    def service(tenant: str, request: str) -> str:
        return f"{request} of {tenant}"

    with Client(service, burst=3, interval=0.02) as client:
        replies = {
            tenant: [client.send(tenant, f"request {number}") for number in range(1, 7)]
            for tenant in tenants
        }
        for tenant, of_tenant in replies.items():
            results = [reply.result() for reply in of_tenant]
            in_order = results == [f"request {number} of {tenant}" for number in range(1, 7)]
            print(f"{tenant}: {len(results)} results, in order: {in_order}")


if __name__ == "__main__":
    main()
