"""A few threads that take turns of many lanes: started when needed, then kept.

**Guarantees.** What is scheduled gets its turn, in the order in which it was scheduled, but for
what is brought forward (`turns`). As long as something waits for its turn, every thread is busy,
and as many were asked for as there may be: a turn that blocks holds up one thread, and no other
turn for longer than a thread takes to start. Where all of them wait for other workers (for an
answer, or for room), or for other turns of theirs, there may be one more, so that one of those can
be given its turn. Once one of the waiting threads is given what it waits for, the thread that is
one too many rests (`counting`), and ends when it was not needed for some time. When `join` has
returned, no thread is left, nor one that was just being started.

**Assumes.** Of `SimpleQueue`, what `line.inlet` assumes. Of two threads that pop one entry of a
dict, one gets it. Turns raise nothing; what they raise all the same is logged, and the thread goes
on.

A thread is *starting* until it has taken its first turn. One more is *needed* when no thread is
idle and more turns wait than threads are starting; where threads are spare, when no thread is idle
and a turn waits: one of them is woken then (`spares`). The sender is (1) and (2), the thread (a) to
(c):

1. `schedule` puts a turn into the queue.
2. It asks for one more thread, if that is needed.
a. A thread takes a turn. If it had waited for the turn, it counts as idle no more; if that is its
   first turn, it counts as starting no more.
b. It looks whether one more thread is needed.
c. If so, it asks for one; then it does its turn.

If (1) comes before (b), the thread sees what was put. If it comes after, so does (2), and (a) was
before (b): the sender counts that thread as neither idle nor starting. Either way a thread asks.
"""

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, final, override

from threadpool_mb.arguments import Deadline
from threadpool_mb.errors import ThreadRefused
from threadpool_mb.forking import remake
from threadpool_mb.interrupts import after
from threadpool_mb.logs import Logger
from threadpool_mb.threads.counting import ThreadCount, shared_name
from threadpool_mb.threads.here import here
from threadpool_mb.threads.launching import Launches, new_thread
from threadpool_mb.threads.turns import NUDGE, ServingThread, Turn
from threadpool_mb.threads.waiting import get_patiently

__all__ = ["SharedThreads"]

_logger = Logger(__name__)

_NUDGE_SECONDS: Final = 0.25
"""The least time between two nudges."""


@final
class SharedThreads(ThreadCount):
    """Runs turns on at most `max_threads` threads. Threads: internally synchronized."""

    __slots__ = (
        "_ask",
        "_launches",
        "_may_ask",
        "_name",
        "_named",
        "_next_nudge",
        "_prepare",
        "any",
        "put",
    )

    def __init__(
        self,
        name: str,
        max_threads: int,
        ask: Callable[[], object] | None = None,
        prepare: Callable[[], object] = lambda: None,
        *,
        named: Callable[[int], str] | None = None,
        own_waits_only: bool = False,
        pinned: bool = False,
    ) -> None:
        """Start no thread yet.

        Args:
            name: the threads are called `{name}-shared-1` and so on.
            max_threads: the most threads there will be.
            ask: called when one more thread is needed, and has another thread call `grow`; it must
                not block. Without it, the thread that finds that one is needed starts it.
            prepare: called by each thread before its first turn. It raises nothing.
            named: returns a thread's name, given how many there are; by default that above.
            own_waits_only: whether there may be one more only where all threads wait for turns of
                these threads. Otherwise also where they wait for anything else that they are told
                of: that may need one of these threads in its turn.
            pinned: whether there is never one more.
        """
        super().__init__(max_threads, own_waits_only=own_waits_only, pinned=pinned)
        self._name: Final = name
        self._named: Final[Callable[[int], str]] = named or functools.partial(shared_name, name)
        self._ask: Final[Callable[[], object]] = self.grow if ask is None else ask
        self._prepare: Final = prepare
        self.put: Final[Callable[[Turn], None]] = self._ready.put
        """The first half of `schedule`; `grow_if_needed` is the second."""
        self._launches: Final = Launches(self._lock)
        self.any: bool = False
        """Whether a thread was started; one that is being started may be refused, and is none."""
        self._next_nudge: float = 0.0
        # Has its one entry while no thread asks for one more. The thread that asks pops it. A call
        # of `grow` puts it back, also one that was not asked for, which a lock would not allow.
        self._may_ask: Final[dict[str, bool]] = {"may ask": True}

    def schedule(self, turn: Turn) -> None:
        """Give `turn` its turn, behind those that wait. Blocks: never."""
        try:
            self.put(turn)
            if self.growing:
                self.grow_if_needed()
        except BaseException:  # an interrupt
            self.grow_if_needed()
            raise

    @override
    def grow_if_needed(self) -> None:
        """Do the second half of `schedule`, for a caller that did the first with `put`."""
        while self.growing and self._one_is_needed():
            if not self._spares.bells:
                self._ask_for_one()
                return
            if self._spares.wake_if_none_is_woken():
                return

    def _ask_for_one(self) -> None:
        # Not under the lock: the thread that asks may hold a different lock, which a finalizer that
        # runs under this one waits for. No interrupt comes between the pop and the `try`; see
        # `interrupts`.
        for may_ask in after(self._may_ask.pop, "may ask", False):  # noqa: FBT003 - `dict.pop`'s
            if not may_ask:
                return
            try:
                self._ask()
            except BaseException:
                self._may_ask["may ask"] = True
                raise

    def grow(self, *, least: int = 0) -> None:
        """Start or wake a thread if one is needed, or start one if there are fewer than `least`.

        Blocks: some tenths of a millisecond.

        Raises:
            ThreadRefused: if the system starts no thread and there are none.
        """
        thread = None
        running = 0
        try:
            with self._lock:
                self._may_ask["may ask"] = True
                running = len(self._threads)
                if running >= least and (not self._one_is_needed() or self._spares.wake()):
                    return
                if not self._may_start or self._wake_rested_locked():
                    return
                thread = new_thread(self._serve, self._named(running))
                self._launches.launch_locked(thread)
                # No call between the two; `_not_started` undoes both, and the launch.
                self._starting += 1
                self._threads.append(thread)
                self._look_whether_growing_locked()
            thread.start()
            self._launches.started(thread)
        except (RuntimeError, MemoryError) as error:
            self._not_started(thread)
            # A thread may have begun its rest because this one was to start: it takes its place.
            # From now on the pool makes do with the threads that it has.
            with self._lock:
                self._wake_rested_locked()
                none = not self._threads
                self._refused = not none
                self._look_whether_growing_locked()
            if none or not running:
                msg = f"the system started no thread (0 are running): {error}"
                raise ThreadRefused(msg) from error
            _logger.warning(
                "%s: the system starts no further thread, it goes on with %d: %s",
                self._name,
                running,
                error,
            )
        except BaseException:  # an interrupt
            self._not_started(thread)
            raise

    def _not_started(self, thread: threading.Thread | None) -> None:
        """Let there be another thread in the place of one that has not started."""
        with self._lock:
            if (
                thread is not None
                and self._launches.failed_locked(thread)
                and thread in self._threads
            ):
                self._starting -= 1
                self._threads.remove(thread)
            # Also where one that had rested was being counted.
            self._look_whether_growing_locked()

    def close(self) -> None:
        """Let every thread end once nothing waits for its turn.

        Blocks: never.
        """
        with self._lock:
            self._count_no_more()
            self._resting.end_locked()
        self._ready.put(None)
        self._spares.wake_all()

    def forked(self, *, usable: bool = False) -> bool:
        """Take no turn in a child of `os.fork`, unless never used and `usable`: returns whether."""
        remake(self._lock)
        self._ready.forked()
        if usable and not self._threads and not len(self._ready):
            return True
        self._count_no_more()
        self._in_child()
        self._launches.forked()
        return False

    def schedule_ahead(self, turns: Iterable[Turn]) -> None:
        """Give `turns`, which have waited elsewhere, a turn before others; see `put_ahead`."""
        self._move(self._ready.put_ahead, turns)

    def expedite(self, turn: Turn) -> None:
        """Have `turn` come first of those that wait, if it is one of them.

        For a thread that is about to wait for that turn, where hardly any other thread is left; see
        `turns`, also for the time that this takes. Blocks: never.
        """
        self._move(self._ready.bring_forward, turn)

    def _move[T](self, move: Callable[[T], object], moved: T) -> None:
        try:
            move(moved)
        finally:
            self._nudge_for_moved()
            self.grow_if_needed()

    def nudge(self) -> None:
        """Have idle threads run for a moment, a few times a second at most. Blocks: never.

        A free-threaded build frees what one thread made and another dropped as the first one runs.
        """
        now = time.monotonic()
        if now < self._next_nudge:
            return
        self._next_nudge = now + _NUDGE_SECONDS
        for _ in range(self._idle):
            self.put(NUDGE)
        self._spares.wake_all()

    def join(self, deadline: Deadline) -> bool:
        """Wait until every thread has ended; for `SharedThreads` that are closed.

        Returns:
            `False` if the deadline came first.
        """
        return self._launches.join(deadline)

    def all(self) -> set[threading.Thread]:
        """Return the threads that were started; some may have ended since."""
        return self._launches.all()

    def _serve(self) -> None:
        """Take turn after turn; a shared thread's whole life."""
        me = threading.current_thread()
        with self._lock:
            if me not in self._threads:
                # Its starter was interrupted before it could see it run.
                self._starting += 1
                self._threads.append(me)
                self._look_whether_growing_locked()
            self._launches.runs_locked(me)
            self.any = True
        try:
            self._take_turns()
        except BaseException:
            self._count_lost()
            raise
        finally:
            self._count_out()

    def _take_turns(self) -> None:
        self._prepare()
        ready = self._ready
        get = ready.get
        serving = here.serving = ServingThread(self)
        self._count_in(serving)
        handled = 0  # adding to an attribute takes four times as long
        turn = self._first_turn()
        while turn is not None:
            # Before a thread is started, which takes time: the turn before holds users' objects.
            serving.turn = turn
            try:
                try:
                    if ready.moved and (self._idle or self._starting):
                        self._nudge_for_moved()
                    if self.growing:
                        self.grow_if_needed()
                finally:
                    handled += turn.turn()
                    serving.handled = handled
            except BaseException:  # noqa: BLE001 - a thread is for all lanes; it goes on
                self._report()
            # The objects that the turn holds must not live on while the thread waits.
            del turn
            if self._seldom:
                if self.in_child:
                    return  # it has forked: the turns that wait are the parent's
                if self._too_many and (bell := self._rests(starting=False)) is not None:
                    serving.turn = None
                    turn = self._first_turn() if self._resting.rest(bell) else None
                    continue
            try:
                # `_next_turn`, written out: no frame more for each turn.
                if (not ready.moved or (turn := ready.take(crowded=self._too_many)) is None) and (
                    turn := get(False)
                ) is None:
                    turn = self._last_turn()
            except queue.Empty:
                serving.turn = None
                turn = self._wait()

    def _first_turn(self) -> Turn | None:
        """Wait for a turn, on a thread that counts as starting until it has taken one.

        Where the thread is needed no more, it rests.
        """
        while self._too_many and (bell := self._rests(starting=True)) is not None:
            if not self._resting.rest(bell):
                return None
        try:
            return self._await_turn()
        finally:
            with self._lock:
                self._starting -= 1

    def _report(self) -> None:
        """Log the error that is being handled, if that can be done."""
        with contextlib.suppress(BaseException):
            _logger.exception("%s: a turn raised", self._name)  # noqa: LOG004 - it is

    def _wait(self) -> Turn | None:
        """Wait for a turn, on a thread that counts as idle or spare meanwhile; see `spares`."""
        while (bell := self._enter()) is not None:
            try:
                bell.get()  # (b)
                return self._next_turn()  # (i)
            except queue.Empty:
                pass
            finally:
                self._was_spare(bell)
        try:
            return self._await_turn()
        finally:
            self._leave()

    def _next_turn(self) -> Turn | None:
        """Return the next turn; `queue.Empty` if there is none."""
        ready = self._ready
        turn = ready.take(crowded=self._too_many) if ready.moved else None
        if turn is None and (turn := ready.get(False)) is None:
            turn = self._last_turn()
        return turn

    def _await_turn(self) -> Turn | None:
        """Wait for a turn, on a thread that counts as idle or starting already; see `turns`."""
        ready = self._ready
        turn = ready.take(crowded=self._too_many) if ready.moved else None
        if turn is None and (turn := get_patiently(ready.queue)) is None:
            turn = self._last_turn()
        return turn

    def _last_turn(self) -> Turn | None:
        """Return what is to be done though there will be no more turns; `None` to end."""
        self._ready.put(None)  # for the next thread
        turn = None
        # What `take` says comes first may be that `None`.
        while turn is None and self._ready.moved:
            turn = self._ready.take(crowded=False)
        return turn

    def _nudge_for_moved(self) -> None:
        """Have threads that wait in the queue, or are about to, take what was moved."""
        for _ in range(self._idle + self._starting - self._ready.qsize()):
            self.put(NUDGE)
