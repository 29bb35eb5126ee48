"""Messages that are dispatched at a time: `dispatch_later`, `dispatch_every`.

**Guarantees.** A message is dispatched at its time or soon after, once; or it is a dead letter, or
its timer was cancelled: one of the three. Messages for one key are dispatched in the order of their
times. The dispatcher's thread does that, and does not wait: where a mailbox has no room, the
messages for it stand in its line, as a task of asyncio does, and later ones stand behind them.

The race of `cancel` and the time that comes, of a message that is dispatched once: the thread that
takes it out of the timer, under one lock of all timers, has it. No thread waits under that lock.
"""

import collections
import functools
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, final, override

from threadpool_mb.arguments import describe
from threadpool_mb.dead_letters import DeadLetterOffice, DeadLetterReason
from threadpool_mb.envelopes import Observed, again
from threadpool_mb.errors import PoolClosed
from threadpool_mb.forking import remade_in_children
from threadpool_mb.line.askers import Asker, always
from threadpool_mb.line.slots import Slots
from threadpool_mb.logs import Logger
from threadpool_mb.pool.roster import Roster
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.timers import Timers
from threadpool_mb.values import Uncopied

__all__ = ["Later", "Timer"]

_logger = Logger(__name__)

_claiming: Final = remade_in_children(threading.RLock())

_SHORTEST: Final = 1e-9
"""Seconds; after a shorter interval the time of many clocks is the same as before it."""


class _Taken:
    """In the place of a message that was taken out of its timer; the class itself.

    Not `MISSING`: users have that, in `WorkerExit.message` say, and may send it on.
    """


class _Offer[K, M](Protocol):
    def __call__(self, key: K, message: M, /, *, last: bool) -> bool | Slots: ...


@final
class Timer(Uncopied, Entry):
    """A message that is to be dispatched; from `dispatch_later` and `dispatch_every`.

    Threads: internally synchronized.
    """

    __slots__ = ("_interval", "_key", "_later", "_message")

    when: float  # said again for `pyright --verifytypes`, as it is set here

    def __init__(
        self,
        when: float,
        key: object,
        message: object,
        later: "Later[Any, Any]",
        interval: float | None = None,
    ) -> None:
        super().__init__(when)
        self._key: Final = key
        self._message = message
        self._later: Final = later
        self._interval: Final = interval

    def cancel(self) -> bool:
        """Have the message not dispatched any more. Blocks: never.

        Of one that is dispatched each interval, a time that comes just now may still be on its way.

        Returns:
            `False` if nothing was left to cancel, as it was dispatched, was a dead letter, or was
            cancelled before.
        """
        if self._take() is _Taken:
            return False
        self._later.timers.cancelled()
        return True

    @property
    @override
    def cancelled(self) -> bool:
        """Whether nothing will be dispatched any more."""
        return self._message is _Taken

    @override
    def fire(self) -> None:
        """Dispatch the message; not for users."""
        later, interval = self._later, self._interval
        if later.roster.closed:
            self.drop()
            return
        if interval is None:
            with _claiming:  # `_take`, written out: very many may be due at once
                message, self._message = self._message, _Taken
        else:
            message = self._message
        if message is _Taken:
            return
        if interval is not None:
            # Times that have passed meanwhile are left out.
            behind = later.timers.now() - self.when
            self.when += interval * (behind // interval + 1)
            later.timers.again(self)
        later.dispatch(self._key, message)

    @override
    def drop(self) -> None:
        """Make a dead letter of the message; not for users."""
        message = self._take()
        if message is not _Taken:
            self._later.office.take(self._key, message, DeadLetterReason.NOT_DUE)

    def _take(self) -> object:
        with _claiming:
            message, self._message = self._message, _Taken
        return message

    def __repr__(self) -> str:
        """Show the key, and how long it takes."""
        if self.cancelled:
            return f"<Timer for key {describe(self._key)} [over]>"
        left = max(0.0, self.when - self._later.timers.now())
        return f"<Timer for key {describe(self._key)} [in {left:.3g} s]>"


@final
class Later[K, M]:
    """Dispatches messages at their times; of one pool."""

    __slots__ = ("_offer", "_waiting", "again", "office", "roster", "timers")

    def __init__(
        self,
        timers: Timers,
        office: DeadLetterOffice[K, M],
        offer: _Offer[K, M],
        again: Callable[[Callable[[], object]], object],
        roster: Roster[K, M],
    ) -> None:
        """Dispatch with `offer`, which does not wait.

        `again` has a function called on the dispatcher's thread; `roster` has the workers.
        """
        self.roster: Final = roster
        self.timers: Final = timers
        self.office: Final = office
        self._offer: Final = offer
        self.again: Final = again
        # What waits for room, by keys.
        self._waiting: Final[dict[K, _Line[K, M]]] = {}

    def add(self, delay: float, key: K, message: M, interval: float | None = None) -> Timer:
        """Have a message dispatched after `delay` seconds, and then each `interval`.

        Raises:
            ValueError: if the interval is shorter than a clock can tell.
        """
        if interval is not None and interval < _SHORTEST:
            raise ValueError(f"interval must be at least {_SHORTEST} seconds, not {interval!r}")
        observers = self.office.observers
        if observers is not None and observers.sends:
            # It is this thread that sends it.
            message = observers.enveloped(key, message)
        timer = Timer(self.timers.now() + delay, key, message, self, interval)
        self.timers.add(timer)
        return timer

    def dispatch(self, key: K, message: M) -> None:
        """Dispatch a message now; on the dispatcher's thread. It does not raise."""
        try:
            if type(message) is Observed:
                # One that comes again and again is the same message; each time in an envelope.
                message = again(message)
            if self._waiting and key in self._waiting and (line := self._waiting[key]).places:
                # One that is over stays where its key raises, and has no places.
                line.places.append([message])
                return
            try:
                direct = self.roster.routes[key].direct
            except Exception:  # noqa: BLE001 - what the key's own methods raise, they raise again
                direct = None
            # What `Pool.dispatch` does where there is always room: very many may be due at once.
            if direct is not None and not direct.closed:
                direct.put(message)
                if direct.unattended:
                    direct.attend()
                return
            room = self.try_now(key, message, last=False)
            if room is not None:
                line = self._waiting[key] = _Line(self, key, message)
                line.stand(room)
        except BaseException as error:  # noqa: BLE001 - the key's own methods raise
            self._fail(key, message, error)

    def try_now(self, key: K, message: M, *, last: bool) -> Slots | None:
        """Dispatch a message if that can be done without waiting; return what it has to wait for.

        Otherwise it was taken, or is a dead letter.
        """
        try:
            result = self._offer(key, message, last=last)
        except PoolClosed:
            self.office.take(key, message, DeadLetterReason.POOL_CLOSED)
            return None
        except BaseException as error:  # noqa: BLE001 - the key's own methods, a user's mailbox
            self._fail(key, message, error)
            return None
        return result if isinstance(result, Slots) else None

    def _fail(self, key: K, message: M, error: BaseException) -> None:
        _logger.error(
            "%s: a message could not be dispatched at its time", self.office.owner, exc_info=error
        )
        self.office.take(key, message, DeadLetterReason.WORKER_FAILED)

    def drop(self, *, last: bool = False) -> None:
        """Make dead letters of what is not due; on the dispatcher's thread.

        `last`: also of what waits for room, and of what comes later.
        """
        self.timers.drop(None if last else Timer, last=last)
        if last:
            for line in list(self._waiting.values()):
                line.drop()

    def leave(self, line: "_Line[K, M]") -> None:
        """Take note that nothing waits for room any more."""
        if self._waiting.get(line.key) is line:
            del self._waiting[line.key]


@final
class _Line[K, M]:
    """The messages for one key that wait for room, and the sender that stands for the first."""

    __slots__ = ("_asker", "_later", "_slots", "_until", "key", "places")

    def __init__(self, later: Later[K, M], key: K, message: M) -> None:
        self._later: Final = later
        self.key: Final = key
        self.places: Final = collections.deque([[message]])
        """Each message in a list of its own: the same one may stand here twice."""
        self._slots: Slots | None = None
        self._asker: Final = Asker(self._tell, always)
        # When the first one gives up.
        self._until: float | None = None

    def stand(self, slots: Slots) -> None:
        """Stand in the line for room for the first message."""
        self._slots = slots
        if slots.timeout is not None and self._until is None:
            self._until = self._later.timers.now() + slots.timeout
            self._later.timers.add(_GiveUp(self._until, self, self.places[0]))
        slots.ask(self._asker)

    def _tell(self) -> bool:
        self._later.again(self.go_on)
        return True

    def go_on(self, *, last: bool = False) -> None:
        """Try again."""
        slots = self._slots
        if slots is None:
            return
        while self.places:
            message = self.places[0][0]
            room: Slots | None = None
            try:
                room = slots.using(
                    self._asker,
                    functools.partial(self._later.try_now, self.key, message, last=last),
                )
            finally:
                slots.leave(self._asker)
                if room is None:  # it was taken, or is a dead letter, whatever a hook has raised
                    self._until = None
                    self.places.popleft()
            if room is not None:
                self.stand(room)
                return
            last = False
        self._slots = None
        self._later.leave(self)

    def give_up(self, place: list[M]) -> None:
        """Give up with a message, if it is still the first one."""
        if self.is_first(place):
            self.go_on(last=True)

    def is_first(self, place: list[M]) -> bool:
        """Return whether a message is the first one that waits."""
        return bool(self.places) and self.places[0] is place

    def drop(self) -> None:
        """Make dead letters of all."""
        if self._slots is not None:
            self._slots.leave(self._asker)
            self._slots = None
        while self.places:
            (message,) = self.places.popleft()
            self._later.office.take(self.key, message, DeadLetterReason.POOL_CLOSED)


@final
class _GiveUp(Entry):
    __slots__ = ("_line", "_place")

    def __init__(self, when: float, line: _Line[Any, Any], place: list[Any]) -> None:
        super().__init__(when)
        self._line: Final = line
        self._place: Final = place

    @property
    @override
    def cancelled(self) -> bool:
        return not self._line.is_first(self._place)

    @override
    def fire(self) -> None:
        self._line.give_up(self._place)

    @override
    def drop(self) -> None:
        """Do nothing: the line is dropped, too."""
