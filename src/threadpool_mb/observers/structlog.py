"""structlog: which pool, key and message it is, in each line that is logged while it is handled.

```python
structlog.configure(processors=[structlog.contextvars.merge_contextvars, ...])
pool = Pool(worker, name="orders", observe=Structlog())
```

Needs `structlog` (`threadpool-mb[structlog]`), with its processor `merge_contextvars`.
"""

import contextvars
from collections.abc import Callable
from typing import Any, Final, final, override

from structlog.contextvars import bind_contextvars, reset_contextvars

from threadpool_mb.arguments import describe
from threadpool_mb.observer import Kind, Observer
from threadpool_mb.values import MISSING

__all__ = ["Structlog"]

_in_hand: Final = contextvars.ContextVar[object]("threadpool_mb.observers.structlog")
"""What was bound in a context: whether `done` comes in that one."""


@final
class Structlog(Observer):
    """Binds pool, key and message while a message is handled, and what was bound before after it.

    Threads: one may be given to any number of pools. Nothing is left behind on a thread, or in a
    worker's context.
    """

    __slots__ = ("_describe", "_names")

    def __init__(
        self,
        *,
        pool: str | None = "pool",
        key: str | None = "key",
        message: str | None = "message",
        describe: Callable[[Any], object] = describe,
    ) -> None:
        """Bind under these names; what has none is not bound.

        `describe` says what is bound of a key and of a message: a shortened `repr`, if it is not
        given. A task of an executor has its function for a message.
        """
        self._names: Final = (pool, key, message)
        self._describe: Final = describe

    @override
    def for_owner(self, name: str, kind: Kind, /) -> Observer:
        """Return what is told of one pool."""
        return _OfPool(name, self._names, self._describe)


@final
class _OfPool(Observer):
    __slots__ = ("_describe", "_key", "_message", "_pool")

    def __init__(
        self,
        name: str,
        names: tuple[str | None, str | None, str | None],
        describe: Callable[[Any], object],
    ) -> None:
        pool, self._key, self._message = names
        self._pool: Final = {} if pool is None else {pool: name}
        self._describe: Final = describe

    @override
    def begun(self, key: Any, message: Any, sent: Any, /) -> tuple[Any, Any]:
        bound: dict[str, object] = dict(self._pool)
        if self._key is not None and key is not MISSING:
            # As in a span of OpenTelemetry, so that the two can be joined.
            bound[self._key] = key if isinstance(key, str) else self._describe(key)
        if self._message is not None:
            bound[self._message] = self._describe(message)
        tokens = bind_contextvars(**bound)
        return tokens, _in_hand.set(tokens)

    @override
    def done(
        self, key: Any, message: Any, begun: tuple[Any, Any], error: BaseException | None, /
    ) -> None:
        tokens: dict[str, Any] = begun[0]
        # A worker that receives in a task of asyncio, and leaves the loop over its mailbox, is done
        # in another context than it has begun in. There, nothing was bound.
        is_here: bool = _in_hand.get(None) is tokens
        if is_here:
            reset_contextvars(**tokens)
            _in_hand.reset(begun[1])
