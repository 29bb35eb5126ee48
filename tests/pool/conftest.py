"""A witness for each test."""

import pytest

from tests.pool.witness import Witness


@pytest.fixture
def witness() -> Witness:
    """Return what a pool's workers and hooks tell."""
    return Witness()
