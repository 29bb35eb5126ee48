"""The free slots of a mailbox with a limit.

A sender takes a slot before it puts a message; the receiver frees it after it took the message.
Slots are issued when they are first needed, so that a limit of a million costs nothing until a
million messages wait.

**Guarantees.** Never more slots are taken than the limit. A freed slot goes to a sender that
waits, if there is one. Once shut, every sender that waits wakes.

**Assumes.** What `sending` says of `SimpleQueue`. A `KeyboardInterrupt` that hits the main thread
between taking a slot and putting its message costs the mailbox that slot.

Why no wake-up is lost: a slot is not a signal but a thing. One that nobody waits for stays in the
queue; a sender that times out or is interrupted has not taken one. Shutting frees one slot more,
and each sender that finds the mailbox closed with a slot in its hand frees it again, for the next
one that waits. `tests/model/test_slots_model.py` runs through every interleaving of it.

A sender that must not park its thread, a task of asyncio, *asks* instead: it puts an `Asker` into
`askers`, and tries once more. Who frees a slot looks at `askers` after that, and tells the first
one, who tries again. Either the sender's second try finds the slot, or the slot was freed after
that, and so after the asker was put there: then it is told. One that was told and does not need the
slot any more tells the next one.

A sender that parks a thread which takes turns of many workers tells that thread's pool, so that
another one may take their turns. If it is a worker itself, it is part of the circles that
`threadpool_mb.waits` finds: it waits for the worker whose mailbox is full.

The other designs that were tried, and their figures: `docs/performance.md`.
"""

import collections
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Final, Never, final

from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline, shortest
from threadpool_mb.errors import DispatchDeadlock, MailboxClosed
from threadpool_mb.forking import MADE_BEFORE_FORK, remake
from threadpool_mb.here import Holder, here, parking
from threadpool_mb.waits import waiting_for

__all__ = ["Asker", "Room", "Slots", "refuse", "refuse_in_child", "worth_waiting_for"]


def refuse(_message: object, /) -> Never:
    """Stand in the place of a shut queue's `put`.

    Raises:
        MailboxClosed: always.
    """
    raise MailboxClosed("the mailbox is closed")


def refuse_in_child(_message: object, /) -> Never:
    """Stand in the place of the `put` of a queue that a fork has left without a receiver.

    Raises:
        MailboxClosed: always.
    """
    raise MailboxClosed(f"the mailbox was {MADE_BEFORE_FORK}: its receiver is not in this process")


@final
class Asker:
    """A sender that waits for a slot elsewhere; told at most once."""

    __slots__ = ("_call", "_untold")

    def __init__(self, call: Callable[[], bool]) -> None:
        """Be told by `call()`, which neither blocks nor raises, on any thread.

        It returns whether anybody is left who could be told.
        """
        self._call: Final = call
        # Who pops it decides whether it is told; `pop` is atomic.
        self._untold: Final[list[None]] = [None]

    def tell(self) -> bool:
        """Call; `False` if it has withdrawn, or nobody is left."""
        return self.withdraw() and self._call()

    @property
    def waits(self) -> bool:
        """Whether it was neither told nor has withdrawn."""
        return bool(self._untold)

    def withdraw(self) -> bool:
        """Have it not be told; `False` if it was."""
        with contextlib.suppress(IndexError):
            self._untold.pop()
            return True
        return False


@final
class Slots:
    """The free slots of one mailbox."""

    __slots__ = (
        "_free",
        "_lock",
        "_unissued",
        "_withdrawn",
        "askers",
        "closed",
        "free",
        "holder",
        "limit",
        "parked",
        "take",
        "timeout",
        "waiting",
    )

    def __init__(self, limit: int, timeout: float | None) -> None:
        """Issue up to `limit` slots, for which senders wait at most `timeout` seconds."""
        self.limit: Final = limit
        """The most messages that wait."""
        self.timeout: Final = timeout
        """How many seconds a sender waits for a slot; `None` for ever."""
        self._free: Final[queue.SimpleQueue[None]] = queue.SimpleQueue()
        self.take: Final[Callable[[], None]] = self._free.get_nowait
        """Take a slot; `queue.Empty` if none is free that was issued."""
        self.free: Final[Callable[[None], None]] = self._free.put
        """Free a slot: `free(None)`."""
        # Guards the counts below. Nobody waits under it. Reentrant: the garbage collector may
        # run a finalizer while it is held, which may deliver.
        self._lock: Final = threading.RLock()
        self._unissued = limit
        # Askers that have withdrawn since the last time they were taken out.
        self._withdrawn = 0
        self.waiting: int = 0
        """The number of senders that wait."""
        self.parked: Final[dict[int, None]] = {}
        """Their threads, as `threading.get_ident()`: each until it puts its message."""
        self.closed: bool = False
        self.askers: Final[collections.deque[Asker]] = collections.deque()
        """Who is to be told, one for each slot that is freed, the first one first."""
        self.holder: Holder | None = None
        """The worker that receives from the mailbox, if it is a pool's, until the mailbox is shut:
        it refers back to the slots."""

    def shut(self) -> None:
        """Wake every sender that waits."""
        self.closed = True
        self.holder = None
        self.free(None)
        while self.askers:
            self.tell()

    def forked(self) -> None:
        """Wake the sender whose thread has forked, if it waits; in a child of `os.fork`.

        Who asks for a slot is the parent's and is not told.
        """
        remake(self._lock)
        self.closed = True
        self.free(None)

    def tell(self) -> None:
        """Tell the first one who asks. Blocks: never."""
        with contextlib.suppress(IndexError):  # nobody is left
            while not self.askers.popleft().tell():
                pass

    def withdraw(self, asker: Asker) -> None:
        """Ask no more; one who was told already tells the next one."""
        if not asker.withdraw():
            self.tell()
            return
        with self._lock:
            self._withdrawn += 1
            if self._withdrawn * 2 < len(self.askers):
                return
            self._withdrawn = 0
        # Once through all of them. What `tell` takes out meanwhile, or others put in, does no harm.
        with contextlib.suppress(IndexError):
            for _ in range(len(self.askers)):
                each = self.askers.popleft()
                if each.waits:
                    self.askers.append(each)

    def wait(self, deadline: Deadline = NEVER) -> bool:
        """Take a slot where `take` found none; `False` if none came free in time.

        Blocks: for the slots' timeout, or until the deadline, whatever comes first.

        Raises:
            MailboxClosed: if the mailbox was shut, before or during the wait.
            DispatchDeadlock: if that would be for ever.
        """
        with self._lock:
            if self._unissued:
                # One for this sender, and as many as there are already for those that come. Under
                # the lock, so that a sender which finds nothing left to issue finds these. No call
                # stands between looking at the count and lowering it: a finalizer may re-enter.
                issued = self.limit - self._unissued
                self._unissued -= 1
                while issued and self._unissued:
                    self._unissued -= 1
                    issued -= 1
                    self.free(None)
                return True
        if self.timeout == 0 or deadline is AT_ONCE:
            if self.closed:
                refuse(None)
            return False
        holder = self.holder
        if holder is not None and (here.serving is not None or here.inner):
            return self._wait_as_worker(holder, deadline)
        return self._park(deadline)

    def _wait_as_worker(self, holder: Holder, deadline: Deadline) -> bool:
        """Wait as `wait` does, on a thread that runs a worker, for room in a worker's mailbox.

        Raises:
            DispatchDeadlock: if that would be for ever.
        """
        # A wait with a timeout ends by itself, whoever waits for whom.
        ends = self.timeout is not None or deadline.remaining() is not None
        with waiting_for(Room(self, holder, ends=ends)) as waiting:
            if ends:
                return self._park(deadline)
            return any(self._park(end) for end in waiting.stretches(deadline))

    def _park(self, deadline: Deadline) -> bool:
        """Wait until a slot is freed and take it; `False` if none was in time."""
        with self._lock:
            self.waiting += 1
            self.parked[threading.get_ident()] = None
        try:
            if not self.closed:
                with parking():
                    self._free.get(timeout=shortest(self.timeout, deadline.remaining()))
                return True
        except queue.Empty:
            if not self.closed:
                return False
        finally:
            with self._lock:
                self.waiting -= 1
                self.parked.pop(threading.get_ident(), None)
        # The slot that `shut` has freed is in another sender's hand just now.
        return refuse(None)


@final
class Room:
    """Room in a full mailbox: who waits for it waits for the worker; see `Awaited`.

    The wait may be over though the one who waits has not gone on: with a slot in its hand, or with
    its message in the mailbox. It has neither if the mailbox is full, and the thread is parked for
    a slot after that: full, so no slot is in anybody's hand; parked, so it has put nothing before.
    """

    __slots__ = ("_deadlock", "_ends", "_slots", "_thread", "holder", "waiting_workers")

    def __init__(
        self,
        slots: Slots,
        holder: Holder,
        deadlock: Callable[[str, object], Exception] | None = None,
        *,
        ends: bool = False,
    ) -> None:
        """Wait on this thread.

        Args:
            slots: those of the mailbox.
            holder: the worker whose mailbox it is.
            deadlock: makes what is raised where the wait would be for ever.
            ends: whether the wait ends by itself, and so is part of no circle.
        """
        self._slots: Final = slots
        self._ends: Final = ends
        self._thread: Final = threading.get_ident()
        self._deadlock: Final = deadlock
        self.holder: Final[Holder | None] = holder
        self.waiting_workers: tuple[Holder, ...] = ()

    in_transit = False

    @property
    def answered(self) -> bool:
        """Whether the wait may be over; the one who waits itself looks while it does not wait."""
        slots, holder = self._slots, self.holder
        if self._ends or slots.closed or holder is None or holder.backlog < slots.limit:
            return True
        return self._thread not in slots.parked and self._thread != threading.get_ident()

    def deadlock(self, chain: str, key: object, /) -> Exception:
        """Return what is raised in the place of a wait for ever; see `Awaited`."""
        if self._deadlock is not None:
            return self._deadlock(chain, key)
        return DispatchDeadlock(
            f"a message to a full mailbox would wait for room for ever: {chain}", key
        )

    def holder_gone(self, holder: Holder, /) -> None:
        """Not called: it watches nobody, as the end of its worker closes the mailbox."""


def worth_waiting_for(slots: Slots | None, *, last: bool) -> Slots | None:
    """Return the slots of a mailbox that was full, if a sender is to wait for one of them.

    Not if it was told to try for the `last` time, nor if `deliver` would not wait either.
    """
    return None if last or slots is None or slots.timeout == 0 else slots
