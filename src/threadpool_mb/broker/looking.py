"""Looking at a broker: what it does as a whole, and each key that has a resource, or messages.

**Guarantees.** A look blocks no thread, and makes none wait. `handled` never becomes less.

**How.** What was taken is counted by the broker's own thread, or with `max_threads` at the end of a
turn. Those that have then not been handled, which became dead letters, are counted apart, at once,
and taken off: that may be before they are counted. So the most that was seen is what is shown.
"""

import dataclasses
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final, final

from threadpool_mb.aio.life import AsyncLife
from threadpool_mb.arguments import check_key, check_limit
from threadpool_mb.broker.config import BrokerDrainReport
from threadpool_mb.broker.loop import BrokerLoop
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.events import StuckWorker
from threadpool_mb.forking import remade_in_children
from threadpool_mb.keyed.looking import TaskLine, hottest, line_of, lines_of, look_at
from threadpool_mb.logs import Logger
from threadpool_mb.threads.watchers import Watcher
from threadpool_mb.values import MISSING

__all__ = ["BrokerStats", "LookedAt", "Looking"]

_logger = Logger(__name__)

# Guards what was seen before. No thread waits under it. Reentrant: a finalizer may look at a
# broker.
_seeing: Final = remade_in_children(threading.RLock())


@dataclasses.dataclass(frozen=True, slots=True)
class BrokerStats:
    """What a `Broker` looked like at one moment; other threads may have changed it since.

    It takes time proportional to the broker's threads, and to its keys that have messages. To count
    those that wait in a mailbox of a user's own kind takes what its `len` does.
    """

    name: str
    """The broker's name."""
    state: str
    """`"running"`, `"closing"`, `"cancelling"` or `"ended"`, whatever has ended it; `"made before
    os.fork()"` in a child of the process in which it was made."""
    keys: int
    """Resources that are not cleaned yet."""
    busy: int
    """Messages in hand: those that are being handled, and the one that the broker's own thread has
    taken."""
    waiting: int
    """Messages that wait, in the mailbox or for others of their key."""
    handled: int
    """Messages that were handled, since the broker was made, those included for which `handle` has
    raised: all that were taken but those that became dead letters. An `Initialize` without a
    message is one. With `max_threads` they count at the end of their turn, in which at most 64
    messages of a key are handled one after the other."""
    failed: int
    """Messages for which `demultiplex`, `create`, `handle` or their key has raised, since the
    broker was made."""
    dead_letters: Mapping[DeadLetterReason, int]
    """Messages that were not handled, by reason, since the broker was made."""
    threads: int
    """Threads of the broker, idle ones and its own included."""
    oldest: float | None = None
    """With `stuck_after`: the seconds for which the message has been handled that takes longest, as
    far as looks at it have shown; 0 if none did at the last look, `None` without it."""
    stuck: tuple[StuckWorker[Any], ...] = ()
    """With `stuck_after`: messages that have been handled for longer, and are."""


@final
class Looking[K]:
    """What looks at a broker, which it does not keep alive. Threads: any."""

    __slots__ = ("_handled", "_loop", "_name", "_office", "_thread", "_watcher")

    def __init__(
        self,
        name: str,
        loop: BrokerLoop[Any, K, Any, Any],
        office: DeadLetterOffice[K, Any],
        thread: threading.Thread,
        watcher: Watcher | None,
    ) -> None:
        """Look at the broker of this name, whose own thread runs `loop`."""
        self._watcher: Final = watcher
        self._name: Final = name
        self._loop: Final = loop
        self._office: Final = office
        self._thread: Final = thread
        self._handled: int = 0

    def stats(self) -> BrokerStats:
        """Return a snapshot; see `Broker.stats`."""
        loop = self._loop
        # First: after its end nothing changes, so that what follows is what there was in all.
        state = self._state
        busy = int(loop.busy)
        waiting = threads = 0
        if not loop.in_child:
            waiting = self._in_mailbox()
            threads = int(self._thread.is_alive())
            if loop.parallel is not None:
                table = loop.parallel.table
                now = look_at(table)
                busy += now.busy
                waiting += now.waiting
                threads += len(table.threads)
        watcher = None if loop.in_child else self._watcher
        oldest, stuck = (None, ()) if watcher is None else watcher.look()
        return BrokerStats(
            name=self._name,
            state=state,
            keys=len(loop.resources),
            busy=0 if loop.in_child else busy,
            waiting=waiting,
            handled=self._most_handled(),
            failed=loop.resources.tally.failed,
            dead_letters=self._office.counts(),
            threads=threads,
            oldest=oldest,
            stuck=stuck,
        )

    @property
    def _state(self) -> str:
        loop = self._loop
        if not loop.ended or loop.in_child:
            return loop.state
        if self._thread.is_alive():
            return "cancelling" if loop.cancelling else "closing"
        return "ended"

    def _most_handled(self) -> int:
        loop = self._loop
        # In this order: what is left out is counted first.
        handled = loop.handled
        handled -= loop.resources.tally.left_out
        with _seeing:
            self._handled = max(self._handled, handled)
            return self._handled

    def _in_mailbox(self) -> int:
        try:
            return len(self._loop.mailbox)
        except Exception:  # a user's mailbox: it must not keep the broker from being looked at
            _logger.exception("%s: a mailbox raised", self._name)
            return 0

    def lines(self) -> Iterator[TaskLine[K]]:
        """Yield the line of each key; see `Broker.workers`."""
        loop = self._loop
        if loop.in_child:
            return
        lines: dict[Any, Any] = {}
        if loop.parallel is not None:
            lines = {line.key: line for line in lines_of(loop.parallel.table)}
        key: Any = self._handled_alone
        if key is not MISSING:
            lines[key] = TaskLine(key, "busy", 0)
        for key in loop.resources.all_keys():
            yield lines.pop(key, None) or TaskLine(key, "idle", 0)
        yield from lines.values()

    def line(self, key: K) -> TaskLine[K] | None:
        """Return the line of a key; see `Broker.worker`."""
        loop = self._loop
        if loop.in_child:
            return None
        if loop.parallel is not None and (line := line_of(loop.parallel.table, key)) is not None:
            return line
        in_hand = self._handled_alone
        if in_hand is not MISSING and in_hand == key:
            return TaskLine(key, "busy", 0)
        return TaskLine(key, "idle", 0) if key in loop.resources else None

    def hottest(self, most: int) -> list[TaskLine[K]]:
        """Return the lines of the keys for which most wait; see `Broker.hot`."""
        parallel = self._loop.parallel
        return [] if parallel is None else hottest(parallel.table, most)

    @property
    def _handled_alone(self) -> object:
        """The key of the message that the broker's own thread handles; `MISSING` if none."""
        loop = self._loop
        return loop.key_in_hand if loop.parallel is None or loop.parallel.alone else MISSING


class LookedAt[K](AsyncLife[BrokerDrainReport]):
    """A broker, as an observer sees it: `stats`, `workers`, `hot`."""

    __slots__ = ("_looking",)

    _looking: Looking[K]

    def stats(self) -> BrokerStats:
        """Return a snapshot: resources, messages, threads, and what was done since it was made.

        Blocks: never. It takes time proportional to the threads and to the keys that have messages.
        Threads: safe from any thread, the broker's own included.
        """
        return self._looking.stats()

    def workers(self) -> Iterator[TaskLine[K]]:
        """Yield a line for each key that has a resource, or messages with `max_threads`.

        Messages in the mailbox are of no key yet. What comes meanwhile may be left out.

        Blocks: never, but takes time proportional to the resources.
        Threads: safe from any thread; one at a time may iterate.

        What a key's `__hash__` or `__eq__` raises passes.
        """
        return self._looking.lines()

    def worker(self, key: K) -> TaskLine[K] | None:
        """Return a key's line; `None` if it has no resource and no message.

        Blocks: never.
        Threads: safe from any thread.

        Raises:
            TypeError: if the key cannot be hashed.
        """
        check_key(key)
        return self._looking.line(key)

    def hot(self, n: int = 10, /) -> list[TaskLine[K]]:
        """Return the `n` keys for which most messages wait, the most first; fewer if few wait.

        None without `max_threads`: all wait in the mailbox then, where they have no key.

        Blocks: never. It takes time proportional to the keys that have messages.
        Threads: safe from any thread.

        Raises:
            ValueError: if `n` is no `int` of at least 1.
        """
        check_limit(n, "n")
        return self._looking.hottest(n)
