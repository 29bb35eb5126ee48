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

__all__ = ["RAISED", "OwnObserver", "Told"]

_logger = Logger(__name__)

_SLOW: Final = 0.01
"""Seconds after which a call was slow."""

_VERY_SLOW: Final = 1.0
"""Seconds after which it is the observer that was, and not the system."""

_LOG_INTERVAL: Final = 1.0
"""Seconds between two log lines about one observer."""

# Guards the counts of all observers. Nobody waits under it. Reentrant: a signal handler may use a
# pool.
_counting: Final = remade_in_children(threading.RLock())

_clock: Final = time.perf_counter
_now: Final = time.monotonic


class RAISED:
    """In the place of what a method returns that has raised; the class itself, as for `Marker`."""


type _Method = Callable[..., Any]


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
        """Return what calls the observer's method, if it overrides that; `RAISED` if it raises.

        A closure, for threads that call it for each message at the same time: on a free-threaded
        build they count the references of each object that they share, but not those of functions
        (`benchmarks/`, "observing": to be told of a message cost 5.8 µs before that, and 4.5 now).
        """
        if getattr(type(self._observer), event) is getattr(Observer, event):
            return None
        method: Any = getattr(self._observer, event)
        function: _Method = _unbound
        owner: Any = method
        if isinstance(method, types.MethodType):
            function, owner = method.__func__, method.__self__
        if isinstance(self._observer, OwnObserver):
            own: _Method = method
            return own
        clock, raised, slow = _clock, self._has_raised, self._was_slow
        # Whether the last call was slow; only read, where none is.
        suspect = False

        def call(*arguments: object) -> Any:  # noqa: ANN401 - what it returns
            nonlocal suspect
            start = clock()
            try:
                return function(owner, *arguments)
            except Exception as error:  # noqa: BLE001 - logged
                raised(event, error)
                return RAISED
            finally:
                seconds = clock() - start
                if seconds > _SLOW:
                    slow(event, seconds, certain=suspect)
                    suspect = True
                elif suspect:
                    suspect = False

        return call

    def _has_raised(self, event: str, error: Exception) -> None:
        if before := _may_log(self._raised):
            more = f" ({before - 1} more before it)" if before > 1 else ""
            who = describe(self._observer)
            text = "%s: the observer %s raised in %s%s"
            _logger.error(text, self._name, who, event, more, exc_info=error)

    def _was_slow(self, event: str, seconds: float, *, certain: bool) -> None:
        certain = certain or seconds > _VERY_SLOW
        if before := _may_log(self._slow, certain=certain):
            more = f" ({before - 1} more before it)" if before > 1 else ""
            who = describe(self._observer)
            text = "%s: the observer %s was slow in %s: it took %.0f ms%s"
            _logger.warning(text, self._name, who, event, 1000 * seconds, more)


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
