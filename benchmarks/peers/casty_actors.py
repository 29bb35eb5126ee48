"""casty: virtual actors by key, run by a core in Rust on an asyncio loop.

Every message is serialised, within a process too. What is sent is therefore a class with typed
fields, and the number that does not fit into 64 bits is sent as text.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from benchmarks.measuring import PATIENCE
from benchmarks.peers.installed import CASTY
from benchmarks.receivers import Handle, Numbered


@dataclasses.dataclass(frozen=True)
class Message:
    """A message of the original's shape."""

    number: int
    body: tuple[str, str, str, tuple[str, str, bool, str]]

    @classmethod
    def of(cls, message: Numbered) -> "Message":
        """Return the same message with its large number as text."""
        number, (*texts, (first, second, even, large)) = message
        return cls(number, (*texts, (first, second, even, str(large))))


async def _start_system() -> Any:  # noqa: ANN401 - of a package that may not be installed
    return await CASTY.module.ActorSystem().__aenter__()


class Actors:
    """Runs `worker(key)`'s result for each message of the key, until it returns true.

    The sender is a coroutine on the actors' loop.
    """

    def __init__(self, worker: Callable[[int], Handle]) -> None:
        self._left = 0
        self._ended: Final = asyncio.Event()
        self._runner: Final = asyncio.Runner()

        context_type: Any = CASTY.module.Context[int, Message]

        async def receive(context: context_type) -> None:
            handle = worker(int(context.key))
            async for message in context.inbox:
                if handle((message.number, message.body)):
                    break
            self._left -= 1
            if self._left == 0:
                self._ended.set()

        self._actor: Final = CASTY.module.actor(initial=0)(receive)
        self._system: Final = self._runner.run(_start_system())

    def round(self, keys: Collection[int], messages: Sequence[Numbered]) -> None:
        """Start keys, send each the messages, and return when all their actors have ended."""
        self._runner.run(self._round(keys, [Message.of(message) for message in messages]))

    def close(self) -> None:
        """End the system of the actors and the loop."""
        self._runner.run(self._system.__aexit__(None, None, None))
        self._runner.close()

    async def _round(self, keys: Collection[int], messages: Sequence[Message]) -> None:
        self._left = len(keys)
        self._ended.clear()
        for key in keys:
            tell = self._system.ref(self._actor, str(key)).tell
            for message in messages:
                tell(message)
        await asyncio.wait_for(self._ended.wait(), PATIENCE)
