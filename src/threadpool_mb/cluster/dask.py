"""What is used of `distributed`, as this package's types; the one module that imports it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, cast, final

try:
    import distributed  # type: ignore[import-not-found,import-untyped,unused-ignore]  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "threadpool_mb.cluster needs Dask: pip install 'threadpool_mb[cluster]'", name=_missing.name
    ) from _missing

from threadpool_mb.arguments import describe

__all__ = [
    "Actor",
    "Client",
    "DaskFuture",
    "actor_of",
    "check_client",
    "give_back",
    "is_closed",
    "let_go",
    "node_addresses",
    "wait_a_moment",
]


_OPEN: Final = frozenset({"running", "connecting"})
"""The states of a client that reaches its scheduler, or will."""
_LIMIT: Final = 5.0
"""Seconds that an answer of the scheduler is waited for."""


@final
class Actor:
    """A node's actor, from here. Threads: any."""

    __slots__ = ("_loop", "_methods", "_remote")

    def __init__(self, client: "Client", remote: Any) -> None:
        """Call `remote`, a `distributed.Actor`, on the client's loop."""
        self._remote: Final = remote
        self._loop: Final[asyncio.AbstractEventLoop] = client.loop.asyncio_loop
        self._methods: Final[dict[str, Callable[..., Awaitable[Any]]]] = {}

    def begin(self, method: str, *arguments: object) -> "Future[Any]":
        """Call a method of `NodeActor`; return its result, now or later.

        Neither is a method looked up for each call, nor is its result waited for by `distributed`:
        both make a decorated function, for which a free-threaded build stops all threads several
        times; that took ten times as long as the rest.

        Raises:
            Exception: if the actor is known to be lost, or the client is closed.
        """
        call = self._methods.get(method)
        if call is None:
            call = self._methods[method] = getattr(self._remote, method)
        answer = _awaited(call(*arguments))
        try:
            return asyncio.run_coroutine_threadsafe(answer, self._loop)
        except BaseException:
            answer.close()
            raise


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


class DaskFuture(Protocol):
    """A task on a Dask cluster."""

    @property
    def status(self) -> str:
        """`"pending"`, `"finished"`, `"error"`, `"lost"` or `"cancelled"`."""
        ...

    @property
    def key(self) -> str:
        """By which Dask knows it."""
        ...

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its result."""
        ...

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for its end; return what it has raised."""
        ...

    def done(self) -> bool:
        """Return whether it has ended, in whatever way."""
        ...


class Client(Protocol):
    """A `distributed.Client`, as far as it is used."""

    @property
    def status(self) -> str:
        """`"running"`, `"closed"` and so on."""
        ...

    @property
    def asynchronous(self) -> bool:
        """Whether its methods return coroutines."""
        ...

    def as_current(self) -> AbstractContextManager[object]:
        """Have what is made in the block belong to this client."""
        ...

    def submit(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> DaskFuture:
        """Submit a task."""
        ...

    def cancel(self, futures: list[DaskFuture], *, asynchronous: bool) -> Any:
        """Have the scheduler forget tasks."""
        ...

    @property
    def loop(self) -> Any:
        """The `IOLoop` of the client's thread."""
        ...

    @property
    def scheduler(self) -> Any:
        """The scheduler, as an object whose methods are coroutines."""
        ...

    def sync(self, func: Callable[..., Any], *, callback_timeout: float, **kwargs: Any) -> Any:
        """Call a coroutine function on the client's loop, and wait for its result."""
        ...


def let_go(error: BaseException) -> None:
    """Have an error of Dask's, which is handled, keep no frame of this thread.

    `distributed.utils.sync` keeps the error in a cell, which frames of the loop's thread have, too.
    The frames in the error's traceback, and their callers', would live as long as that. With them
    would live a pool whose set-up had to wait, though its user has dropped it.
    """
    error.__traceback__ = None


def check_client(client: object) -> Client:
    """Return a client that can be used.

    Raises:
        TypeError: if it is no `distributed.Client`, or one for asyncio.
        RuntimeError: if it is closed.
    """
    kind: Any = distributed.Client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(client, kind):
        raise TypeError(f"client must be a distributed.Client, not {describe(client)}")
    checked = cast("Client", client)
    if checked.asynchronous:
        raise TypeError("client must not be asynchronous: the pool's own threads wait for it")
    if checked.status != "running":
        raise RuntimeError(f"client is {checked.status}: {describe(client)}")
    return checked


def actor_of(client: Client, future: DaskFuture, kind: type[object], address: str) -> Actor | None:
    """Return the actor of a task that has ended; `None` if its Dask worker is lost meanwhile.

    Not the task's result: to get that may take as long as to connect to a Dask worker that is gone;
    and an actor belongs to whichever client is the default one as it is unpickled.

    Raises:
        Exception: what the task has raised.
    """
    if future.status == "error":
        future.result(timeout=_LIMIT)
    if future.status != "finished":
        return None
    make: Any = distributed.Actor  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    with client.as_current():
        return Actor(client, make(kind, address, future.key))


def wait_a_moment(future: DaskFuture, seconds: float) -> None:
    """Wait until a task has ended, or for so many seconds."""
    try:
        future.exception(timeout=seconds)
    except TimeoutError as error:
        let_go(error)


def is_closed(client: Client) -> bool:
    """Return whether a client reaches no scheduler, and will not: it does not open again."""
    return client.status not in _OPEN


def give_back(client: Client, future: DaskFuture) -> None:
    """Have Dask drop an actor, whatever refers to it here.

    Blocks: for a few seconds at most.
    """
    if not is_closed(client):
        try:
            client.sync(lambda: client.cancel([future], asynchronous=True), callback_timeout=_LIMIT)
        except Exception as error:  # noqa: BLE001 - it is closed meanwhile, and the actor with it
            let_go(error)


def node_addresses(client: Client) -> dict[str, str]:
    """Return the addresses of the Dask workers, and the status of each.

    A client that is closed, by its user or since it has lost the scheduler, reaches none.

    Blocks: for an answer of the scheduler, for a few seconds at most.

    Raises:
        Exception: if it does not come.
    """
    if is_closed(client):
        return {}
    # Not `scheduler_info`, which waits for ever where the client is closed meanwhile.
    info = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=_LIMIT)
    workers: Mapping[str, Mapping[str, Any]] = info["workers"]
    return {address: str(info.get("status", "running")) for address, info in workers.items()}
