"""Real consumers of real brokers, in an environment of their own: `tox -e brokers`.

Not part of a normal run, which has neither the clients nor redis-server: `norecursedirs` in
pyproject.toml. What tests/conftest.py says holds here too: nothing is skipped, no thread is left
behind, and the GIL stays off on a free-threaded build.
"""

import itertools
from collections.abc import Iterator

import pytest

from tests.brokers.kafka import Cluster

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The broker that librdkafka has for tests."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def name() -> str:
    """A name that no other test has: of a topic, a group or a stream."""
    return f"name-{next(_numbers)}"
