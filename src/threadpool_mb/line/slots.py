"""The free slots of a mailbox with a limit.

A sender takes a slot before it puts a message; the receiver frees it after it took the message.
Slots are issued when they are first needed, so that a limit of a million costs nothing until a
million messages wait.

**Guarantees.** Never more slots are taken than the limit, but for `overdraw`. A freed slot goes to
a sender that waits, if there is one. Threads and tasks are served in the order in which they began
to wait; only one that comes as a slot is freed may be earlier. Once shut, all that wait wake.

**Assumes.** Of `SimpleQueue`, what `line.inlet` assumes; and that what is put is handed to the
thread that waits in `get`, so that no `get_nowait` comes between (`tests/test_assumptions.py`).

**Interrupts.** One that comes while a sender waits costs no slot: where the sender has one in hand,
it frees it again. The sender that takes a free one without waiting does so in a single call, for
each message, and puts the message with the next one: an interrupt between the two costs that slot.
To close that would take some ten bytecodes more for each message (`interrupts`). `keyed.flow` pays
them, as a task's future says whether it has a slot.

Why no wake-up is lost: a slot is an entry of the queue, not a signal. A slot that no sender waits
for stays in the queue; a sender that times out or is interrupted has not taken one. Shutting frees
one slot more. Each sender that finds the mailbox closed with a slot in its hand frees it again, for
the next sender that waits. `tests/model/test_slots_model.py` runs through every interleaving of it.

**The line.** A task of asyncio must not park its thread: it stands in a line (`line.standing`). As
long as an asker stands in the line, or was given a slot and has not used it, threads that have to
wait stand there, too: first come, first served.

A sender that parks a thread which takes turns of many workers tells that thread's pool, so that a
different thread may take their turns. If the sender is a worker itself, it is part of the circles
that `threads.circles` finds: it waits for the worker that receives. Other designs that were tried,
and their figures: `docs/performance.md`.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from typing import ClassVar, Final, Never

from threadpool_mb.arguments import NEVER, Deadline, shortest
from threadpool_mb.errors import MailboxClosed
from threadpool_mb.forking import remake
from threadpool_mb.interrupts import after, is_owned
from threadpool_mb.line.askers import Asker, Room, asker_in_debt, asker_of_thread
from threadpool_mb.line.standing import Line
from threadpool_mb.threads.circles import expedite, waiting_for
from threadpool_mb.threads.here import Holder, Source, here
from threadpool_mb.threads.waiting import parked

__all__ = ["Slots", "refuse"]

_PAUSE: Final = 0.1
"""Seconds until a thread in the line looks whether a slot is to be taken back."""


def refuse(_message: object, /) -> Never:
    """Stand in the place of a shut queue's `put`.

    Raises:
        MailboxClosed: always.
    """
    raise MailboxClosed("the mailbox is closed")


def _source(items: "queue.SimpleQueue[None]", deadline: Deadline) -> Source[None]:
    serving = here.serving
    return items if serving is None else serving.source(items, deadline)


class Slots(Line):
    """The free slots of one mailbox; of many, see `line.striped`."""

    __slots__ = ("_unissued", "holder", "limit", "parked", "timeout", "waiting")

    _in_line: ClassVar[bool] = False
    """Whether threads wait in the line in any case."""

    def __init__(self, limit: int, timeout: float | None) -> None:
        """Issue up to `limit` slots, for which senders wait at most `timeout` seconds."""
        super().__init__()
        self.limit: Final = limit
        """The most messages that wait."""
        self.timeout: Final = timeout
        """How many seconds a sender waits for a slot; `None` for ever."""
        # The rest is under the lock.
        self._unissued: int = limit
        self.waiting: int = 0
        """The number of threads that wait."""
        self.parked: Final[dict[int, None]] = {}
        """The threads that wait, as `threading.get_ident()`: until it has a slot or gives up."""
        self.holder: Holder | None = None
        """The worker that receives from the mailbox, if it is a pool's, until the mailbox is shut:
        it refers back to the slots."""

    def shut(self) -> None:
        """Wake every sender that waits."""
        self.closed: bool = True
        self.holder = None
        self.free(None)
        # A sender that gets in line after this look sees that it is closed; see `ask` and `_stand`.
        if self.askers:
            with self._lock:
                line = list(self.askers)
            for asker in line:
                asker.tell()

    def overdraw(self) -> None:
        """Take a slot for a message that cannot wait for one; in debt, if need be.

        The next slot that is freed pays the debt, in the line. Blocks: never.
        """
        if not self._take_one() and not self._issue_one():
            self.ask(asker_in_debt(self._given))

    def forked(self) -> None:
        """Wake the sender on the thread that has forked, if it waits; in a child of `os.fork`.

        The senders that ask for a slot are the parent's, and are not told.
        """
        remake(self._lock)
        self.closed = True
        if threading.get_ident() in self.parked:
            self.free(None)

    def wait(self, deadline: Deadline = NEVER) -> bool:
        """Take a slot where `take` found none; `False` if none came free in time.

        Blocks: for the slots' timeout, or until the deadline, whatever comes first.

        Raises:
            MailboxClosed: if it was shut. The slot that `shut` frees comes to a sender, who looks.
            DispatchDeadlock: if the wait would be for ever.
        """
        if self._issue_one(others=True):
            return True
        if self.timeout == 0 or deadline.remaining() == 0:
            return self._take_at_once()
        holder = self.holder
        if holder is not None and (here.serving is not None or here.inner):
            return self._wait_as_worker(holder, deadline)
        return self._wait(deadline)

    def _issue_one(self, *, others: bool = False) -> bool:
        """Issue a slot that this sender takes, or use the one that it was given.

        `others`: and as many as there are already, for later senders, for which each sender that
        finds nothing left to issue then looks.
        """
        in_hand = False
        try:
            with self._lock:
                if self._unissued:
                    # No call stands between looking at the count and lowering it: a finalizer may
                    # re-enter.
                    issued = self.limit - self._unissued if others else 0
                    self._unissued -= 1
                    in_hand = True
                    self._issue_locked(issued)
                elif others and self._given:
                    for given in self._its_own_locked():
                        in_hand = given
                return in_hand
        except BaseException:  # an interrupt
            if in_hand:
                self.give_back()
            raise

    def _issue_locked(self, most: int) -> None:
        # Not in the `with`: an interrupt at the end of a loop may leave the lock held.
        while most and self._unissued:
            self._unissued -= 1
            most -= 1
            self.free(None)

    def _wait_as_worker(self, holder: Holder, deadline: Deadline) -> bool:
        """Wait as `wait` does, on a thread that runs a worker, for room in a worker's mailbox.

        Raises:
            DispatchDeadlock: if the wait would be for ever.
        """
        if self.timeout is not None or deadline.remaining() is not None:
            # The wait ends by itself, and so is part of no circle. Or it is one of the pauses of a
            # call that waits for room: the whole wait is followed there (`pool.inputs`).
            expedite(holder)
            return self._wait(deadline)
        in_hand = [False]
        try:
            with waiting_for(Room(self, holder)) as waiting:
                return self._wait_until(waiting.pauses(deadline), in_hand)
        except BaseException:  # an interrupt
            if in_hand[0]:
                self.give_back()
            raise

    def _wait_until(self, ends: Iterable[Deadline], in_hand: list[bool]) -> bool:
        # Not in the `with`: an interrupt at the end of a loop may pass it by (`interrupts`).
        for end in ends:
            if self._wait(end):
                in_hand[0] = True
                return True
        return False

    def _wait(self, deadline: Deadline) -> bool:
        """Wait until there is a slot and take it; `False` if there was none in time."""
        end = Deadline(shortest(self.timeout, deadline.remaining()))
        wait = parked()
        # Whether this thread has a slot.
        in_hand = [False]
        try:
            # Not told twice: who gives a slot ends no wait that is inside a wait.
            with contextlib.nullcontext() if self._is_waited_for_here() else wait:
                return self._wait_parked(end, wait.go_on, in_hand)
        except BaseException:  # an interrupt
            if in_hand[0]:
                self.give_back()
            raise

    def _is_waited_for_here(self) -> bool:
        """Return whether the worker that runs here has said already that it waits for a slot."""
        workers = here.workers()
        room = workers[-1].waits_for if workers else None
        return isinstance(room, Room) and room.slots is self

    def _wait_parked(self, end: Deadline, go_on: Callable[[], None], in_hand: list[bool]) -> bool:
        """Wait, and call `go_on` now and then; see `parked`. `in_hand[0]`: whether it has one."""
        me = threading.get_ident()
        place: tuple[Asker, queue.SimpleQueue[None]] | None = None
        # In a finalizer, or a signal handler, that has come while this thread holds the lock.
        inside = is_owned(self._lock)
        # Where hardly any thread is left: a thread that is given its slot in the line counts as
        # going on at once.
        in_line = self._in_line or (here.serving is not None and here.serving.starved)
        own, entered = asker_of_thread(), [False]
        try:
            with self._lock:  # no interrupt comes within
                if (self.askers or self._given or in_line) and not inside:
                    place = own
                    self.askers[own[0]] = None
                else:
                    self._parking += 1
                self.waiting += 1
                self.parked[me] = None
                entered[0] = True
            if place is None:
                self._park(end, in_hand)
            else:
                self._stand(*place, end, go_on, in_hand)
        finally:
            try:
                self._count_out(me, entered, parks=place is None)
            except BaseException:  # an interrupt, perhaps before it began
                self._count_out(me, entered, parks=place is None)
                raise
            finally:
                try:
                    self._make_way(place)
                except BaseException:  # an interrupt, perhaps before it began
                    self._make_way(place)
                    raise
        return in_hand[0] or self._not_taken()

    def _count_out(self, me: int, entered: list[bool], *, parks: bool) -> None:
        """Take note that this thread, `me`, waits no more; once, however often it is called."""
        with self._lock:
            if entered[0]:
                # No call, behind which an interrupt comes, before all is counted.
                entered[0] = False
                self.waiting -= 1
                if parks:
                    self._parking -= 1
                self.parked.pop(me, None)

    def _make_way(self, place: tuple[Asker, queue.SimpleQueue[None]] | None) -> None:
        """Leave the line, or see to it as a thread that parks no more."""
        if place is not None:
            self.leave(place[0])
        elif self.askers:
            self.tell()

    def _take_at_once(self) -> bool:
        """Look once more, for slots that other senders have issued."""
        return self._take_one() or self._not_taken()

    def _take_one(self) -> bool:
        """Take a slot that is free; return whether there was one."""
        try:
            # No interrupt comes behind the call; see `interrupts`.
            for _ in after(self.take):
                return True
        except queue.Empty:
            pass
        return False

    def _park(self, end: Deadline, in_hand: list[bool]) -> None:
        """Wait in the queue."""
        if self.closed:
            return
        get = _source(self._free, end).get
        with contextlib.suppress(queue.Empty):
            for _ in map(get, (True,), (end.remaining(),)):
                in_hand[0] = True

    def _stand(
        self,
        asker: Asker,
        gate: "queue.SimpleQueue[None]",
        end: Deadline,
        go_on: Callable[[], None],
        in_hand: list[bool],
    ) -> None:
        """Wait in the line."""
        source = _source(gate, end)
        while not self.closed:
            left = end.remaining()
            # Each time: it takes back the slots that are to be taken back.
            self.tell()
            with contextlib.suppress(queue.Empty):
                source.get(timeout=shortest(left, _PAUSE))
            with self._lock:
                # No interrupt comes between the two; see `interrupts`.
                for in_hand[0] in after(self._given.pop, asker, False):  # noqa: FBT003 - `dict.pop`'s
                    pass
            if in_hand[0] or left == 0:
                return
            go_on()

    def _not_taken(self) -> bool:
        """Return `False`, or raise.

        If the mailbox was shut, the slot that `shut` freed is in another sender's hand just now.
        """
        return refuse(None) if self.closed else False
