"""An account of every call that was made to a pool: who was told what, and who has replied."""

import collections
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Generator
from typing import Any, Final

from tests.helpers import DEADLINE
from threadpool_mb import (
    Call,
    CallDeadlock,
    CallError,
    CallFailed,
    CallNotDelivered,
    Command,
    Mailbox,
    Pool,
    PoolClosed,
    Reply,
    WorkerExit,
    WorkerGone,
    ask,
    call,
    delegate,
)
from threadpool_mb.originals import late_replies


class Planned(Exception):
    """Raised by a worker whose call is to make it fail."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ask(Command[int]):
    """Asks for its own number, which says what the worker does."""

    number: int


class Answers:
    """Calls a pool, is its workers, and compares.

    A worker ends at every 7th call, fails at every 11th, drops every 13th, and hands every 5th on;
    unless it is to be `plain`. One that is `nested` asks the next one before it replies.
    """

    def __init__(
        self,
        kind: str,
        keys: str,
        *,
        plain: bool = False,
        nested: bool = False,
        may_time_out: bool = False,
    ) -> None:
        self._kind: Final = kind
        self.keys: Final = keys
        self._plain: Final = plain
        self._nested: Final = nested
        self._may_time_out: Final = may_time_out
        self._late: Final = late_replies()
        self._exits: Final[list[WorkerExit[str]]] = []
        self._replied: Final[list[int]] = []
        self._called: Final[list[tuple[list[Reply[int]], list[Reply[int]]]]] = []
        self._told: Final[list[tuple[int, int | CallError]]] = []
        self._locks: Final = {key: threading.Lock() for key in keys}
        self.pools: Final[list[Pool[str, Call[int]]]] = []

    def pool(self, **options: Any) -> Pool[str, Call[int]]:  # noqa: ANN401 - what `Pool` takes
        """Make a pool that works for this account."""
        worker: Any = self._work if self._kind == "function" else self._work_in_turns
        pool: Pool[str, Call[int]] = Pool(
            worker,
            on_worker_exit=self._exits.append,
            on_dead_letter=lambda letter: None,
            **options,
        )
        self.pools.append(pool)
        for key in self.keys:
            pool.initialize(key)
        return pool

    def _work(self, key: str, mailbox: Mailbox[Call[int]]) -> None:
        assert self._locks[key].acquire(blocking=False), "two workers of one key run at once"
        try:
            for received in mailbox:
                if not self._handle(key, received):
                    return
                del received
        finally:
            self._locks[key].release()

    def _work_in_turns(self, key: str) -> Generator[None, Call[int]]:
        assert self._locks[key].acquire(blocking=False), "two workers of one key run at once"
        try:
            while self._handle(key, (yield)):
                pass
        finally:
            self._locks[key].release()

    def _handle(self, key: str, received: Call[int]) -> bool:
        number = received.command.number
        if not self._plain:
            if number % 11 == 10:
                raise Planned
            if number % 7 == 6:
                return False
            if number % 13 == 12:
                return True
            if number % 5 == 4 and key == self.keys[number % len(self.keys)]:
                delegate(self.pools[0].ref(self._after(key)), received)
                return True
        if self._nested and number < 1000:
            try:
                call(self.pools[0].ref(self._after(key)), Ask(number + 1000))
            except CallDeadlock as error:
                received.reply_box.fail(error)
                return True
        self._replied.append(number)
        received.reply_box.reply(number)
        return True

    def _after(self, key: str) -> str:
        return self.keys[(self.keys.index(key) + 1) % len(self.keys)]

    def calls(self, first: int, count: int, *, timeout: float | None = None) -> Callable[[], None]:
        """Return a function that makes calls and waits for each."""

        def run() -> None:
            for number in range(first, first + count):
                ref = self.pools[0].ref(self.keys[number % len(self.keys)])
                try:
                    told: int | CallError = call(ref, Ask(number), timeout=timeout)
                except CallError as error:
                    told = error
                self._told.append((number, told))

        return run

    def calls_at_once(self, first: int, count: int) -> Callable[[], None]:
        """Return a function that makes calls, and then looks what has become of them."""

        def run() -> None:
            replies: list[tuple[int, Reply[int]]] = []
            called: list[Reply[int]] = []
            for number in range(first, first + count):
                ref = self.pools[0].ref(self.keys[number % len(self.keys)])
                reply = ask(ref, Ask(number))
                if number % 2:
                    reply.add_done_callback(called.append)
                replies.append((number, reply))
            for number, reply in replies:
                try:
                    told: int | CallError = reply.result(timeout=DEADLINE)
                except CallError as error:
                    told = error
                self._told.append((number, told))
            # Later, as who waits may be woken before the last of them is called.
            self._called.append((called, [reply for number, reply in replies if number % 2]))

        return run

    def removes(self, count: int) -> Callable[[], None]:
        """Return a function that removes workers, and gives their keys new ones."""

        def run() -> None:
            for number in range(count):
                key = self.keys[number % len(self.keys)]
                self.pools[0].remove(key, drain=number % 3 == 0)
                self._initialize(key)

        return run

    def initializes(self, count: int) -> Callable[[], None]:
        """Return a function that gives keys new workers."""

        def run() -> None:
            for number in range(count):
                self._initialize(self.keys[number % len(self.keys)])

        return run

    def _initialize(self, key: str) -> None:
        with contextlib.suppress(PoolClosed):
            self.pools[0].initialize(key)

    @property
    def told(self) -> int:
        """How many callers have been told something."""
        return len(self._told)

    def check(self, made: int) -> None:
        """Join the pool, and compare what callers were told with what workers have replied."""
        report = self.pools[0].join(timeout=DEADLINE)
        assert report.finished, report

        assert len(self._told) == made
        for called, asked in self._called:
            assert collections.Counter(called) == collections.Counter(asked)
        values = {number: told for number, told in self._told if isinstance(told, int)}
        errors = [told for _, told in self._told if isinstance(told, CallError)]
        assert all(number == told for number, told in values.items())
        assert max(collections.Counter(self._replied).values(), default=1) == 1
        replied = [number for number in self._replied if number < 1000 or not self._nested]
        assert set(values) <= set(replied)
        # What was replied and not read came too late, and was counted.
        if not self._nested:
            assert len(values) + late_replies() - self._late == len(replied)
        if not self._may_time_out:
            assert {type(error) for error in errors} <= {
                CallDeadlock,
                CallFailed,
                CallNotDelivered,
                WorkerGone,
            }
        failures = [exit_.error for exit_ in self._exits if exit_.error is not None]
        expected = (Planned, WorkerGone, CallNotDelivered) if self._nested else Planned
        assert [error for error in failures if not isinstance(error, expected)] == []
