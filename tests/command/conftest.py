"""A place for each test."""

from collections.abc import Iterator

import pytest

from tests.command.doubles import KINDS, Kind, Place


@pytest.fixture
def place() -> Iterator[Place]:
    """Return what makes pools, mailboxes and gates, and ends them with the test."""
    place = Place()
    yield place
    place.end()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return the kind of a pool's workers."""
    return request.param
