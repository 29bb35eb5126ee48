"""A world: some pools whose turns are taken one at a time, in an order that a seed decides.

It does what a pool's threads would do, with the pool's own tables, lanes, timers and queues: it
takes turns out of the queue of the shared threads, carries out the dispatcher's orders, and fires
timers. Its time goes on only where nothing is left to do.

**Guarantees.** The same seed, and the same program, give the same order. What may come next is any
turn that waits, the dispatcher's next order, a timer that is due, or a thread whose wait is over:
each as likely as the others. What one sender has sent to one key stays in order, as those are the
pool's own queues.
"""

import contextlib
import functools
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, final

from threadpool_mb.arguments import use_clocks
from threadpool_mb.pool.draining import Draining
from threadpool_mb.pool.later import Timer
from threadpool_mb.testing.driven import Driven, StandIn, ready_of, take
from threadpool_mb.testing.order import Order
from threadpool_mb.testing.strands import Carrier, Carriers, Strand, Stuck, Waiting
from threadpool_mb.threads.entries import Entry
from threadpool_mb.threads.here import here
from threadpool_mb.threads.launching import runs
from threadpool_mb.threads.shared import SharedThreads
from threadpool_mb.threads.turns import Turn

__all__ = ["MAX_TURNS", "World"]

MAX_TURNS: Final = 100_000
"""How many turns there may be until something is over."""

_OUTSIDE: Final = 1.0
"""Real seconds for which something may come from other threads, once nothing is left to do."""

_AT_ITS_END: Final = 0.05
"""The same, before a wait of the test is over because its time is."""

_HINT: Final = "; if the test is to go on while a worker waits so: SeededPool(..., blocking=True)"

_STEPS: Final = 20
"""How many steps there may be for each of these: timers that are fired, say."""

_MESSAGES: Final = (1, 1, 2, 3, 8, 1_000_000)
"""How many messages a turn takes, at most; its pool's `throughput` bounds that, too."""

type _Done = Literal["step", "resume", "idle"]
type _Idle = Literal["nothing", "look", "later"]


@final
class World:
    """Pools that share a seed, a clock and an order. Threads: the one that has made it."""

    __slots__ = (
        "_carriers",
        "_driven",
        "_ident",
        "_in_time",
        "_left",
        "_main",
        "_numbers",
        "_progress",
        "_random",
        "_time",
        "blocking",
        "interrupt",
        "order",
        "seed",
    )

    def __init__(self, seed: int, left: Callable[["World"], object]) -> None:
        """Be the world of this thread; `left` is called once it is that no more.

        Raises:
            RuntimeError: in a worker.
        """
        self._left: Final = left
        if here.serving is not None or here.inner:
            raise RuntimeError("a SeededPool cannot be made in a worker")
        use_clocks(_clock_here)
        self.seed: Final = seed
        self.order: Final = Order(seed)
        self._random: Final = random.Random(seed)  # noqa: S311 - it is to be foreseen
        self._time = 0.0
        self.blocking: bool = False
        """Whether no turn runs on the test's thread, as workers wait with their thread held."""
        self._driven: Final[list[Driven]] = []
        self._ident: Final = threading.get_ident()
        self._main: Final = Strand(self, self._wait)
        self._carriers: Final = Carriers(self)
        # Whether the test waits, and may have to go on before a turn is over.
        self._in_time = False
        self._numbers = 0
        self._progress = 0
        self.interrupt: KeyboardInterrupt | None = None
        """What has come in a worker, and was meant for the test."""

    def now(self) -> float:
        """Return the time, in seconds since it began."""
        return self._time

    def drive(self, dispatcher: Draining[Any, Any]) -> threading.Thread:
        """Take over a new pool; see `Driver`."""
        driven = Driven(self, dispatcher)
        self._driven.append(driven)
        here.serving = self._main
        return StandIn(driven)

    def names(self) -> str:
        """Return the names of the pools that are open."""
        return ", ".join(repr(each.dispatcher.name) for each in self._driven if not each.over)

    def next_name(self) -> str:
        """Return the name of the next pool: the same in each world."""
        return f"pool-{len(self._driven) + 1}"

    @property
    def over(self) -> bool:
        """Whether all its pools have ended, or were dropped."""
        return all(driven.over for driven in self._driven)

    def forget(self, dispatcher: object) -> None:
        """Take note that a pool was dropped."""
        for driven in self._driven:
            if driven.dispatcher is dispatcher:
                driven.over = True
        self._leave_if_over()

    def _leave_if_over(self) -> None:
        if self.over and self._main.turn is None and threading.get_ident() == self._ident:
            self.leave()

    def leave(self) -> None:
        """Be this thread's world no more; what still waits in it is given up."""
        self._carriers.end()
        if here.serving is self._main:
            here.serving = None
        self._left(self)

    def give_up(self, dispatcher: Any) -> None:  # noqa: ANN401 - its insides are used here
        """Cancel a pool that never ends by itself, and give up what waits; it is forgotten."""
        dispatcher.cancel()
        self._carriers.abandon()
        with contextlib.suppress(Stuck):
            self.run_until(lambda: not dispatcher._thread.is_alive(), None)  # noqa: SLF001 - as said
        self.forget(dispatcher)

    # What may come next.

    def choose_entry(self, due: list[Entry]) -> Entry:
        """Choose one of the timers that are due; messages are dispatched in their order."""
        others = [each for each in due if not isinstance(each, Timer)]
        first = next((each for each in due if isinstance(each, Timer)), None)
        return self._random.choice(others if first is None else [*others, first])

    def _events(self) -> list[Callable[[], object]]:
        """Return what may come next beside turns."""
        events: list[Callable[[], object]] = []
        for driven in self._driven:
            if driven.orders:
                events.append(driven.carry_out)
            if driven.next_time <= self._time:
                events.append(driven.fire)
            events += [
                functools.partial(self._take_first, driven, threads)
                for threads in driven.threads
                # One turn at a time, in their order.
                if threads.pinned and len(ready_of(threads)) and threads.occupant is None
            ]
        events += [
            functools.partial(self._go_on, carrier)
            for carrier in self._carriers.parked
            if carrier.waiting is not None and self._is_over(carrier.waiting)
        ]
        return events

    def _is_over(self, waiting: Waiting) -> bool:
        return waiting.ready() or waiting.ends_at <= self._time

    def _draw(self) -> list[tuple[Driven, SharedThreads, Turn]]:
        """Take the turns that may come next out of their queues."""
        return [
            (driven, threads, turn)
            for driven in self._driven
            for threads in driven.threads
            if not threads.pinned
            for turn in take(threads, len(ready_of(threads)))
        ]

    def nothing_now(self) -> bool:
        """Return whether nothing is left to do but to wait."""
        drawn = self._draw()
        _put_back(drawn)
        return not drawn and not self._events()

    def _step(self, waiting: Waiting | None) -> _Done:
        """Do one thing of those that may come next; `waiting` is what this thread waits for.

        Raises:
            KeyboardInterrupt: if that has come in a worker.
        """
        events = self._events()
        drawn = self._draw()
        resumes = waiting is not None and self._is_over(waiting)
        count = len(drawn) + len(events) + resumes
        if not count:
            return "idle"
        chosen = self._random.randrange(count)
        if chosen < len(drawn):
            driven, threads, turn = drawn.pop(chosen)
            _put_back(drawn)
            del drawn
            self._take_turn(driven, threads, turn)
        else:
            _put_back(drawn)
            chosen -= len(drawn)
            if chosen == len(events):
                return "resume"
            events[chosen]()
        self._progress += 1
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            raise interrupt
        return "step"

    def _take_turn(self, driven: Driven, threads: SharedThreads, turn: Turn) -> None:
        self._numbers += 1
        choice = self._random.choice(_MESSAGES)
        for common in driven.commons:
            common.throughput = min(choice, driven.throughput)
        if self._main.turn is None and not self._in_time and not self.blocking:
            self._main.run(threads, turn, self._numbers)
            return
        self._carriers.take(threads, turn, self._numbers)

    def _take_first(self, driven: Driven, threads: SharedThreads) -> None:
        for turn in take(threads, 1):
            self._take_turn(driven, threads, turn)

    def _go_on(self, carrier: Carrier) -> None:
        """Let a turn go on that waits on a carrier."""
        if carrier.waiting is not None:
            self._pass_end(carrier.waiting)
        self._carriers.go_on(carrier)

    def _pass_end(self, waiting: Waiting) -> None:
        """Have its deadline passed, where it is over: two times may not add up to the last bit."""
        while not waiting.ready() and waiting.ends_at <= self._time and (left := waiting.left):
            self._time = max(math.nextafter(self._time, math.inf), self._time + left)

    def _idle(self, limit: float, waiting: Waiting | None) -> _Idle:
        """See to it that something can be done, where nothing is left to do now.

        Threads that wait look around a few times; then the time goes on, at most to the limit.

        Returns:
            `"look"`: this thread is to look around.
        """
        for carrier in self._carriers.parked:
            looks = carrier.waiting is not None and carrier.waiting.looks
            if looks and carrier.strand.may_look(self._progress):
                self._go_on(carrier)
                return "later"
        if waiting is not None and waiting.looks and self._main.may_look(self._progress):
            return "look"
        ends = [each.waiting.ends_at for each in self._carriers.parked if each.waiting is not None]
        if waiting is not None:
            ends.append(waiting.ends_at)
        next_time = min([*ends, *(driven.next_time for driven in self._driven)], default=math.inf)
        if next_time == math.inf or next_time > limit:
            return "nothing"
        if (
            waiting is None
            or next_time < waiting.ends_at
            or not self._comes_from_outside(_AT_ITS_END, waiting)
        ):
            self._time = max(self._time, next_time)
        return "later"

    def _comes_from_outside(self, seconds: float, waiting: Waiting | None) -> bool:
        """Wait for what other threads may do, where there are any: a future that they fill, say."""
        own = 1 + self._carriers.count
        # Most often there is none besides: `active_count` says so at once.
        if threading.active_count() <= own or sum(map(runs, threading.enumerate())) <= own:
            return False
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.nothing_now() or (waiting is not None and waiting.ready()):
                return True
            time.sleep(0.001)
        return False

    # Going on.

    def check_thread(self) -> None:
        """Raise `RuntimeError` on another thread, or in a worker."""
        if threading.get_ident() != self._ident:
            raise RuntimeError("a SeededPool runs on the thread that has made it, and on no other")
        if self._main.turn is not None:
            raise RuntimeError("a worker can neither make a SeededPool nor run one")

    def step(self) -> bool:
        """Do one thing; `False` if nothing is left to do now."""
        self.check_thread()
        try:
            return self._step(None) == "step" or self._idle(self._time, None) != "nothing"
        finally:
            self._leave_if_over()

    def run_until(
        self, done: Callable[[], bool], timeout: float | None, max_turns: int = MAX_TURNS
    ) -> int:
        """Go on until `done()`, or the time is over, or nothing is left; return the turns.

        Raises:
            Stuck: if nothing is left to do, and there is no timeout; or after so many turns.
        """
        self.check_thread()
        limit = math.inf if timeout is None else self._time + timeout
        before = self._numbers
        try:
            for _ in self._steps("it is not over", max_turns):  # pragma: no branch - or it raises
                if done():
                    break
                if self._step(None) == "idle" and self._idle(limit, None) == "nothing":
                    if timeout is None:
                        if self._comes_from_outside(_OUTSIDE, None):
                            continue
                        raise Stuck(self._say("it will never be over: nothing is left to do"))
                    self._time = max(self._time, limit)
                    break
        finally:
            self._leave_if_over()
        return self._numbers - before

    def _wait(self, waiting: Waiting) -> None:
        """Go on until a wait of the test's thread is over, or it is to look around.

        Raises:
            Stuck: if it never will be.
        """
        before = self._in_time
        self._in_time = before or waiting.left is not None
        try:
            what = "what is waited for has not come"
            for _ in self._steps(what, MAX_TURNS):  # pragma: no branch - or it raises
                done = self._step(waiting)
                if done == "resume":
                    self._pass_end(waiting)
                    return
                idle = self._idle(math.inf, waiting) if done == "idle" else "later"
                if idle == "look":
                    return
                if idle == "nothing" and not self._comes_from_outside(_OUTSIDE, waiting):
                    hint = "" if self._main.turn is None else _HINT
                    text = "what is waited for never comes: nothing is left to do"
                    raise Stuck(self._say(text) + hint)
        finally:
            self._in_time = before

    def _steps(self, what: str, max_turns: int) -> Iterator[None]:
        """Yield for each step, until there were too many.

        Raises:
            Stuck: then.
        """
        before = self._numbers
        for _ in range(_STEPS * max_turns):
            yield
            if self._numbers - before >= max_turns:
                break
        raise Stuck(self._say(f"{what} after {self._numbers - before} turns"))

    def _say(self, what: str) -> str:
        left = "; ".join(each.what_is_left() for each in self._driven if not each.over)
        return f"seed {self.seed}, at {self._time:g} s: {what} ({left})"


def _put_back(drawn: list[tuple[Driven, SharedThreads, Turn]]) -> None:
    for _, threads, turn in drawn:
        ready_of(threads).put(turn)


def _clock_here() -> Callable[[], float]:
    """Return the clock of this thread."""
    strand = here.serving
    return strand.world.now if isinstance(strand, Strand) else time.monotonic
