"""Pykka: an actor with a thread for each key."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

import pykka


class _Actor(pykka.ThreadingActor):
    """Hands what it is told to a function, and stops once that returns true."""

    def __init__(self, handle: Callable[[Any], bool]) -> None:
        super().__init__()
        self._handle = handle

    def on_receive(self, message: Any) -> None:  # noqa: ANN401 - as the base class has it
        if self._handle(message):
            self.stop()


class ActorPerKey[K: Hashable, M]:
    """Runs `worker(key)`'s result for each message of the key, until it returns true."""

    def __init__(self, worker: Callable[[K], Callable[[M], bool]]) -> None:
        self._worker: Final = worker
        self._actors: Final[dict[K, pykka.ActorRef[_Actor]]] = {}

    def start(self, key: K) -> None:
        """Start a key's actor."""
        self._actors[key] = _Actor.start(self._worker(key))

    def send(self, key: K, messages: Iterable[M]) -> None:
        """Tell a key's actor messages, one after the other."""
        actors = self._actors
        for message in messages:
            actors[key].tell(message)

    def close(self) -> None:
        """Wait for the actors, which end by themselves."""
        for actor in self._actors.values():
            actor.actor_stopped.wait()
