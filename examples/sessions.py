"""Sessions behind an asyncio server: in memory while they are used, in a store while they are not.

**Problem.** Handlers of an asyncio server change the state of a session: a shopping cart. Requests
of one session must not overlap, although its tasks do. Most sessions are quiet most of the time,
and are to be in the store then. The event loop must not wait for the store.

**Solution.** A session is a key of a pool, and its worker is an `mb.server`: an object whose
methods handle commands, one at a time, on threads of the pool. `await mb.aio.call(…)` waits for the
reply without blocking the loop. `start="on_demand"` starts the session at its first request;
`idle_timeout` ends it when it is quiet: it is *passivated*. The object loads its state in
`__enter__` and saves it in `__exit__`. A request that comes while the state is being saved is
handled by the next worker of the session, after that: no request is lost, none sees an old state.

Only a clean end saves. Ctrl-C cancels the block's task, so the pool, and what a session has not
saved is gone: let `loop.add_signal_handler` start a task that awaits `adrain` instead, or save with
each request.

Read: `Cart`; `Shop`; `handle`, which stands for a request handler; `visit`.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import threadpool_mb as mb


@dataclass(frozen=True, slots=True)
class Put(mb.Command[int]):
    """Put this into the cart; the answer is how many things are in it."""

    item: str


@dataclass(frozen=True, slots=True)
class Show(mb.Command[tuple[str, ...]]):
    """What is in the cart?"""


class Store:
    """Saved carts by session; stands for a database. Its methods may block."""

    def __init__(self) -> None:
        self.carts: dict[str, tuple[str, ...]] = {}
        self.loads: list[str] = []
        """The sessions that were loaded, in that order."""

    def load(self, session: str) -> tuple[str, ...]:
        """Return the saved cart, an empty one if there is none."""
        self.loads.append(session)
        return self.carts.get(session, ())

    def save(self, session: str, items: tuple[str, ...]) -> None:
        """Save a cart."""
        self.carts[session] = items


class Cart:
    """One session while it is in memory."""

    def __init__(self, session: str, store: Store) -> None:
        self._session: Final = session
        self._store: Final = store
        self._items: list[str] = []

    def __enter__(self) -> Self:
        self._items = list(self._store.load(self._session))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:  # a clean end: idle, or the pool is drained
            self._store.save(self._session, tuple(self._items))

    @mb.handles(Put)
    def put(self, command: Put) -> int:
        self._items.append(command.item)
        return len(self._items)

    @mb.handles(Show)
    def show(self, _: Show) -> tuple[str, ...]:
        return tuple(self._items)


class Shop:
    """The sessions; used in `async with shop.sessions`."""

    def __init__(self, store: Store, *, idle_timeout: float) -> None:
        """Keep a session in memory until it was quiet for `idle_timeout` seconds."""
        self.sessions: mb.Pool[str, mb.originals.Request] = mb.Pool(
            mb.server(lambda session: Cart(session, store)),
            start="on_demand",
            idle_timeout=idle_timeout,
            on_worker_exit=self._ended,
            name="sessions",
        )
        self._loop: Final = asyncio.get_running_loop()
        self._changed: Final = asyncio.Event()

    def _ended(self, _: mb.WorkerExit[str]) -> None:
        self._loop.call_soon_threadsafe(self._changed.set)

    async def all_passivated(self) -> None:
        """Wait until no session is in memory."""
        while self.sessions.keys():
            self._changed.clear()
            if self.sessions.keys():
                await self._changed.wait()

    async def handle(self, session: str, item: str) -> int:
        """Handle one request."""
        return await mb.aio.call(self.sessions.ref(session), Put(item))

    async def cart(self, session: str) -> tuple[str, ...]:
        """Return what is in a cart."""
        return await mb.aio.call(self.sessions.ref(session), Show())


async def visit(store: Store, *, sessions: int, requests: int) -> list[tuple[str, ...]]:
    """Have each session send requests at the same time, once before and once after a quiet time.

    Returns:
        The cart of each session.
    """
    names = [f"session {number}" for number in range(1, sessions + 1)]
    shop = Shop(store, idle_timeout=0.02)
    async with shop.sessions:
        for day in ("monday", "tuesday"):
            async with asyncio.TaskGroup() as group:
                for name in names:
                    for number in range(1, requests + 1):
                        group.create_task(shop.handle(name, f"{day} {number}"))
            await shop.all_passivated()
        return [await shop.cart(name) for name in names]


def main() -> None:
    """Print the carts of two sessions, and how often they were loaded."""
    store = Store()
    carts = asyncio.run(visit(store, sessions=2, requests=3))
    for number, cart in enumerate(carts, 1):
        print(f"session {number}: {', '.join(cart)}")
    print("loaded again after a quiet time:", len(store.loads) >= 3 * len(carts))
    print("saved:", store.carts == {f"session {n}": cart for n, cart in enumerate(carts, 1)})


if __name__ == "__main__":
    main()
