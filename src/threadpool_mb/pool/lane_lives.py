"""The lives of a generator worker's lane: its end for good, a new life, messages that are late.

**Guarantees.** A lane that gets a new life keeps its messages; the new life begins with the message
that was in hand, if that is to be tried again. What is late is swept under the roster's lock, once
the worker has ended for good; see `pool.keeping`, also for the races.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Self, final, override

from threadpool_mb.dead_letters import DeadLetterReason
from threadpool_mb.envelopes import plain
from threadpool_mb.line.flushing import holds_only_markers, open_all, waiting_at
from threadpool_mb.line.inlet import DONE, IDLE, PUT, Inlet, ending
from threadpool_mb.line.lane import Lane
from threadpool_mb.line.slots import Slots
from threadpool_mb.line.stores import displaced_later, unranked
from threadpool_mb.pool.common import Common
from threadpool_mb.pool.incarnation import HasReason, Incarnation, why_left
from threadpool_mb.threads.here import Home
from threadpool_mb.threads.turns import Turn
from threadpool_mb.values import MISSING

__all__ = ["LivedLane", "Retry"]


@final
class Retry:
    """In the place of a generator that is to be made, and to be given a message first."""

    __slots__ = ("message",)

    def __init__(self, message: object) -> None:
        """Begin with `message`."""
        self.message: Final = message


class LivedLane[K, M](Lane[M], Incarnation[K, M]):
    """A lane as the control plane sees it: with one life after the other."""

    __slots__ = ()

    common: Common[K, M]
    direct: Inlet[M] | None  # said again, as in `Lane`
    reason: DeadLetterReason | None
    slots: Slots | None
    unattended: int
    closed: bool
    counted: int
    dormant: bool
    end_error: BaseException | None
    _context: Any
    _generator: Any
    paused: ClassVar[bool] = False
    """Whether it takes no message; see `pool.pausing`."""
    ahead: ClassVar[bool] = True
    """Whether `schedule` gives it a turn before others."""

    @property
    @override
    def mailbox(self) -> Self:
        return self

    @property
    @override
    def input(self) -> Self:
        return self

    @property
    @override
    def leftovers(self) -> HasReason:
        return self

    @property
    @override
    def owner(self) -> str:
        return self.common.office.owner

    @property
    @override
    def home(self) -> Home | None:
        return self.common.threads.home

    @override
    def receives_from(self, mailbox: object) -> bool:
        return False  # only a turn receives from it

    @property
    @override
    def inlet(self) -> Inlet[Any]:
        return self

    @property
    @override
    def has_handled_all(self) -> bool:
        # In this order: what was taken out of the queue before the first look has been handled
        # where the lane is idle after that.
        return not self.qsize() and self.unattended == IDLE

    @property
    @override
    def told_to_stop(self) -> bool:
        return self.cancelled

    @property
    @override
    def has_nothing_to_come(self) -> bool:
        empty = holds_only_markers(self, self.qsize, self.marked == PUT)
        return self.closed and empty and type(self._generator) is not Retry

    @property
    def only_markers_wait(self) -> bool:
        """Whether what has come is markers alone; for the turn that has found that something has.

        `closed` is written before the end's marker is put, and `marked` after it, in one hold of
        `ending`: so a marker that is there is not taken for a message.
        """
        marked = self.marked == PUT
        if self.closed and not marked:
            with ending:
                marked = self.marked == PUT
        return holds_only_markers(self, self.qsize, marked)

    def go_on(self) -> None:
        """Be paused no more; where it is."""
        raise NotImplementedError

    @override
    def close(self) -> None:
        self.shut()
        if self.paused:
            self.go_on()

    @property
    @override
    def backlog(self) -> int:
        # As in `Lane.stats`.
        markers = (self.marked == PUT) + waiting_at(self)
        return max(0, self.qsize() - markers)

    @override
    def lie_down(self) -> int | None:
        # As a turn holds it: a sender that finds the lock taken leaves it to `look_again`.
        if self.unattended != IDLE or self.paused:
            return None
        busy: Any = self._busy  # read behind that: a lane that was never idle has none
        if not busy.acquire(blocking=False):
            return None
        try:
            if self.unattended != IDLE or self.qsize():
                return None
            self.dormant = True
            counted, self.counted = self.counted, 0
            return counted
        finally:
            busy.release()

    @override
    def look_again(self) -> None:
        # Behind the release, as at the end of a turn.
        if self.unattended == IDLE and self.qsize():
            self.attend()

    @override
    def _wake_up(self) -> None:
        self.common.rouse(self)

    @property
    @override
    def idle(self) -> bool:
        return self.unattended == IDLE

    @override
    def deliver_first(self, message: M) -> bool:
        if self.direct is None:
            return self.deliver(message)
        self.put(message)
        return True

    @override
    def bury_others(self, message: object) -> None:
        own = [message]

        def bury(each: M) -> None:
            if own and plain(unranked(each)) is own[0]:
                own.clear()
            else:
                self._bury(each)

        self.shut()
        self.finish()
        super().sweep(bury)

    @override
    def ends_for_good(self, lock: AbstractContextManager[object]) -> bool:
        self.close()  # a pause ends with the worker: nobody could resume the next life
        with lock:
            return self._is_over()

    @override
    def end_if_empty(self) -> bool:
        """Take no more messages, if none is left; see `Incarnation.end_if_empty`.

        For the thread that holds the lane's lock, and the roster's. It is `shut`, without the
        marker, and `finish`: no receiver is to find the marker, and nothing else writes `DONE`. A
        message that was put before is found by the look here; the sender of one that is put after
        that look finds `DONE`, which was written before it.
        """
        if self.slots is not None or type(self._generator) is Retry:
            return False  # senders may wait for them; and a message is left beside the queue
        self.closed = True
        # The first half of `_is_over`, written out: mostly nothing is left.
        self.unattended = DONE
        marker = self.marked == PUT
        return self.qsize() == marker or self._is_over()

    def _is_over(self) -> bool:
        """Say that nothing more is taken; take that back if there is something."""
        if type(self._generator) is Retry:
            return False
        self.unattended = DONE
        # Read before the queue's size: the thread that closes it puts the marker, then writes
        # `marked`. The other way round, a marker that comes in the middle would hide a message: it
        # is marked, and not counted. This way it is counted, and not marked: the worker looks
        # again.
        marker = self.marked == PUT
        if self.qsize() == marker:
            return True
        if holds_only_markers(self, self.qsize, marker):
            open_all(self)
            return True
        self.unattended = 0
        return False

    @override
    def renew(self, message: object) -> None:
        if message is not MISSING:
            self._generator = Retry(message)
        elif type(self._generator) is not Retry:  # which the life before this one has left
            self._generator = None
        self._context = self.end_error = None
        self.direct = self if self.slots is None else None

    @override
    def sweep(self, bury: Callable[[M], object] | None = None) -> None:
        keeping = self.common.keeping
        if keeping is None or self.cancelled or not keeping.has_next(why_left(self)):
            super().sweep(bury)
            return
        dead: list[M] = []
        with displaced_later(), keeping.roster.lock:
            # Not while a new life is to find them.
            if self.unattended == DONE:
                super().sweep(keeping.handing_on(self.key, dead))
        for message in dead:
            self._bury(message)

    @override
    def _bury(self, message: M, /) -> None:
        # Not `why_left`: an interrupt in it would lose the message.
        reason = self.reason or DeadLetterReason.WORKER_ENDED
        self.common.office.take(self.key, message, reason)

    def schedule(self, turns: Iterator[Turn]) -> None:
        """Give the lane, which is busy, a turn before others; with a flow, behind them.

        The lane is what `turns` still has: nothing, where an interrupt came behind the `put` of an
        earlier call. So it is put once, however often this is called with the same iterator.
        """
        self.common.threads.schedule_ahead(turns)

    @property
    @override
    def idle_since(self) -> int | None:
        # With `watchers`, it owes answers that are waited for.
        tick: int | None = getattr(self, "tick", None)
        return tick if self.unattended == IDLE and not self.watchers else None
