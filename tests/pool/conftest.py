"""A witness for each test."""

import pytest

from tests.pool.witness import Witness


@pytest.fixture(params=["function", "generator"])
def witness(request: pytest.FixtureRequest) -> Witness:
    """Return what a pool's workers and hooks tell, for workers of either kind."""
    return Witness(request.param)
