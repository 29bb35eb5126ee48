"""The plugin for pytest: its fixtures, in tests of a project that has them installed."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

import threadpool_mb
from tests.helpers import DEADLINE
from threadpool_mb import pytest_plugin

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parents[2]

HEAD: Final = """
import logging
import threading
import pytest
import threadpool_mb as mb

logging.getLogger("threadpool_mb").setLevel(logging.CRITICAL)

def worker(key):
    while True:
        message = yield
        if isinstance(message, Exception):
            raise message
"""


def result_of(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tests: str) -> list[str]:
    """Run some tests in an interpreter of their own; return the outcomes, and the last lines."""
    monkeypatch.setenv("PYTHONPATH", str(Path(threadpool_mb.__file__).parents[1]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(HEAD + tests)
    result = pytester.runpytest_subprocess(
        "-p", "threadpool_mb.pytest_plugin", "-p", "no:cacheprovider", "-rA", timeout=DEADLINE + 5
    )
    return result.outlines


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> "Run":
    """Return what runs tests of a project."""
    return Run(pytester, monkeypatch)


class Run:
    """Runs tests of a project, in an interpreter of its own."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self._monkeypatch = monkeypatch

    def __call__(self, tests: str) -> tuple[dict[str, str], str]:
        """Return the outcome of each test, and all that is printed."""
        lines = result_of(self._pytester, self._monkeypatch, tests)
        outcomes = {
            line.split("::")[1].split(" ")[0]: line.split(" ")[0]
            for line in lines
            if line.startswith(("PASSED ", "FAILED ", "ERROR "))
        }
        return outcomes, "\n".join(lines)


def test_a_workers_error_fails_the_test_that_has_made_the_pool(run: Run) -> None:
    outcomes, text = run("""
@pytest.mark.parametrize("seed", [None, 7])
def test_good(threadpool_mb_pool, seed):
    pool = threadpool_mb_pool(worker, seed=seed)
    pool.initialize("a", 1)

@pytest.mark.parametrize("seed", [None, 7])
def test_bad(threadpool_mb_pool, seed):
    pool = threadpool_mb_pool(worker, seed=seed)
    pool.initialize("a", ValueError("of the worker"))

def test_both(threadpool_mb_pool):
    for number in (1, 2):
        threadpool_mb_pool(worker).initialize("a", ValueError(number))

def test_after():
    assert threading.active_count() == 1
""")

    assert outcomes == {
        "test_good[None]": "PASSED",
        "test_good[7]": "PASSED",
        "test_bad[None]": "FAILED",
        "test_bad[7]": "FAILED",
        "test_both": "FAILED",
        "test_after": "PASSED",
    }
    assert "ValueError: of the worker" in text
    assert "raised by the worker of key 'a', as it handled ValueError('of the worker')" in text
    assert "seed 7" in text
    assert "the pools of this test (2 sub-exceptions)" in text


def test_the_factory_may_take_the_place_of_the_pools_of_a_program(run: Run) -> None:
    outcomes, text = run("""
class Program:
    def __init__(self):
        self.pool = mb.Pool(worker, start="on_demand")

def test_bad(threadpool_mb_pool, monkeypatch):
    monkeypatch.setattr(mb, "Pool", threadpool_mb_pool)
    Program().pool.dispatch("a", ValueError("of the worker"))

def test_after():
    with Program().pool as pool:
        assert isinstance(pool, mb.Pool)
""")

    assert outcomes == {"test_bad": "FAILED", "test_after": "PASSED"}
    assert "ValueError: of the worker" in text
    assert "RecursionError" not in text


def test_a_keyboard_interrupt_of_a_worker_fails_its_test_and_does_not_end_pytest(run: Run) -> None:
    outcomes, text = run("""
def interrupted(key):
    yield
    raise KeyboardInterrupt("of the worker")

def test_bad(threadpool_mb_pool):
    threadpool_mb_pool(interrupted).initialize("a", 1)

def test_after():
    pass
""")

    assert outcomes == {"test_bad": "FAILED", "test_after": "PASSED"}
    assert "a worker has raised KeyboardInterrupt('of the worker')" in text


def test_the_users_interrupt_as_the_pools_of_a_failed_test_end_ends_pytest(run: Run) -> None:
    outcomes, text = run("""
def drain(self, *, timeout):
    self.cancel()
    self.join()
    raise KeyboardInterrupt("of the user")  # as Ctrl-C, where it waits

def test_bad(threadpool_mb_pool, monkeypatch):
    threadpool_mb_pool(worker)
    monkeypatch.setattr(mb.Pool, "drain", drain)
    assert False

def test_after():
    pass
""")

    assert "test_after" not in outcomes
    assert "KeyboardInterrupt: of the user" in text


def test_an_error_that_is_taken_or_restarted_fails_no_test(run: Run) -> None:
    outcomes, _ = run("""
def test_taken(threadpool_mb_pool):
    pool = threadpool_mb_pool(worker)
    pool.initialize("a", ValueError(1))
    pool.drain(timeout=None)
    assert [type(error) for error in threadpool_mb_pool.errors()] == [ValueError]

def test_taken_of_a_seeded_pool(threadpool_mb_pool):
    pool = threadpool_mb_pool(worker, seed=1)
    pool.initialize("a", ValueError(1))
    pool.run()
    assert [type(error) for error in threadpool_mb_pool.errors()] == [ValueError]

def test_restarted(threadpool_mb_pool):
    pool = threadpool_mb_pool(worker, restart=mb.Restart(delay=0))
    pool.initialize("a", ValueError(1))
    pool.dispatch("a", 1)
""")

    assert outcomes == {
        "test_taken": "PASSED",
        "test_taken_of_a_seeded_pool": "PASSED",
        "test_restarted": "PASSED",
    }


def test_a_test_that_fails_itself_has_its_pools_cancelled_and_a_note_of_the_workers(
    run: Run,
) -> None:
    outcomes, text = run("""
def test_bad(threadpool_mb_pool):
    pool = threadpool_mb_pool(worker, on_dead_letter=lambda letter: None)
    other = threadpool_mb_pool(worker, on_dead_letter=lambda letter: None)
    other.initialize("a", ValueError("of the worker"))
    other.flush()
    pool.initialize("a")
    raise KeyError("of the test")

def test_after():
    assert threading.active_count() == 1
""")

    assert outcomes == {"test_bad": "FAILED", "test_after": "PASSED"}
    assert "KeyError: 'of the test'" in text
    assert "a pool of this test: ValueError: of the worker" in text


def test_a_test_without_pools_fails_as_it_does_without_the_plugin(run: Run) -> None:
    outcomes, text = run("""
def test_bad():
    raise KeyError("of the test")

def test_after():
    pass
""")

    assert outcomes == {"test_bad": "FAILED", "test_after": "PASSED"}
    assert "KeyError: 'of the test'" in text


def test_a_pool_that_does_not_end_fails_the_test_and_is_named(run: Run) -> None:
    outcomes, text = run("""
from threadpool_mb import pytest_plugin

def test_stuck(threadpool_mb_pool, monkeypatch):
    begun, gate = threading.Event(), threading.Event()

    def waits(key):
        yield
        begun.set()
        gate.wait()

    monkeypatch.setattr(pytest_plugin, "_PATIENCE", 0.05)
    try:
        threadpool_mb_pool(waits, name="stuck").initialize("a", 1)
        assert begun.wait(10)
        threadpool_mb_pool.end()
    finally:
        gate.set()
""")

    assert outcomes == {"test_stuck": "FAILED"}
    assert "has not ended 0.05 s after the test: its workers 'a' (busy)" in text


def test_a_test_that_leaves_a_thread_behind_is_told_so(run: Run) -> None:
    outcomes, text = run("""
from threadpool_mb import pytest_plugin

gate = threading.Event()

def test_leaks(no_leaked_threads, monkeypatch):
    pytest_plugin._PATIENCE = 0.05
    threading.Thread(target=gate.wait, name="left behind").start()

def test_does_not(no_leaked_threads):
    pytest_plugin._PATIENCE = 10.0
    gate.set()
    threading.Thread(target=gate.wait, name="ends").start()

@pytest.mark.usefixtures("no_leaked_threads")
def test_the_pools_of_the_test_are_no_leak(threadpool_mb_pool):
    threadpool_mb_pool(worker).initialize("a", 1)
""")

    assert outcomes == {
        "test_leaks": "ERROR",  # behind a PASSED of the test itself
        "test_does_not": "PASSED",
        "test_the_pools_of_the_test_are_no_leak": "PASSED",
    }
    assert "threads that the test has left behind: left behind" in text


def test_a_thread_that_has_ended_is_not_left_behind_though_it_is_listed(run: Run) -> None:
    outcomes, _ = run("""
class Connection:
    def __del__(self):
        logging.getLogger().warning("closed")

own = threading.local()

def test_closes_at_the_ends_of_threads(no_leaked_threads):
    thread = threading.Thread(target=lambda: setattr(own, "connection", Connection()))
    thread.start()
    thread.join()
    assert [each.name[:5] for each in threading.enumerate()] == ["MainT", "Dummy"]
""")

    assert outcomes == {"test_closes_at_the_ends_of_threads": "PASSED"}


def test_it_is_declared_and_is_what_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name = pytest_plugin.__name__

    assert project["entry-points"]["pytest11"] == {name: name}
    installed = importlib.metadata.distribution("threadpool_mb").entry_points
    assert [each.value for each in installed.select(group="pytest11")] == [name]


def test_it_imports_nothing_for_tests_before_a_fixture_is_used() -> None:
    code = """
import sys
import threadpool_mb.pytest_plugin
print([name for name in sys.modules if name.startswith("threadpool_mb.testing")])
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours

    assert done.stdout == "[]\n"
