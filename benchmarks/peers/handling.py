"""What a key's coroutine does, whichever runtime it is a task of."""

from collections.abc import Awaitable, Callable

type Handle[M] = Callable[[M], bool]
"""Takes a message, and returns true once it was the last one."""


async def handle_all[K, M](
    worker: Callable[[K], Handle[M]], key: K, receive: Callable[[], Awaitable[M]]
) -> None:
    """Hand a key's messages to `worker(key)`'s result, until it returns true."""
    handle = worker(key)
    while not handle(await receive()):
        pass
