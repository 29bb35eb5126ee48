"""CPython's own tests of executors and futures, run with `KeyedExecutor` and its futures.

They come with the interpreter that runs them. Some name `ThreadPoolExecutor` or `Future` instead of
asking for one: each module is loaded once more, with other values under these names. Some look at
what is private in an executor, which ours shows under CPython's names. Nothing of CPython's own is
changed. What cannot be run is left out by name, with the reason beside it.
"""

import concurrent.futures
import contextlib
import importlib
import importlib.util
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.helpers import until
from tests.keyed.doubles import NoLanes
from threadpool_mb import KeyedExecutor
from threadpool_mb.keyed.futures import KeyedFuture, NoKey

pytestmark = [
    pytest.mark.slow,
    # Some start interpreters that import the test suite's support, three or four in a row, and some
    # sleep for seconds: 6 s on an idle machine, 12 to 20 beside a busy one.
    pytest.mark.timeout(60),
    # Of CPython's own tests.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

PACKAGE = "test.test_concurrent_futures"


class Executor(KeyedExecutor):  # type: ignore[misc]
    """Shows its threads once all were asked for."""

    @property
    def _threads(self) -> set[threading.Thread]:  # type: ignore[override]
        # A thread that has just started may be the one to ask for the next one, which CPython's
        # sender has done when it returns.
        threads = self._table.threads
        until(lambda: not threads.growing or not len(threads._ready))
        return super()._threads


Executor.__name__ = "KeyedExecutor"  # it is imported by this name in other interpreters


class Future(KeyedFuture[Any]):  # type: ignore[misc]
    """A future of no task, made as CPython's are; of their name, which their tests read."""

    def __init__(self) -> None:
        super().__init__(NoLanes(), NoKey())


def create_future(
    state: str = "PENDING", exception: BaseException | None = None, result: object = None
) -> Future:
    future = Future()
    future._state, future._exception, future._result = state, exception, result
    return future


class Futures:
    """`concurrent.futures` with another `ThreadPoolExecutor`."""

    ThreadPoolExecutor = Executor

    def __getattr__(self, name: str) -> object:
        return getattr(concurrent.futures, name)


def load(name: str) -> ModuleType:
    """Return one of CPython's test modules, loaded anew, with our own under the names it uses."""
    spec = importlib.util.find_spec(f"{PACKAGE}.{name}")
    assert spec, f"this interpreter came without its tests: there is no {PACKAGE}.{name}"
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ours: dict[str, object] = {
        "futures": Futures(),
        "Future": Future,
        "create_future": create_future,
        "PENDING_FUTURE": create_future(),
        "RUNNING_FUTURE": create_future("RUNNING"),
        "CANCELLED_FUTURE": create_future("CANCELLED"),
        "CANCELLED_AND_NOTIFIED_FUTURE": create_future("CANCELLED_AND_NOTIFIED"),
        "EXCEPTION_FUTURE": create_future("FINISHED", exception=OSError()),
        "SUCCESSFUL_FUTURE": create_future("FINISHED", result=42),
    }
    vars(module).update({name: ours[name] for name in ours.keys() & vars(module).keys()})
    return module


def in_scripts(assert_python_ok: Callable[..., Any]) -> Callable[..., Any]:
    """Let the scripts that are run in another interpreter import ours."""

    def run(flag: str, script: str) -> object:
        found = 0
        for name in ("KeyedExecutor", "ThreadPoolExecutor"):
            line = f"from concurrent.futures import {name}\n"
            found += script.count(line)
            script = script.replace(line, f"from threadpool_mb import KeyedExecutor as {name}\n")
        assert found == 1, "the script does not import what it was thought to"
        return assert_python_ok(flag, script)

    return run


as_completed = load("test_as_completed")
future = load("test_future")
init = load("test_init")
shutdown = load("test_shutdown")
thread_pool = load("test_thread_pool")
util = importlib.import_module(f"{PACKAGE}.util")
wait = load("test_wait")

shutdown.assert_python_ok = in_scripts(shutdown.assert_python_ok)  # type: ignore[attr-defined]


class Ours(util.ThreadPoolMixin):  # type: ignore[misc,name-defined]
    executor_type = Executor


class TestExecutor(Ours, thread_pool.ThreadPoolExecutorTest):  # type: ignore[misc,name-defined]
    # Whether a thread is idle again when the next call comes is a race; it is skipped on t-builds.
    test_idle_thread_reuse = None


class TestShutdown(Ours, shutdown.ThreadPoolShutdownTest):  # type: ignore[misc,name-defined]
    # The name that is asked for begins with "ThreadPoolExecutor"; test_keyed_executor.py asks for
    # ours.
    test_thread_names_default = None

    def test_cancel_futures(self) -> None:
        # CPython's `submit` waits until the thread that it starts runs. Ours does not: under a GIL
        # all fifty might be cancelled before the first has begun.
        submit = self.executor.submit

        def submitted(function: Callable[..., Any], *arguments: object) -> KeyedFuture[Any]:
            future: KeyedFuture[Any] = submit(function, *arguments)
            until(lambda: future.running() or future.done() or began)
            began.append(True)
            return future

        began: list[bool] = []
        self.executor.submit = submitted
        super().test_cancel_futures()


class TestWait(Ours, wait.ThreadPoolWaitTests):  # type: ignore[misc,name-defined]
    pass


class TestAsCompleted(Ours, as_completed.AsCompletedTests, util.BaseTestCase):  # type: ignore[misc,name-defined]
    pass


class TestInitializer(Ours, init.InitializerMixin, util.BaseTestCase):  # type: ignore[misc,name-defined]
    pass


class TestFailingInitializer(Ours, init.FailingInitializerMixin, util.BaseTestCase):  # type: ignore[misc,name-defined]
    @contextlib.contextmanager
    def _assert_logged(self, msg: str) -> Iterator[None]:
        # By our own logger.
        with self.assertLogs("threadpool_mb", "CRITICAL") as logged:
            yield
        assert any(msg in line for line in logged.output)


class TestFuture(future.FutureTests):  # type: ignore[misc,name-defined]
    def setUp(self) -> None:
        super().setUp()
        # As without a test runner, which has a handler of its own.
        assert logging.lastResort
        logger = logging.getLogger("threadpool_mb")
        logger.addHandler(logging.lastResort)
        self.addCleanup(logger.removeHandler, logging.lastResort)


@pytest.mark.parametrize(
    ("ours", "least"),
    [
        (TestExecutor, 14),
        (TestShutdown, 12),
        (TestWait, 9),
        (TestAsCompleted, 5),
        (TestInitializer, 1),
        (TestFailingInitializer, 1),
        (TestFuture, 18),
    ],
)
def test_all_of_them_are_there(ours: type, least: int) -> None:
    names = {name for name in dir(ours) if name.startswith("test")}

    assert len({name for name in names if callable(getattr(ours, name))}) >= least


def test_nothing_of_cpythons_own_was_changed() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE):
            assert Executor not in vars(module).values()
            assert not any(isinstance(value, (Futures, Future)) for value in vars(module).values())
    assert "KeyedExecutor" not in dir(concurrent.futures)
