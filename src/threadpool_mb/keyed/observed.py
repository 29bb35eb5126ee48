"""Tasks that are observed: in the place of a task's function stands one that tells of it.

Only executors with an observer of the message plane have these. The message is the function.

**Guarantees.** A task is told as sent on its submitter's thread, in its context, before it can
begin. One that begins is told as begun and as done, in the task's context, before its future has
its result. One that is cancelled before is told as neither.
"""

from collections.abc import Callable
from typing import Any, Final, final

from threadpool_mb.keyed.futures import NoKey
from threadpool_mb.observing import Observers
from threadpool_mb.values import MISSING

__all__ = ["ObservedCall"]


@final
class ObservedCall:
    """A task's function, and what observers have said of it as it was submitted."""

    __slots__ = ("_key", "_observers", "_sent", "function")

    def __init__(self, observers: Observers, key: object, function: Callable[..., object]) -> None:
        """Tell that a task is submitted that calls `function`."""
        self._observers: Final = observers
        self._key: Final = MISSING if isinstance(key, NoKey) else key
        self.function: Final = function
        self._sent: Final = observers.sent(self._key, function)

    def __call__(self, /, *arguments: Any, **keywords: Any) -> object:  # noqa: ANN401 - the function's
        """Call the function, and tell when that begins and is done."""
        observers, key, function = self._observers, self._key, self.function
        begun = observers.begun(key, function, self._sent)
        try:
            result = function(*arguments, **keywords)
        except BaseException as error:
            observers.done(key, function, begun, error)
            # The error's traceback holds this frame, which must not hold what the task was called
            # with, among which its future may be.
            del self, function, arguments, keywords, begun
            raise
        observers.done(key, function, begun, None)
        return result
