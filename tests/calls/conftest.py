"""A place for each test."""

from collections.abc import Iterator

import pytest

from tests.calls.doubles import KINDS, Kind, Place
from tests.helpers import DEADLINE
from threadpool_mb.calls import answer as answer_code


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


@pytest.fixture
def _nobody_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let who waits for a reply not look now and then: only being woken ends the wait."""
    for name in ("_FIRST_PAUSE", "_LONGEST_PAUSE"):
        monkeypatch.setattr(answer_code, name, 2 * DEADLINE)
