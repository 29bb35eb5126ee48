"""Each test of a broker runs twice: with one thread for all, and with threads for its keys.

Once, if it is marked `runs_once`.
"""

import pytest

from threadpool_mb import Broker


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that is not marked `runs_once` with both kinds of broker."""
    if not metafunc.definition.get_closest_marker("runs_once"):
        numbers = {"one thread": None, "threads for keys": 2}
        name = max_threads_by_default.__name__
        metafunc.parametrize(name, numbers.values(), ids=numbers.keys(), indirect=True)


@pytest.fixture(autouse=True)
def max_threads_by_default(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> int | None:
    """Make brokers whose test does not say how many threads they have run so."""
    number: int | None = getattr(request, "param", None)
    monkeypatch.setitem(Broker.__init__.__kwdefaults__, "max_threads", number)
    return number
