"""What holds for every test: no leaked thread, no silent skip, no GIL on a free-threaded build.

And no warning, in any thread; see `pytest_configure`.
"""

import contextvars
import logging
import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterator

import pytest

from tests.helpers import RaisingHandler, refusing_threads

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Fail the test that leaves a thread behind; one that is just ending is waited for."""
    before = set(threading.enumerate())

    yield

    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While the event is set, the system starts no thread."""
    return refusing_threads(monkeypatch)


@pytest.fixture
def raising_log() -> Iterator[RaisingHandler]:
    """While the test runs, what the library logs raises."""
    logger, handler = logging.getLogger("threadpool_mb"), RaisingHandler()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def pytest_configure() -> None:
    """Make warnings errors in all threads, as `python -W error -m pytest` does.

    pytest's `filterwarnings` is not enough. Where warnings are context-aware, which is the default
    on free-threaded builds from 3.14, it holds in the context of the thread that runs the tests and
    in threads that inherit it. The library's threads begin with an empty context: there, the
    filters of the interpreter hold. They are what an empty context changes.
    """
    contextvars.Context().run(warnings.simplefilter, "error")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Iterator[None]:
    """Turn every skip into a failure: what should run must run."""
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing here may be skipped: {report.longrepr}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run on a free-threaded build in which something switched the GIL on."""
    if FREE_THREADED and sys._is_gil_enabled():
        sys.stderr.write("\nthe GIL was switched on during the run\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_report_header() -> str:
    """Say which build this is."""
    return f"free-threaded build: {FREE_THREADED}, GIL enabled: {sys._is_gil_enabled()}"
