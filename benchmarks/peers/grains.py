"""nigrains: virtual actors on one asyncio loop, which start with the first call to them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from benchmarks.peers.handling import Handle
from benchmarks.peers.installed import NIGRAINS


def _kind[M](worker: Callable[[int], Handle[M]]) -> Any:  # noqa: ANN401 - a class of the package's
    """Return a class of grains, each of which hands what it is called with to a function."""
    base: Any = NIGRAINS.module.Grain

    class Receiver(base):  # type: ignore[misc]
        grain_type = "receiver"

        def __init__(self, grain_id: Any) -> None:  # noqa: ANN401 - of the package's
            super().__init__(grain_id)
            self._handle = worker(int(grain_id.key))

        async def wake(self) -> None:
            pass

        async def handle(self, message: M) -> None:
            self._handle(message)

    return Receiver


class Grains[M]:
    """Runs `worker(key)`'s result for each message of the key; the sender is on the same loop.

    Each message is a call that is waited for, as there is no other way to send one.
    """

    def __init__(self, worker: Callable[[int], Handle[M]]) -> None:
        self._kind: Final = _kind(worker)
        self._runner: Final = asyncio.Runner()
        self.runtime: Final = NIGRAINS.module.Runtime()
        self.runtime.register(self._kind)
        self.run(self.runtime.__aenter__())

    def run[T](self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine on the loop until it has ended; between two of them nothing runs."""
        return self._runner.run(coroutine)

    def reference(self, key: int) -> Any:  # noqa: ANN401 - of the package's
        """Return a reference to a key's grain, which its first call starts."""
        return self.runtime.reference(self._kind, str(key))

    def round(self, keys: Iterable[int], messages: Iterable[M]) -> None:
        """Send each key the messages, and return when all are handled."""
        self.run(self._round(keys, messages))

    def close(self) -> None:
        """End the grains and the loop."""
        self.run(self.runtime.__aexit__(None, None, None))
        self._runner.close()

    async def _round(self, keys: Iterable[int], messages: Iterable[M]) -> None:
        for key in keys:
            handle = self.reference(key).handle
            for message in messages:
                await handle(message)
