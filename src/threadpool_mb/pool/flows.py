"""What holds for all workers of a pool: a bound on what waits, a rate, the age of messages.

**Guarantees.** Never more messages wait than the limit. A worker that waits for room is told once
all threads of its pool do so, or have nothing to do, and no worker waits for anything else: none
would come. The time at which a key's next message is due is kept here, also for the key's next
worker, and no longer than it matters.

**How.** The room is slots in stripes (`line.striped`), and the lanes take and free them
(`pool.flowing`); here is what is done where there is none.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, final

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline, check_seconds, describe
from threadpool_mb.errors import Full, MailboxClosed, PoolClosed
from threadpool_mb.line.striped import Stripe, StripedSlots
from threadpool_mb.logs import Logger
from threadpool_mb.pool.pausing import any_held
from threadpool_mb.rates import MAKES_UP, Limits, Rate, Spacing, WhenFull
from threadpool_mb.threads.here import here
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.waiting import parked

__all__ = ["PoolFlow", "check_flow"]

_logger = Logger(__name__)

_FEW: Final = 1024
"""How many keys' times are no reason to look for those that are over."""

_NOT_KEPT: Final = "%s: the time of the next message of key %s cannot be kept"

_PAUSE: Final = 0.05
"""Seconds until a worker that waits for room looks whether anything else can go on."""
_LOOKS: Final = 20
"""How often it finds that nothing does, where some threads have nothing to do, until it is told:
one of those may just have been handed a turn, and not know yet."""


class _Lane(Protocol):
    state: str


@final
class PoolFlow:
    """What holds for all workers of a pool. Threads: internally synchronized."""

    # fmt: off
    __slots__ = (
        "_due", "_lock", "_looked", "_waiting", "may_begin", "name", "now", "room", "suspended",
        "ttl",
    )
    # fmt: on

    def __init__(
        self,
        name: str,
        rate: Rate | None,
        ttl: float | None,
        max_waiting: int | None,
        *,
        wait: bool,
    ) -> None:
        """Hold what a user has given; `wait`: whether senders wait for room."""
        self.name: Final = name
        self.now: Callable[[], float] = time.monotonic
        """The clock, in seconds."""
        self.may_begin: Final = None if rate is None else Spacing(rate).may_begin
        """See `Spacing`; `None` without a rate."""
        self.ttl: Final = ttl
        """Seconds that a message may wait."""
        self.room: Final = (
            None if max_waiting is None else StripedSlots(max_waiting, None if wait else 0)
        )
        """The room of all messages, if there is a limit."""
        # The waits of workers of this pool.
        self._waiting: Final[dict[object, None]] = {}
        self.suspended: Final[dict[_Lane, None]] = {}
        """The lanes that wait in the midst of a message, or for their time, or to begin anew. One
        that is dropped before it begins stays until a worker finds it here."""
        # When the next message of a key is due: also for its next worker. No thread waits under
        # the lock. Reentrant: a key's methods may dispatch.
        self._due: Final[dict[object, float]] = {}
        self._lock: Final = threading.RLock()
        self._looked = _FEW

    def take_room(self, stripe: Stripe, threads: SharedThreads, deadline: Deadline) -> bool:
        """Take room for a message where a stripe has none; `False` if the deadline came first.

        Raises:
            Full: if there is none, and senders do not wait; or in a worker, if none would come.
            PoolClosed: if the pool is closed.
        """
        room = stripe.slots
        if room.take_from(stripe):
            return True
        try:
            return self._wait(room, threads, deadline)
        except MailboxClosed:
            raise PoolClosed(f"the pool {self.name!r} is closed: it takes no message") from None

    def _wait(self, room: StripedSlots, threads: SharedThreads, deadline: Deadline) -> bool:
        full = f"the pool {self.name!r} is full: {room.limit} messages wait"
        if deadline is not AT_ONCE and room.timeout is None and self._is_own_worker():
            if threads.pinned:
                # It holds up the workers of its thread: there is no thread more where it waits.
                if room.wait(AT_ONCE):
                    return True
                raise Full(f"{full}, and a pinned worker does not wait")
            return self._wait_as_worker(room, threads, deadline, full)
        if room.wait(deadline):
            return True
        # Of a call, and on a loop, it is the sender that is told.
        if room.timeout == 0 and deadline is NEVER:
            raise Full(full)
        return False

    def _is_own_worker(self) -> bool:
        """Return whether a worker of this pool runs on this thread."""
        if here.serving is None:
            return False
        return any(
            getattr(getattr(worker, "common", None), "flow", None) is self
            for worker in here.workers()
        )

    def _wait_as_worker(
        self, room: StripedSlots, threads: SharedThreads, deadline: Deadline, full: str
    ) -> bool:
        """Wait in a worker of this pool, until none of its threads goes on: no room would come."""
        me = object()
        self._waiting[me] = None
        looks = 0
        in_hand = False
        try:
            with parked() as wait:
                while True:  # not of a condition; see `interrupts`
                    if looks >= _LOOKS:
                        break
                    looks = looks + 1 if self._none_goes_on(threads) else 0
                    if looks and not threads.unoccupied:
                        break
                    left = deadline.remaining()
                    if room.wait(Deadline(_PAUSE if left is None else min(left, _PAUSE))):
                        in_hand = True
                        return True
                    if left == 0:
                        return False
                    wait.go_on()
        except BaseException:  # an interrupt
            if in_hand:
                room.give_back()
            raise
        finally:
            del self._waiting[me]
        if room.wait(AT_ONCE):
            return True
        raise Full(f"{full}, and none of its threads goes on")

    def _none_goes_on(self, threads: SharedThreads) -> bool:
        """Return whether all threads wait for room, or have nothing to do.

        And no worker waits for anything else.
        """
        for lane in self.suspended.copy():
            if lane.state != "ended":
                return False
            self.suspended.pop(lane, None)
        if any_held(self):
            return False
        return threads.stuck and len(self._waiting) + threads.unoccupied >= len(threads)

    def due_before(self, key: object) -> float | None:
        """Return when the next message of a key is due, as an earlier worker has left it.

        `None` if that is not known, or if the key raises; it is not for its worker to fail by that.
        """
        try:
            with self._lock:
                return self._due.get(key)
        except BaseException:
            _logger.exception(_NOT_KEPT, self.name, describe(key))
            return None

    def _over(self, now: float) -> list[object]:
        return [each for each, its in self._due.items() if its < now - MAKES_UP]

    def remember(self, key: object, due: float, now: float) -> None:
        """Take note of when the next message of a key is due. It does not raise.

        The worker has that message in hand; and the keys whose times are over are others' keys.
        """
        try:
            with self._lock:
                self._due[key] = due
                if len(self._due) > self._looked:
                    for each in self._over(now):
                        with contextlib.suppress(Exception):  # one that raises stays
                            self._due.pop(each, None)
                    self._looked = max(_FEW, 2 * len(self._due))
        except BaseException:
            _logger.exception(_NOT_KEPT, self.name, describe(key))

    def shut(self) -> None:
        """Wake all that wait for room: the pool is closed."""
        if self.room is not None:
            self.room.shut()

    def forked(self) -> None:
        """Wake the thread that has forked, if it waits for room; in a child of `os.fork`."""
        if self.room is not None:
            self.room.forked()


def check_flow(
    name: str,
    rate: Rate | None,
    message_ttl: float | None,
    max_waiting: int | None,
    when_full: WhenFull,
    *,
    removes: bool,
) -> PoolFlow | None:
    """Return what holds for all workers; `None` if nothing was given.

    `removes`: whether a refused message removes its worker.

    Raises:
        TypeError: if the rate is no `Rate`.
        ValueError: if a number or the word is wrong, or a worker is to be removed where the pool is
            full.
    """
    if removes and max_waiting is not None:
        raise ValueError(
            f"overflow must be 'refuse', not 'remove_worker', with max_waiting={max_waiting!r}: it"
            " is not the worker's mailbox that is full"
        )
    limits = Limits(max_waiting, when_full, rate, "go_on")
    ttl = None if message_ttl is None else check_seconds(message_ttl, "message_ttl", above=True)
    if rate is None and ttl is None and max_waiting is None:
        return None
    return PoolFlow(name, rate, ttl, max_waiting, wait=limits.when_full == "wait")
