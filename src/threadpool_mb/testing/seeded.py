"""`SeededPool`: a pool for tests, whose turns are taken one at a time, in an order that a seed has.

It is a `Pool`: with the tables, lanes, mailboxes and timers of one. In the place of its threads and
of the time is a `World`.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Never, Self, final, override

from threadpool_mb.arguments import (
    check_callable,
    check_flag,
    check_seconds,
    describe,
    is_generator_function,
)
from threadpool_mb.pool.draining import Driver
from threadpool_mb.pool.generators import GeneratorFunction
from threadpool_mb.pool.pool import Pool
from threadpool_mb.pool.reports import DrainReport, WorkerExit
from threadpool_mb.testing.exploring import explore, replay
from threadpool_mb.testing.failures import Failures
from threadpool_mb.testing.order import Order
from threadpool_mb.testing.strands import Stuck
from threadpool_mb.testing.world import MAX_TURNS, World
from threadpool_mb.testing.worlds import world_here

__all__ = ["SeededPool"]


@final
class SeededPool[K, M](Pool[K, M]):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """A `Pool` for tests of generator workers. It has no threads, and a clock of its own.

    Workers run on the test's thread, one turn at a time, where the test says so: in `run`,
    `advance` and `step`; and where the test waits: in `flush`, in `call` or `Reply.result`, for
    room in a mailbox, and at the end of the `with` block. The seed decides which turn is next, how
    many messages it takes, and which timer is first of those that are due together. The same seed
    gives the same order each time. A message that one sender has sent to one key after another one
    is handled after it, as in each pool.

    ```python
    def test_the_account_is_never_overdrawn() -> None:
        with SeededPool(account, seed=7) as pool:
            pool.initialize("alice")
            pool.dispatch("alice", 5)
    ```

    The clock stands still while workers run. It goes on in `advance`; and where the test waits.
    `sleep`, `dispatch_later`, rates, `message_ttl`, `idle_timeout`, the delays of `Restart`, and
    timeouts of calls go by it.

    A worker that fails fails the test: `join`, `drain`, and leaving the block raise its error; all
    of them in a group, if there are several. Not one that the pool starts again, nor one that the
    test has taken by `errors()`, nor any if they `may_fail`.

    Pools that are open at the same time on one thread share a seed, an order and a clock.

    Two workers are never inside of their code at the same time, but where they wait. So a race
    between two statements of a message is not found: only one between messages, and over a wait
    (`yield from mb.sleep(0)` makes one).

    A worker that waits with its thread held, in `call` say, has not ended its turn: `run` and
    `advance` come back when it has, whatever time it is then; other workers' turns come meanwhile,
    on other threads, one at a time. In a `blocking` pool the test goes on while a worker waits so.

    What a worker waits for otherwise (a lock, a queue of the standard library) never comes. What
    another thread is to do that is no part of the test, a future, is waited for, for a second.

    Threads: the thread that has made it. Not for asyncio.
    """

    __slots__ = ("_driver", "_failures")

    _driver: Driver | None

    def __init__(
        self,
        worker: GeneratorFunction[K, M],
        *,
        seed: int | None = None,
        blocking: bool = False,
        may_fail: bool = False,
        on_worker_exit: Callable[[WorkerExit[K]], object] | None = None,
        **options: Any,  # noqa: ANN401 - those of `Pool`
    ) -> None:
        """Start an empty pool.

        Args:
            worker: a generator function `worker(key)`.
            seed: what decides the order; 0, or that of the pools that are open on this thread.
            blocking: whether the test goes on while a worker waits with its thread held, in `call`
                say, or for room. Turns run on other threads then, still one at a time.
            may_fail: whether a worker may fail, and the test does not for that.
            on_worker_exit: as for `Pool`.
            options: the other arguments of `Pool`.

        Raises:
            TypeError: if the worker is none, or an argument is wrong; see `Pool`.
            ValueError: if the seed is another than that of the open pools; see `Pool`, too.
            RuntimeError: in a worker.
        """
        if not is_generator_function(worker):
            raise TypeError(
                "a SeededPool takes the turns of generator workers; it cannot run"
                f" {describe(worker)}, which needs a thread of its own for each key"
            )
        if on_worker_exit is not None:
            check_callable(on_worker_exit, "on_worker_exit", "worker_exit")
        check_flag(may_fail, "may_fail")
        check_flag(blocking, "blocking")
        world = world_here(None if seed is None else _check_seed(seed))
        world.blocking = world.blocking or blocking
        self._failures: Final[Failures[K]] = Failures(world.seed, on_worker_exit, may_fail=may_fail)
        self._driver = world
        options.setdefault("name", world.next_name())
        super().__init__(worker, on_worker_exit=self._failures.add, **options)

    @property
    def _world(self) -> World:
        world = self._driver
        assert isinstance(world, World)  # noqa: S101 - it is set so
        return world

    # Taking turns.

    def run(self, *, max_turns: int = MAX_TURNS) -> int:
        """Take turns until nothing is left to do now; return how many that were.

        Raises:
            Stuck: if something is left after `max_turns`.
            RuntimeError: in a worker, or on another thread.
        """
        return self._world.run_until(_never, 0, max_turns)

    def step(self) -> bool:
        """Do one thing: take a turn, carry out an order of the dispatcher, or fire a timer.

        Returns:
            `False` if nothing is left to do now.

        Raises:
            RuntimeError: in a worker, or on another thread.
        """
        return self._world.step()

    def advance(self, seconds: float, *, max_turns: int = MAX_TURNS) -> int:
        """Let so many seconds of the pool's clock go by, and do what is due in them, in order.

        Returns:
            How many turns that were.

        Raises:
            ValueError: if that is no number of seconds of at least 0.
            Stuck: if the time is not over after `max_turns`.
            RuntimeError: in a worker, or on another thread.
        """
        return self._world.run_until(
            _never, check_seconds(seconds, "the time to advance"), max_turns
        )

    @property
    def now(self) -> float:
        """The time by the pool's clock: seconds since the first of the open pools was made."""
        return self._world.now()

    @property
    def seed(self) -> int:
        """What decides the order."""
        return self._world.seed

    @property
    def order(self) -> Order:
        """What the workers have done so far, in its order; of all pools that share it."""
        return self._world.order

    def errors(self) -> list[BaseException]:
        """Return what workers have raised since this was called last; it fails no test any more."""
        return self._failures.take()

    @staticmethod
    def explore(test: Callable[[int], object], *, n: int = 1000, first_seed: int = 0) -> int:
        """Run `test(seed)` for `n` seeds, from `first_seed` on, until it fails.

        It is to make each `SeededPool` with that seed, or with none.

        Returns:
            In how many different orders its workers had their turns.

        Raises:
            ExploredFailure: if the test raises: with the seed and the order. `replay` shows it
                again.
            TypeError: if the test cannot be called with a seed.
            ValueError: if `n` is no number of at least 1.
        """
        return explore(test, n=n, first_seed=first_seed)

    @staticmethod
    def replay(test: Callable[[int], object], seed: int) -> None:
        """Run `test(seed)` as `explore` does, once, and let pass what it raises.

        Raises:
            BaseException: what the test raises; its order is a note of that.
            TypeError: if it cannot be called with a seed.
        """
        replay(test, seed)

    # The end.

    @override
    def join(self, *, timeout: float | None = None) -> DrainReport[K]:
        """Take turns until the pool has ended; see `Pool.join`. The timeout is by its own clock.

        Raises:
            Stuck: if that never comes.
            BaseException: what workers have raised.
        """
        report = self._ending(lambda: super(SeededPool, self).join(timeout=timeout))
        self._failures.fail()
        return report

    @override
    def drain(self, *, timeout: float | None) -> DrainReport[K]:
        """Do as `Pool.drain`; the timeout is by the pool's own clock.

        Raises:
            BaseException: what workers have raised.
        """
        report = self._ending(lambda: super(SeededPool, self).drain(timeout=timeout))
        self._failures.fail()
        return report

    @override
    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain the pool, or cancel it if the block was left with an exception.

        Raises:
            Stuck: if it never ends.
            BaseException: what workers have raised; a note of the block's exception, if it has one.
        """
        leave = super().__exit__
        try:
            self._ending(lambda: leave(error_type, error, traceback))
        except Stuck:
            if error is None:
                raise
        if error is None:
            self._failures.fail()
        else:
            self._failures.note(error)

    def _ending[R](self, end: Callable[[], R]) -> R:
        try:
            return end()
        except Stuck:
            self._world.give_up(self._dispatcher)
            raise

    async def __aenter__(self) -> Self:
        """Raise `TypeError`: use `with`."""
        _refuse_asyncio()

    async def adrain(self, *, timeout: float | None) -> Never:  # noqa: ARG002, ASYNC109 - as `drain`
        """Raise `TypeError`: use `drain`."""
        _refuse_asyncio()

    @override
    def __del__(self) -> None:
        """Warn of a pool that was never closed."""
        try:
            super().__del__()
        finally:
            dispatcher: object = getattr(self, "_dispatcher", None)
            if dispatcher is not None:
                self._world.forget(dispatcher)


def _never() -> bool:
    return False


def _check_seed(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, not {describe(seed)}")
    return seed


def _refuse_asyncio() -> Never:
    raise TypeError(
        "a SeededPool is not for asyncio: it runs on the thread of the test; use `with`"
    )
