"""Calling a user's observer: guarded, and timed.

**Guarantees.** What it raises that is an `Exception` is logged, at most once a second, and changes
nothing else. A call that takes longer than 10 ms is counted; where two of one method follow each
other, or one takes longer than a second, that is logged, at most once a second. One alone may be
the system's doing: of 20,000 calls that do nothing, on more threads than cores, some take 20 ms.
What is no `Exception`, an interrupt, passes.
"""

import dataclasses
import threading
import time
import types
from collections.abc import Callable
from typing import Any, Final, final

from threadpool_mb.arguments import describe
from threadpool_mb.forking import remade_in_children
from threadpool_mb.logs import Logger
from threadpool_mb.observer import Observer

__all__ = ["RAISED", "OwnObserver", "Plane", "Told"]

_logger = Logger(__name__)

_SLOW: Final = 0.01
"""Seconds after which a call was slow."""

_ANY: Final = -1.0
"""In the place of `_SLOW`, after a call that was slow: the next one is looked at in any case."""

_VERY_SLOW: Final = 1.0
"""Seconds after which it is the observer that was, and not the system."""

_LOG_INTERVAL: Final = 1.0
"""Seconds between two log lines about one observer."""

# Guards the counts of all observers. No thread waits under it. Reentrant: a signal handler may use
# a pool.
_counting: Final = remade_in_children(threading.RLock())

_clock: Final = time.perf_counter
_now: Final = time.monotonic


class RAISED:
    """In the place of what `begun` returns, if it has raised; the class itself, as for `Marker`."""


type _Method = Callable[..., Any]
type Plane = tuple[_Method | None, _Method | None, _Method | None]
"""What calls an observer's `sent`, `begun` and `done`, if it overrides them."""


class OwnObserver(Observer):
    """The base class of observers that are this library's own: neither guarded nor timed.

    The methods of the message plane had better be static: threads share no object then.
    """

    __slots__ = ()


@dataclasses.dataclass(slots=True)
class _Lines:
    """How often something has happened, and when it may be logged again; see `_counting`."""

    count: int = 0
    quiet_until: float = 0.0


@final
class Told:
    """One observer, of one pool. Threads: internally synchronized."""

    __slots__ = ("_name", "_observer", "_raised", "_slow")

    def __init__(self, name: str, observer: Observer) -> None:
        """Tell `observer` of the pool `name`."""
        self._name: Final = name
        self._observer: Final = observer
        self._raised: Final = _Lines()
        self._slow: Final = _Lines()

    def guarded(self, event: str) -> _Method | None:
        """Return what calls the observer's method, if it overrides that."""
        if not self._overrides(event):
            return None
        if isinstance(self._observer, OwnObserver):
            own: _Method = getattr(self._observer, event)
            return own
        function, owner = self._method(event)
        clock, raised, look = _clock, self._has_raised, self._look
        limit = _SLOW

        def call(*arguments: object) -> None:
            nonlocal limit
            start = clock()
            try:
                function(owner, *arguments)
            except Exception as error:  # noqa: BLE001 - logged
                raised(event, error)
            if clock() - start > limit:
                limit = look(event, clock() - start, limit)

        return call

    def message_plane(self) -> Plane:
        """Return what calls `sent`, `begun` and `done`, each `None` if it is not overridden.

        What calls `sent` returns `None` if that raises. What calls `begun` returns `RAISED` then,
        with which what calls `done` does not call it.

        Closures, one for each method and with its arguments, for threads that call it for each
        message at the same time: on a free-threaded build they count the references of each object
        that they share, but not those of functions, nor of the limits, which are constants
        (`benchmarks/`, "observing").
        """
        if isinstance(self._observer, OwnObserver):
            sent, begun, done = map(self.guarded, ("sent", "begun", "done"))
            return sent, begun, done
        return (
            self._guarded_sent() if self._overrides("sent") else None,
            self._guarded_begun() if self._overrides("begun") else None,
            self._guarded_done() if self._overrides("done") else None,
        )

    def _guarded_sent(self) -> _Method:
        function, owner = self._method("sent")
        clock, raised, look = _clock, self._has_raised, self._look
        # That of the last call; only read, where none is slow.
        limit = _SLOW

        def sent(key: object, message: object) -> Any:  # noqa: ANN401 - for `begun`
            nonlocal limit
            start = clock()
            try:
                told = function(owner, key, message)
            except Exception as error:  # noqa: BLE001 - logged
                raised("sent", error)
                told = None
            if clock() - start > limit:
                limit = look("sent", clock() - start, limit)
            return told

        return sent

    def _guarded_begun(self) -> _Method:
        function, owner = self._method("begun")
        clock, raised, look = _clock, self._has_raised, self._look
        limit = _SLOW

        def begun(key: object, message: object, sent: object) -> Any:  # noqa: ANN401 - for `done`
            nonlocal limit
            start = clock()
            try:
                told = function(owner, key, message, sent)
            except Exception as error:  # noqa: BLE001 - logged
                raised("begun", error)
                told = RAISED
            if clock() - start > limit:
                limit = look("begun", clock() - start, limit)
            return told

        return begun

    def _guarded_done(self) -> _Method:
        function, owner = self._method("done")
        clock, raised, look = _clock, self._has_raised, self._look
        limit = _SLOW

        def done(key: object, message: object, begun: object, error: BaseException | None) -> None:
            nonlocal limit
            if begun is RAISED:
                return
            start = clock()
            try:
                function(owner, key, message, begun, error)
            except Exception as own_error:  # noqa: BLE001 - logged
                raised("done", own_error)
            if clock() - start > limit:
                limit = look("done", clock() - start, limit)

        return done

    def _overrides(self, event: str) -> bool:
        own: object = getattr(type(self._observer), event)
        return own is not getattr(Observer, event)

    def _method(self, event: str) -> tuple[_Method, object]:
        """Return a function that is the observer's method, and what it is to get first."""
        method: Any = getattr(self._observer, event)
        if isinstance(method, types.MethodType):
            return method.__func__, method.__self__
        return _unbound, method

    def _has_raised(self, event: str, error: Exception) -> None:
        if before := _may_log(self._raised):
            more = f" ({before - 1} more before it)" if before > 1 else ""
            who = describe(self._observer)
            text = "%s: the observer %s raised in %s%s"
            _logger.error(text, self._name, who, event, more, exc_info=error)

    def _look(self, event: str, seconds: float, limit: float) -> float:
        """Look at a call that took longer than `limit`; return the limit of the next one."""
        if seconds <= _SLOW:
            return _SLOW
        certain = limit == _ANY or seconds > _VERY_SLOW
        if before := _may_log(self._slow, certain=certain):
            more = f" ({before - 1} more before it)" if before > 1 else ""
            who = describe(self._observer)
            text = "%s: the observer %s was slow in %s: it took %.0f ms%s"
            _logger.warning(text, self._name, who, event, 1000 * seconds, more)
        return _ANY


def _may_log(lines: _Lines, *, certain: bool = True) -> int:
    """Count; return how many there were since the last line, 0 if there is to be none now."""
    with _counting:
        lines.count += 1
        now = _now()
        if not certain or now < lines.quiet_until:
            return 0
        count, lines.count = lines.count, 0
        lines.quiet_until = now + _LOG_INTERVAL
    return count


def _unbound(method: _Method, *arguments: object) -> Any:  # noqa: ANN401 - what it returns
    return method(*arguments)
