"""The pool as an `Input`: of messages for one key, and of the original's pool messages."""

from collections.abc import Callable
from typing import Any, Final, Protocol, final

from threadpool_mb.command.answer import Answer
from threadpool_mb.copying import Uncopied
from threadpool_mb.describing import describe
from threadpool_mb.mailbox.slots import Slots
from threadpool_mb.markers import Missing
from threadpool_mb.messages import Dispatch, Initialize, Remove
from threadpool_mb.pool.calls import Calls

__all__ = ["KeyInput", "PoolInput"]


class _Routes[K, M](Protocol):
    def initialize(self, key: K, message: M | Missing = ..., /) -> bool: ...
    def dispatch(self, key: K, message: M, /) -> bool: ...
    def remove(self, key: K, /, *, drain: bool = ...) -> bool: ...


@final
class KeyInput[K, M](Uncopied):
    """An `Input` that addresses one key, whichever worker it has; from `Pool.ref`.

    Threads: internally synchronized.
    """

    __slots__ = ("_calls", "_dispatch", "key")

    def __init__(self, key: K, dispatch: Callable[[K, M], bool], calls: "Calls[K, M]") -> None:
        """Address `key` through `dispatch`, and with calls through `calls`."""
        self._dispatch: Final = dispatch
        self._calls: Final = calls
        self.key: Final = key
        """The key."""

    def deliver(self, message: M, /) -> bool:
        """Hand a message to the key's worker; blocks, returns and raises as `Pool.dispatch`."""
        return self._dispatch(self.key, message)

    def offer(
        self, message: M, *, last: bool = False, answer: Answer[Any] | None = None
    ) -> bool | Slots:
        """Hand a message to the key's worker without waiting; see `Calls.offer`."""
        return self._calls.offer(self.key, message, last=last, answer=answer)

    def deliver_call(self, call: M, answer: Answer[Any], *, inline: bool) -> bool:
        """Hand a call to the key's worker; see `CallTarget`."""
        return self._calls.deliver(self.key, call, answer, inline=inline)

    def __repr__(self) -> str:
        """Show the key."""
        return f"<KeyInput {describe(self.key)}>"


@final
class PoolInput[K, M](Uncopied):
    """An `Input` of `Initialize`, `Dispatch` and `Remove`; from `Pool.input`.

    Each is carried out on the sender's thread, as if the pool's method of that name had been
    called.
    """

    __slots__ = ("_pool",)

    def __init__(self, pool: _Routes[K, M]) -> None:
        """Carry messages out on `pool`."""
        self._pool: Final = pool

    def deliver(self, message: Initialize[K, M] | Dispatch[K, M] | Remove[K], /) -> bool:
        """Carry out one message; see `Pool.initialize`, `Pool.dispatch` and `Pool.remove`.

        Raises:
            TypeError: if it is none of the three.
        """
        match message:
            case Dispatch(key, content):
                return self._pool.dispatch(key, content)
            case Initialize(key, content):
                return self._pool.initialize(key, content)
            case Remove(key, drain):
                return self._pool.remove(key, drain=drain)
            case _:
                raise TypeError(
                    f"a pool takes Initialize, Dispatch or Remove, not {describe(message)}"
                )
