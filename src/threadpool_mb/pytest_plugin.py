"""The plugin for pytest: it is there wherever this package is installed.

It imports nothing of the package that is not imported with it already, before a fixture is used.
"""

import contextlib
import importlib
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, final

import pytest

import threadpool_mb as mb
from threadpool_mb.threads.launching import runs

__all__ = ["PoolFactory", "no_leaked_threads", "threadpool_mb_pool"]

_PATIENCE: Final = 10.0
"""Seconds that the pools of a test have to handle what they were given, once the test is over; and
its threads to end."""

type _Errors = Callable[[], list[BaseException]]


@final
class PoolFactory:
    """Makes pools that end with the test, and whose workers' errors fail it; see the fixture.

    Threads: the test's.
    """

    def __init__(self) -> None:
        """Have no pool."""
        self._pools: Final[list[tuple[mb.Pool[Any, Any], _Errors]]] = []

    def __call__[K](
        self,
        worker: Callable[..., object],
        *,
        seed: int | None = None,
        on_worker_exit: Callable[[mb.WorkerExit[K]], object] | None = None,
        **options: Any,  # noqa: ANN401 - those of `Pool`
    ) -> mb.Pool[Any, Any]:
        """Return a new pool.

        Args:
            worker: as for `Pool`.
            seed: if it is given, the pool is a `threadpool_mb.testing.SeededPool`.
            on_worker_exit: as for `Pool`.
            options: the other arguments of `Pool`.

        Raises:
            TypeError, ValueError: as `Pool` does.
        """
        testing: Any = importlib.import_module("threadpool_mb.testing.seeded")
        if seed is None:
            failures = testing.Failures(None, on_worker_exit)
            # Not `mb.Pool`: a test may have put this factory in its place.
            pools: Any = importlib.import_module("threadpool_mb.pool.pool")
            pool: mb.Pool[Any, Any] = pools.Pool(worker, on_worker_exit=failures.add, **options)
            self._pools.append((pool, failures.take))
            return pool
        seeded = testing.SeededPool(worker, seed=seed, on_worker_exit=on_worker_exit, **options)
        self._pools.append((seeded, seeded.errors))
        return seeded  # type: ignore[no-any-return]

    def errors(self) -> list[BaseException]:
        """Return what workers have raised since this was called last; it fails no test any more."""
        return [error for _, take in self._pools for error in take()]

    def end(self, error: BaseException | None = None) -> None:
        """Close the pools, cancel them if the test has failed; and wait for their ends.

        Blocks: at most ten seconds for each pool; then it is cancelled, and left.

        Raises:
            BaseException: what workers have raised, if the test has not failed itself.
            KeyboardInterrupt: the user's, in any case.
            AssertionError: if a pool has not ended.
        """
        pools, self._pools[:] = self._pools.copy(), []
        errors: list[BaseException] = []
        for pool, _ in reversed(pools):
            errors += _ended(pool, cancel=error is not None)
        taken = [each for _, take in pools for each in take()]
        for each in errors:
            # The user's, who does not want to wait: it ends the run. A worker's is one of `taken`.
            if isinstance(each, KeyboardInterrupt) and not any(each is one for one in taken):
                raise each
        errors += [_failure(each) for each in taken]
        if error is not None:
            for each in errors:
                error.add_note(f"a pool of this test: {type(each).__name__}: {each}")
        elif len(errors) == 1:
            raise errors[0]
        elif errors:
            raise BaseExceptionGroup("the pools of this test", errors)


def _ended(pool: mb.Pool[Any, Any], *, cancel: bool) -> list[BaseException]:
    """End a pool; return what fails its test, but for what its workers have raised."""
    if cancel:
        pool.cancel()
    try:
        report = pool.drain(timeout=_PATIENCE)
    except BaseException as raised:  # noqa: BLE001 - raised by who calls this
        return [raised]
    return [] if report.finished else [AssertionError(_what_is_left(pool, report))]


def _failure(error: BaseException) -> BaseException:
    """Return what fails a test whose worker has raised `error`.

    What pytest takes for its user's interrupt would end the whole run; one that has come to a
    worker's turn of the user's is raised by whoever has called that, too.
    """
    if not isinstance(error, KeyboardInterrupt):
        return error
    failure = AssertionError(f"a worker has raised {error!r}")
    failure.__cause__ = error
    return failure


def _what_is_left(pool: mb.Pool[Any, Any], report: mb.DrainReport[Any]) -> str:
    left = ", ".join(f"{each.key!r} ({each.state})" for each in report.unfinished)
    return f"{pool!r} has not ended {_PATIENCE:g} s after the test: its workers {left}"


_FACTORY: Final = pytest.StashKey[PoolFactory]()


@pytest.fixture
def threadpool_mb_pool(request: pytest.FixtureRequest) -> Iterator[PoolFactory]:
    """Make pools that end with the test, and whose workers' errors fail it.

    `pool = threadpool_mb_pool(worker)` is a `Pool`, `threadpool_mb_pool(worker, seed=7)` a
    `SeededPool`. Once the test is over its pools are closed, and what they were given is handled;
    if it has failed, they are cancelled. What a worker has raised fails the test, unless the pool
    has started the worker again, or the test has taken the error: `threadpool_mb_pool.errors()`.
    """
    factory = PoolFactory()
    request.node.stash[_FACTORY] = factory
    yield factory
    factory.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """End the test's pools as a part of the test: so what a worker has raised fails it."""
    factory: PoolFactory | None = None
    try:
        yield
    except BaseException as error:
        factory = item.stash.get(_FACTORY, None)
        if factory is not None:
            factory.end(error)
        raise
    factory = item.stash.get(_FACTORY, None)
    if factory is not None:
        factory.end()


@pytest.fixture
def no_leaked_threads() -> Iterator[None]:
    """Fail the test that leaves a thread behind; one that is just ending is waited for.

    On Linux one that has ended is none, even if `threading.enumerate()` has it; see `runs`.
    """
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        with contextlib.suppress(RuntimeError):  # a dummy thread, which cannot be joined
            thread.join(_PATIENCE)
    names = sorted(thread.name for thread in left if runs(thread))
    assert not names, f"threads that the test has left behind: {', '.join(names)}"  # noqa: S101
