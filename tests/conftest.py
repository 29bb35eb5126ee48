"""What holds for every test: no leaked thread, no silent skip, no GIL on a free-threaded build.

And no warning, in any thread; see `pytest_configure`.
"""

import contextvars
import gc
import importlib.util
import logging
import signal
import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.helpers import RaisingHandler, refusing_threads
from tests.strides import STRIDE

TESTS: Final = Path(__file__).parent

SAME_EVERYWHERE: Final = (
    "model",
    "reliability",
    "reports",
    "tools",
    "benchmarks/test_lifecycle",
    "benchmarks/test_measuring",
    "benchmarks/test_page",
    "benchmarks/test_results",
    "benchmarks/test_tables",
    "docs/test_built_site",
    "docs/test_conf",
    "docs/test_findings",
    "docs/test_index",
    "docs/test_reference",
    "docs/test_reliability",
    "docs/test_tables",
    "docs/test_thread_safety",
    "leakcheck/test_judging",
    "leakcheck/test_page",
    "leakcheck/test_results",
    "test_behaviours",
    "test_conditions",
    "test_contributing",
    "test_layers",
)
"""The tests of which no interpreter could see more than another one: those of models, which are
data; of texts; and of tools that only compute. tox runs them once."""

ON_TWO_BUILDS: Final = (
    "benchmarks/test_growth",
    "benchmarks/test_peers",
    "benchmarks/test_workloads",
    "demo/test_command",
    "leakcheck/test_culprits",
    "leakcheck/test_readings",
    "leakcheck/test_scenarios",
    "leakcheck/test_windows",
)
"""The tests of tools that run the library for a while. That the tools work shows on one
free-threaded build and one with the GIL: 3.13t and 3.14. What they find of the library they find
where they are run for that, on each build: `make leakcheck`, `make bench`.

Tests that stop at each place run on all four, with a stride on two: see `tests/strides.py`."""

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
def monkeypatch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Replace parts of the library once all is freed that earlier tests have left.

    Else the collector may come upon it while a part raises, for instance, and finalizers run into
    what this test has set up for its own objects.
    """
    gc.collect()
    return monkeypatch


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While the event is set, the system starts no thread."""
    return refusing_threads(monkeypatch)


@pytest.fixture
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the table of a `KeyedExecutor` have 8 shards in the place of 64.

    For tests that stop at each place. What loops over the shards does the same to each of them: the
    places in its 64 rounds are those of 8 rounds, said eight times.
    """
    monkeypatch.setattr("threadpool_mb.keyed.table._SHARDS", 8)


@pytest.fixture
def raising_log() -> Iterator[RaisingHandler]:
    """While the test runs, what the library logs raises."""
    logger, handler = logging.getLogger("threadpool_mb"), RaisingHandler()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def pytest_configure() -> None:
    """Make warnings errors in all threads, as `python -W error -m pytest` does; let Ctrl-C through.

    pytest's `filterwarnings` is not enough. Where warnings are context-aware, which is the default
    on free-threaded builds from 3.14, it holds in the context of the thread that runs the tests and
    in threads that inherit it. The library's threads begin with an empty context: there, the
    filters of the interpreter hold. They are what an empty context changes.
    """
    contextvars.Context().run(warnings.simplefilter, "error")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So a shell starts what runs in the background. Some tests interrupt the main thread.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if importlib.util.find_spec("hypothesis"):  # not in each environment
        _ask_hypothesis_for_no_speed()
    for name in (*SAME_EVERYWHERE, *ON_TWO_BUILDS):
        assert list(TESTS.glob(f"{name}*")), f"no test is called {name}: see tests/conftest.py"


def _ask_hypothesis_for_no_speed() -> None:
    """Let no test fail because the machine is busy: an example may take as long as it takes.

    Hypothesis has such a profile where it finds `CI` in the environment, and only there.
    """
    from hypothesis import HealthCheck, settings  # noqa: PLC0415 - not in each environment

    settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("tests")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what says the same on every interpreter, or on every one of a sort."""
    path = item.path.relative_to(TESTS).as_posix()
    if path.startswith(SAME_EVERYWHERE):
        item.add_marker(pytest.mark.same_everywhere)
    if path.startswith(ON_TWO_BUILDS):
        item.add_marker(pytest.mark.on_two_builds)


def pytest_collection_finish() -> None:
    """Take all that is there once the tests are collected out of the collector's sight.

    Half a million objects of pytest and of the tests' own modules: a collection takes a hundred
    times as long with them, and there are thousands in a run.

    Hypothesis has made its source of random numbers by then. It asks `gc.get_referrers()` whether
    something holds it, and what is frozen is no referrer: with `CI` set, the first test that drew
    something failed on the GIL build of 3.14.
    """
    if "hypothesis" in sys.modules:  # not where no test that was collected draws anything
        _draw_nothing()
    gc.collect()
    gc.freeze()


def _draw_nothing() -> None:
    """Let Hypothesis make what it makes once in a process."""
    from hypothesis import given, settings, strategies  # noqa: PLC0415 - not in each environment

    @settings(max_examples=1, database=None)
    @given(strategies.none())
    def draw(_: None) -> None:
        pass

    draw()


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
    """Say which build this is, and how far apart the places are at which tests stop."""
    return (
        f"free-threaded build: {FREE_THREADED}, GIL enabled: {sys._is_gil_enabled()}, "
        f"stride: {STRIDE}"
    )
