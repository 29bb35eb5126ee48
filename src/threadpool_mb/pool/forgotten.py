"""Waits of generator workers that were called without `yield from`, and so do nothing.

**Guarantees.** In Python's development mode each is told by a `RuntimeWarning`. Else nothing here
runs for a wait.
"""

import sys
import warnings
from collections.abc import Callable, Generator
from typing import Any, Final, cast, final, override

__all__ = ["noticed_if_forgotten"]


@final
class _Watched[R](Generator[Any, Any, R]):
    """A wait in Python's development mode: warns if it is dropped, and nobody has waited for it."""

    __slots__ = ("_begun", "_call", "_generator")

    def __init__(self, generator: Generator[Any, Any, R], call: str) -> None:
        self._begun = False
        self._call: Final = call
        self._generator: Final = generator

    @override
    def __iter__(self) -> Generator[Any, Any, R]:
        self._begun = True
        return self._generator

    @override
    def __next__(self) -> Any:
        return next(iter(self))  # not every wait can be sent to

    @override
    def send(self, value: Any, /) -> Any:
        its = iter(self)
        # A sleep is an iterator, and no more.
        return next(its) if value is None else its.send(value)

    @override
    def throw(self, *error: Any) -> Any:
        return iter(self).throw(*error)

    @override
    def __repr__(self) -> str:
        return repr(self._generator)

    def __del__(self) -> None:
        if not self._begun:
            # Where it is dropped, which is where it was called.
            warnings.warn(
                f"nothing has waited for mb.{self._call}: write `yield from mb.{self._call}`",
                RuntimeWarning,
                stacklevel=2,
            )


def noticed_if_forgotten[W: Callable[..., Any]](call: str) -> Callable[[W], W]:
    """Have Python's development mode, `-X dev`, warn of a wait that nobody waits for."""

    def watch(wait: W) -> W:
        watched = cast("W", lambda *given: _Watched(wait(*given), call))  # pyright: ignore[reportUnknownLambdaType]
        return watched if sys.flags.dev_mode else wait

    return watch
