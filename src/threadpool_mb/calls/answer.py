"""One call's answer, and the waits for it.

**Guarantees.** The first answer stands: a reply, the end of a worker, a timeout. A thread that
waits for an answer which nobody will give is told so (`calls.cell`, `calls.unanswered`).

Why a thread that waits wakes now and then (`Answer.wait`; pauses of 1, 1, 2, 4 ms and so on, at
most a second):

- Dropped reply boxes: `ReplyBox.__del__` gives an answer too. But a free-threaded build frees an
  object that another thread has dropped only when the thread that made it runs Python code again
  (gh-157838), and the caller has made the box. A list of a thread that takes turns may hold the
  box, too: after a quarter of a second the waiting thread also wakes those of the worker that has
  the call.
- A circle of calls may be seen only at a second look (`threads.circles`).
- The system may have refused the thread that the worker needs: it is asked for again.
"""

import contextlib
import queue
from collections.abc import Callable
from typing import Any, Final, cast, final

from threadpool_mb.arguments import NEVER, Deadline
from threadpool_mb.calls import unanswered
from threadpool_mb.calls.cell import (
    Gate,
    Outcome,
    count_late_reply,
    gate_in,
    outcome_in,
    place_in,
    run_callback,
    wake_before,
)
from threadpool_mb.calls.unanswered import Move, add_watcher, unwatch, watching
from threadpool_mb.errors import CallDeadlock, CallError, DuplicateReply
from threadpool_mb.numbers import CallId, made_by_parent, next_number
from threadpool_mb.threads.circles import waiting_for, would_wait_for_itself
from threadpool_mb.threads.here import Holder, Source, Waiter, here
from threadpool_mb.values import MISSING, Uncopied

__all__ = ["Answer"]

_UNWATCHED: Final = 0.001
"""Seconds that a thread waits before it watches the worker that has the call."""
_FIRST_PAUSE: Final = 0.001
"""Seconds that it waits after that first look; see above."""
_LONGEST_PAUSE: Final = 1.0
"""Seconds that it waits at most between two looks; docs/thread_safety.md says so, too."""
_PATIENT: Final = 0.128
"""A pause of at least this many seconds is followed by waking and asking for threads, too."""


@final
class Answer[R](Uncopied):
    """The answer to a call, now or later.

    Its caller has it, perhaps as a `Reply`; its receiver has it in a `ReplyBox`.

    Threads: internally synchronized; any number may wait.
    """

    __slots__ = (
        "_log",
        "_number",
        "_watched",
        "deadline",
        "holder",
        "key",
        "move",
        "times_handed_on",
        "waiter",
    )

    def __init__(self, key: object = MISSING, deadline: Deadline = NEVER) -> None:
        """Wait for the answer to a call to `key`, at most until the deadline."""
        self._log: Final[list[object]] = []
        self._number: Final = next_number()
        self._watched: Holder | None = None
        self.key: Final = key
        self.deadline: Final = deadline
        self.move: Move | None = None
        """The way it is on, if it is being handed on; the last one."""
        self.waiter: Waiter | None = None
        self.times_handed_on: int = 0
        """How many receivers of the call have given it away."""
        self.holder: Holder | None = None
        """The worker that has the call. A thread that hands it on writes the next one first."""

    @property
    def call_id(self) -> CallId:
        """The id of the call."""
        return CallId(self._number)

    @property
    def answered(self) -> bool:
        """Whether the answer is there."""
        # By no function of a module: boxes ask as they are dropped, perhaps when modules are gone.
        for entry in self._log:  # noqa: SIM110 - `any` makes a generator; every call comes by here
            if type(entry) is tuple:
                return True
        return False

    @property
    def expired(self) -> bool:
        """Whether nobody waits for an answer any more, so that it need not be worked out."""
        if not (expired := self.answered) and (expired := self.deadline.remaining() == 0):
            self.give_up()  # else the end of the worker, which may drop it now, could be the answer
        return expired

    def __str__(self) -> str:
        """Say which call it is, and what there is."""
        answer = outcome_in(self._log)
        state = "pending" if answer is None else "replied" if answer[1] is None else "failed"
        return f"{self.call_id} [{state}]"

    def settle(self, value: object, error: BaseException | None, *, from_box: bool) -> bool:
        """Give an answer; `False` if there was one before.

        Raises:
            DuplicateReply: if both came out of the box.
        """
        mine: Outcome = (value, error, from_box)
        log = self._log
        try:
            # It is the answer from here on, if there is none in front of it.
            log.append(mine)
            # A thread that begins to watch a holder now, or to wait, sees the answer.
            if self._watched is None:
                first: Any = log[0]  # not `cast`, which is a call
                if first is mine:
                    return True  # no entry is left to see to
                if type(first) is Gate and log[1] is mine and self.waiter is None:
                    first.put(None)
                    return True
            return self.see_to(mine)
        except BaseException:  # an interrupt, wherever: what was seen to may be seen to twice
            with contextlib.suppress(DuplicateReply):
                self.see_to(mine)
            raise

    def see_to(self, mine: Outcome) -> bool:
        """See to the entries before an outcome that was put into the log; as `settle` does."""
        won, replied = place_in(self._log, mine)
        if won:
            self._wake(mine)
        elif mine[2] and replied:
            raise DuplicateReply(self.call_id)
        elif mine[2]:
            count_late_reply()
        return won

    def when_answered(self, entry: Callable[[], object]) -> None:
        """Call `entry()` when the answer is there; see `Reply.add_done_callback`."""
        self._log.append(entry)
        for earlier in self._log:  # pragma: no branch - the entry was put there
            if earlier is entry:
                break
            if type(earlier) is tuple:
                run_callback(entry, self._number)
                return
        if made_by_parent(self._number):
            run_callback(entry, self._number)
        else:
            self.watch()

    def result(self, timeout: float | None) -> R:
        """Return the value; see `Reply.result`."""
        deadline, waits = Deadline(timeout), timeout is None or timeout > 0
        answer = self.outcome() or (self.wait(deadline) if waits else None)
        if answer is None:
            raise unanswered.no_reply_in_time(self.call_id, self.key)
        return self.read(answer)

    def result_or_give_up(self) -> R:
        """Return the value, or raise, before the deadline; take no answer after that."""
        if (answer := outcome_in(self._log)) is None:
            try:
                answer = self.wait(self.deadline)
            finally:
                if answer is None:
                    self.give_up()
        return self.last_result() if answer is None else self.read(answer)

    def last_result(self) -> R:
        """Return the value, or raise; take no answer after that."""
        if (answer := outcome_in(self._log)) is None:
            self.give_up()
            answer = cast("Outcome", outcome_in(self._log))
        return self.read(answer)

    def give_up(self) -> None:
        """Take no answer any more: nobody waits for it."""
        self.settle_error(unanswered.no_reply_in_time(self.call_id, self.key))

    def not_handled(
        self, key: object, reason: str, *, started: bool, error: BaseException | None = None
    ) -> None:
        """Answer that nobody will handle the call; see `Informed`."""
        if not self.answered:
            self.settle_error(
                unanswered.not_handled(self.call_id, key, reason, started=started, error=error)
            )

    def box_dropped(self) -> None:
        """Answer that the worker that had the call has dropped it, perhaps by its own end."""
        holder = self.holder
        # One that is just failing answers as it ends, with its error.
        if self.outcome() is None and not unanswered.fails(holder):
            key = self.key if holder is None else holder.key
            # One that has failed and is to begin anew may have its error still.
            error = None if holder is None else holder.end_error
            self.not_handled(key, unanswered.DROPPED, started=True, error=error)

    def settle_error(self, error: CallError) -> None:
        """Give an answer that does not come out of the box."""
        self.settle(MISSING, error, from_box=False)

    @property
    def in_transit(self) -> bool:
        """Whether the call is being handed on, to a worker that may not get it."""
        move = self.move
        return move is not None and (move.room is None or move.room.answered)

    def hand_on(self, move: Move, *, times: int = 1) -> None:
        """Take note that the call is on its way to another: nobody's end concerns it now."""
        self.times_handed_on += times
        with watching:
            self.move = move

    def handed_on(self, move: Move | None) -> None:
        """Take note that it has arrived; it may be on its way again by now."""
        with watching:
            if self.move is move:
                self.move = None
        if self._watched is not None:
            self.watch()
        # Whose end was not told meanwhile.
        self.outcome()
        if (deadlock := would_wait_for_itself(self)) is not None:
            self.settle_error(cast("CallError", deadlock))

    def taken_back(self, move: Move) -> None:
        """Take note that it was not handed on: what was to take it has raised."""
        self.times_handed_on -= 1
        self.handed_on(move)

    def deadlock(self, chain: str, key: object, /) -> CallDeadlock:
        """Return what a worker gets in the place of an answer; see `Awaited`."""
        return unanswered.deadlock(self.call_id, chain, key)

    def holder_gone(self, holder: Holder, /) -> None:
        """Answer that nobody will, unless the call was handed on; see `Awaited`."""
        if self.move is not None:
            return
        if self.holder is not holder:
            self.watch()
        elif holder.end_error is None and self.deadline.remaining() == 0:
            self.give_up()  # as the caller does, where it looks at the clock in time
        else:
            # What waited in its mailbox was told before it was gone.
            self.not_handled(holder.key, holder.end_reason, started=True, error=holder.end_error)

    def wait(self, deadline: Deadline) -> Outcome | None:
        """Wait for the answer; `None` if the deadline came first.

        Raises:
            CallDeadlock: if that would be for ever.
        """
        gate = gate_in(self._log)
        try:
            if here.serving is None and not here.inner:
                answer = self._wait_at(gate, deadline, None)
            else:
                with waiting_for(self) as waiting:
                    answer = self._wait_at(waiting.source(gate, deadline), deadline, waiting)
            if answer is not None:
                self._pass_on(gate)
        except BaseException:  # an interrupt, or a deadlock
            try:
                self._look_and_pass_on(gate)
            except BaseException:
                self._look_and_pass_on(gate)
                raise
            raise
        return answer

    def _wait_at(
        self,
        gate: Source[None],
        deadline: Deadline,
        waiting: waiting_for | None,
    ) -> Outcome | None:
        """Wait until the gate is open; `waiting` if the wait may close a circle.

        Mostly the answer comes at once. So the holder is not watched before a millisecond is over:
        to watch takes a lock that all waits share, and a tenth of what a call costs.
        """
        pause, next_pause = _UNWATCHED, _FIRST_PAUSE
        answer = outcome_in(self._log)
        while answer is None:
            left = None if deadline is NEVER else deadline.remaining()
            if left == 0:
                return self.outcome()
            opened = True
            try:
                gate.get(True, pause if left is None else min(pause, left))
            except queue.Empty:
                opened = False
            # Not in the `except`: a deadlock does not come of an empty queue.
            if not opened:
                if waiting is not None:
                    waiting.look_again()
                self.watch()
            answer = self.outcome()
            if answer is None:
                if next_pause > _PATIENT:  # the one that is over was half of it
                    if waiting is not None:
                        waiting.go_on()
                    if (holder := self.holder) is not None:
                        holder.nudge()
                pause, next_pause = next_pause, min(2 * next_pause, _LONGEST_PAUSE)
        return answer

    def _pass_on(self, gate: "queue.SimpleQueue[None]") -> None:
        """Let the next waiter go on, the answer being there; see `calls.cell`."""
        gate.put(None)
        if self._watched is not None:
            unwatch(self._watched, self)

    def _look_and_pass_on(self, gate: "queue.SimpleQueue[None]") -> None:
        if self.answered:
            self._pass_on(gate)

    def watch(self) -> None:
        """Be told of the end of the worker that has the call, if the answer is waited for.

        1. The waiting thread reads the holder, watches it, and reads the holder again.
        2. The thread that hands it on writes the new holder, then reads whether one is watched.

        Either (2) sees the watched holder and does (1) itself, or (1) sees the new holder when it
        reads again. Two threads that do (1) at the same time do it one after the other, under
        `watching`: otherwise one could have read the old holder and the other the new one, and the
        old one could be watched last (`tests/model/test_replies_model.py`).
        """
        while True:
            with watching:
                holder, before = self.holder, self._watched
                if holder is before:
                    return
                self._watched = holder
                if before is not None:
                    unwatch(before, self)
                if holder is not None:
                    add_watcher(holder, self)
            if holder is not None and holder.gone:
                self.holder_gone(holder)
            if (answered := self.answered) and holder is not None:
                unwatch(holder, self)
            if answered or self.holder is holder:
                return

    def outcome(self) -> Outcome | None:
        """Return the answer if it is there; that of a worker that has ended, too."""
        answer = outcome_in(self._log)
        if answer is None:
            if made_by_parent(self._number):
                # Not settled: the callbacks are for the parent's answer.
                return MISSING, unanswered.made_before_fork(self.call_id, self.key), False
            holder = self.holder
            if holder is not None and holder.gone:
                self.holder_gone(holder)
                answer = outcome_in(self._log)
        return answer

    def _wake(self, mine: Outcome) -> None:
        """See to all entries before the answer; what a callback raises is raised after the last."""
        try:
            if (waiter := self.waiter) is not None:
                waiter.goes_on()
            wake_before(mine, self._log, self._number)
        finally:
            if self._watched is not None:
                unwatch(self._watched, self)

    def read(self, answer: Outcome) -> R:
        """Return the value of an answer, or raise its error.

        Raises:
            CallError: a fresh one each time.
        """
        value: Any
        value, error, from_box = answer
        if error is None:
            return value  # type: ignore[no-any-return]
        try:
            raise unanswered.fresh(self.call_id, self.key, error, from_box=from_box)
        finally:
            # The error's traceback holds this frame, which must not hold the error.
            del error, answer
