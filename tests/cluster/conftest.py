"""Pools on a real Dask cluster, in environments of their own: `make cluster`.

Not part of a normal run, which has no `distributed`: `norecursedirs` in pyproject.toml. What
tests/conftest.py says holds here too: nothing is skipped, no thread of the library is left behind,
and the GIL stays off on a free-threaded build. Dask's own threads live as long as the client.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from tests import helpers
from tests.cluster.machines import Machines
from tests.helpers import until
from threadpool_mb.cluster import ClusterPool, control

DASKS = (
    "AsyncProcess",
    "Dask-",
    "IO loop",
    "Profile",
    "QueueFeederThread",
    "ThreadPoolExecutor",
    "asyncio_",
)
"""How the names of Dask's threads begin."""


def pytest_configure(config: pytest.Config) -> None:
    """Be patient: processes start here; and let Dask leave a socket open.

    Now and then one is left of a client that is closed, or loses its scheduler, as a connection to
    a Dask worker is being made. This package opens none. (Of other threads, and at the very end, it
    is the interpreter that is told so: tox.ini.)
    """
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")
    helpers.DEADLINE = 60.0  # type: ignore[misc]
    # What a node has not told by then is left out of reports and figures, which tests look at.
    control._PATIENCE = helpers.DEADLINE  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Fail the test that leaves a thread behind that is not Dask's."""
    before = set(threading.enumerate())

    yield

    left = [
        thread
        for thread in threading.enumerate()
        if thread not in before and not thread.name.startswith(DASKS)
    ]
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A scheduler, and Dask workers that tests may kill and add: each a process of its own."""
    with Machines() as machines:
        yield machines


@pytest.fixture
def client(machines: Machines) -> Iterator[Client]:
    """A client of a cluster of two Dask workers."""
    machines.have(2)
    with Client(machines.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        until(lambda: set(client.scheduler_info()["workers"]) == set(machines.workers()))
        yield client


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file to which workers append what they have handled."""
    path = tmp_path / "handled"
    path.touch()
    return path


@pytest.fixture
def dead() -> list[Any]:
    """Where a pool's dead letters go."""
    return []


def nodes(pool: ClusterPool[Any, Any]) -> list[str]:
    """Return the addresses of the nodes to which keys are dealt."""
    return list(pool._control.router.table.addresses)
